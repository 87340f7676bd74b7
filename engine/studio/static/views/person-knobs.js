/** The knobs of the Person view: whose list it is, how long events count, how varied the list is, and which version ranks it. */
import { Icon } from '../components/icon.js';
import { html, useEffect, useRef, useState } from '../html.js';
import { params, setParams } from '../router.js';
import { score, span } from '../format.js';

const LEAST = 1 / 24;
const MOST = 365;

/** @param {{models: import('../types').Model[]}} props */
export function Knobs({ models }) {
  const [open, setOpen] = useState(false);
  const at = params.value;
  const half = Number(at.get('half')) || 0;
  const diversity = at.get('diversity');
  const slide = (/** @type {string} */ name, /** @type {(value: number) => string} */ text) => (/** @type {any} */ event) =>
    setParams({ [name]: text(Number(event.target.value)) }, { replace: true });
  return html`<button class="button adjust" aria-expanded=${open} onClick=${() => setOpen(!open)}>Adjust<${Icon} name="down" /></button>
  <${Choices} models=${models} />
  <div class="knobs" role="group" aria-label="How the list is made">
    <label>Half-life <input type="range" min="0" max="100" value=${toSlider(half || 30)} aria-valuetext=${half ? span(half * 86400) : 'as the server has it'}
      onInput=${slide('half', (value) => fromSlider(value).toPrecision(3))} /><output>${half ? span(half * 86400) : 'default'}</output></label>
    <label>Diversity <input type="range" min="0" max="1" step="0.05" value=${diversity ?? 0.1} aria-valuetext=${diversity ?? 'as the server has it'}
      onInput=${slide('diversity', String)} /><output>${diversity ? score(Number(diversity)) : 'default'}</output></label>
    ${(half || diversity) && html`<button class="round" title="As the server has it" aria-label="As the server has it"
      onClick=${() => setParams({ half: null, diversity: null })}><${Icon} name="undo" /></button>`}
    <label><input type="checkbox" checked=${at.has('seen')} onChange=${(/** @type {any} */ event) => setParams({ seen: event.target.checked ? '1' : null })} />Show what they know</label>
  </div>`;
}

/** Which version ranks the list, and which one a second list beside it. @param {{models: import('../types').Model[]}} props */
function Choices({ models }) {
  const at = params.value;
  const set = (/** @type {string} */ name) => (/** @type {any} */ event) => setParams({ [name]: event.target.value || null });
  return html`<div class="choices" role="group" aria-label="Versions">
    <label>Version <select class="field" value=${at.get('model') ?? ''} onChange=${set('model')}><option value="">what serves</option><${Versions} models=${models} /></select></label>
    <label>beside <select class="field" value=${at.get('vs') ?? ''} onChange=${set('vs')}><option value="">nothing</option><${Versions} models=${models} /></select></label>
  </div>`;
}

/** @param {{models: import('../types').Model[]}} props */
function Versions({ models }) {
  return html`<option value="untrained">untrained</option>${models.map(({ version, serving }) => html`<option value=${version}>${version}${serving ? ' (serves)' : ''}</option>`)}`;
}

/** Whose list it is: somebody new, or a user of whom events are recorded. */
export function Who() {
  const user = params.value.get('user') ?? '';
  const [text, setText] = useState(user);
  const wait = useRef(0);
  useEffect(() => setText(user), [user]);
  const use = (/** @type {string} */ id) => {
    clearTimeout(wait.current);
    setParams({ user: id.trim() || null });
  };
  return html`<h2><label>For <input class="field" value=${text} placeholder="somebody new" aria-label="The id of a recorded user; empty for somebody new" autocomplete="off" spellcheck="false"
    onInput=${(/** @type {any} */ event) => {
      setText(event.target.value);
      clearTimeout(wait.current);
      wait.current = setTimeout(() => use(event.target.value), 500);
    }} onChange=${(/** @type {any} */ event) => use(event.target.value)} />, now</label></h2>`;
}

/** Days on a scale on which each step is as many times longer. @param {number} days */
const toSlider = (days) => Math.round((100 * Math.log(days / LEAST)) / Math.log(MOST / LEAST));
/** @param {number} value */
const fromSlider = (value) => LEAST * (MOST / LEAST) ** (value / 100);
