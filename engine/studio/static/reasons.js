/** Why a result is shown: shares of its score by what it rests on, and by text, picture and sound. */

import { about } from './about.js';

export const KINDS = /** @type {const} */ (['text', 'image', 'audio']);
export const NAMES = { text: 'text', image: 'picture', audio: 'sound', none: 'other' };

/** @typedef {{text: number, image: number, audio: number, none: number}} Shares they sum to the share of the reason */

/** The share of one reason, split by what of the item speaks. @param {import('./types').Reason} reason @returns {Shares} */
export function sharesOf({ share = 0, modality, modality_shares }) {
  const [text = 0, image = 0, audio = 0] = modality_shares ?? [];
  if (text + image + audio > 0) return { text: share * text, image: share * image, audio: share * audio, none: 0 };
  const only = { text: 0, image: 0, audio: 0, none: 0 };
  const kind = modality?.replace('MODALITY_', '').toLowerCase() ?? 'none';
  return { ...only, [kind in only ? kind : 'none']: share };
}

/** @param {import('./types').Reason[]} reasons @returns {Shares} of all of them */
export function total(reasons) {
  const sum = { text: 0, image: 0, audio: 0, none: 0 };
  for (const reason of reasons) {
    const one = sharesOf(reason);
    for (const kind of /** @type {(keyof Shares)[]} */ (Object.keys(sum))) sum[kind] += one[kind];
  }
  return sum;
}

/** What of an item speaks in a reason for a good part of it, the most first. @param {import('./types').Reason} reason */
export function speaking(reason) {
  const shares = sharesOf(reason);
  const all = KINDS.reduce((sum, kind) => sum + shares[kind], 0);
  return KINDS.filter((kind) => shares[kind] > 0 && shares[kind] >= (about.value?.notable ?? 0) * all).sort((a, b) => shares[b] - shares[a]);
}

/** @param {number} seconds @returns {string} minutes and seconds */
const clock = (seconds) => `${Math.floor(Math.round(seconds) / 60)}:${String(Math.round(seconds) % 60).padStart(2, '0')}`;

/** What follows the kind of an item's part that answered: " 2 (back.jpg)", ", passage 3 (It ends …)", ", 1:20 to 1:30". @param {NonNullable<import('./types').Reason['part']>} part */
export function partName({ index = 0, path, text, passage = 0, start_seconds = 0, end_seconds = 0 }) {
  const within = end_seconds ? `, ${clock(start_seconds)} to ${clock(end_seconds)}` : passage ? `, passage ${passage}` : '';
  return `${index || !passage ? ` ${index + 1}` : ''}${within}${path || text ? ` (${path || text?.trim()})` : ''}`;
}

/** What is said of reasons that point to no part and no event. @type {Record<string, string>} */
export const GENERAL = {
  REASON_KIND_POPULAR: 'many people like it',
  REASON_KIND_FRESH: 'it is new in the catalogue',
  REASON_KIND_LEARNED: 'others who did the like went on to this',
};
