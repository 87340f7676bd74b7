/** All about one result: large, why it is here, what it carries, and what can be done with it. */
import { mediaThere } from '../about.js';
import { api, media } from '../api.js';
import { plain, score, sureness, titleOf } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { asResult, itemOf } from '../items.js';
import { GENERAL, KINDS, NAMES, partName, sharesOf, speaking } from '../reasons.js';
import { ErrorBox } from './error-box.js';
import { Icon } from './icon.js';
import { Picture } from './picture.js';
import { Player } from './player.js';
import { toast } from './toast.js';

/**
 * @param {{id: string, result?: import('../types').Result, nameOfReason: (reason: import('../types').Reason) => string | undefined,
 *   onClose: () => void, children?: any}} props `children` are the view's own buttons
 */
export function Details({ id, result, nameOfReason, onClose, children }) {
  const [stored, setStored] = useState(/** @type {import('../types').Item | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  useEffect(() => {
    const control = new AbortController();
    setStored(undefined);
    setError(undefined);
    api.item(id, control.signal).then(
      ({ item }) => setStored(item),
      (problem) => control.signal.aborted || setError(problem),
    );
    return () => control.abort();
  }, [id]);
  const item = result ?? (stored ? asResult(stored) : itemOf(id));
  const title = titleOf(item);
  return html`<div class="details">
    <header><div class="cut"><h2 class="cut" title=${title}>${title}</h2><p class="soft cut">${result?.rank ? `Rank ${result.rank}, ` : ''}<span>${id}</span></p></div>
      <button class="round" aria-label="Close the details" onClick=${onClose}><${Icon} name="close" /></button></header>
    ${error ? html`<${ErrorBox} error=${error} />` : html`<${Picture} key=${id} item=${item} side=${1024} />`}
    ${item.audio_path && mediaThere() && html`<${Player} url=${media(id, 'audio')} title=${title} />`}
    ${!error && html`<div class="do">${children}</div>`}
    ${result?.reasons?.length ? html`<${Why} result=${result} nameOfReason=${nameOfReason} />` : ''}
    ${stored && html`<${Carries} item=${stored} />`}
  </div>`;
}

/** @param {{result: import('../types').Result, nameOfReason: (reason: import('../types').Reason) => string | undefined}} props */
function Why({ result, nameOfReason }) {
  const most = Math.max(...(result.reasons ?? []).map((one) => one.share ?? 0), 1e-6);
  return html`<section><h3>Why it is here</h3>
    ${result.relevance !== undefined && html`<p class="soft" title="1 minus the chance that an unrelated item is as like the query">${sureness(result)}</p>`}
    <ul class="reasons">
    ${result.reasons?.map((reason, at) => {
      const kinds = speaking(reason);
      const shares = Object.entries(sharesOf(reason)).filter(([, share]) => share > 0);
      const name = nameOfReason(reason) ?? GENERAL[reason.kind ?? ''] ?? 'something else';
      return html`<li key=${at}><span class="t">${name}${kinds.map((kind, at) => html`${at ? (at < kinds.length - 1 ? ', ' : ' and ') : ', by its '}<span class=${`by hue-${kind}`}>${NAMES[kind]}</span>`)}${reason.part && kinds.length ? partName(reason.part) : ''}${reason.words?.length ? html`, by its words <span class="by">${reason.words.join(', ')}</span>` : ''}</span>
        <span class="meter">${shares.map(([each, share]) => html`<i class=${`hue-${each}`} style=${{ width: `${(100 * share) / most}%` }} />`)}</span>
        <span class="num">${score(reason.share ?? 0)}</span></li>`;
    })}</ul></section>`;
}

/** @param {{item: import('../types').Item}} props */
function Carries({ item }) {
  const has = KINDS.filter((kind) => item.modalities?.includes(/** @type {any} */ (`MODALITY_${kind.toUpperCase()}`)));
  const copy = () => navigator.clipboard?.writeText(item.id).then(() => toast('the id is in the clipboard'));
  return html`<section><h3>What it carries</h3><dl class="facts">
    ${item.text && html`<dt>text</dt><dd>${item.text}</dd>`}
    ${Object.entries(item.payload ?? {}).filter(([, value]) => plain(value) !== item.text).map(([name, value]) => html`<dt class="cut" title=${name}>${name}</dt><dd>${plain(value)}</dd>`)}
    <dt>id</dt><dd>${item.id} <button class="link" onClick=${copy} aria-label="Copy the id"><${Icon} name="copy" /></button></dd>
    <dt>has</dt><dd>${has.map((kind, at) => html`${at ? ', ' : ''}<span class=${`by hue-${kind}`}>${NAMES[kind]}</span>`)}</dd>
    ${item.image_path && html`<dt>picture</dt><dd>${mediaThere() ? html`<a href=${media(item.id, 'image')} target="_blank" rel="noopener">${item.image_path}</a>` : item.image_path}</dd>`}
    ${item.audio_path && html`<dt>sound</dt><dd>${item.audio_path}</dd>`}
  </dl></section>`;
}
