/** Keys that work wherever the focus is, unless something is being typed. */

/** @type {Map<string, ((event: KeyboardEvent) => void)[]>} */
const handlers = new Map();

/**
 * Do something when a key is pressed; the handler that came last is asked, so a dialog comes before the view.
 * @param {string} key as `KeyboardEvent.key` has it
 * @param {(event: KeyboardEvent) => void} handler
 * @returns {() => void} takes the handler away again
 */
export function onKey(key, handler) {
  const all = handlers.get(key) ?? [];
  handlers.set(key, [...all, handler]);
  return () => handlers.set(key, (handlers.get(key) ?? []).filter((one) => one !== handler));
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /** @type {Element} */ (event.target).closest('input:not([type=range], [type=checkbox]), textarea, select');
  const handler = handlers.get(event.key)?.at(-1);
  if (!handler || (typing && event.key !== 'Escape')) return;
  if (document.querySelector('dialog:modal') && event.key !== '?') return;
  handler(event);
  if (event.key !== 'Escape') event.preventDefault();
});
