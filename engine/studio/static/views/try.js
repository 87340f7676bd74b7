/** Try: look for something by words, pictures, sounds and items, mixed and weighted, with filters. */
import { api } from '../api.js';
import { useAnswer } from '../answer.js';
import { about } from '../about.js';
import { CopyCall } from '../components/copy-call.js';
import { Details } from '../components/details.js';
import { EmptyState } from '../components/empty-state.js';
import { ErrorBox } from '../components/error-box.js';
import { FilterChips } from '../components/filter-chips.js';
import { Frame } from '../components/frame.js';
import { Grid } from '../components/grid.js';
import { Icon } from '../components/icon.js';
import { Dot, PartChip } from '../components/piece.js';
import { Rivers, modalitiesOf } from '../components/rivers.js';
import { SearchField } from '../components/search-field.js';
import { Way, engineMs, traced } from '../components/way.js';
import { filterOf, filtersReady, readFilters, writeFilters } from '../filters.js';
import { count, titleOf } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { itemOf, meet, asResult } from '../items.js';
import { nameOf, kindOf, partsOf, readParts, there, writeParts } from '../pieces.js';
import { params, setParams } from '../router.js';
import { kept } from '../uploads.js';
import { NAMES } from '../reasons.js';

const PAGE = 24;
const MOST = 240;
/** How sure a result has to be, and the rate of wrong ones that it comes to. */
const SURE = [
  { words: 'anything' },
  { words: 'what is likely', rate: 0.5 },
  { words: 'what is fairly sure', rate: 0.1 },
  { words: 'only what is sure', rate: 0.01 },
];

/** @typedef {import('../pieces.js').Part} Part */
/** @typedef {import('../types').Result} Result */

export default function Try() {
  const [ready, setReady] = useState(false);
  useEffect(() => void kept.then(() => setReady(true)), []);
  const at = params.value;
  const words = at.get('q') ?? '';
  const chips = readParts(at.getAll('p'));
  const chosen = readFilters(at.getAll('f'));
  const rivers = (at.get('in') ?? '').split(',').filter(Boolean);
  const sure = SURE[Number(at.get('sure'))] ?? SURE[0];
  const limit = Math.min(MOST, Number(at.get('n')) || PAGE);
  const openId = at.get('open');

  /** @type {Part[]} */
  const parts = [...(words ? [{ weight: 1, of: /** @type {const} */ ('text'), value: words }] : []), ...chips];
  const usable = parts.filter(there);
  const asking = usable.some((part) => part.weight > 0);
  const onlyAgainst = usable.length > 0 && !asking;
  const filter = filterOf(chosen);
  const request = {
    ...(asking ? { parts: partsOf(parts) } : {}),
    ...(filter ? { filter } : {}),
    ...(rivers.length && asking ? { modalities: modalitiesOf(rivers) } : {}),
    ...(sure.rate && asking ? { policy: { max_false_positive_rate: sure.rate } } : {}),
    limit,
    trace: true,
  };
  const ask = !ready || onlyAgainst || !filtersReady(chosen) ? undefined : asking ? api.search : api.recommend;
  const { answer, error, loading, ms, again } = useAnswer(ask, request, (found) => told(found.results ?? [], usable), [asking]);
  const results = answer?.results ?? [];

  /** @param {Part[]} next */
  const setChips = (next) => setParams({ p: writeParts(next), n: null });
  /** @param {Part} part */
  const add = (part) => {
    const known = chips.findIndex((one) => one.of === part.of && one.value === part.value);
    if (known < 0) setChips([...chips, part]);
    else if (chips[known].weight === part.weight) setChips(chips.filter((_, other) => other !== known));
    else setChips(chips.map((one, other) => (other === known ? part : one)));
  };
  const actions = [
    { name: 'More like this', icon: 'more', key: 'l', run: (/** @type {Result} */ { item_id }) => add({ weight: 1, of: 'item', value: item_id }) },
    { name: 'Less like this', icon: 'less', key: 'd', run: (/** @type {Result} */ { item_id }) => add({ weight: -1, of: 'item', value: item_id }) },
  ];
  const opened = openId ? results.find((one) => one.item_id === openId) : undefined;
  const close = () => setParams({ open: null });

  const head = html`<h1 class="unseen">Try the engine</h1>
    <${SearchField} label="What are you looking for?" placeholder="Type, drop a picture or a sound, or paste an item's id" value=${words}
      onInput=${(/** @type {string} */ q) => setParams({ q, n: null }, { replace: true })}
      onEnter=${(/** @type {string} */ q) => setParams({ q, n: null })}
      onUpload=${(/** @type {import('../uploads.js').Upload} */ upload) => add({ weight: 1, of: 'file', value: upload.key })}
      onPaste=${(/** @type {string} */ text) => pasted(text, add)} />
    <ul class="pieces" tabindex="0" aria-label="What is looked for" role="list">
      ${chips.map((part, place) => html`<${PartChip} key=${part.of + part.value} part=${part}
        onChange=${(/** @type {Part} */ next) => setParams({ p: writeParts(chips.map((one, other) => (other === place ? next : one))) }, { replace: true })}
        onRemove=${() => setChips(chips.filter((_, other) => other !== place))} />`)}
      ${words && html`<li><button class="chip" onClick=${() => setParams({ q: null, p: writeParts([...chips, { weight: 1, of: 'text', value: words }]) })}><${Icon} name="plus" />and something else</button></li>`}
      ${!words && !chips.length && results.length > 0 && html`<${Examples} results=${results} add=${add} />`}
    </ul>
    <${Way} loading=${loading} engine=${engineMs(answer?.stages)} total=${ms} steps=${way(usable, rivers, answer)} />`;

  const side = openId && html`<${Details} id=${openId} result=${opened} onClose=${close} nameOfReason=${(/** @type {import('../types').Reason} */ { kind, index = 0 }) => (kind === 'REASON_KIND_QUERY' && usable[index] ? nameOf(usable[index]) : undefined)}>
    ${actions.map((action) => html`<button key=${action.key} class="button" onClick=${() => action.run(itemOf(openId))}><${Icon} name=${action.icon} />${action.name}</button>`)}
    <a class="button bare" href=${`/person?e=${encodeURIComponent(`like,0,item,${openId}`)}`}><${Icon} name="person" />A person who likes it</a>
  <//>`;

  const foot = html`<span>version ${answer?.model ?? '…'}</span><span>tier ${answer?.tier ?? '…'}</span>
    <${CopyCall} method=${asking ? 'Search' : 'Recommend'} request=${answer && request} />`;

  return html`<${Frame} title="Results" head=${head} side=${side} sideTitle="Details" onSideClose=${close} foot=${foot}>
    <div class="bar">
      <h2>${error ? 'No answer' : !asking ? 'From the catalogue' : answer ? count(results.length, 'result') : 'Looking …'}</h2>
      ${asking && html`<${Rivers} chosen=${rivers} onChange=${(/** @type {string[]} */ next) => setParams({ in: next.join(',') })} />`}
      ${asking && html`<label class="sure">Show <input type="range" min="0" max=${SURE.length - 1} value=${SURE.indexOf(sure)} aria-label="How sure a result has to be" aria-valuetext=${sure.words}
        onInput=${(/** @type {any} */ event) => setParams({ sure: event.target.value === '0' ? null : event.target.value, n: null }, { replace: true })} /><output>${sure.words}</output></label>`}
      <${FilterChips} chosen=${chosen} onChange=${(/** @type {import('../filters.js').Chosen} */ next) => setParams({ f: writeFilters(next), n: null })} />
    </div>
    ${onlyAgainst
      ? html`<${EmptyState} title="Only what to stay away from"><p>Say what to look for as well: type something, or choose “more like this” on an item.</p><//>`
      : error
        ? html`<${ErrorBox} error=${error} again=${again} />`
        : answer && !results.length
          ? html`<${Nothing} chosen=${chosen} unsure=${answer.no_match} />`
          : html`<${Grid} label="Results" results=${answer && results} loading=${loading || !ask} actions=${actions} openId=${openId}
              onOpen=${(/** @type {Result} */ { item_id }) => setParams({ open: item_id === openId ? null : item_id })} />`}
    ${results.length === limit && limit < MOST && html`<div class="row-end centre"><button class="button" onClick=${() => setParams({ n: String(limit + PAGE) }, { replace: true })}>Show more</button></div>`}
  <//>`;
}

/**
 * What one could ask, from what the catalogue has: by words, by a picture, by a sound.
 * @param {{results: Result[], add: (part: Part) => void}} props
 */
function Examples({ results, add }) {
  const named = results.find((one) => one.text);
  const seen = results.find((one) => one.image_path && one !== named);
  const heard = results.find((one) => one.audio_path && one !== seen);
  return html`<li class="soft">For example</li>
    ${named && html`<li><button class="chip" onClick=${() => setParams({ q: titleOf(named).toLowerCase() })}><${Icon} name="text" />${titleOf(named).toLowerCase()}</button></li>`}
    ${[seen, heard].map((one) => one && html`<li key=${one.item_id}><button class="chip piece" onClick=${() => add({ weight: 1, of: 'item', value: one.item_id })}>
      <${Dot} piece=${{ of: 'item', value: one.item_id }} /><span class="cut end-gap">like ${titleOf(one)}</span></button></li>`)}`;
}

/** @param {{chosen: import('../filters.js').Chosen, unsure?: boolean}} props */
function Nothing({ chosen, unsure }) {
  if (unsure) {
    return html`<${EmptyState} title="Nothing fits"><p>Nothing in the catalogue is surely enough like this.</p>
      <button class="button" onClick=${() => setParams({ sure: null })}>Show what is nearest</button><//>`;
  }
  if (about.value?.items === 0) {
    return html`<${EmptyState} title="The catalogue is empty"><p>Index one: <code>triveni index items.jsonl --root media</code>, then serve it again.</p><//>`;
  }
  return html`<${EmptyState} title="Nothing passes"><p>${chosen.size ? 'No item has all of these filters.' : 'No item has what is looked in.'}</p>
    ${chosen.size > 0 && html`<button class="button" onClick=${() => setParams({ f: null })}>Take the filters away</button>`}<//>`;
}

/**
 * An id that is pasted becomes an item to look for, if there is such an item; else it is a text as any other.
 * @param {string} text
 * @param {(part: Part) => void} add
 */
function pasted(text, add) {
  if (!text || /\s/.test(text) || text.length > 512) return false;
  api.item(text).then(
    ({ item }) => {
      meet([asResult(item)]);
      add({ weight: 1, of: 'item', value: text });
    },
    () => setParams({ q: text }),
  );
  return true;
}

/** @param {Result[]} results @param {Part[]} parts */
const told = (results, parts) =>
  `${count(results.length, 'result')}${parts.length ? ` for ${parts.map(nameOf).join(' and ')}` : ''}${results[0] ? `, first ${titleOf(results[0])}` : ''}`;

/** @param {Part[]} parts @param {string[]} rivers @param {import('../types').Answer} [answer] */
function way(parts, rivers, answer) {
  const kinds = [...new Set(parts.map((part) => NAMES[/** @type {keyof typeof NAMES} */ (kindOf(part))]))].join(' and ');
  const where = rivers.length ? `, in their ${rivers.map((kind) => NAMES[/** @type {keyof typeof NAMES} */ (kind)]).join(' and ')}` : '';
  const begin = parts.length
    ? { count: parts.length, what: `${parts.length === 1 ? 'part' : 'parts'}, ${kinds}${where}` }
    : { what: 'nothing asked' };
  return answer?.stages?.length ? traced(answer.stages, begin) : [begin];
}
