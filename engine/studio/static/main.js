/** The shell: the rail of views, the view that the address names, messages, and the keys that work everywhere. */
import { ErrorBox } from './components/error-box.js';
import { Icon, Mark } from './components/icon.js';
import { KeyHelp, helpOpen } from './components/key-help.js';
import { SignIn } from './components/sign-in.js';
import { Said } from './components/said.js';
import { Toasts } from './components/toast.js';
import { html, render, signal, effect, useEffect } from './html.js';
import { onKey } from './keys.js';
import { follow, path } from './router.js';
import { signOut, subject } from './session.js';
import { cycleTheme, theme } from './theme.js';
import { VIEWS } from './views.js';

/** The component of the view that the address names, once it is loaded. */
const shown = signal(/** @type {{path: string, view?: any, error?: unknown}} */ ({ path: '' }));

effect(() => {
  const wanted = path.value;
  const view = VIEWS.find((one) => one.path === wanted);
  document.title = view ? `${view.title} · Triveni Studio` : 'Triveni Studio';
  if (!view) {
    shown.value = { path: wanted, error: new Error(`there is no view ${wanted}`) };
    return;
  }
  view.load().then(
    (module) => path.peek() === wanted && (shown.value = { path: wanted, view: module.default }),
    (error) => (shown.value = { path: wanted, error }),
  );
});

function Rail() {
  return html`<nav class="rail" aria-label="Views">
    <a class="mark" href="/" aria-label="Triveni Studio, start"><${Mark} /></a>
    ${VIEWS.map(
      (view) => html`<a key=${view.path} class="to" href=${view.path} aria-current=${path.value === view.path ? 'page' : undefined}>
        <${Icon} name=${view.icon} />${view.title}</a>`,
    )}
    <div class="more">
      <button onClick=${cycleTheme} title=${`Colours: ${theme.value}`} aria-label=${`Colours: ${theme.value}; change`}>
        <${Icon} name=${theme.value === 'dark' ? 'moon' : theme.value === 'light' ? 'sun' : 'half'} /></button>
      <button onClick=${() => (helpOpen.value = true)} title="Keys (?)" aria-label="Keys"><${Icon} name="keys" /></button>
      ${subject.value !== undefined && html`<button class="leave" onClick=${signOut} title=${`Sign out ${subject.value}`} aria-label="Sign out"><${Icon} name="leave" /></button>`}
    </div>
  </nav>`;
}

function Shell() {
  useEffect(() => onKey('?', () => (helpOpen.value = !helpOpen.value)), []);
  const { view: View, error } = shown.value;
  return html`<div class="shell" onClick=${follow}>
    <a class="skip button main" href="#main" onClick=${skip}>Skip to the results</a>
    <${Rail} />
    ${error ? html`<div class="frame"><main id="main"><${ErrorBox} error=${error} /></main></div>` : View ? html`<${View} key=${shown.value.path} />` : html`<div class="frame" />`}
    <${Toasts} /><${KeyHelp} /><${Said} /><${SignIn} />
  </div>`;
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  event.stopPropagation();
  /** @type {HTMLElement | null} */ (document.querySelector('main .grid button, main'))?.focus();
}

render(html`<${Shell} />`, /** @type {Element} */ (document.getElementById('app')));
