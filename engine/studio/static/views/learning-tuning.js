/** What the newest search of settings has tried, the best first; also while it runs. */
import { score } from '../format.js';
import { html } from '../html.js';
import { learning, useAsked } from './learning-data.js';

/** @typedef {import('../types').Tried} Trial */

export function Tried() {
  const { answer, error } = useAsked(learning.tuning, 15);
  if (!answer && !error) return null;
  const tried = /** @type {Trial[]} */ (answer?.tried ?? []);
  const best = tried.find((one) => one.state === 'done');
  const names = Object.keys(tried.find((one) => Object.keys(one.setting).length)?.setting ?? {});
  const most = Math.max(...tried.map((one) => one.figure ?? 0), 1e-9);
  return html`<section class="parts" aria-label="Searches of settings"><h2>Settings that were tried</h2>
    ${tried.length
      ? html`<p>${best ? html`The best so far has NDCG@10 <b>${figure(best.figure)}</b> on held-out rows.` : 'None is done yet.'}${answer.gain?.mean != null ? html` Against the settings as they were that is ${answer.gain.mean > 0 ? '+' : ''}${figure(answer.gain.mean)} (${figure(answer.gain.low)} to ${figure(answer.gain.high)}); it was chosen by these rows, which flatters it.` : ''} <code>triveni tune --write</code> takes it over.</p>
        <div class="scroll" tabindex="0" role="group" aria-label="Settings that were tried"><table class="plain"><thead><tr><th scope="col">NDCG@10</th>${names.map((name) => html`<th key=${name} scope="col" class="num">${name.replaceAll('_', ' ')}</th>`)}<th scope="col" class="num">epochs</th><th scope="col">state</th></tr></thead>
        <tbody>${tried.map((one) => html`<tr key=${one.number} class=${one === best ? 'best' : ''}><th scope="row"><span class="of">${figure(one.figure)}</span><span class="meter hue-none"><i style=${{ width: `${(100 * (one.figure ?? 0)) / most}%` }} /></span></th>
          ${names.map((name) => html`<td key=${name} class="num">${one.setting[name]}</td>`)}<td class="num">${one.epochs}</td><td>${one.state}${one.as_it_was ? ', as it was' : ''}${one === best ? ', best' : ''}</td></tr>`)}</tbody></table></div>`
      : html`<p class="soft">None. <code>triveni tune --trials 20</code> searches learning rate, batch, width and dropouts.</p>`}
  </section>`;
}

/** @param {number | null | undefined} value */
const figure = (value) => (value === null || value === undefined ? '–' : Math.abs(value) < 1 ? value.toFixed(4).replace(/^(-?)0\./, '$1.') : score(value));
