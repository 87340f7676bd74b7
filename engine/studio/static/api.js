/**
 * The calls of the page. `/v1/…` is the wire contract as JSON with the names of the proto files, `/studio/…` what the
 * contract has not. Every failure is a `Problem`.
 */
import { refused } from './session.js';

/** A call that failed, with what the server says about it. */
export class Problem extends Error {
  /** @param {string} message @param {string} remedy @param {string} status */
  constructor(message, remedy, status) {
    super(message);
    this.name = 'Problem';
    this.remedy = remedy;
    this.status = status;
  }
}

/** @param {unknown} error whether a newer call took its place */
export const superseded = (error) => error instanceof DOMException && error.name === 'AbortError';

/**
 * @param {string} method
 * @param {string} path
 * @param {{body?: unknown, query?: Record<string, string | number | undefined>, signal?: AbortSignal}} [how]
 * @returns {Promise<any>}
 */
export async function call(method, path, { body, query = {}, signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  let response;
  try {
    response = await fetch(path + (search && '?' + search), {
      method,
      signal,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (superseded(error)) throw error;
    throw new Problem('the server does not answer', 'see whether `triveni studio` still runs, and start it again', '');
  }
  if (response.ok) return response.json();
  if (response.status === 401) refused();
  throw await problemOf(response);
}

/** @param {Response} response */
async function problemOf(response) {
  const said = await response.json().catch(() => ({}));
  const status = `${said.title ?? response.statusText} (${response.status})`;
  const { detail = `the server answered ${response.status}`, remedy = '', errors = [] } = said;
  if (errors.length === 1) return new Problem(errors[0].description, remedy, status);
  const problem = remedy && detail.endsWith(`: ${remedy}`) ? detail.slice(0, -remedy.length - 2) : detail;
  return new Problem(problem, remedy, status);
}

/** @param {string} id an id may hold slashes, which stay */
const segments = (id) => id.split('/').map(encodeURIComponent).join('/');

export const api = {
  /** @param {object} request @param {AbortSignal} [signal] */
  recommend: (request, signal) => call('POST', '/v1/recommend', { body: request, signal }),
  /** @param {object} request @param {AbortSignal} [signal] */
  search: (request, signal) => call('POST', '/v1/search', { body: request, signal }),
  /** @param {string} id @param {AbortSignal} [signal] */
  item: (id, signal) => call('GET', `/v1/items/${segments(id)}`, { signal }),
  models: () => call('GET', '/v1/models'),
  /** @param {string} user @param {AbortSignal} [signal] */
  history: (user, signal) => call('GET', `/v1/users/${encodeURIComponent(user)}/history`, { signal, query: { page_size: 100 } }),
  about: () => call('GET', '/studio/about'),
  facets: () => call('GET', '/studio/facets'),
};

/**
 * Of calls of one kind only the newest counts: the one before is cancelled.
 * @template T
 * @param {(signal: AbortSignal, ...args: any[]) => Promise<T>} ask
 * @returns {(...args: any[]) => Promise<T>}
 */
export function newest(ask) {
  let running = new AbortController();
  return (...args) => {
    running.abort();
    running = new AbortController();
    return ask(running.signal, ...args);
  };
}

/** @param {string} item @param {384 | 1024} [side] */
export const thumbnail = (item, side = 384) =>
  `/studio/media/thumbnail?item=${encodeURIComponent(item)}${side === 384 ? '' : `&side=${side}`}`;

/** @param {string} item @param {'image' | 'audio'} kind */
export const media = (item, kind) => `/studio/media/${kind}?item=${encodeURIComponent(item)}`;
