/** Versions of the model: their figures beside those of what they were held against, and what the gate said. */
import { Icon } from '../components/icon.js';
import { ago, score } from '../format.js';
import { html } from '../html.js';
import { Chart } from './chart.js';

/** @typedef {import('../types').Card} Card */
/** @typedef {import('../types').Versions} Versions */

/** A figure's name in words. @param {string} name */
const spelled = (name) => name.replace(/_new_people$/, ', new users').replace(/_at_(\d+)/, '@$1').replaceAll('_', ' ').replace(/\b(ndcg|hr|mrr|map)\b/, (word) => word.toUpperCase());

/** @param {string | null | undefined} time */
const day = (time) => (time ? new Date(time).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' }) : 'the first event');

/** What a version is at present. @param {string} version @param {Versions} versions @param {string} serving */
function standing(version, { candidate, share, previous }, serving) {
  if (version === serving) return 'serves';
  if (version === candidate) return `on trial, ${Math.round(100 * share)}% of users`;
  return version === previous ? 'served before' : '';
}

/** @param {{card: Card, versions: Versions, serving: string, open: boolean, onOpen: () => void, onAsk: (does: 'promote' | 'try') => void}} props */
export function VersionCard({ card, versions, serving, open, onOpen, onAsk }) {
  const { version, created, gate, data_from, data_until } = card;
  const is = standing(version, versions, serving), forgotten = versions.deleted[version] ?? 0;
  return html`<li class=${`version ${open ? 'open' : ''}`} data-version=${version}>
    <header><h3>${version}</h3>${is && html`<span class=${`tag ${is === 'serves' ? 'full' : ''}`}>${is}</span>`}</header>
    <p class="soft">Made ${ago(Date.now() / 1000 - Date.parse(created) / 1000)} of ${card.counts.events ? html`${card.counts.events.toLocaleString('en')} events, ` : 'events, '}${day(data_from)} to ${day(data_until)}${forgotten ? html`<span class="forgotten">; ${forgotten.toLocaleString('en')} of their users ${forgotten === 1 ? 'was' : 'were'} deleted since</span>` : ''}</p>
    <${Figures} card=${card} names=${Object.keys(card.metrics).filter((name) => !/new_people/.test(name)).slice(0, 4)} />
    <p class="gate"><${Icon} name=${gate?.promote ? 'check' : gate ? 'less' : 'half'} />${gate ? html`<span>${gate.promote ? 'The gate lets it serve' : 'The gate keeps it back'}: ${gate.reason.replace(/^(better|not better): /, '')}</span>` : html`<span>The gate was not asked.</span>`}</p>
    <div class="do"><${Steps} version=${version} versions=${versions} serving=${serving} onAsk=${onAsk} />
      <button class="button bare push" aria-expanded=${open} onClick=${onOpen}>${open ? 'Less' : 'All of its card'}</button></div>
  </li>`;
}

/** @param {{version: string, versions: Versions, serving: string, onAsk: (does: 'promote' | 'try') => void}} props */
function Steps({ version, versions, serving, onAsk }) {
  if (version === serving) return null;
  return html`<button class="button" onClick=${() => onAsk('promote')}><${Icon} name="check" />Promote…</button>
    ${version !== versions.candidate && html`<button class="button" onClick=${() => onAsk('try')}><${Icon} name="half" />Try…</button>`}`;
}

/** Each figure with its interval, and a mark where the baseline was. @param {{card: Card, names?: string[]}} props */
function Figures({ card, names = Object.keys(card.metrics) }) {
  if (!names.length) return html`<p class="soft">It was not judged.</p>`;
  const most = Math.max(...names.flatMap((name) => [card.metrics[name], card.baseline_metrics[name] ?? 0, ...(card.intervals[name] ?? [])]), 1e-9);
  const against = card.settings.held_against || card.parent || 'what served';
  return html`<table class="figures-of"><caption class="unseen">Figures of ${card.version}</caption><thead><tr><th scope="col">held-out figure</th><th scope="col" class="num">its own</th><th scope="col" class="num" title=${against}>${against === 'untrained' ? 'untrained' : 'before'}</th><th scope="col" class="wide"><span class="unseen">as a picture</span></th></tr></thead>
    <tbody>${names.map((name) => {
      const [low, high] = card.intervals[name] ?? [card.metrics[name], card.metrics[name]];
      const before = card.baseline_metrics[name];
      return html`<tr key=${name}><th scope="row">${spelled(name)}</th><td class="num"><b>${score(card.metrics[name])}</b></td><td class="num">${before === undefined ? '–' : score(before)}</td>
        <td class="wide"><${Span} most=${most} low=${low} high=${high} mean=${card.metrics[name]} mark=${before} label=${`interval ${score(low)} to ${score(high)}`} /></td></tr>`;
    })}</tbody></table>`;
}

/**
 * An interval between 0 and the most of its table as a bar, a point at its mean, and a hollow mark at what it is compared with.
 * @param {{most: number, low: number, high: number, mean: number, mark?: number, label: string}} props
 */
function Span({ most, low, high, mean, mark, label }) {
  const at = (/** @type {number} */ value) => 4 + 92 * Math.min(1, Math.max(0, value / most));
  return html`<svg class="span" viewBox="0 0 100 14" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="axis" d="M4 7H96" /><path class="bar" d=${`M${at(low)} 7H${at(high)}`} />${mark !== undefined && html`<path class="mark" d=${`M${at(mark)} 1V13`} />`}
    <path class="mean" d=${`M${at(mean)} 3V11`} /></svg>`;
}

/** @param {{card: Card, versions: Versions, serving: string, onClose: () => void, onAsk: (does: 'promote' | 'try') => void}} props */
export function VersionDetails({ card, versions, serving, onClose, onAsk }) {
  const is = standing(card.version, versions, serving);
  const epochs = card.settings.epochs ?? [];
  const facts = {
    made: new Date(card.created).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' }),
    'held against': card.settings.held_against,
    ...card.counts,
    kind: card.kind,
    seed: card.seed,
    code: card.git_commit.replace(/^([0-9a-f]{10})[0-9a-f]+/, '$1'),
    ...card.settings.learn,
  };
  return html`<div class="details"><header><div><h2>${card.version}</h2>${is && html`<p class="soft">${is}</p>`}</div><button class="round" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button></header>
    <div class="do"><${Steps} version=${card.version} versions=${versions} serving=${serving} onAsk=${onAsk} /></div>
    <section><h3>Figures on held-out time</h3><${Figures} card=${card} /></section>
    ${card.gate && html`<section><h3>The gate, on ${spelled(card.gate.metric)} of ${card.gate.cases.toLocaleString('en')} cases</h3><p>${card.gate.reason}</p></section>`}
    ${epochs.length > 0 && html`<section><${Curve} epochs=${epochs} /></section>`}
    <section><h3>Made of</h3><dl class="facts">${Object.entries(facts).filter(([, value]) => value !== undefined && value !== '').map(([name, value]) => html`<dt key=${name}>${name.replaceAll('_', ' ')}</dt><dd>${typeof value === 'object' ? JSON.stringify(value) : typeof value === 'number' ? value.toLocaleString('en', { maximumFractionDigits: 6 }) : String(value)}</dd>`)}</dl></section>
  </div>`;
}

/** To three digits: epochs differ by little. @param {number} value */
const finely = (value) => (Number.isFinite(value) ? value.toFixed(3).replace(/^(-?)0\./, '$1.') : '');

/** Loss and held-out figure by epoch. @param {{epochs: import('../types').Epoch[]}} props */
export function Curve({ epochs }) {
  const last = epochs.at(-1) ?? {};
  return html`<${Chart} title="By epoch" time=${false} x=${epochs.map((_, at) => at + 1)} range=${[0.5, Math.max(epochs.length, 4) + 0.5]} said=${finely}
    lines=${[{ name: 'NDCG@10, held out', now: finely(last.ndcg_at_10 ?? NaN) }, { name: 'loss', colour: 'soft', dash: [5, 3], right: true, now: score(last.loss ?? NaN) }]}
    ys=${[epochs.map((one) => one.ndcg_at_10), epochs.map((one) => one.loss)]} />`;
}
