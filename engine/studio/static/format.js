/** Numbers and names as the page shows them. */

/** @param {number} value @param {string} one @param {string} [many] */
export const count = (value, one, many = one + 's') => `${value.toLocaleString('en')} ${value === 1 ? one : many}`;

/** Milliseconds, to two digits. @param {number} value */
export const ms = (value) => `${value < 9.95 ? value.toFixed(1) : Math.round(value).toLocaleString('en')} ms`;

/** A share or score, without the zero before the point. @param {number} value */
export function score(value) {
  if (!Number.isFinite(value)) return '';
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return value.toFixed(digits).replace(/^(-?)0\./, '$1.');
}

/** @param {number} value */
export const percent = (value) => `${Math.round(value * 100)}%`;

/**
 * How sure a result of a query is; "" where that is not known.
 * @param {import('./types').Result} result
 */
export const sureness = ({ relevance }) => (relevance === undefined ? '' : `${sure(relevance)} sure that it fits`);

/** Never 100%: no result is certain. @param {number} share */
const sure = (share) => (share > 0.999 ? 'over 99.9%' : share > 0.99 ? `${(share * 100).toFixed(1)}%` : percent(share));

const UNITS = /** @type {const} */ ([['day', 86400], ['hour', 3600], ['minute', 60]]);

/** A span of time in its largest unit. @param {number} seconds */
export function span(seconds) {
  for (const [unit, size] of UNITS) if (seconds >= size * 0.95) return count(Math.round(seconds / size), unit);
  return 'moments';
}

/** @param {number} seconds */
export const ago = (seconds) => (seconds < 60 ? 'now' : `${span(seconds)} ago`);

/** The seconds of a duration as protobuf's JSON has it, "0.0012s". @param {string | undefined} duration */
export const seconds = (duration) => (duration ? Number.parseFloat(duration) : 0);

/**
 * What an item is called: its title or name, or how its text begins, or its id.
 * @param {{item_id?: string, id?: string, text?: string, payload?: Record<string, unknown>}} item
 */
export function titleOf(item) {
  const { title, name } = item.payload ?? {};
  const said = [title, name, item.text].find((one) => typeof one === 'string' && one.trim());
  return String(said ?? item.item_id ?? item.id ?? '').replace(/(?<!\.)\.$/, '');
}

/** @param {unknown} value a value of a payload, in one line @returns {string} */
export function plain(value) {
  if (Array.isArray(value)) return value.map(plain).join(', ');
  if (value && typeof value === 'object') return JSON.stringify(value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT00:00:00(\.0+)?Z$/.test(value)) return value.slice(0, 10);
  return typeof value === 'number' ? value.toLocaleString('en', { maximumFractionDigits: 4 }) : String(value ?? '');
}
