/** A question to the server that follows the state of a view: the newest counts, and the last answer stays meanwhile. */
import { superseded } from './api.js';
import { say } from './components/said.js';
import { useEffect, useState } from './html.js';
import { meet } from './items.js';
import { filled } from './pieces.js';

/** @typedef {{answer?: import('./types').Answer, ms?: number, error?: unknown, loading: boolean, again: () => void}} Asked */

/**
 * Ask again whenever the request changes.
 * @param {((request: any, signal: AbortSignal) => Promise<import('./types').Answer>) | undefined} ask undefined asks nothing
 * @param {object | undefined} request as `pieces.js` makes it; uploads are filled in here
 * @param {(answer: import('./types').Answer) => string} [told] what a screen reader is told of an answer
 * @param {unknown[]} [also] asks anew when one of these changes
 * @returns {Asked}
 */
export function useAnswer(ask, request, told, also = []) {
  const [state, setState] = useState(/** @type {Omit<Asked, 'again'>} */ ({ loading: true }));
  const [tries, setTries] = useState(0);
  const key = JSON.stringify(request, (_, value) => (value?.key && value.blob ? value.key : value));
  useEffect(() => {
    if (!ask || !request) {
      setState({ loading: false });
      return undefined;
    }
    const control = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    run(ask, request, control.signal).then(
      (found) => {
        meet(found.answer.results ?? []);
        setState({ ...found, loading: false });
        if (told) say(told(found.answer));
      },
      (error) => {
        if (!superseded(error)) setState({ error, loading: false });
      },
    );
    return () => control.abort();
  }, [key, tries, Boolean(ask), ...also]);
  return { ...state, again: () => setTries(tries + 1) };
}

/** @param {NonNullable<Parameters<typeof useAnswer>[0]>} ask @param {object} request @param {AbortSignal} signal */
async function run(ask, request, signal) {
  const whole = await filled(request);
  signal.throwIfAborted();
  const began = performance.now();
  const answer = await ask(whole, signal);
  return { answer, ms: performance.now() - began };
}
