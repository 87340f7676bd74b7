/**
 * The address bar holds the state of a view, so that "back" works and a link can be shared.
 *
 * A view reads `params` and changes them by `setParams`; components that read the signal are drawn anew.
 */
import { signal, computed } from './html.js';

const here = signal(read());

/** The path of the view, such as "/person". */
export const path = computed(() => here.value.path);

/** The parameters of the address. */
export const params = computed(() => here.value.params);

addEventListener('popstate', () => (here.value = read()));

function read() {
  return { path: location.pathname, params: new URLSearchParams(location.search) };
}

/**
 * Go to an address of this page.
 * @param {string} address such as "/person?user=ann"
 * @param {{replace?: boolean}} [how] `replace` leaves no step to go back to
 */
export function go(address, how = {}) {
  history[how.replace ? 'replaceState' : 'pushState'](null, '', address);
  here.value = read();
}

/**
 * Change parameters of the address; the others stay.
 * @param {Record<string, string | string[] | null | undefined>} changes by name; empty values remove the parameter
 * @param {{replace?: boolean}} [how]
 */
export function setParams(changes, how = {}) {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) if (one) next.append(name, one);
  }
  const query = next.toString();
  if (query === new URLSearchParams(location.search).toString()) return;
  go(location.pathname + (query && '?' + query), how);
}

/** A click on a link of this page changes the view without loading. @param {MouseEvent} event */
export function follow(event) {
  const link = /** @type {Element} */ (event.target).closest('a');
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/studio/') || link.pathname.startsWith('/v1/')) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
