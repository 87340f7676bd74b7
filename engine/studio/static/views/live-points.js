/** What happens in the server: listened to while a view shows it, and kept for fifteen minutes. */
import { signal } from '../html.js';

/** @typedef {import('../types').Point} Point */

export const KEPT = 900;

/** @type {import('@preact/signals').Signal<Point[] | undefined>} undefined until the first came */
export const points = signal(undefined);

/** @type {import('@preact/signals').Signal<'waiting' | 'open' | 'lost'>} */
export const state = signal('waiting');

/** Begin to listen. @returns {() => void} ends it */
export function listen() {
  const source = new EventSource('/studio/live');
  source.addEventListener('past', (event) => {
    points.value = JSON.parse(event.data);
    state.value = 'open';
  });
  source.addEventListener('message', (event) => {
    points.value = [...(points.value ?? []), JSON.parse(event.data)].slice(-KEPT);
  });
  source.addEventListener('error', () => (state.value = 'lost')); // the browser tries again by itself
  return () => source.close();
}

/** The names that any point has below a key, sorted. @param {Point[]} all @param {'calls' | 'tiers' | 'queues' | 'batches' | 'stages' | 'events'} key */
export function namesIn(all, key) {
  return [...new Set(all.flatMap((point) => Object.keys(point[key])))].sort();
}
