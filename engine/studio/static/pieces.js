/**
 * Pieces: what a request is made of. A piece is a text, an item or an upload; as a part of a query it has a weight, as an
 * event a kind and an age. This file writes them into the address and reads them back, and makes requests of them.
 */
import { isKind, kindFields } from './kinds.js';
import { Upload, uploadOf } from './uploads.js';
import { itemOf } from './items.js';
import { titleOf } from './format.js';

/** @typedef {{of: 'text' | 'item' | 'file', value: string}} Piece */
/** @typedef {Piece & {weight: number}} Part */
/** @typedef {Piece & {event: string, days: number, stars?: number}} Did */

/** @param {string} text the last field may hold commas @param {number} fields */
function fieldsOf(text, fields) {
  const all = text.split(',');
  return [...all.slice(0, fields - 1), all.slice(fields - 1).join(',')];
}

/** @param {string} of @returns {of is Piece['of']} */
const isSource = (of) => of === 'text' || of === 'item' || of === 'file';

/** @param {string[]} texts of the address @returns {Part[]} */
export function readParts(texts) {
  return texts.flatMap((text) => {
    const [weight, of, value] = fieldsOf(text, 3);
    return isSource(of) && value && Number.isFinite(Number(weight)) ? [{ weight: Number(weight), of, value }] : [];
  });
}

/** @param {Part[]} parts */
export const writeParts = (parts) => parts.map(({ weight, of, value }) => `${weight},${of},${value}`);

/** @param {string[]} texts of the address @returns {Did[]} */
export function readEvents(texts) {
  return texts.flatMap((text) => {
    const [what, days, of, value] = fieldsOf(text, 4);
    const [event, stars] = what.split('*');
    if (!isKind(event) || !isSource(of) || !value || !Number.isFinite(Number(days))) return [];
    return [{ event, days: Number(days), of, value, ...(stars ? { stars: Number(stars) } : {}) }];
  });
}

/** @param {Did[]} events */
export const writeEvents = (events) =>
  events.map(({ event, days, of, value, stars }) => `${event}${stars ? `*${stars}` : ''},${days},${of},${value}`);

/** What a piece is called. @param {Piece} piece */
export function nameOf({ of, value }) {
  if (of === 'text') return `“${value}”`;
  return of === 'item' ? titleOf(itemOf(value)) : (uploadOf(value)?.name ?? 'an upload of another browser');
}

/** Which of the three rivers a piece comes from; an item may carry all of them. @param {Piece} piece */
export function kindOf({ of, value }) {
  if (of === 'text') return 'text';
  if (of === 'file') return uploadOf(value)?.kind ?? 'none';
  const { image_path, audio_path } = itemOf(value);
  return image_path ? 'image' : audio_path ? 'audio' : 'text';
}

/** Whether a piece can be sent: uploads may be gone. @param {Piece} piece */
export const there = ({ of, value }) => of !== 'file' || Boolean(uploadOf(value));

/** @param {Piece} piece the source of a query part, or the target of an event */
function target({ of, value }) {
  if (of === 'item') return { item_id: value };
  if (of === 'text') return { content: { text: value } };
  const upload = /** @type {Upload} */ (uploadOf(value));
  return { content: { [upload.kind]: upload } };
}

/** Parts of a query, as a request has them; uploads are still to be filled in. @param {Part[]} parts */
export const partsOf = (parts) =>
  parts.filter(there).map((part) => ({ ...target(part), ...(part.weight === 1 ? {} : { weight: part.weight }) }));

/** Events of a history, as a request has them. @param {Did[]} events @param {number} now milliseconds */
export const historyOf = (events, now) =>
  events.filter(there).map((did) => ({
    ...kindFields(did.event),
    ...target(did),
    ...(did.days ? { time: new Date(now - did.days * 86_400_000).toISOString() } : {}),
    ...(did.stars ? { value: did.stars } : {}),
  }));

/**
 * A request with the bytes of its uploads.
 * @param {any} request
 * @returns {Promise<any>}
 */
export async function filled(request) {
  if (request instanceof Upload) return request.base64();
  if (Array.isArray(request)) return Promise.all(request.map(filled));
  if (request === null || typeof request !== 'object') return request;
  const entries = await Promise.all(Object.entries(request).map(async ([key, value]) => [key, await filled(value)]));
  return Object.fromEntries(entries);
}
