/** The map as the server has it: its state, its points, and what they are called. */
import { call, Problem } from './api.js';
import { signal } from './html.js';

/** @typedef {{mapped: number, stored: number, version: number, running: boolean, share: number, stage: string, failure: {problem: string, remedy: string} | null}} MapState */
/** @typedef {{name: string, x: number, y: number, items: number, radius: number}} Cluster */
/** @typedef {{version: number, items: number, by: string, fields: string[], legend: {value: string, count: number}[], clusters: Cluster[],
 *   positions: Float32Array, categories: Uint8Array}} MapPoints */

export const mapCalls = {
  /** @param {AbortSignal} [signal] @returns {Promise<MapState>} */
  state: (signal) => call('GET', '/studio/map', { signal }),
  /** @param {boolean} again @returns {Promise<MapState>} */
  draw: (again) => call('POST', '/studio/map', { query: { again: again ? 'true' : undefined } }),
  /** @param {string[]} items @returns {Promise<{items: {row: number, id: string}[]}>} */
  rows: (items) => call('GET', `/studio/map/rows?${new URLSearchParams(items.map((id) => ['item', id]))}`),
  /** @param {number[]} rows @returns {Promise<{items: {row: number, id: string, title: string}[]}>} */
  items: (rows) => call('GET', `/studio/map/items?${new URLSearchParams(rows.map((row) => ['row', String(row)]))}`),
};

/** @param {string} by @param {AbortSignal} signal @returns {Promise<MapPoints>} */
export async function points(by, signal) {
  const response = await fetch(`/studio/map/points?by=${encodeURIComponent(by)}`, { signal });
  if (!response.ok) {
    const { detail = 'the map cannot be read', remedy = 'draw it again', title = '' } = await response.json().catch(() => ({}));
    throw new Problem(detail, remedy, title);
  }
  const bytes = await response.arrayBuffer();
  const long = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, long)));
  const begin = 4 + long;
  return { ...head, positions: new Float32Array(bytes, begin, head.items * 2), categories: new Uint8Array(bytes, begin + head.items * 8, head.items) };
}

/** @type {Map<number, {id: string, title: string}>} */
const known = new Map();
const changed = signal(0);
let of = 0;
/** @type {Set<number>} */
const wanted = new Set();

/**
 * The id and title at a row, as far as they are known; what is not is asked for, together.
 * @param {number} row @param {number} version of the map
 * @returns {{id: string, title: string} | undefined}
 */
export function named(row, version) {
  changed.value;
  if (of !== version) {
    known.clear();
    of = version;
  }
  if (!known.has(row) && !wanted.has(row)) {
    if (!wanted.size) setTimeout(ask, 30);
    wanted.add(row);
  }
  return known.get(row);
}

function ask() {
  const rows = [...wanted].slice(0, 200);
  wanted.clear();
  mapCalls.items(rows).then(({ items }) => {
    for (const { row, id, title } of items) known.set(row, { id, title });
    changed.value++;
  }, () => {});
}
