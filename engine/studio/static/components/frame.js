/** What a view fills: a head with the question, the results, a panel at the side, and a foot with what answered. */
import { about, mediaThere } from '../about.js';
import { html, useEffect } from '../html.js';
import { onKey } from '../keys.js';
import { count } from '../format.js';

/**
 * @param {{title: string, head?: any, side?: any, foot?: any, children?: any, media?: boolean, onSideClose?: () => void, sideTitle?: string}} props
 *   `side` is a column where the page is wide, and a sheet over it where it is not; `media`: whether it shows
 *   pictures and sounds
 */
export function Frame({ title, head, side, foot, children, onSideClose, sideTitle, media = true }) {
  useEffect(() => (side && onSideClose ? onKey('Escape', onSideClose) : undefined), [Boolean(side), onSideClose]);
  const { items, space, fingerprint = '' } = about.value ?? {};
  return html`<div class=${`frame ${side ? 'with-side' : ''}`}>
    <header>${head ?? html`<h1>${title}</h1>`}</header>
    <main id="main" tabindex="-1" aria-label=${title}>
      ${media && items !== 0 && !mediaThere() && html`<p class="soft no-media">Pictures and sounds cannot be shown: the server does not know where they are. Run <code>triveni index</code> again, or set <code>studio.media</code> to the folder that their paths begin in; then serve again.</p>`}
      ${children}</main>
    ${side && html`<div class="scrim" onClick=${onSideClose} /><aside aria-label=${sideTitle}>${side}</aside>`}
    <footer>
      ${items !== undefined && html`<span>${count(items, 'item')}</span><span>space ${space}, <code>${fingerprint.slice(0, 6)}</code></span>`}
      ${foot}
    </footer>
  </div>`;
}
