/** Why a result is here, in one bar: how much text, picture and sound of it speak. */
import { percent } from '../format.js';
import { html } from '../html.js';
import { NAMES, total } from '../reasons.js';

/** @param {{reasons?: import('../types').Reason[]}} props */
export function ReasonBar({ reasons = [] }) {
  const shares = Object.entries(total(reasons)).filter(([, share]) => share > 0.005);
  const said = shares.map(([kind, share]) => `${NAMES[/** @type {keyof typeof NAMES} */ (kind)]} ${percent(share)}`).join(', ');
  return html`<div class="why" role="img" aria-label=${said ? `Because of ${said}` : 'No reasons'} title=${said}>
    ${shares.map(([kind, share]) => html`<i key=${kind} class=${kind === 'none' ? 'general' : `hue-${kind}`} style=${{ flexGrow: share }} />`)}
  </div>`;
}
