/** The version that is tried on a share of users, and what followed its lists and those of what serves. */
import { Icon } from '../components/icon.js';
import { count, percent, score } from '../format.js';
import { html } from '../html.js';
import { learning, useAsked } from './learning-data.js';

/** @param {{versions: import('../types').Versions, serving: string, onEnd: () => void, onPromote: () => void}} props */
export function TrialOf({ versions, serving, onEnd, onPromote }) {
  const { candidate, share } = versions;
  const { answer, error } = useAsked(learning.trial, 60, [candidate, serving]);
  const trial = /** @type {import('../types').Trial | undefined} */ (answer?.ours && answer);
  return html`<section class="parts trial" aria-label="Trial">
    <h2>On trial</h2>
    <p>${percent(share)} of users get <b>${candidate}</b>, the others ${serving || 'the untrained engine'}; each user always the same.</p>
    ${trial ? html`<div class="scroll" tabindex="0" role="group" aria-label="Figures of both"><table class="plain"><thead><tr><th scope="col">what followed, per position shown</th>${[trial.ours, trial.theirs].map((arm) => html`<th key=${arm.version} scope="col" class="num">${arm.version}</th>`)}<th scope="col" class="num">difference</th></tr></thead>
        <tbody>${Object.keys(trial.ours.rates).map((name) => html`<tr key=${name}><th scope="row">${name}</th>${[trial.ours, trial.theirs].map((arm) => html`<td key=${arm.version} class="num"><${Mean} of=${arm.rates[name]} /></td>`)}<td class="num"><${Mean} of=${trial.apart[name]} signed /></td></tr>`)}
        <tr><th scope="row">lists, users</th>${[trial.ours, trial.theirs].map((arm) => html`<td key=${arm.version} class="num">${arm.lists.toLocaleString('en')}, ${arm.users.toLocaleString('en')}</td>`)}<td /></tr></tbody></table></div>
        ${trial.both > 0 && html`<p class="soft">${count(trial.both, 'user')} got lists of both; they are not in the difference.</p>`}`
      : html`<p class="soft">${error ? /** @type {Error} */ (error).message : answer ? `${answer.too_little} yet.`.replace(/^./, (first) => first.toUpperCase()) : 'Reading what followed the lists…'}</p>`}
    <div class="do"><button class="button" onClick=${onPromote}><${Icon} name="check" />Promote it…</button><button class="button" onClick=${onEnd}><${Icon} name="stop" />End the trial…</button></div>
  </section>`;
}

/** @param {{of: import('../types').Interval, signed?: boolean}} props */
function Mean({ of: { mean, low, high }, signed = false }) {
  if (mean === null) return html`<span class="soft">–</span>`;
  return html`<b>${signed && mean > 0 ? '+' : ''}${precise(mean)}</b> <small class="soft">${precise(low ?? NaN)} to ${precise(high ?? NaN)}</small>`;
}

/** @param {number} value */
const precise = (value) => (Math.abs(value) < 1 ? value.toFixed(3).replace(/^(-?)0\./, '$1.') : score(value));
