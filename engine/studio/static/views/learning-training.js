/** Trainings: begin one, follow it, stop it, and what became of those before. */
import { Dialog } from '../components/dialog.js';
import { Icon } from '../components/icon.js';
import { toast, toastError } from '../components/toast.js';
import { ago, percent, seconds, span } from '../format.js';
import { html, useState } from '../html.js';
import { learning } from './learning-data.js';
import { Curve } from './learning-versions.js';

/** @typedef {import('../types').Training} Training */

/** @param {Training} training in one word */
const word = ({ state }) => state.replace('TRAINING_STATE_', '').toLowerCase();

/** @param {{training: Training, curve?: {epochs: import('../types').Epoch[], written: number}, again: () => void}} props */
export function Running({ training, curve, again }) {
  const { id, progress = 0, stage, start_time, time_left } = training;
  const queued = word(training) === 'queued';
  const mine = curve && start_time && 1000 * curve.written >= Date.parse(start_time) ? curve.epochs : [];
  const left = seconds(time_left);
  const cancel = () => learning.cancel(id).then(() => (toast('the training stops'), again()), toastError);
  return html`<section class="parts running" aria-label=${`Training ${id}`}>
    <header class="bar flat"><h2>${queued ? 'A training waits for its turn' : 'A training runs'}</h2><button class="button push" onClick=${cancel}><${Icon} name="stop" />Cancel</button></header>
    <progress aria-label="How far it is" value=${progress} max="1" />
    <p role="status"><b>${percent(progress)}</b> ${stage}${left ? html`, <span>about ${left < 55 ? `${Math.max(1, Math.round(left))} seconds` : span(left)} left</span>` : ''}</p>
    ${!queued && html`<div class="curve"><${Curve} epochs=${mine} /></div>`}
  </section>`;
}

/** Those that have ended, the newest first. @param {{all: Training[]}} props */
export function Trainings({ all }) {
  const [more, setMore] = useState(false);
  if (!all.length) return null;
  return html`<section class="parts" aria-label="Trainings"><h2>Trainings before</h2><ul class="rows">${all.slice(0, more ? 100 : 4).map(
    (one) => html`<li key=${one.id}><b>${word(one)}</b><span>${one.problem?.message ?? one.model_version ?? one.stage}${one.problem?.remedy ? html` <span class="soft">${one.problem.remedy}</span>` : ''}</span>
      <span class="soft push">${one.end_time && ago(Date.now() / 1000 - Date.parse(one.end_time) / 1000)}</span></li>`,
  )}</ul>${all.length > 4 && !more ? html`<button class="button bare" onClick=${() => setMore(true)}>All ${all.length}</button>` : ''}</section>`;
}

/** @param {{open: boolean, serving: string, onClose: () => void, onBegun: () => void}} props */
export function TrainDialog({ open, serving, onClose, onBegun }) {
  const [busy, setBusy] = useState(false);
  const begin = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const time = (/** @type {string} */ name) => (given.get(name) ? { [name]: new Date(String(given.get(name))).toISOString() } : {});
    const seed = String(given.get('seed') ?? '');
    setBusy(true);
    try {
      await learning.train({ ...time('data_start_time'), ...time('data_end_time'), promote: given.has('promote'), ...(seed ? { seed } : {}) });
      onClose();
      onBegun();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<${Dialog} title="Train a version" open=${open} onClose=${onClose}><form class="train" onSubmit=${begin}>
    <p>It learns from recorded events, in a process of its own beside the requests, and is judged on the youngest of them against ${serving || 'the untrained engine'}. Minutes to hours, by how many events there are.</p>
    <div class="two"><label class="stacked">Events from<input class="field" type="date" name="data_start_time" /></label>
      <label class="stacked">until<input class="field" type="date" name="data_end_time" /></label></div>
    <label class="stacked">Seed, which makes it repeatable<input class="field" type="number" name="seed" min="0" placeholder="drawn" /></label>
    <label class="check"><input type="checkbox" name="promote" />Let it serve at once if the gate finds it better</label>
    <div class="row-end"><button type="button" class="button" onClick=${onClose}>Leave it</button><button class="button main" disabled=${busy}><${Icon} name="learning" />Train</button></div>
  </form><//>`;
}
