/** The keys. */
import { html, signal } from '../html.js';
import { Dialog } from './dialog.js';

export const helpOpen = signal(false);

const KEYS = [
  ['/', 'to the search field'],
  ['← ↑ → ↓', 'from card to card'],
  ['Enter', 'open a card'],
  ['l', 'more like this; in Person: like'],
  ['d', 'less like this; in Person: dislike'],
  ['p', 'play its sound, or stop'],
  ['Esc', 'close what is open'],
  ['?', 'these keys'],
];

export function KeyHelp() {
  return html`<${Dialog} title="Keys" open=${helpOpen.value} onClose=${() => (helpOpen.value = false)}>
    <dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
  <//>`;
}
