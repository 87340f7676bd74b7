/** Items that the page has met, so that chips and reasons can call them by their titles. */
import { api } from './api.js';
import { signal } from './html.js';

/** @type {Map<string, import('./types').Result>} */
const met = new Map();
/** @type {Set<string>} */
const asked = new Set();
const changed = signal(0);

/** @param {import('./types').Result[]} results */
export function meet(results) {
  for (const one of results) met.set(one.item_id, one);
}

/**
 * An item as far as the page knows it; what is not known is asked for.
 * @param {string} id
 * @returns {import('./types').Result}
 */
export function itemOf(id) {
  changed.value;
  const known = met.get(id);
  if (!known && !asked.has(id)) {
    asked.add(id);
    api.item(id).then(
      ({ item }) => {
        met.set(id, asResult(item));
        changed.value++;
      },
      () => {},
    );
  }
  return known ?? { item_id: id };
}

/** @param {import('./types').Item} item @returns {import('./types').Result} */
export const asResult = ({ id, payload, text, image_path, audio_path }) => ({ item_id: id, payload, text, image_path, audio_path });
