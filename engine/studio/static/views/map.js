/** Map: the whole catalogue in two dimensions; what is near looks, reads or sounds alike. */
import { about } from '../about.js';
import { superseded } from '../api.js';
import { CopyCall } from '../components/copy-call.js';
import { Details } from '../components/details.js';
import { EmptyState } from '../components/empty-state.js';
import { ErrorBox } from '../components/error-box.js';
import { Frame } from '../components/frame.js';
import { Icon } from '../components/icon.js';
import { MapCanvas } from '../components/map-canvas.js';
import { say } from '../components/said.js';
import { toastError } from '../components/toast.js';
import { count, percent } from '../format.js';
import { html, useEffect, useMemo, useState } from '../html.js';
import { listWays } from '../list-call.js';
import { mapCalls, points } from '../map-data.js';
import { usePerson } from '../map-person.js';
import { readEvents, writeEvents } from '../pieces.js';
import { NAMES } from '../reasons.js';
import { params, setParams } from '../router.js';
import { within } from '../points.js';
import { Chosen } from './map-chosen.js';

const WAIT = 700;

/** @typedef {import('../map-data.js').MapState} MapState */
/** @typedef {import('../map-data.js').MapPoints} MapPoints */
/** @typedef {[number, number][]} Polygon */

export default function MapView() {
  const [state, setState] = useState(/** @type {MapState | undefined} */ (undefined));
  const [drawn, setDrawn] = useState(/** @type {MapPoints | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  const [tries, setTries] = useState(0);
  const at = params.value;
  const by = at.get('by') ?? 'modality';
  const lit = at.get('lit') ?? '';
  const openId = at.get('open');
  const outline = at.get('in') ?? '';
  const polygon = useMemo(() => readPolygon(outline), [outline]);
  const rows = useMemo(() => (drawn && polygon.length > 2 ? within(drawn.positions, polygon) : []), [drawn, polygon]);
  const events = readEvents(at.getAll('e'));
  const user = at.get('user') ?? '';
  const person = usePerson(drawn, events, user);

  useEffect(() => {
    const control = new AbortController();
    mapCalls.state(control.signal).then(setState, (problem) => superseded(problem) || setError(problem));
    return () => control.abort();
  }, [tries]);
  useEffect(() => {
    if (!state?.running) return undefined;
    const timer = setTimeout(() => mapCalls.state().then(setState, setError), WAIT);
    return () => clearTimeout(timer);
  }, [state]);
  useEffect(() => {
    if (state && state.mapped && state.stored > state.mapped && !state.running && !state.failure) draw(false);
  }, [state?.version]);
  useEffect(() => {
    if (!state?.version) return undefined;
    const control = new AbortController();
    points(by, control.signal).then(
      (found) => {
        setDrawn(found);
        setError(undefined);
        say(`${count(found.items, 'item')} on the map`);
      },
      (problem) => superseded(problem) || setError(problem),
    );
    return () => control.abort();
  }, [state?.version, by, tries]);

  useEffect(() => {
    if (drawn && state?.failure && !state.running) toastError({ message: state.failure.problem, remedy: state.failure.remedy });
  }, [state?.running]);

  /** @param {boolean} again */
  const draw = (again) => mapCalls.draw(again).then(setState, toastError);
  const legend = drawn?.by === by ? drawn.legend : [];
  const litAt = legend.findIndex(({ value }) => value === lit);
  const open = (/** @type {string | null} */ id) => setParams({ open: id });
  const choose = (/** @type {Polygon} */ next) => setParams({ in: writePolygon(next), open: null });

  const head = html`<h1 class="unseen">The catalogue as a map</h1>
    <div class="map-bar">
      <label>Colour by <select class="field" value=${by} onChange=${(/** @type {any} */ event) => setParams({ by: event.target.value === 'modality' ? null : event.target.value, lit: null })}>
        <option value="modality">what it is</option>${(drawn?.fields ?? (by === 'modality' ? [] : [by])).map((field) => html`<option value=${field}>${field}</option>`)}</select></label>
      <div class="legend" role="group" aria-label="Show only" aria-busy=${Boolean(state?.version) && drawn?.by !== by}>
        ${legend.map(({ value, count: items }, place) => items > 0 && html`<button key=${value} class="chip" aria-pressed=${value === lit} onClick=${() => setParams({ lit: value === lit ? null : value })}>
          <i class=${`swatch ${by === 'modality' ? `hue-${value}` : `category-${place}`}`} />${by === 'modality' ? NAMES[/** @type {keyof typeof NAMES} */ (value)] : value} <small>${items.toLocaleString('en')}</small></button>`)}
      </div>
    </div>`;

  const side = openId
    ? html`<${Details} id=${openId} onClose=${() => open(null)} nameOfReason=${() => undefined}>
        <a class="button" href=${`/?p=${encodeURIComponent(`1,item,${openId}`)}`}><${Icon} name="search" />More like this</a>
        <a class="button" href=${personHref(user, [{ event: 'like', days: 0, of: 'item', value: openId }, ...events])}><${Icon} name="person" />A person who likes it</a>
      <//>`
    : rows.length > 0 && drawn
      ? html`<${Chosen} rows=${rows} version=${drawn.version} onOpen=${open} onClose=${() => setParams({ in: null })}
          hrefOf=${(/** @type {string[]} */ ids) => personHref(user, [...ids.map((value) => ({ event: 'like', days: 0, of: /** @type {const} */ ('item'), value })), ...events])} />`
      : undefined;

  const foot = html`${drawn && state && drawn.items !== state.stored && html`<span>${count(drawn.items, 'item')} on the map</span>`}
    ${person.results.length > 0 && html`<span><i class="mark-got" /> what ${user || 'this person'} gets</span>`}
    ${person.did.length > 0 && html`<span><i class="mark-did" /> what they did</span>`}
    ${person.interests.length > 0 && html`<span><i class="mark-wants" /> what is searched for them, by weight</span>`}
    ${state?.running && drawn ? html`<span role="status">drawing it again, ${percent(state.share)}</span>` : drawn && html`<button class="button bare" onClick=${() => draw(true)}><${Icon} name="undo" />Draw it again</button>`}
    <${CopyCall} method=${openId ? 'Search' : 'Recommend'} request=${openId ? { parts: [{ item_id: openId }], limit: 24 } : (person.request ?? {})}
      ways=${openId || person.request ? undefined : listWays(undefined, about.value?.address ?? '127.0.0.1:50051', String, true)} />`;

  return html`<${Frame} title="Map" head=${head} side=${side} sideTitle=${openId ? 'Details' : 'Chosen items'} onSideClose=${() => (openId ? open(null) : setParams({ in: null }))} foot=${foot}>
    ${error
      ? html`<${ErrorBox} error=${error} again=${() => setTries(tries + 1)} />`
      : drawn
        ? html`<${MapCanvas} drawn=${drawn} lit=${litAt} modality=${drawn.by === 'modality'} chosen=${rows} polygon=${polygon} person=${person} look=${at.get('at') ?? ''}
            onOpen=${open} onChoose=${choose} onLook=${(/** @type {string} */ look, /** @type {boolean} */ jumped) => setParams({ at: look }, { replace: !jumped })} />`
        : html`<${NotYet} state=${state} draw=${() => draw(true)} />`}
  <//>`;
}

/** @param {{state?: MapState, draw: () => void}} props */
function NotYet({ state, draw }) {
  if (!state || state.version) return html`<div class="map" aria-busy="true" />`;
  if (state.running) {
    return html`<${EmptyState} title="Drawing the map"><p role="status">${state.stage}, ${percent(state.share)}</p>
      <progress class="progress" max="1" value=${state.share} aria-label="How far it is" /><p>You can go on elsewhere: it is drawn beside the server, and kept.</p><//>`;
  }
  if (state.failure) return html`<${ErrorBox} error=${{ message: state.failure.problem, remedy: state.failure.remedy }} again=${draw} />`;
  if (!state.stored) return html`<${EmptyState} title="The catalogue is empty"><p>Index one: <code>triveni index items.jsonl --root media</code>, then serve it again.</p><//>`;
  return html`<${EmptyState} title="There is no map yet"><p>${count(state.stored, 'item')} become points; those that look, read or sound alike come to lie together. It takes ${state.stored > 5000 ? 'some minutes' : 'some seconds'}, once.</p>
    <button class="button main" onClick=${draw}><${Icon} name="map" />Draw the map</button><//>`;
}

/** @param {string} user @param {import('../pieces.js').Did[]} events */
function personHref(user, events) {
  const query = new URLSearchParams(writeEvents(events).map((one) => ['e', one]));
  if (user) query.set('user', user);
  return `/person?${query}`;
}

/** @param {string} text of the address @returns {Polygon} */
function readPolygon(text) {
  const corners = text.split('_').map((corner) => corner.split('~').map(Number));
  return /** @type {Polygon} */ (corners.filter((corner) => corner.length === 2 && corner.every(Number.isFinite)));
}

/** @param {Polygon} polygon */
const writePolygon = (polygon) => polygon.map((corner) => corner.map((one) => one.toFixed(3)).join('~')).join('_');
