/** Where a person stands on the map: what they did, and what they get. */
import { api } from './api.js';
import { useEffect, useState } from './html.js';
import { meet } from './items.js';
import { mapCalls } from './map-data.js';
import { AGAINST, filled, historyOf, kindOf, nameOf, partsOf, there } from './pieces.js';
import { recordedOf } from './recorded.js';

const NEAR = 8;
const LIMIT = 24;

/** @typedef {{x: number, y: number, name: string, against: boolean, kind: string}} Done */
/** @typedef {{did: Done[], results: {row: number, id: string, rank: number}[], request?: object}} Person */

/** @type {Person} */
const NOBODY = { did: [], results: [] };

/**
 * An item lies where it lies; a text or an upload where the median of its nearest items does.
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
  const recorded = user ? await recordedOf(user, new AbortController().signal).then((found) => found.events.filter(({ of }) => of === 'item'), () => []) : [];
  const all = [...events.filter(there), ...recorded].slice(0, 40);
  const history = events.filter(there);
  const request = { ...(user ? { user_id: user } : {}), ...(history.length ? { history: historyOf(history, Date.now()) } : {}), limit: LIMIT };
  const answer = await api.recommend(await filled(request));
  meet(answer.results ?? []);
  const ids = (answer.results ?? []).map((/** @type {any} */ one) => one.item_id);
  const rowOf = await rows(ids);
  const results = ids.flatMap((/** @type {string} */ id, /** @type {number} */ at) => (rowOf.has(id) ? [{ id, row: rowOf.get(id), rank: at + 1 }] : []));
  const did = await Promise.all(all.map(async (one) => {
    const near = one.of === 'item' ? [one.value] : await nearest(one);
    const [x, y] = middle(drawn.positions, [...(await rows(near)).values()]);
    return { x, y, name: nameOf(one), against: AGAINST.has(one.event), kind: kindOf(one) };
  }));
  return { did: did.filter(({ x }) => Number.isFinite(x)), results, request };
}

/** @param {import('./pieces.js').Did} did */
async function nearest(did) {
  const answer = await api.search(await filled({ parts: partsOf([{ ...did, weight: 1 }]), limit: NEAR }));
  return (answer.results ?? []).map((/** @type {any} */ one) => one.item_id);
}

/** @param {string[]} ids */
async function rows(ids) {
  if (!ids.length) return new Map();
  const { items } = await mapCalls.rows(ids);
  return new Map(items.map(({ id, row }) => [id, row]));
}

/** @param {Float32Array} positions @param {number[]} rows */
function middle(positions, rows) {
  const median = (/** @type {number[]} */ all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
  return [median(rows.map((row) => positions[2 * row])), median(rows.map((row) => positions[2 * row + 1]))];
}
