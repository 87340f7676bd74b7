/** What an item looks like: its picture; or its words, or a note, where it has none. */
import { mediaThere } from '../about.js';
import { thumbnail } from '../api.js';
import { titleOf } from '../format.js';
import { html, useState } from '../html.js';
import { Icon } from './icon.js';

/** @param {{item: import('../types').Result, side?: 384 | 1024}} props */
export function Picture({ item, side = 384 }) {
  const [failed, setFailed] = useState('');
  const url = item.image_path && mediaThere() ? thumbnail(item.item_id, side) : '';
  if (url && failed !== url) {
    return html`<div class="pic"><img key=${url} src=${url} alt="" loading="lazy" decoding="async" onError=${() => setFailed(url)}
      onLoad=${(/** @type {Event} */ event) => /** @type {Element} */ (event.target).classList.add('there')} /></div>`;
  }
  const words = item.text || titleOf(item);
  if (item.audio_path && !item.text) return html`<div class="pic none hue-audio"><${Icon} name="audio" /></div>`;
  return html`<div class="pic words"><p>${words}</p></div>`;
}
