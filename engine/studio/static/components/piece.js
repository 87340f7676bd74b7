/** Pieces of a request as chips: parts of a query with their weights, events of a history with their ages. */
import { mediaThere } from '../about.js';
import { thumbnail } from '../api.js';
import { html } from '../html.js';
import { itemOf } from '../items.js';
import { eventKind, kindsFor } from '../kinds.js';
import { kindOf, nameOf, there } from '../pieces.js';
import { uploadOf } from '../uploads.js';
import { ago, score } from '../format.js';
import { Icon } from './icon.js';
import { PlayButton } from './player.js';
import { Pop } from './pop.js';

/** The round picture at the beginning of a chip. @param {{piece: import('../pieces.js').Piece, icon?: string}} props */
export function Dot({ piece, icon }) {
  const kind = kindOf(piece);
  const upload = piece.of === 'file' ? uploadOf(piece.value) : undefined;
  const item = piece.of === 'item' ? itemOf(piece.value) : undefined;
  const picture = upload?.kind === 'image' ? upload.url : item?.image_path && mediaThere() ? thumbnail(piece.value) : '';
  if (upload?.kind === 'audio') return html`<${PlayButton} url=${upload.url} title=${upload.name} />`;
  return html`<span class=${`dot hue-${kind} ${picture ? 'seen' : ''}`}>${picture ? html`<img src=${picture} alt="" />` : html`<${Icon} name=${icon ?? kind} />`}</span>`;
}

/** @param {{part: import('../pieces.js').Part, onChange: (part: import('../pieces.js').Part) => void, onRemove: () => void}} props */
export function PartChip({ part, onChange, onRemove }) {
  const { weight } = part;
  const name = nameOf(part);
  return html`<li class=${`chip piece ${weight < 0 ? 'against' : ''} ${there(part) ? '' : 'gone'}`}>
    <${Dot} piece=${part} />
    <${Pop} title="How much it counts" label=${html`<span class="cut">${weight < 0 ? 'not ' : ''}${name}</span>${Math.abs(weight) === 1 ? '' : html` <small>× ${Math.abs(weight)}</small>`}`}>
      <label class="stacked">How much ${name} counts
        <input type="range" min="-2" max="2" step="0.25" value=${weight} aria-valuetext=${said(weight)}
          onInput=${(/** @type {any} */ event) => onChange({ ...part, weight: Number(event.target.value) || 0.25 })} />
        <span class="ends"><span>away from it</span><b>${weight > 0 ? '+' : '−'}${Math.abs(weight)}</b><span>towards it</span></span></label>
    <//>
    <button class="end" aria-label=${`Remove ${name}`} onClick=${onRemove}><${Icon} name="close" /></button>
  </li>`;
}

/** @param {number} weight */
const said = (weight) => (weight < 0 ? `away from it, ${-weight}` : `towards it, ${weight}`);

/** The ages that an event of this session can be given, in days. */
const AGES = [0, 1 / 24, 1, 7, 30, 90, 365];

/**
 * @param {{did: import('../pieces.js').Did, halfLife?: number, recorded?: boolean, onChange?: (did: import('../pieces.js').Did) => void,
 *   onRemove?: () => void}} props `halfLife` in days
 */
export function EventChip({ did, halfLife = 30, recorded = false, onChange, onRemove }) {
  const name = nameOf(did);
  const counts = 0.5 ** (did.days / halfLife);
  const { past, icon, against } = eventKind(did.event);
  const told = [past + (did.stars ? ` ${did.stars} ★` : ''), did.days ? ago(did.days * 86400) : '', counts < 0.95 ? `counts ${score(counts)}` : ''];
  const label = html`<span class="cut">${name}</span> <small>${told.filter(Boolean).join(', ')}</small>`;
  return html`<li class=${`chip piece ${against ? 'against' : ''} ${there(did) ? '' : 'gone'} ${recorded ? 'recorded' : ''}`}
      style=${{ '--counts': Math.max(0.4, counts) }}>
    <${Dot} piece=${did} icon=${icon} />
    ${onChange
      ? html`<${Pop} title="When and what" label=${label}>
          <label class="stacked">What they did<select class="field" value=${did.event} onChange=${(/** @type {any} */ event) => onChange({ ...did, event: event.target.value })}>
            ${kindsFor(did.of).map(([kind, { past: each }]) => html`<option value=${kind}>${each}</option>`)}</select></label>
          <label class="stacked">When<select class="field" value=${nearestAge(did.days)} onChange=${(/** @type {any} */ event) => onChange({ ...did, days: Number(event.target.value) })}>
            ${AGES.map((days) => html`<option value=${days}>${ago(days * 86400)}</option>`)}</select></label>
        <//>`
      : html`<span class="label">${label}</span>`}
    ${onRemove && html`<button class="end" aria-label=${`Remove ${name}, ${past}`} onClick=${onRemove}><${Icon} name="close" /></button>`}
  </li>`;
}

/** @param {number} days */
const nearestAge = (days) => AGES.reduce((best, age) => (Math.abs(age - days) < Math.abs(best - days) ? age : best));
