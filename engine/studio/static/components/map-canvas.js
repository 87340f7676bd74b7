/** The points, with what lies over them: names of clusters, the item under the pointer, the lasso, a person. */
import { percent } from '../format.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../html.js';
import { itemOf } from '../items.js';
import { named } from '../map-data.js';
import { nameOf } from '../pieces.js';
import { Points } from '../points.js';
import { theme } from '../theme.js';
import { gestures } from '../gestures.js';
import { ErrorBox } from './error-box.js';
import { Icon } from './icon.js';
import { Picture } from './picture.js';

const MOST_ZOOM = 60;
const CORNERS = 60;
/** Milliseconds without a movement after which the address says where one looks. */
const REST = 200;
/** Half the width of an interest's label at the most, in pixels. */
const HALF = 86;
const WHOLE = { x: 0, y: 0, zoom: 1 };

/** @typedef {[number, number][]} Polygon */

/**
 * @param {{drawn: import('../map-data.js').MapPoints, lit: number, modality: boolean, chosen: number[], polygon: Polygon,
 *   person: import('../map-person.js').Person, look: string, onOpen: (id: string) => void, onChoose: (polygon: Polygon) => void,
 *   onLook: (look: string, jumped: boolean) => void}} props `look` is where one looks, as the address has it; "" is the whole
 */
export function MapCanvas({ drawn, lit, modality, chosen, polygon, person, look, onOpen, onChoose, onLook }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const points = useRef(/** @type {Points | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  const [, setTick] = useState(0);
  const [over, setOver] = useState(-1);
  const [lassoing, setLassoing] = useState(false);
  const [drawing, setDrawing] = useState(/** @type {Polygon} */ ([]));
  const now = useRef({ lassoing, onOpen, onChoose, onLook, version: drawn.version });
  now.current = { lassoing, onOpen, onChoose, onLook, version: drawn.version };
  const written = useRef({ look: '', timer: 0 });

  useLayoutEffect(() => {
    const element = /** @type {HTMLCanvasElement} */ (canvas.current);
    try {
      points.current = new Points(element);
    } catch (problem) {
      setError(problem);
      return undefined;
    }
    const made = points.current;
    const watch = new ResizeObserver(() => {
      made.resize();
      setTick((tick) => tick + 1);
    });
    watch.observe(element);
    /** @type {Polygon} */
    let lasso = [];
    const stop = gestures(element, {
      lassoing: () => now.current.lassoing,
      pan: (dx, dy) => move(-dx / made.scale[0], dy / made.scale[1]),
      zoom,
      hover: (left, top) => setOver(left < 0 ? -1 : made.nearest(left, top)),
      click: (left, top) => openAt(made.nearest(left, top)),
      lasso(left, top) {
        lasso = [...lasso, made.toMap(left, top)];
        setDrawing(lasso);
      },
      lassoed() {
        const step = Math.max(1, Math.ceil(lasso.length / CORNERS));
        if (lasso.length > 2) now.current.onChoose(lasso.filter((_, at) => at % step === 0));
        lasso = [];
        setDrawing([]);
        setLassoing(false);
      },
    });
    return () => {
      watch.disconnect();
      stop();
      clearTimeout(written.current.timer);
      made.release();
    };
  }, []);
  useLayoutEffect(() => {
    if (!points.current || look === written.current.look) return;
    written.current.look = look;
    see(readLook(look), false);
    clearTimeout(written.current.timer);
  }, [look]);
  useLayoutEffect(() => void (error || points.current?.set(drawn.positions, drawn.categories)), [drawn]);
  useLayoutEffect(() => void (error || points.current?.paint(coloursOf(/** @type {HTMLElement} */ (canvas.current), modality))), [modality, drawn, theme.value]);
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const again = () => points.current?.paint(coloursOf(/** @type {HTMLElement} */ (canvas.current), modality));
    dark.addEventListener('change', again);
    return () => dark.removeEventListener('change', again);
  }, [modality]);
  useEffect(() => {
    if (!points.current) return;
    points.current.lit = lit;
    points.current.choose(chosen);
  }, [lit, chosen, drawn]);

  /** @param {number} dx @param {number} dy of the map */
  function move(dx, dy) {
    const camera = /** @type {Points} */ (points.current).camera;
    see({ ...camera, x: camera.x + dx, y: camera.y + dy });
  }
  /** @param {import('../points.js').Camera} camera @param {boolean} [jumped] whether it is a step that one can go back from */
  function see({ x, y, zoom: near }, jumped = false) {
    const made = /** @type {Points} */ (points.current);
    made.camera = { x: clamp(x, -1.2, 1.2), y: clamp(y, -1.2, 1.2), zoom: clamp(near, 0.8, MOST_ZOOM) };
    made.draw();
    setTick((tick) => tick + 1);
    clearTimeout(written.current.timer);
    if (jumped) write(true);
    else written.current.timer = setTimeout(() => write(false), REST);
  }
  /** @param {boolean} jumped */
  function write(jumped) {
    const text = writeLook(/** @type {Points} */ (points.current).camera);
    if (text === written.current.look) return;
    written.current.look = text;
    now.current.onLook(text, jumped);
  }
  /** @param {number} times @param {number} [left] @param {number} [top] what stays where it is; else the middle */
  function zoom(times, left, top) {
    const made = /** @type {Points} */ (points.current);
    const { clientWidth, clientHeight } = made.canvas;
    const [x, y] = made.toMap(left ?? clientWidth / 2, top ?? clientHeight / 2);
    const near = clamp(made.camera.zoom * times, 0.8, MOST_ZOOM);
    const share = made.camera.zoom / near;
    see({ x: x + (made.camera.x - x) * share, y: y + (made.camera.y - y) * share, zoom: near });
  }
  /** @param {number} row */
  function openAt(row) {
    if (row < 0) return;
    const known = named(row, now.current.version);
    if (known) now.current.onOpen(known.id);
    else setTimeout(() => openAt(row), 60);
  }
  const whole = () => see(WHOLE, true);
  const inView = () => {
    const { clientWidth: w, clientHeight: h } = /** @type {HTMLCanvasElement} */ (canvas.current);
    const made = /** @type {Points} */ (points.current);
    onChoose([made.toMap(0, 0), made.toMap(w, 0), made.toMap(w, h), made.toMap(0, h)]);
  };
  /** @param {KeyboardEvent} event */
  function onKeyDown(event) {
    const step = 0.15 / (points.current?.camera.zoom ?? 1);
    /** @type {Record<string, () => void>} */
    const does = {
      ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0), ArrowUp: () => move(0, step), ArrowDown: () => move(0, -step),
      '+': () => zoom(1.4), '=': () => zoom(1.4), '-': () => zoom(1 / 1.4), 0: whole, v: inView, Enter: () => openAt(middle()),
    };
    if (!does[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    does[event.key]();
    if (event.key.startsWith('Arrow') || event.key.length === 1) setOver(middle());
  }
  function middle() {
    const made = /** @type {Points} */ (points.current);
    return made.nearest(made.canvas.clientWidth / 2, made.canvas.clientHeight / 2, 200);
  }

  if (error) return html`<div class="map"><canvas ref=${canvas} hidden /><${ErrorBox} error=${error} /></div>`;
  const made = points.current;
  const place = (/** @type {number} */ x, /** @type {number} */ y) => (made ? made.toPage(x, y) : [-99, -99]);
  const shownOver = over >= 0 && over < drawn.categories.length ? named(over, drawn.version) : undefined;
  const outline = (drawing.length ? drawing : polygon).map(([x, y]) => place(x, y).map(Math.round).join(',')).join(' ');
  return html`<div class="map">
    <canvas ref=${canvas} class=${lassoing ? 'lassoing' : ''} tabindex="0" role="application" aria-roledescription="map" onKeyDown=${onKeyDown} onBlur=${() => setOver(-1)}
      aria-label=${`Map of ${drawn.items.toLocaleString('en')} items. Arrows move it, plus and minus zoom, 0 shows all, Enter opens the item nearest to the middle, v chooses what is in view.`} />
    <svg class="over" aria-hidden="true">${outline && html`<polygon points=${outline} />`}</svg>
    <div class="over" aria-hidden="true">
      ${made && labelsOf(drawn.clusters, made, person.interests).map(({ name, left, top }) => html`<span key=${name + left} class="cluster" style=${{ left: `${left}px`, top: `${top}px` }}>${name}</span>`)}
      ${person.results.map(({ row, rank }) => spot(place(drawn.positions[2 * row], drawn.positions[2 * row + 1]), 'mark-got', rank))}
      ${person.did.map(({ x, y, against }, at) => spot(place(x, y), `mark-did ${against ? 'against' : ''}`, `d${at}`))}
      ${person.interests.map(({ x, y, first, others, weight }, at) => html`${spot(place(x, y), 'mark-wants', `w${at}`)}<span key=${`n${at}`} class="interest" style=${styleOf(inside(place(x, y), made))}><span class="cut">${first ? nameOf(first) : 'recorded before'}</span>${others ? html` <small>+${others}</small>` : ''} <b>${percent(weight)}</b></span>`)}
      ${over >= 0 && made && html`<${Tip} at=${place(drawn.positions[2 * over], drawn.positions[2 * over + 1])} wide=${made.canvas.clientWidth} high=${made.canvas.clientHeight} id=${shownOver?.id} title=${shownOver?.title} />`}
    </div>
    <p class="unseen" aria-live="polite">${shownOver?.title ?? ''}</p>
    <div class="tools" role="group" aria-label="The map">
      <button class="round" aria-label="Nearer" title="Nearer (+)" onClick=${() => zoom(1.6)}><${Icon} name="plus" /></button>
      <button class="round" aria-label="Farther" title="Farther (-)" onClick=${() => zoom(1 / 1.6)}><${Icon} name="less" /></button>
      <button class="button" onClick=${whole}>All</button>
      <button class="button" aria-pressed=${lassoing} onClick=${() => setLassoing(!lassoing)} title="Draw around items; or hold Shift">Lasso</button>
      <button class="button" onClick=${inView} title="Choose what is in view (v)">In view</button>
      <select class="field" aria-label="Go to a cluster" value="" onChange=${(/** @type {any} */ event) => {
        const cluster = drawn.clusters[Number(event.target.value)];
        event.target.value = '';
        if (cluster) see({ x: cluster.x, y: cluster.y, zoom: 0.9 / Math.max(cluster.radius, 0.02) }, true);
      }}><option value="">Go to …</option>${drawn.clusters.map(({ name, items }, at) => html`<option value=${at}>${short(name)} (${items.toLocaleString('en')})</option>`)}</select>
    </div>
  </div>`;
}

/** @param {number[]} at @param {string} kind @param {string | number} key */
const spot = (at, kind, key) => html`<i key=${kind + key} class=${kind} style=${styleOf(at)} />`;

/** @param {number[]} at */
const styleOf = ([left, top]) => ({ left: `${left}px`, top: `${top}px` });

/** @param {{at: number[], wide: number, high: number, id?: string, title?: string}} props */
function Tip({ at: [left, top], wide, high, id, title }) {
  const style = { left: `${clamp(left, 78, Math.max(78, wide - 78))}px`, top: `${top}px` };
  return html`<i class="ring" style=${{ left: `${left}px`, top: `${top}px` }} /><div class=${`tip ${top > high / 2 ? 'above' : ''}`} style=${style}>
    ${id && html`<${Picture} key=${id} item=${itemOf(id)} />`}<span class="cut">${title ?? '…'}</span></div>`;
}

/** The middle of an interest's label, so that all of it can be seen where its mark can. @param {number[]} at @param {Points} [points] */
function inside([left, top], points) {
  const wide = points?.canvas.clientWidth ?? 0;
  return [left < 0 || left > wide ? left : clamp(left, HALF, Math.max(HALF, wide - HALF)), top];
}

/**
 * The names that have room, the largest clusters first; interests have theirs already.
 * @param {import('../map-data.js').Cluster[]} clusters @param {Points} points @param {import('../map-person.js').Interest[]} interests
 */
function labelsOf(clusters, points, interests) {
  /** @type {{name: string, left: number, top: number, half: number}[]} */
  const shown = [];
  const taken = interests.map(({ x, y }) => {
    const [left, top] = points.toPage(x, y);
    return { left, top: top - 22, half: HALF };
  });
  for (const { name: whole, x, y } of clusters) {
    const [left, top] = points.toPage(x, y);
    const name = short(whole);
    const half = name.length * 3.7 + 10;
    const { clientWidth, clientHeight } = points.canvas;
    if (left < half || top < 12 || left > clientWidth - half || top > clientHeight - 60) continue;
    if (![...taken, ...shown].some((one) => Math.abs(one.top - top) < 24 && Math.abs(one.left - left) < one.half + half)) shown.push({ name, left, top, half });
  }
  return shown;
}

/** Of a path its end: "animals/birds" says "birds". @param {string} name */
const short = (name) => name.split('/').at(-1) || name;

/** @param {import('../points.js').Camera} camera @returns {string} for the address */
function writeLook({ x, y, zoom }) {
  const text = [x.toFixed(3), y.toFixed(3), zoom.toPrecision(3)].map(Number).join('~');
  return text === '0~0~1' ? '' : text;
}

/** @param {string} look @returns {import('../points.js').Camera} */
function readLook(look) {
  const [x, y, zoom] = look ? look.split('~').map(Number) : [];
  return Number.isFinite(x) && Number.isFinite(y) && zoom > 0 ? { x, y, zoom } : WHOLE;
}

/** @param {number} value @param {number} least @param {number} most */
const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

/** @param {HTMLElement} element @param {boolean} modality */
function coloursOf(element, modality) {
  const probe = element.parentElement?.appendChild(document.createElement('i'));
  if (!probe) return [];
  const names = modality ? ['--text', '--image', '--audio'] : ['--c0', '--c1', '--c2', '--c3', '--c4', '--c5'];
  const found = [...names, '--edge'].map((name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return found;
}
