/** Short messages at the edge that go by themselves: what could not be done, or was done and can be undone. */
import { html, signal } from '../html.js';
import { sentence } from './error-box.js';
import { Icon } from './icon.js';

const SECONDS = 8;

/** @type {import('@preact/signals').Signal<{id: number, text: string, remedy?: string, bad: boolean, undo?: () => void}[]>} */
const toasts = signal([]);
let last = 0;

/**
 * @param {string} text
 * @param {{bad?: boolean, remedy?: string, undo?: () => void}} [more]
 */
export function toast(text, { bad = false, remedy, undo } = {}) {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-2), { id, text, remedy, bad, undo }];
  setTimeout(() => drop(id), SECONDS * 1000);
}

/** @param {unknown} error */
export function toastError(error) {
  const { message, remedy } = /** @type {{message: string, remedy?: string}} */ (error);
  toast(message, { bad: true, remedy });
}

/** @param {number} id */
function drop(id) {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(
      (one) => html`<div key=${one.id} class=${`toast ${one.bad ? 'bad' : ''}`}>
        <p>${sentence(one.text)} ${one.remedy && html`<span class="soft">${sentence(one.remedy)}</span>`}</p>
        ${one.undo && html`<button class="button bare" onClick=${() => (one.undo?.(), drop(one.id))}>Undo</button>`}
        <button class="button bare" aria-label="Close this message" onClick=${() => drop(one.id)}><${Icon} name="close" /></button>
      </div>`,
    )}
  </div>`;
}
