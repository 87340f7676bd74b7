/** A result: its picture, what it is called, and why it is here. The title opens it; the card is its target. */
import { media } from '../api.js';
import { facets, mediaThere } from '../about.js';
import { plain, score, sureness, titleOf } from '../format.js';
import { html } from '../html.js';
import { Icon } from './icon.js';
import { Picture } from './picture.js';
import { PlayButton } from './player.js';
import { ReasonBar } from './reason-bar.js';

/**
 * @typedef {{name: string, icon: string, key: string, run: (item: import('../types').Result) => void}} Action
 *   what can be done with a card; the key does it while the card has the focus
 */

/**
 * @param {{result: import('../types').Result, actions?: Action[], onOpen?: (item: import('../types').Result) => void,
 *   open?: boolean, focusable?: boolean, badge?: string, note?: string, marked?: boolean}} props
 */
export function Card({ result, actions = [], onOpen, open = false, focusable = true, badge, note, marked = false }) {
  const title = titleOf(result);
  const tab = focusable ? 0 : -1;
  return html`<li class=${`card ${open ? 'open' : ''} ${marked ? 'marked' : ''}`} data-item=${result.item_id}>
    <${Picture} item=${result} />
    ${result.rank && html`<span class="rank">${result.rank}${note && html` <small>${note}</small>`}</span>`}
    ${(badge || isTrial(result)) && html`<span class="badge">${badge || 'trying out'}</span>`}
    <div class="act">
      ${result.audio_path && mediaThere() && html`<${PlayButton} url=${media(result.item_id, 'audio')} title=${title} focusable=${focusable} />`}
      ${actions.map(
        (action) => html`<button key=${action.key} class="round" tabindex=${tab} aria-label=${`${action.name}: ${title}`}
          title=${`${action.name} (${action.key})`} onClick=${() => action.run(result)}><${Icon} name=${action.icon} /></button>`,
      )}
    </div>
    <div class="cap">
      <button class="title cut" tabindex=${tab} aria-expanded=${open} onClick=${() => onOpen?.(result)} title=${[title, sureness(result)].filter(Boolean).join('\n')}>${title}</button>
      <div class="below"><span class="cut">${subtitle(result)}</span><span title=${sureness(result)}>${standing(result)}</span></div>
      <${ReasonBar} reasons=${result.reasons} />
    </div>
  </li>`;
}

/**
 * Its score; where that is no more than an order, what the order is.
 * @param {import('../types').Result} result
 */
function standing({ score: value, reasons = [] }) {
  const [first] = reasons;
  if (first?.kind === 'REASON_KIND_POPULAR') return 'popular';
  if (first?.kind === 'REASON_KIND_FRESH') return 'new';
  return value === undefined ? '' : score(value);
}

/** Whether the engine shows it to learn from it. @param {import('../types').Result} result */
const isTrial = ({ propensity = 1, score: value }) => propensity < 0.5 && value !== undefined;

/** The field with the fewest values tells most in one word. @param {import('../types').Result} result */
function subtitle({ payload = {} }) {
  const known = (facets.value ?? []).filter(({ kind, field, distinct }) => kind === 'keyword' && distinct > 1 && payload[field]);
  known.sort((a, b) => a.distinct - b.distinct);
  return known[0] ? plain(payload[known[0].field]) : '';
}

/** The place of a card that is not there yet. */
export function CardToCome() {
  return html`<li class="card to-come" aria-hidden="true"><div class="pic" /><div class="cap"><p /><p /><div class="why" /></div></li>`;
}
