/** Where a person stands on the map: what they did, what is searched for them, and what they get. */
import { api } from './api.js';
import { useEffect, useState } from './html.js';
import { eventKind } from './kinds.js';
import { meet } from './items.js';
import { mapCalls } from './map-data.js';
import { filled, historyOf, kindOf, nameOf, partsOf, there } from './pieces.js';
import { recordedOf } from './recorded.js';

const NEAR = 8;
const LIMIT = 24;

/** @typedef {{x: number, y: number, name: string, against: boolean, kind: string}} Done */
/** An interest's query vector. @typedef {{x: number, y: number, first?: import('./pieces.js').Did, others: number, weight: number}} Interest */
/** @typedef {{did: Done[], interests: Interest[], results: {row: number, id: string, rank: number}[], request?: object}} Person */

/** @type {Person} */
const NOBODY = { did: [], interests: [], results: [] };

/**
 * An item lies where it lies; a text, an upload or an interest's vector where the median of its nearest items does.
 * @param {import('./map-data.js').MapPoints | undefined} drawn
 * @param {import('./pieces.js').Did[]} events
 * @param {string} user
 * @returns {Person}
 */
export function usePerson(drawn, events, user) {
  const [person, setPerson] = useState(NOBODY);
  const key = JSON.stringify([events, user, drawn?.version]);
  useEffect(() => {
    let gone = false;
    if (!drawn || (!events.length && !user)) setPerson(NOBODY);
    else find(drawn, events, user).then((found) => gone || setPerson(found), () => {});
    return () => void (gone = true);
  }, [key]);
  return person;
}

/** @param {import('./map-data.js').MapPoints} drawn @param {import('./pieces.js').Did[]} events @param {string} user */
async function find(drawn, events, user) {
  const recorded = user ? await recordedOf(user, new AbortController().signal).then((found) => found.events, () => []) : [];
  const history = events.filter(there);
  const all = [...history, ...recorded.filter(({ of }) => of === 'item')].slice(0, 40);
  const request = { ...(user ? { user_id: user } : {}), ...(history.length ? { history: historyOf(history, Date.now()) } : {}), limit: LIMIT };
  /** @type {import('./types').Answer} */
  const answer = await api.recommend(await filled({ ...request, trace: true }));
  meet(answer.results ?? []);
  const ids = (answer.results ?? []).map((one) => one.item_id);
  const near = await Promise.all(all.map((one) => (one.of === 'item' ? [one.value] : nearest(one))));
  const found = answer.interests ?? [];
  const rowOf = await rows([...new Set([ids, ...near, ...found.map((one) => one.nearest_item_ids ?? [])].flat())]);
  const middle = (/** @type {string[]} */ names) => median(drawn.positions, names.flatMap((name) => rowOf.get(name) ?? []));
  const results = ids.flatMap((id, at) => (rowOf.has(id) ? [{ id, row: /** @type {number} */ (rowOf.get(id)), rank: at + 1 }] : []));
  const did = all.map((one, at) => ({ ...middle(near[at]), name: nameOf(one), against: Boolean(eventKind(one.event).against), kind: kindOf(one) }));
  const interests = found.map(({ weight = 0, events: [heaviest, ...others] = [], nearest_item_ids = [] }) => {
    const first = heaviest?.event_id ? recorded.find(({ id }) => id === heaviest.event_id) : history[heaviest?.index ?? 0];
    return { ...middle(nearest_item_ids), first, others: others.length, weight };
  });
  const placed = (/** @type {{x: number}} */ { x }) => Number.isFinite(x);
  return { did: did.filter(placed), interests: interests.filter(placed), results, request };
}

/** @param {import('./pieces.js').Did} did */
async function nearest(did) {
  const answer = await api.search(await filled({ parts: partsOf([{ ...did, weight: 1 }]), limit: NEAR }));
  return (answer.results ?? []).map((/** @type {any} */ one) => one.item_id);
}

/** @param {string[]} ids @returns {Promise<Map<string, number>>} those that are on the map */
async function rows(ids) {
  if (!ids.length) return new Map();
  const { items } = await mapCalls.rows(ids);
  return new Map(items.map(({ id, row }) => [id, row]));
}

/** @param {Float32Array} positions @param {number[]} rows @returns {{x: number, y: number}} NaN of none */
function median(positions, rows) {
  const of = (/** @type {number} */ axis) => rows.map((row) => positions[2 * row + axis]).sort((a, b) => a - b)[Math.floor(rows.length / 2)] ?? NaN;
  return { x: of(0), y: of(1) };
}
