/** The way of a request through the engine, in one line: what came of each stage, and how long it took. */
import { ms as said, seconds } from '../format.js';
import { html } from '../html.js';

/** @typedef {{what: string, count?: number, ms?: number}} Step */

/**
 * @param {{steps: Step[], engine?: number, total?: number, loading?: boolean}} props `engine` is what the server took, `total`
 *   what passed here, in milliseconds
 */
export function Way({ steps, engine, total, loading }) {
  const ended = [engine === undefined ? '' : html`<b>${said(engine)}</b> in the engine`, total === undefined ? '' : html`<b>${said(total)}</b> in all`].filter(Boolean);
  return html`<div class=${`way ${loading ? 'waiting' : ''}`}>
    <ol aria-label="The way of this request" tabindex="0">${steps.map(
      ({ what, count, ms }, at) => html`<li key=${at}>${count !== undefined && html`<b>${count.toLocaleString('en')}</b> `}${what}${ms !== undefined && html` <small>${said(ms)}</small>`}</li>`,
    )}</ol>
    ${ended.length > 0 && html`<p>${ended[0]}${ended[1] && html`, ${ended[1]}`}</p>`}
  </div>`;
}

/** What a stage gave. @type {Record<string, [string, string]>} one, and many */
const GAVE = {
  history: ['event', 'events'],
  interests: ['interest', 'interests'],
  model: ['named by the model', 'named by the model'],
  retrieve: ['candidate', 'candidates'],
  popular: ['that is popular or new', 'that are popular or new'],
  policy: ['after the policy', 'after the policy'],
};

/** Stages that pass on what they got, each with the one before that they are told with. */
const WITH = new Set(['score', 'rules', 'explain', 'payloads', 'version']);

/**
 * The steps of a traced request. What only scores, checks or fetches is told with the stage before it, time included.
 * @param {import('../types').Stage[]} stages
 * @param {Step} [begin] takes the place of the events, where a request has none
 * @returns {Step[]}
 */
export function traced(stages, begin) {
  /** @type {Step[]} */
  const steps = [];
  let early = 0;
  let recorded = 0;
  for (const { name, count = 0, duration } of stages) {
    const ms = 1000 * seconds(duration);
    const last = steps.at(-1);
    if (name === 'total') continue;
    if (name === 'recorded') {
      recorded = count;
      early += ms;
      continue;
    }
    if (WITH.has(name)) {
      if (last) last.ms = (last.ms ?? 0) + ms;
      else early += ms;
    } else if (begin && name === 'history' && !count) steps.push({ ...begin, ms });
    else if (begin && name === 'interests' && !count) Object.assign(/** @type {Step} */ (last), { ms: (last?.ms ?? 0) + ms });
    else steps.push({ what: gave(name, count) + (name === 'history' && recorded ? `, ${recorded === count ? 'all' : recorded.toLocaleString('en')} recorded` : ''), count, ms });
  }
  if (steps[0]) steps[0].ms = (steps[0].ms ?? 0) + early;
  return steps;
}

/** @param {string} name @param {number} count */
function gave(name, count) {
  if (name.startsWith('rerank')) return `reranked${name.slice(6) && `, ${name.slice(7)}`}`;
  if (name.startsWith('source ')) return `from ${name.slice(7)}`;
  return GAVE[name]?.[count === 1 ? 0 : 1] ?? name;
}

/** What the engine took in all, in milliseconds. @param {import('../types').Stage[]} [stages] */
export function engineMs(stages = []) {
  const whole = stages.find(({ name }) => name === 'total');
  return whole && 1000 * seconds(whole.duration);
}
