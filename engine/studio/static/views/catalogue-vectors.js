/** The vectors of an item, and what is nearest by each of them alone. */
import { call } from '../api.js';
import { Picture } from '../components/picture.js';
import { score, titleOf } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { itemOf } from '../items.js';
import { KINDS, NAMES } from '../reasons.js';

/** @typedef {{item_id: string, cosine: number, z: number, copy: boolean}} Neighbour */

/** @param {{id: string, onOpen: (id: string) => void}} props */
export function Vectors({ id, onOpen }) {
  const [told, setTold] = useState(/** @type {{space: string, fingerprint: string, vectors: Record<string, {norm: number, dimension: number}>} | undefined} */ (undefined));
  const [kind, setKind] = useState('');
  const [near, setNear] = useState(/** @type {Neighbour[] | undefined} */ (undefined));
  useEffect(() => {
    call('GET', '/studio/catalogue/vectors', { query: { item: id } }).then(
      (found) => {
        setTold(found);
        setKind(KINDS.toReversed().find((one) => found.vectors[one]) ?? '');
      },
      () => {},
    );
  }, [id]);
  useEffect(() => {
    if (!kind) return undefined;
    const control = new AbortController();
    setNear(undefined);
    call('GET', '/studio/catalogue/neighbours', { query: { item: id, modality: kind, limit: 9 }, signal: control.signal }).then(({ neighbours }) => setNear(neighbours), () => {});
    return () => control.abort();
  }, [id, kind]);
  const has = KINDS.filter((one) => told?.vectors[one]);
  return html`<section class="vectors"><h3>Nearest, by one vector alone</h3>
    <div class="rivers" role="group" aria-label="By its">${has.map((one) => html`<button key=${one} class=${`chip river hue-${one}`} aria-pressed=${one === kind} onClick=${() => setKind(one)}>${NAMES[one]}</button>`)}</div>
    <ul class="tiles near" role="list" aria-busy=${Boolean(kind) && !near}>
      ${near
        ? near.map(({ item_id, cosine, z, copy }) => {
            const item = itemOf(item_id);
            const says = `${titleOf(item)}: cosine ${score(cosine)}, ${score(z)} standard deviations above what is unrelated${copy ? ', perhaps a copy' : ''}`;
            return html`<li key=${item_id}><button title=${says} onClick=${() => onOpen(item_id)}><${Picture} item=${item} /><span class="unseen">${says}</span></button>
              <small class="soft">${copy ? html`<b>copy?</b> ` : ''}${score(cosine)}</small></li>`;
          })
        : Array.from({ length: 9 }, (_, at) => html`<li key=${at}><div class="pic none" /><small>${'\u00a0'}</small></li>`)}
    </ul>
    ${told && html`<p class="soft">${has.map((one) => `${NAMES[one]}: ${told.vectors[one].dimension} numbers, norm ${told.vectors[one].norm.toFixed(3)}`).join('; ')}. Space ${told.space}, <code>${told.fingerprint.slice(0, 12)}</code>.</p>`}
  </section>`;
}
