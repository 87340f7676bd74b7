/** A sound: a round button on a card, and a wide one with its outline in the details. */
import { html, useEffect, useRef, useState } from '../html.js';
import { length, playing, position, seek, source, toggle } from '../player.js';
import { outline } from '../sound.js';
import { Icon } from './icon.js';

const BARS = 72;

/** @param {{url: string, title: string, focusable?: boolean}} props */
export function PlayButton({ url, title, focusable = true }) {
  const on = source.value === url && playing.value;
  const done = source.value === url && length.value ? position.value / length.value : 0;
  return html`<button class="round play" data-play tabindex=${focusable ? 0 : -1} aria-label=${`${on ? 'Stop' : 'Play'} ${title}`}
      onClick=${() => toggle(url)} style=${{ '--done': `${done * 360}deg` }}>
    <${Icon} name=${on ? 'pause' : 'play'} /></button>`;
}

/** @param {{url: string, title: string}} props */
export function Player({ url, title }) {
  const [bars, setBars] = useState(/** @type {number[]} */ ([]));
  const wave = useRef(/** @type {SVGSVGElement | null} */ (null));
  useEffect(() => {
    let here = true;
    setBars([]);
    outline(url, BARS).then((found) => here && setBars(found));
    return () => void (here = false);
  }, [url]);
  const mine = source.value === url;
  const share = mine && length.value ? position.value / length.value : 0;
  const at = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {SVGSVGElement} */ (wave.current).getBoundingClientRect();
    seek(url, Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)));
  };
  return html`<div class="player">
    <${PlayButton} url=${url} title=${title} />
    <svg ref=${wave} viewBox=${`0 0 ${BARS * 4} 40`} preserveAspectRatio="none" aria-hidden="true" onPointerDown=${at}>
      ${Array.from({ length: BARS }, (_, bar) => {
        const tall = Math.max(2, (bars[bar] ?? 0) * 38);
        return html`<rect key=${bar} class=${bar / BARS < share ? 'past' : ''} x=${bar * 4} y=${20 - tall / 2} width="2.4" height=${tall} rx="1.2" />`;
      })}
    </svg>
    <span class="num">${clock(mine ? position.value : 0)}${mine && length.value ? ` / ${clock(length.value)}` : ''}</span>
  </div>`;
}

/** @param {number} value seconds */
export const clock = (value) => `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, '0')}`;
