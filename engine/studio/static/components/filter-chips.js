/** Filters to choose from: the field that parts the catalogue best as chips, all of them in a dialog. */
import { facets } from '../about.js';
import { html, useState } from '../html.js';
import { withValues } from '../filters.js';
import { Dialog } from './dialog.js';
import { Icon } from './icon.js';

/** @typedef {import('../filters.js').Chosen} Chosen */
/** @typedef {import('../types').Facet} Facet */

const CHIPS = 30;

/** @param {{chosen: Chosen, onChange: (chosen: Chosen) => void}} props */
export function FilterChips({ chosen, onChange }) {
  const [open, setOpen] = useState(false);
  const usable = (facets.value ?? []).filter(useful);
  const first = usable.filter(({ kind, distinct }) => kind === 'keyword' && distinct <= CHIPS).sort((a, b) => a.distinct - b.distinct)[0];
  const others = [...chosen].filter(([field]) => field !== first?.field);
  if (!usable.length) return facets.value ? null : html`<div class="filters" />`;
  return html`<div class="filters" role="group" aria-label="Filters">
    <button class="chip" onClick=${() => setOpen(true)} aria-haspopup="dialog"><${Icon} name="filter" />Filter${others.length ? html` <b>${others.length}</b>` : ''}</button>
    ${others.flatMap(([field, values]) =>
      values.map((value) => html`<button key=${field + value} class="chip" aria-pressed="true" onClick=${() => onChange(withValues(chosen, field, values.filter((one) => one !== value)))}
        title="Take this filter away">${field} ${value.replace('~', ' to ')} <${Icon} name="close" /></button>`),
    )}
    ${first?.values.map(({ value }) => html`<${Value} key=${value} facet=${first} value=${String(value)} chosen=${chosen} onChange=${onChange} />`)}
    <${Dialog} title="Filter" open=${open} onClose=${() => setOpen(false)} kind="wide">
      ${usable.map((facet) => html`<${Choice} key=${facet.field} facet=${facet} chosen=${chosen} onChange=${onChange} />`)}
      <div class="row-end">${chosen.size > 0 && html`<button class="button" onClick=${() => onChange(new Map())}>Take all away</button>`}
        <button class="button main" onClick=${() => setOpen(false)}>Done</button></div>
    <//>
  </div>`;
}

/** A field tells items apart, and is not a name of each. @param {Facet} facet */
function useful({ kind, distinct, items, values }) {
  if (kind === 'geo') return false;
  if (kind === 'keyword') return distinct > 1 && (distinct <= CHIPS || distinct < items / 3) && values.length > 0;
  return distinct > 1;
}

/** @param {{facet: Facet, value: string, chosen: Chosen, onChange: (chosen: Chosen) => void, count?: number}} props */
function Value({ facet: { field }, value, chosen, onChange, count }) {
  const values = chosen.get(field) ?? [];
  const on = values.includes(value);
  return html`<button class="chip" aria-pressed=${on} onClick=${() => onChange(withValues(chosen, field, on ? values.filter((one) => one !== value) : [...values, value]))}>
    ${value}${count !== undefined && html` <small>${count.toLocaleString('en')}</small>`}</button>`;
}

/** @param {{facet: Facet, chosen: Chosen, onChange: (chosen: Chosen) => void}} props */
function Choice({ facet, chosen, onChange }) {
  const { field, kind, values, least, most } = facet;
  const [from = '', to = ''] = (chosen.get(field)?.[0] ?? '').split('~');
  const range = (/** @type {string} */ low, /** @type {string} */ high) => onChange(withValues(chosen, field, low || high ? [`${low}~${high}`] : []));
  const bound = (/** @type {number | null} */ value) =>
    value === null ? '' : kind === 'datetime' ? new Date(value * 1000).toISOString().slice(0, 10) : String(value);
  return html`<section class="choice"><h3>${field}</h3>
    ${values.length
      ? html`<div class="values">${values.map(({ value, count }) => html`<${Value} facet=${facet} value=${String(value)} count=${count} chosen=${chosen} onChange=${onChange} />`)}</div>`
      : html`<div class="range">${[
          ['from', from, bound(least), (/** @type {string} */ value) => range(value, to)],
          ['to', to, bound(most), (/** @type {string} */ value) => range(from, value)],
        ].map(([name, value, hint, set]) => html`<label>${name} <input class="field" type=${kind === 'datetime' ? 'date' : 'number'} step="any" value=${value} placeholder=${hint}
            onChange=${(/** @type {any} */ event) => /** @type {Function} */ (set)(event.target.value)} /></label>`)}</div>`}
  </section>`;
}
