/** Filters: chosen values of fields, in the address as `f=field,value`, of numbers and times as `f=field,from~to`. */
import { facets } from './about.js';

/** @typedef {Map<string, string[]>} Chosen by field what was chosen */

/** Whether a request can be made of filters: the kinds of their fields must be known. @param {Chosen} chosen */
export const filtersReady = (chosen) => !chosen.size || facets.value !== undefined;

/** @param {string[]} texts of the address @returns {Chosen} */
export function readFilters(texts) {
  /** @type {Chosen} */
  const chosen = new Map();
  for (const text of texts) {
    const at = text.indexOf(',');
    if (at < 1) continue;
    const field = text.slice(0, at);
    chosen.set(field, [...(chosen.get(field) ?? []), text.slice(at + 1)]);
  }
  return chosen;
}

/** @param {Chosen} chosen */
export const writeFilters = (chosen) => [...chosen].flatMap(([field, values]) => values.map((value) => `${field},${value}`));

/** @param {Chosen} chosen @param {string} field @param {string[]} values @returns {Chosen} */
export function withValues(chosen, field, values) {
  const next = new Map(chosen);
  if (values.length) next.set(field, values);
  else next.delete(field);
  return next;
}

/**
 * The filter of a request; undefined if nothing is chosen.
 * @param {Chosen} chosen
 */
export function filterOf(chosen) {
  const filters = [...chosen].flatMap(([field, values]) => {
    const kind = facets.value?.find((facet) => facet.field === field)?.kind ?? 'keyword';
    return condition(field, kind, values) ?? [];
  });
  return filters.length < 2 ? filters[0] : { all_of: { filters } };
}

/** @param {string} field @param {string} kind @param {string[]} values */
function condition(field, kind, values) {
  if (kind === 'keyword') return { match_any: { field, values: values.map((value) => ({ string_value: value })) } };
  if (kind === 'bool') {
    const any = values.map((value) => ({ match: { field, value: { bool_value: value === 'true' } } }));
    return any.length < 2 ? any[0] : { any_of: { filters: any } };
  }
  const [from, to] = (values[0] ?? '').split('~', 2);
  if (kind === 'datetime') {
    const bounds = { ...(from ? { gte: `${from}T00:00:00Z` } : {}), ...(to ? { lte: `${to}T23:59:59Z` } : {}) };
    return Object.keys(bounds).length ? { datetime_range: { field, ...bounds } } : undefined;
  }
  const bounds = { ...(from ? { gte: Number(from) } : {}), ...(to ? { lte: Number(to) } : {}) };
  return Object.keys(bounds).length ? { range: { field, ...bounds } } : undefined;
}
