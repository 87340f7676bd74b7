/** What went wrong, and what to do about it. */
import { html } from '../html.js';
import { Icon } from './icon.js';

/** @param {{error: unknown, again?: () => void}} props `again` tries once more */
export function ErrorBox({ error, again }) {
  const { message, remedy, status } = /** @type {{message: string, remedy?: string, status?: string}} */ (error);
  return html`<div class="error-box" role="alert">
    <h2>${sentence(message)}</h2>
    ${remedy && html`<p>${sentence(remedy)}</p>`}
    <p class="soft">${status}</p>
    ${again && html`<button class="button" onClick=${again}><${Icon} name="undo" />Try again</button>`}
  </div>`;
}

/** @param {string} text */
export function sentence(text) {
  const said = String(text ?? '').trim();
  const begin = /^[a-z]+[ ,:]/.test(said) ? said[0].toUpperCase() + said.slice(1) : said; // a name stays as it is
  return begin + (/[.!?…]$|^$/.test(said) ? '' : '.');
}
