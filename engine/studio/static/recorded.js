/** What the server has recorded of a user, as events that the page can show. */
import { api } from './api.js';

const SHOWN = 30;

/** @typedef {import('./pieces.js').Did & {id: string}} Recorded */

/**
 * The newest events of a user.
 * @param {string} user
 * @param {AbortSignal} signal
 * @returns {Promise<{events: Recorded[], more: boolean}>}
 */
export async function recordedOf(user, signal) {
  const { events = [], next_page_token } = await api.history(user, signal);
  const now = Date.now();
  const found = events.map((/** @type {import('./types').Event} */ { id = '', kind, kind_name, item_id, content, time, value }) => {
    const event = kind_name || kind.replace('EVENT_KIND_', '').toLowerCase();
    const days = time ? Math.max(0, (now - Date.parse(time)) / 86_400_000) : 0;
    const piece = item_id
      ? { of: /** @type {const} */ ('item'), value: item_id }
      : { of: /** @type {const} */ ('text'), value: content?.text ?? 'a picture or sound, of which only the vector is kept' };
    return { id, event, days, ...piece, ...(value !== undefined && event === 'rate' ? { stars: value } : {}) };
  });
  return { events: found.slice(0, SHOWN), more: found.length > SHOWN || Boolean(next_page_token) };
}
