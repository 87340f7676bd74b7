/** In which of the three is searched: the text, the picture and the sound of items, as far as any item has them. */
import { about } from '../about.js';
import { html } from '../html.js';
import { KINDS, NAMES } from '../reasons.js';

/** @param {{chosen: string[], onChange: (chosen: string[]) => void}} props none chosen is all */
export function Rivers({ chosen, onChange }) {
  const there = KINDS.filter((kind) => about.value?.modalities.includes(kind) ?? true);
  const on = (/** @type {string} */ kind) => !chosen.length || chosen.includes(kind);
  const flip = (/** @type {string} */ kind) => {
    const next = there.filter((one) => (one === kind ? !on(one) : on(one)));
    onChange(next.length === there.length || !next.length ? [] : next);
  };
  if (there.length < 2 && !chosen.length) return undefined;
  return html`<div class="rivers" role="group" aria-label="Look in">
    <span class="soft">Look in</span>
    ${there.map((kind) => html`<button key=${kind} class=${`chip river hue-${kind}`} aria-pressed=${on(kind)} onClick=${() => flip(kind)}>${NAMES[kind]}</button>`)}
  </div>`;
}

/** The names of the wire contract. @param {string[]} chosen */
export const modalitiesOf = (chosen) => chosen.map((kind) => `MODALITY_${kind.toUpperCase()}`);
