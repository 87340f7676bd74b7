/** A request of the page, written with `triveni.client`. */
import { Upload } from './uploads.js';

const SIMPLE = ['like', 'dislike', 'click', 'purchase', 'search', 'upload'];

/** Code that is printed as it is. */
class Code {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/**
 * @param {import('./calls.js').Method} method
 * @param {any} request
 * @param {string} address of the gRPC server
 * @param {(upload: Upload) => string} fileName
 */
export function python(method, request, address, fileName) {
  const file = (/** @type {Upload} */ upload) => new Code(`Path("${fileName(upload)}")`);
  const given = { ...(method === 'Search' ? {} : asked(request, file)), ...common(request, file) };
  if (method === 'Search' && !given.query) given.query = [];
  const lines = Object.entries(given).map(([name, value]) => `    ${name}=${literal(value, '    ')},`);
  const body = `print(client.${method.toLowerCase()}(\n${lines.join('\n')}\n))`;
  return [
    ...(body.includes('Path(') ? ['from pathlib import Path', ''] : []),
    `from triveni.client import Client${body.includes('Part(') ? ', Part' : ''}`,
    '',
    `client = Client("${address}")`,
    body,
  ].join('\n');
}

/** @param {any} request @param {(upload: Upload) => Code} file @returns {Record<string, any>} who asks */
function asked({ user_id, history = [] }, file) {
  /** @type {Record<string, any>} */
  const given = user_id ? { user: user_id } : {};
  const others = [];
  for (const event of history) {
    const kind = event.kind_name ?? event.kind.replace('EVENT_KIND_', '').toLowerCase();
    const what = event.item_id ?? content(event.content, file);
    if (SIMPLE.includes(kind) && !event.time && event.value === undefined && (kind !== 'upload' || what instanceof Code)) {
      given[kind] = [...(given[kind] ?? []), what];
    } else {
      others.push({ kind, [event.item_id ? 'item' : 'content']: what, ...(event.time ? { time: event.time } : {}), ...(event.value === undefined ? {} : { value: event.value }) });
    }
  }
  return { ...given, ...(others.length ? { history: others } : {}) };
}

/** @param {any} request @param {(upload: Upload) => Code} file @returns {Record<string, any>} */
function common({ parts = [], filter, limit, policy = {}, modalities = [], model, half_life }, file) {
  const query = parts.map((/** @type {any} */ part) => {
    const weight = part.weight === undefined ? '' : `, weight=${part.weight}`;
    if (part.item_id !== undefined) return new Code(`Part(item=${JSON.stringify(part.item_id)}${weight})`);
    const what = content(part.content, file);
    return weight ? new Code(`(${literal(what)}, ${part.weight})`) : what;
  });
  return {
    ...(query.length ? { query } : {}),
    ...(filter ? { filter: words(filter) } : {}),
    ...(limit === undefined ? {} : { limit }),
    ...(policy.diversity === undefined ? {} : { diversity: policy.diversity }),
    ...(policy.max_false_positive_rate === undefined ? {} : { max_false_positive_rate: policy.max_false_positive_rate }),
    ...(policy.include_seen ? { include_seen: true } : {}),
    ...(modalities.length ? { modalities: modalities.map((/** @type {string} */ one) => one.replace('MODALITY_', '').toLowerCase()) } : {}),
    ...(model ? { model } : {}),
    ...(half_life ? { half_life_days: Number((Number.parseFloat(half_life) / 86400).toPrecision(4)) } : {}),
  };
}

/** @param {any} content @param {(upload: Upload) => Code} file */
const content = ({ text, image, audio }, file) => text ?? file(image ?? audio);

/** A filter as the client takes it, written in Python. @param {any} filter */
export const filterText = (filter) => literal(words(filter));

/** A filter as the client takes it. @param {any} filter @returns {any} */
function words(filter) {
  if (filter.all_of) return filter.all_of.filters.map(words);
  if (filter.any_of) return { any_of: filter.any_of.filters.map(words) };
  if (filter.match) return { [filter.match.field]: Object.values(filter.match.value)[0] };
  if (filter.match_any) return { [filter.match_any.field]: filter.match_any.values.map((/** @type {any} */ one) => Object.values(one)[0]) };
  if (filter.datetime_range) {
    const { field, gte, lte } = filter.datetime_range;
    return [...(gte ? [`${field}>=${gte}`] : []), ...(lte ? [`${field}<=${lte}`] : [])];
  }
  const { field, ...bounds } = filter.range;
  return { [field]: bounds };
}

/** @param {any} value @param {string} [indent] @returns {string} as Python writes it; short lists stay on one line */
export function literal(value, indent = '') {
  if (value instanceof Code) return value.text;
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === null || value === undefined) return 'None';
  if (typeof value !== 'object') return JSON.stringify(value);
  const deeper = indent + '    ';
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const inner = (/** @type {string} */ at) =>
    Array.isArray(value) ? value.map((one) => literal(one, at)) : Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${literal(one, at)}`);
  const line = open + inner(indent).join(', ') + close;
  if (line.length + indent.length < 90 && !line.includes('\n')) return line;
  return `${open}\n${inner(deeper).map((one) => deeper + one + ',\n').join('')}${indent}${close}`;
}
