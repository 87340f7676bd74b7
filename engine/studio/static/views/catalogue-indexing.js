/** Indexing: the run that goes on or was the last, and the rows that it could not take. */
import { call } from '../api.js';
import { ErrorBox, sentence } from '../components/error-box.js';
import { ago, count } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { params, setParams } from '../router.js';

const PAGE = 50;
const WAIT = 1500;

/** @typedef {{state: string, began: string, ended?: string, phase: string, done: number, failed: number, total: number | null, report?: Record<string, any>}} Run */
/** @typedef {{path: string, total: number, errors: {error: string, count: number}[], rows: Record<string, any>[]}} Letters */

/** @param {{onOpen: (id: string) => void}} props */
export function Indexing({ onOpen }) {
  const [run, setRun] = useState(/** @type {Run | null | undefined} */ (undefined));
  const [letters, setLetters] = useState(/** @type {Letters | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  const kind = params.value.get('error') ?? '';
  const offset = Number(params.value.get('from')) || 0;
  useEffect(() => void call('GET', '/studio/catalogue/indexing').then((found) => setRun(found.run), setError), []);
  useEffect(() => {
    if (run?.state !== 'running') return undefined;
    const timer = setTimeout(() => call('GET', '/studio/catalogue/indexing').then((found) => setRun(found.run), setError), WAIT);
    return () => clearTimeout(timer);
  }, [run]);
  useEffect(() => {
    const control = new AbortController();
    call('GET', '/studio/catalogue/dead-letters', { query: { offset, limit: PAGE, error: kind }, signal: control.signal }).then(setLetters, (problem) => control.signal.aborted || setError(problem));
    return () => control.abort();
  }, [offset, kind, run?.state]);
  if (error) return html`<${ErrorBox} error=${error} />`;
  if (run === undefined || !letters) return html`<div aria-busy="true" />`;
  const matching = kind ? (letters.errors.find((one) => one.error === kind)?.count ?? 0) : letters.total;
  return html`<section class="run"><h2>${title(run)}</h2><${Run} run=${run} /></section>
    <section class="letters"><div class="bar"><h2>${letters.total ? `${count(letters.total, 'dead letter')}` : 'No dead letters'}</h2>
      ${letters.errors.length > 1 && html`<div class="filters" role="group" aria-label="By error">${letters.errors.map(({ error: name, count: rows }) => html`<button key=${name} class="chip" aria-pressed=${name === kind} onClick=${() => setParams({ error: name === kind ? null : name, from: null })}>${name} <small>${rows.toLocaleString('en')}</small></button>`)}</div>`}</div>
    ${letters.total
      ? html`<p class="soft">From <code>${letters.path}</code>. Mend the rows and run the same command again: only what changed is indexed.</p>
        <ul role="list">${letters.rows.map((row, at) => html`<li key=${at}>
          <p><b>${row.id || `line ${row.line}`}</b> ${row.id && html`<span class="soft">line ${row.line}</span>`} <span class="soft">${row.error}${row.modality ? `, ${row.modality}` : ''}</span>
            ${row.indexed && row.id && html` <button class="button bare" onClick=${() => onOpen(row.id)}>indexed without it</button>`}</p>
          <p>${sentence(row.reason)} <span class="soft">${sentence(row.remedy)}</span></p></li>`)}</ul>
        <div class="row-end">${offset > 0 && html`<button class="button" onClick=${() => setParams({ from: offset > PAGE ? String(offset - PAGE) : null })}>Before</button>`}
          ${offset + PAGE < matching && html`<button class="button" onClick=${() => setParams({ from: String(offset + PAGE) })}>Next</button>`}</div>`
      : html`<p class="soft">Rows that cannot be indexed would be listed here, each with its reason and what to do.</p>`}</section>`;
}

/** @param {Run | null} run */
function title(run) {
  if (!run) return 'Indexing';
  const when = ago((Date.now() - Date.parse(run.ended ?? run.began)) / 1000);
  const names = /** @type {Record<string, string>} */ ({ running: 'Indexing goes on', done: `Indexed ${when}`, interrupted: `Interrupted ${when}`, stopped: `Stopped early ${when}`, killed: `Killed; it began ${when}` });
  return names[run.state] ?? run.state;
}

/** @param {{run: Run | null}} props */
function Run({ run }) {
  if (!run) return html`<p class="soft">No run is noted yet: <code>triveni index items.jsonl --root media</code> indexes a catalogue, and how far it is, and how it ended, is shown here.</p>`;
  const { report } = run;
  if (!report) {
    return html`<p class="soft" role="status">${run.phase}: ${count(run.done, 'row')}${run.total ? ` of ${run.total.toLocaleString('en')}` : ''}, ${run.failed.toLocaleString('en')} failed</p>
      <progress class="progress" max=${run.total ?? 1} value=${run.total ? run.done : undefined} aria-label="Rows that are done" />
      ${run.state === 'killed' && html`<p class="soft">Run the same command again: it goes on from there.</p>`}`;
  }
  const facts = Object.entries(report).filter(([name, value]) => typeof value === 'number' && (value || name === 'errors'));
  return html`${report.problem && html`<p>${sentence(report.problem)}</p>`}<dl class="facts wide">${facts.map(([name, value]) => html`<div key=${name}><dt>${name.replaceAll('_', ' ')}</dt><dd>${value.toLocaleString('en')}</dd></div>`)}</dl>`;
}
