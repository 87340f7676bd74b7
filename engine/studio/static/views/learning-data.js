/** What the view Learning asks for, and does. */
import { call } from '../api.js';
import { useEffect, useState } from '../html.js';

/** @typedef {import('../types').Training} Training */

const NONE = { page_size: 100 };

/** A version's name in an address. @param {string} version */
const named = encodeURIComponent;

export const learning = {
  models: () => call('GET', '/v1/models', { query: NONE }),
  trainings: () => call('GET', '/v1/trainings', { query: NONE }),
  /** @param {string} version */
  promote: (version) => call('POST', `/v1/models/${named(version)}:promote`, { body: {} }),
  rollback: () => call('POST', '/v1/models:rollback', { body: {} }),
  /** @param {object} request */
  train: (request) => call('POST', '/v1/trainings', { body: request }),
  /** @param {string} id */
  cancel: (id) => call('POST', `/v1/trainings/${named(id)}:cancel`, { body: {} }),
  versions: () => call('GET', '/studio/learning/versions'),
  trial: () => call('GET', '/studio/learning/trial'),
  /** @param {string} version @param {number} share of users */
  tryOut: (version, share) => call('POST', '/studio/learning/trial', { query: { version, share } }),
  endTrial: () => call('DELETE', '/studio/learning/trial'),
  curve: () => call('GET', '/studio/learning/curve'),
  tuning: () => call('GET', '/studio/learning/tuning'),
  reports: () => call('GET', '/studio/learning/reports'),
};

/** Whether a training goes on, or waits. @param {Training} training */
export const live = ({ state }) => state === 'TRAINING_STATE_RUNNING' || state === 'TRAINING_STATE_QUEUED';

/**
 * Ask, and ask again every so often; what was answered stays until the next answer.
 * @template T
 * @param {(() => Promise<T>) | undefined} ask undefined asks nothing
 * @param {number} seconds between two answers; 0 asks once
 * @param {unknown[]} [also] asks anew when one of these changes
 * @returns {{answer?: T, error?: unknown, again: () => void}}
 */
export function useAsked(ask, seconds, also = []) {
  const [found, setFound] = useState(/** @type {{answer?: T, error?: unknown}} */ ({}));
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (!ask) {
      setFound({});
      return undefined;
    }
    let over = false;
    let timer = 0;
    const run = async () => {
      try {
        const answer = await ask();
        if (!over) setFound({ answer });
      } catch (error) {
        if (!over) setFound({ error });
      }
      if (!over && seconds) timer = setTimeout(run, 1000 * seconds);
    };
    run();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tries, seconds, Boolean(ask), ...also]);
  return { ...found, again: () => setTries((before) => before + 1) };
}
