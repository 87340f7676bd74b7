/** Live: what happens in the server, second by second, over the last minutes. */
import { EmptyState } from '../components/empty-state.js';
import { Frame } from '../components/frame.js';
import { Icon } from '../components/icon.js';
import { html, useEffect, useState } from '../html.js';
import { params, setParams } from '../router.js';
import { Chart } from './chart.js';
import { KEPT, listen, namesIn, points, state } from './live-points.js';

/** @typedef {import('../types').Point} Point */

const SPANS = [1, 5, 15];
const STYLES = [{ colour: 'ink' }, { colour: 'soft', dash: [6, 3] }, { colour: 'edge', dash: [2, 2] }, { colour: 'edge' }, { colour: 'edge', dash: [6, 3] }];
const HUES = /** @type {Record<string, string>} */ ({ text: 'text', image: 'image', audio: 'audio' });

export default function Live() {
  useEffect(listen, []);
  const [held, setHeld] = useState(/** @type {Point[] | undefined} */ (undefined));
  const minutes = SPANS.find((one) => String(one) === params.value.get('span')) ?? 15;
  const every = held ?? points.value ?? [];
  const last = every.at(-1);
  const all = every.filter(({ time }) => time > (last?.time ?? 0) - 60 * minutes);
  const x = all.map(({ time }) => time);
  const range = /** @type {[number, number]} */ ([(last?.time ?? Date.now() / 1000) - 60 * minutes, last?.time ?? Date.now() / 1000]);
  const common = { x, range };

  const head = html`<div class="bar flat"><h1>Live</h1>
    <span class="soft" role="status">${held ? 'held still' : { waiting: 'connecting…', open: 'each second', lost: 'the server does not answer; trying again' }[state.value]}</span>
    <div class="choices push" role="group" aria-label="Minutes that are shown">${SPANS.map(
      (one) => html`<button key=${one} class="chip" aria-pressed=${one === minutes} onClick=${() => setParams({ span: one === 15 ? null : String(one) }, { replace: true })}>${one} min</button>`,
    )}</div>
    <button class="button" aria-pressed=${Boolean(held)} onClick=${() => setHeld(held ? undefined : every)}><${Icon} name=${held ? 'play' : 'pause'} />${held ? 'Go on' : 'Hold'}</button>
  </div>
  <${Figures} last=${last} all=${all} />`;

  return html`<${Frame} title="Live" media=${false} head=${head} foot=${html`<span>version ${last?.versions.serving ?? '…'}</span>${last?.versions.candidate && html`<span>on trial ${last.versions.candidate}</span>`}`}>
    ${points.value && !namesIn(every, 'calls').length && html`<${EmptyState} title=${`No calls in the last ${Math.max(1, Math.round(every.length / 60))} of ${KEPT / 60} minutes`}>
      <p><a href="/">Search for something</a>, and it shows here within a second.</p><//>`}
    <${Methods} all=${all} common=${common} />
    ${points.value && html`<section class="parts" aria-label="Inside">
      <h2>Inside</h2>
      <div class="multiples">
        <${Stages} all=${all} />
        <${Several} title="Lists by tier, per second" all=${all} of="tiers" common=${common} said=${rate} floor=${1} />
        <${Several} title="Waiting or worked on" all=${all} of="queues" common=${common} said=${whole} floor=${4} />
        <${Several} title="Done together" all=${all} of="batches" common=${common} said=${rate} floor=${2} gap />
        <${Several} title="Events per second" all=${all} of="events" common=${common} said=${rate} floor=${1} />
        <${Chart} ...${common} title="Memory of the process" said=${bytes} lines=${[{ name: 'resident', now: last?.memory ? bytes(last.memory) : '' }]} ys=${[all.map(({ memory }) => memory)]} />
      </div>
    </section>`}
  <//>`;
}

/** @param {{last?: Point, all: Point[]}} props */
function Figures({ last, all }) {
  const recent = all.slice(-10);
  const each = recent.map(({ calls }) => sum(Object.values(calls).flatMap((codes) => Object.values(codes))));
  const bad = recent.map(({ calls }) => sum(Object.values(calls).flatMap((codes) => Object.entries(codes).map(([code, value]) => (code === 'OK' ? 0 : value)))));
  const rows = [
    ['calls per second', rate(mean(each))],
    ['of them failed', rate(mean(bad))],
    ['items', last?.items?.toLocaleString('en') ?? '…'],
    ['waiting or worked on', whole(sum(Object.values(last?.queues ?? {})))],
    ['served lists dropped', whole(last?.dropped ?? 0)],
    ['memory', last?.memory ? bytes(last.memory) : '…'],
  ];
  return html`<dl class="figures">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Rates and latencies, two charts for each method. @param {{all: Point[], common: {x: number[], range: [number, number]}}} props */
function Methods({ all, common }) {
  const methods = namesIn(all, 'calls').sort(byUse);
  return html`<div class="methods">${methods.map((method) => {
    const [service, name] = method.split('/');
    const failed = [...new Set(all.flatMap(({ calls }) => Object.keys(calls[method] ?? {})))].filter((code) => code !== 'OK').sort();
    const counts = (/** @type {string} */ code) => all.map(({ calls }) => calls[method]?.[code] ?? 0);
    const now = (/** @type {number[]} */ values) => rate(mean(values.slice(-10)));
    const rates = ['OK', ...failed].map((code, at) => ({ line: { name: code === 'OK' ? 'OK' : code.toLowerCase().replaceAll('_', ' '), ...(code === 'OK' ? {} : { colour: 'no', dash: STYLES[at % 3].dash }) }, values: counts(code) }));
    const took = [0, 1, 2].map((at) => all.map(({ latency }) => latency[method] ? 1000 * latency[method][at] : null));
    const lines = ['p50', 'p95', 'p99'].map((label, at) => ({ name: label, ...STYLES[at], now: spoken(took[at]) }));
    return html`<section class="parts" key=${method} aria-label=${method}>
      <h2>${name} <small class="soft">${service}</small></h2>
      <div class="multiples two">
        <${Chart} ...${common} title="Calls per second" said=${rate} floor=${1} lines=${rates.map(({ line, values }) => ({ ...line, now: now(values) }))} ys=${rates.map(({ values }) => values)} />
        <${Chart} ...${common} title="Milliseconds" said=${rate} lines=${lines} ys=${took} />
      </div>
    </section>`;
  })}</div>`;
}

/** What is asked for most usually first; the order never changes by itself. @param {string} a @param {string} b */
const byUse = (a, b) => Number(b.startsWith('Recommendation')) - Number(a.startsWith('Recommendation')) || a.localeCompare(b);

/** @param {{title: string, all: Point[], of: 'tiers' | 'queues' | 'batches' | 'events', common: object, said: (value: number) => string, floor: number, gap?: boolean}} props */
function Several({ title, all, of, common, said, floor, gap = false }) {
  const names = namesIn(all, of);
  const ys = names.map((name) => all.map((point) => point[of][name] ?? (gap ? null : 0)));
  let grey = 0;
  const lines = names.map((name, at) => ({ name, ...(HUES[name] ? { colour: HUES[name] } : STYLES[grey++ % STYLES.length]), now: spoken(ys[at], said) }));
  return html`<${Chart} ...${common} title=${title} said=${said} floor=${floor} lines=${lines} ys=${ys} />`;
}

/** Where the time of a query goes, as bars. @param {{all: Point[]}} props */
function Stages({ all }) {
  const newest = all.findLast(({ stages }) => Object.keys(stages).length)?.stages ?? {};
  const { total = 0, ...rest } = newest;
  const rows = Object.entries(rest).sort((a, b) => b[1] - a[1]).slice(0, 8);
  return html`<figure class="chart"><figcaption><b>Stages of a query</b><span>${total ? html`in all <b>${rate(1000 * total)} ms</b>` : 'none yet'}</span></figcaption>
    <ul class="stages" aria-label="Stages of a query, milliseconds">${rows.map(
      ([name, value]) => html`<li key=${name}><span class="cut">${name}</span><span class="meter hue-none"><i style=${{ width: `${(100 * value) / Math.max(total, value, 1e-9)}%` }} /></span><span class="num">${rate(1000 * value)}</span></li>`,
    )}</ul></figure>`;
}

/** @param {(number | null | undefined)[]} values @param {(value: number) => string} [said] */
const spoken = (values, said = rate) => {
  const found = values.findLast((one) => one !== null && one !== undefined);
  return found === undefined || found === null ? '–' : said(found);
};
/** @param {number[]} values */
const sum = (values) => values.reduce((total, one) => total + one, 0);
/** @param {number[]} values */
const mean = (values) => (values.length ? sum(values) / values.length : 0);
/** @param {number} value */
const rate = (value) => (value >= 99.5 ? Math.round(value).toLocaleString('en') : value >= 9.95 ? value.toFixed(0) : String(Number(value.toFixed(1))));
/** @param {number} value */
const whole = (value) => (Number.isInteger(value) ? value.toLocaleString('en') : '');
/** @param {number} value */
const bytes = (value) => (value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.round(value / 1e6).toLocaleString('en')} MB`);
