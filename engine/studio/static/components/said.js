/** What a screen reader is told when results change, and nobody else needs to see. */
import { html, signal } from '../html.js';

const said = signal('');

/** @param {string} text */
export function say(text) {
  said.value = text;
}

export function Said() {
  return html`<p class="unseen" role="status" aria-live="polite">${said.value}</p>`;
}
