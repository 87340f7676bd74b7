/** Kinds of events: what each is called here. The standard ones, and those that the server's settings declare. */
import { about } from './about.js';
import { computed } from './html.js';

/** `takes` is what it is done with; without, it may be anything. @typedef {{icon: string, past: string, verb: string, against?: boolean, takes?: 'item' | 'content'}} EventKind */

/** @type {Record<string, EventKind>} */
const STANDARD = {
  view: { icon: 'eye', past: 'viewed', verb: 'View', takes: 'item' },
  click: { icon: 'click', past: 'clicked', verb: 'Click', takes: 'item' },
  like: { icon: 'more', past: 'liked', verb: 'Like', takes: 'item' },
  purchase: { icon: 'bag', past: 'bought', verb: 'Buy', takes: 'item' },
  rate: { icon: 'star', past: 'rated', verb: 'Rate', takes: 'item' },
  skip: { icon: 'skip', past: 'skipped', verb: 'Skip', against: true, takes: 'item' },
  dislike: { icon: 'less', past: 'disliked', verb: 'Dislike', against: true, takes: 'item' },
  search: { icon: 'search', past: 'searched', verb: 'Search', takes: 'content' },
  upload: { icon: 'plus', past: 'uploaded', verb: 'Upload', takes: 'content' },
};
const NAME = /^[a-z][a-z0-9_]{0,63}$/;

/** @param {string} name @param {number} [weight] in a history @returns {EventKind} of a kind that is not standard */
function declared(name, weight = 0) {
  const past = name.replaceAll('_', ' ');
  return { icon: weight < 0 ? 'less' : 'plus', past, verb: past[0].toUpperCase() + past.slice(1), against: weight < 0 };
}

/** By name; the standard ones first. */
export const kinds = computed(() => ({ ...STANDARD, ...Object.fromEntries((about.value?.kinds ?? []).map(({ name, weight }) => [name, declared(name, weight)])) }));

/** A kind, also one that the server no longer declares. @param {string} name @returns {EventKind} */
export const eventKind = (name) => kinds.value[name] ?? declared(name);

/** Kinds that can be done with such a piece. @param {import('./pieces.js').Piece['of']} of @returns {[string, EventKind][]} */
export const kindsFor = (of) => Object.entries(kinds.value).filter(([, { takes }]) => !takes || (takes === 'item') === (of === 'item'));

/** Whether a text can be the name of a kind; the server says whether it is one. @param {string} text */
export const isKind = (text) => NAME.test(text);

/** A kind as an event of a request says it. @param {string} name */
export const kindFields = (name) => (name in STANDARD ? { kind: `EVENT_KIND_${name.toUpperCase()}` } : { kind_name: name });
