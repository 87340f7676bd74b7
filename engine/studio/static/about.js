/** What is running, and what its catalogue's fields hold; asked for once. */
import { api } from './api.js';
import { signal } from './html.js';

/** @type {import('@preact/signals').Signal<import('./types').About | undefined>} */
export const about = signal(undefined);

/** Whether pictures and sounds can be had: the server knows the folder of their paths. Taken for true until it is known. */
export const mediaThere = () => about.value?.media !== false;

/** Undefined until they are known. @type {import('@preact/signals').Signal<import('./types').Facet[] | undefined>} */
export const facets = signal(undefined);

/** Ask again: items may have come or gone. */
export function refresh() {
  api.about().then((found) => (about.value = found), () => {});
  api.facets().then((found) => (facets.value = found.facets), () => (facets.value ??= []));
}

refresh();
