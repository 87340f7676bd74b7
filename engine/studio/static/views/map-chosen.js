/** What was chosen on the map: its items, and a way to a person who likes them. */
import { Icon } from '../components/icon.js';
import { Picture } from '../components/picture.js';
import { count } from '../format.js';
import { html } from '../html.js';
import { itemOf } from '../items.js';
import { named } from '../map-data.js';

const SHOWN = 24;
const LIKED = 12;

/** @param {{rows: number[], version: number, onOpen: (id: string) => void, onClose: () => void, hrefOf: (ids: string[]) => string}} props */
export function Chosen({ rows, version, onOpen, onClose, hrefOf }) {
  const first = rows.slice(0, SHOWN).flatMap((row) => named(row, version) ?? []);
  const liked = first.slice(0, LIKED).map(({ id }) => id);
  return html`<div class="details chosen">
    <header><h2 role="status">${count(rows.length, 'item')} chosen</h2>
      <button class="round" aria-label="Choose nothing" onClick=${onClose}><${Icon} name="close" /></button></header>
    <div class="do"><a class="button main" href=${hrefOf(liked)}><${Icon} name="more" />${liked.length === rows.length ? 'A person who likes them' : `A person who likes the first ${liked.length}`}</a></div>
    <ul class="tiles" role="list">${first.map(({ id, title }) => html`<li key=${id}><button onClick=${() => onOpen(id)} title=${title}>
      <${Picture} item=${{ payload: { title }, ...itemOf(id) }} /><span class="unseen">${title}</span></button></li>`)}</ul>
    ${rows.length > SHOWN && html`<p class="soft">and ${(rows.length - SHOWN).toLocaleString('en')} more</p>`}
  </div>`;
}

