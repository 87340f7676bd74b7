/** Look-alikes: pairs of items whose vectors of one modality are nearly the same. */
import { about } from '../about.js';
import { call } from '../api.js';
import { EmptyState } from '../components/empty-state.js';
import { Picture } from '../components/picture.js';
import { toastError } from '../components/toast.js';
import { count, percent, titleOf } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { itemOf } from '../items.js';
import { KINDS, NAMES } from '../reasons.js';

const WAIT = 400;

/** @typedef {{modality: string, above: number, running: boolean, share: number, items: number, found: number, pairs: {first: string, second: string, cosine: number}[]}} State */

/** @param {{onOpen: (id: string) => void}} props */
export function Copies({ onOpen }) {
  const [state, setState] = useState(/** @type {State | undefined} */ (undefined));
  const [above, setAbove] = useState('');
  useEffect(() => void call('GET', '/studio/catalogue/duplicates').then(setState, toastError), []);
  useEffect(() => {
    if (!state?.running) return undefined;
    const timer = setTimeout(() => call('GET', '/studio/catalogue/duplicates').then(setState, toastError), WAIT);
    return () => clearTimeout(timer);
  }, [state]);
  const there = KINDS.filter((kind) => about.value?.modalities.includes(kind) ?? true);
  const search = (/** @type {string} */ modality) => call('POST', '/studio/catalogue/duplicates', { query: { modality, above } }).then(setState, toastError);
  return html`<div class="bar"><h2 role="status">${state?.running ? `Comparing, ${percent(state.share)}` : state?.modality ? `${count(state.found, 'pair')} alike by ${NAMES[/** @type {keyof typeof NAMES} */ (state.modality)]}` : 'Look-alikes'}</h2>
      <label class="above soft">Cosine above <input class="field" type="number" min="0.5" max="1" step="0.01" value=${above} placeholder=${state?.modality ? state.above.toFixed(2) : 'calibrated'} onInput=${(/** @type {any} */ event) => setAbove(event.target.value)} /></label>
      <div class="rivers" role="group" aria-label="Compare by">${there.map((kind) => html`<button key=${kind} class=${`chip river hue-${kind}`} disabled=${state?.running} aria-pressed=${state?.modality === kind} onClick=${() => search(kind)}>by ${NAMES[kind]}</button>`)}</div></div>
    ${state?.running && html`<progress class="progress" max="1" value=${state.share} aria-label="How far it is" />`}
    ${state?.modality
      ? html`${!state.running && !state.pairs.length && html`<${EmptyState} title="Nothing is that alike"><p>Of ${count(state.items, 'item')} no two have a cosine above ${state.above.toFixed(2)}. Set it lower, and compare again.</p><//>`}
        <ul class="pairs" role="list">${state.pairs.map(({ first, second, cosine }) => html`<li key=${first + second} class="card">
          ${[first, second].map((id) => html`<button key=${id} onClick=${() => onOpen(id)} title=${id}><${Picture} item=${itemOf(id)} /><span class="cut">${titleOf(itemOf(id))}</span></button>`)}
          <span class="badge">${cosine.toFixed(3)}</span></li>`)}</ul>
        ${state.found > state.pairs.length && html`<p class="soft">The nearest ${state.pairs.length} of ${count(state.found, 'pair')}, among ${count(state.items, 'item')}.</p>`}`
      : state && html`<${EmptyState} title="Which items are the same thing twice?"><p>Choose by what they are compared. Pairs come whose cosine is above that of what is merely related in this space; the first 20,000 items are looked at.</p><//>`}`;
}
