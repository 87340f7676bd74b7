/** Person: what somebody did becomes a list, and each further event changes it at once. */
import { api } from '../api.js';
import { useAnswer } from '../answer.js';
import { CopyCall } from '../components/copy-call.js';
import { Details } from '../components/details.js';
import { EmptyState } from '../components/empty-state.js';
import { ErrorBox } from '../components/error-box.js';
import { FilterChips } from '../components/filter-chips.js';
import { Frame } from '../components/frame.js';
import { Grid } from '../components/grid.js';
import { Icon } from '../components/icon.js';
import { EventChip } from '../components/piece.js';
import { SearchField } from '../components/search-field.js';
import { toast } from '../components/toast.js';
import { Way, engineMs, traced } from '../components/way.js';
import { filterOf, filtersReady, readFilters, writeFilters } from '../filters.js';
import { count, titleOf } from '../format.js';
import { html, useEffect, useRef, useState } from '../html.js';
import { meet, asResult } from '../items.js';
import { eventKind, kindsFor } from '../kinds.js';
import { historyOf, nameOf, readEvents, there, writeEvents } from '../pieces.js';
import { recordedOf } from '../recorded.js';
import { params, setParams } from '../router.js';
import { kept } from '../uploads.js';
import { Knobs, Who } from './person-knobs.js';

const LIMIT = 24;

/** @typedef {import('../pieces.js').Did} Did */
/** @typedef {import('../types').Result} Result */
/** @typedef {import('../types').Reason} Reason */

export default function Person() {
  const [ready, setReady] = useState(false);
  const [now] = useState(() => Date.now());
  const [models, setModels] = useState(/** @type {import('../types').Model[]} */ ([]));
  const [recorded, setRecorded] = useState(/** @type {{user: string, events: import('../recorded.js').Recorded[], more: boolean}} */ ({ user: '', events: [], more: false }));
  const at = params.value;
  const user = at.get('user') ?? '';
  const events = readEvents(at.getAll('e'));
  const chosen = readFilters(at.getAll('f'));
  const versus = at.get('vs') ?? '';
  const model = at.get('model') ?? '';
  const openId = at.get('open');

  useEffect(() => void kept.then(() => setReady(true)), []);
  useEffect(() => void api.models().then((found) => setModels(found.models ?? []), () => {}), []);
  useEffect(() => {
    const control = new AbortController();
    setRecorded({ user, events: [], more: false });
    if (user) {
      recordedOf(user, control.signal).then((found) => setRecorded({ user, ...found }), () => {});
    }
    return () => control.abort();
  }, [user]);

  const sent = events.filter(there);
  const filter = filterOf(chosen);
  const policy = {
    ...(at.get('diversity') ? { diversity: Number(at.get('diversity')) } : {}),
    ...(at.get('seen') ? { include_seen: true } : {}),
  };
  const request = {
    ...(user ? { user_id: user } : {}),
    ...(sent.length ? { history: historyOf(sent, now) } : {}),
    ...(filter ? { filter } : {}),
    limit: LIMIT,
    ...(Object.keys(policy).length ? { policy } : {}),
    ...(at.get('half') ? { half_life: `${Math.round(Number(at.get('half')) * 86400)}s` } : {}),
    ...(model ? { model } : {}),
    trace: true,
  };
  const ask = ready && filtersReady(chosen) ? api.recommend : undefined;
  const first = useAnswer(ask, request, told);
  const other = useAnswer(versus ? ask : undefined, versus ? { ...request, model: versus } : undefined);
  const { answer, error, loading, again } = first;
  const results = answer?.results ?? [];
  const before = usePrevious(results);

  /** @param {Did[]} next */
  const setEvents = (next) => setParams({ e: writeEvents(next) });
  /** @param {Did} did */
  const add = (did) => {
    const was = events;
    setEvents([did, ...events.filter((one) => !(one.of === did.of && one.value === did.value && one.event === did.event))]);
    if (did.of === 'item') toast(`${nameOf(did)} ${eventKind(did.event).past}`, { undo: () => setEvents(was) });
  };
  /** @param {string} event @param {string} icon @param {string} key @param {string} name */
  const doing = (event, icon, key, name) => ({ name, icon, key, run: (/** @type {Result} */ { item_id }) => add({ event, days: 0, of: 'item', value: item_id }) });
  const actions = [doing('like', 'more', 'l', 'Like'), doing('dislike', 'less', 'd', 'Dislike')];
  const close = () => setParams({ open: null });
  const opened = [...results, ...(other.answer?.results ?? [])].find((one) => one.item_id === openId);
  /** @param {Reason} reason */
  const nameOfReason = ({ kind, index = 0, event_id }) => {
    if (kind !== 'REASON_KIND_EVENT') return undefined;
    if (!event_id && index >= 0) return sent[index] && nameOf(sent[index]);
    const did = recorded.events.find((one) => one.id === event_id);
    return did ? nameOf(did) : 'something recorded before';
  };

  const head = html`<h1 class="unseen">A person, and what they get</h1>
    <${SearchField} label="What do they do next?" placeholder="What do they search for? Type, or drop a picture or a sound" value="" go="Add" clears=${true}
      onEnter=${(/** @type {string} */ words) => words && add({ event: 'search', days: 0, of: 'text', value: words })}
      onUpload=${(/** @type {import('../uploads.js').Upload} */ upload) => add({ event: 'upload', days: 0, of: 'file', value: upload.key })}
      onPaste=${(/** @type {string} */ text) => pasted(text, add)} />
    <ul class="history" role="list" tabindex="0" aria-label="History, newest first">
      ${events.map((did, place) => html`<${EventChip} key=${did.event + did.of + did.value} did=${did} halfLife=${Number(at.get('half')) || undefined}
        onChange=${(/** @type {Did} */ next) => setEvents(events.map((one, other) => (other === place ? next : one)))}
        onRemove=${() => setEvents(events.filter((_, other) => other !== place))} />`)}
      ${recorded.events.map((did) => html`<${EventChip} key=${did.id} did=${did} halfLife=${Number(at.get('half')) || undefined} recorded=${true} />`)}
      ${recorded.more && html`<li class="soft">and more, recorded before</li>`}
      ${!events.length && !recorded.events.length && html`<li class="soft">${user ? `Nothing is recorded of ${user}.` : 'Nothing is known of them yet.'} Like or dislike something below, or type what they search for.</li>`}
    </ul>
    <${Way} loading=${loading} engine=${engineMs(answer?.stages)} total=${first.ms} steps=${way(sent.length + recorded.events.length, answer)} />`;

  const side = openId && html`<${Details} id=${openId} result=${opened} onClose=${close} nameOfReason=${nameOfReason}>
    ${kindsFor('item').map(([event, { icon, verb }]) => html`<button key=${event} class="button"
      onClick=${() => add({ event, days: 0, of: 'item', value: openId, ...(event === 'rate' ? { stars: 5 } : {}) })}><${Icon} name=${icon} />${event === 'rate' ? 'Rate 5 ★' : verb}</button>`)}
  <//>`;

  const foot = html`<span>version ${answer?.model ?? '…'}</span><span>tier ${answer?.tier ?? '…'}</span><a class="button bare" href=${`/map${location.search}`}><${Icon} name="map" />On the map</a><${CopyCall} method="Recommend" request=${answer && request} />`;
  const open = (/** @type {Result} */ { item_id }) => setParams({ open: item_id === openId ? null : item_id });
  const common = { actions, openId, onOpen: open };

  return html`<${Frame} title="Recommendations" head=${head} side=${side} sideTitle="Details" onSideClose=${close} foot=${foot}>
    <div class="bar">
      <${Who} />
      <${Knobs} models=${models} />
      <${FilterChips} chosen=${chosen} onChange=${(/** @type {import('../filters.js').Chosen} */ next) => setParams({ f: writeFilters(next) })} />
    </div>
    ${answer?.skipped?.length ? html`<p class="soft">${count(answer.skipped.length, 'event')} could not be used: ${answer.skipped[0].reason}</p>` : ''}
    ${error
      ? html`<${ErrorBox} error=${error} again=${again} />`
      : versus
        ? html`<${Pair} left=${first} right=${other} names=${[model || 'what serves', versus]} common=${common} />`
        : answer && !results.length
          ? html`<${EmptyState} title="Nothing is left to show"><p>The filters, or what was seen before, leave nothing.</p><//>`
          : html`<${Grid} label="Recommendations" results=${answer && results} loading=${loading || !ask} toCome=${LIMIT} ...${common}
              about=${(/** @type {Result} */ one) => moved(one, before)} />`}
  <//>`;
}

/** The answer before this one. @param {Result[]} results @returns {Map<string, number>} ranks by item */
function usePrevious(results) {
  const pair = useRef({ now: '', ranks: new Map(), before: new Map() });
  const key = results.map((one) => one.item_id).join('\n');
  if (key && key !== pair.current.now) {
    pair.current = { now: key, before: pair.current.ranks, ranks: new Map(results.map((one) => [one.item_id, one.rank ?? 0])) };
  }
  return pair.current.before;
}

/** How a result moved since the list before. @param {Result} result @param {Map<string, number>} before */
function moved({ item_id, rank = 0 }, before) {
  if (!before.size) return {};
  const was = before.get(item_id);
  if (was === undefined) return { badge: 'new' };
  const step = was - rank;
  return step ? { note: `${step > 0 ? '↑' : '↓'}${Math.abs(step)}` } : {};
}

/**
 * Two lists side by side; what is in one of them only is marked, and of the others it is told how they moved.
 * @param {{left: import('../answer.js').Asked, right: import('../answer.js').Asked, names: string[], common: object}} props
 */
function Pair({ left, right, names, common }) {
  const sides = [left, right];
  const ranks = sides.map((side) => new Map((side.answer?.results ?? []).map((one) => [one.item_id, one.rank ?? 0])));
  const both = [...ranks[0].keys()].filter((id) => ranks[1].has(id)).length;
  return html`<div class="pair">${sides.map((side, at) => html`<section key=${at} aria-label=${names[at]}>
      <header><h3>${names[at]}</h3><span class="soft">${[side.answer?.model === names[at] ? '' : side.answer?.model, side.answer?.tier].filter(Boolean).join(', ')}</span>
        ${at === 1 && left.answer && right.answer ? html`<span class="soft push" role="status">${both} of ${ranks[0].size} in both</span>` : ''}</header>
      ${side.error
        ? html`<${ErrorBox} error=${side.error} again=${side.again} />`
        : html`<${Grid} kind="small" label=${names[at]} results=${side.answer?.results} loading=${side.loading} toCome=${12} ...${common}
            about=${(/** @type {Result} */ one) => (ranks[1 - at].size && !ranks[1 - at].has(one.item_id) ? { badge: 'only here', marked: true } : moved(one, ranks[1 - at]))} />`}
    </section>`)}</div>`;
}

/** @param {string} text @param {(did: Did) => void} add */
function pasted(text, add) {
  if (!text || /\s/.test(text) || text.length > 512) return false;
  api.item(text).then(
    ({ item }) => {
      meet([asResult(item)]);
      add({ event: 'click', days: 0, of: 'item', value: text });
    },
    () => add({ event: 'search', days: 0, of: 'text', value: text }),
  );
  return true;
}

/** @param {import('../types').Answer} answer */
const told = ({ results = [] }) => `${count(results.length, 'recommendation')}${results[0] ? `, first ${titleOf(results[0])}` : ''}`;

/** @param {number} events @param {import('../types').Answer} [answer] */
function way(events, answer) {
  const begin = { count: events, what: events === 1 ? 'event' : 'events' };
  return answer?.stages?.length ? traced(answer.stages, begin) : [begin];
}
