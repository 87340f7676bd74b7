/** Nothing here yet: says why, and what to do next. */
import { html } from '../html.js';

/** @param {{title: string, children?: any}} props */
export function EmptyState({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}
