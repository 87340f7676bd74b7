/** Catalogue: its items one by one, what may be copies of each other, and what indexing left out. */
import { about } from '../about.js';
import { call } from '../api.js';
import { CopyCall } from '../components/copy-call.js';
import { Details } from '../components/details.js';
import { EmptyState } from '../components/empty-state.js';
import { ErrorBox } from '../components/error-box.js';
import { FilterChips } from '../components/filter-chips.js';
import { Frame } from '../components/frame.js';
import { Grid } from '../components/grid.js';
import { Icon } from '../components/icon.js';
import { say } from '../components/said.js';
import { filterOf, filtersReady, readFilters, writeFilters } from '../filters.js';
import { count } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { asResult, meet } from '../items.js';
import { listWays } from '../list-call.js';
import { filterText } from '../python-call.js';
import { params, setParams } from '../router.js';
import { Copies } from './catalogue-copies.js';
import { Indexing } from './catalogue-indexing.js';
import { Vectors } from './catalogue-vectors.js';

const PAGE = 60;
const TABS = /** @type {const} */ ([['', 'Items'], ['copies', 'Look-alikes'], ['indexing', 'Indexing']]);

/** @typedef {import('../types').Result} Result */

export default function Catalogue() {
  const at = params.value;
  const tab = at.get('tab') ?? '';
  const openId = at.get('open');
  const chosen = readFilters(at.getAll('f'));
  const close = () => setParams({ open: null });
  const open = (/** @type {string} */ id) => setParams({ open: id === openId ? null : id });
  const filter = filterOf(chosen);
  const address = about.value?.address ?? '127.0.0.1:50051';

  const head = html`<h1 class="unseen">The catalogue</h1>
    <div class="catalogue-bar">
      <nav class="tabs" aria-label="Of the catalogue">${TABS.map(([name, title]) => html`<button key=${name} class="tab" aria-pressed=${tab === name} onClick=${() => setParams({ tab: name, open: null })}>${title}</button>`)}</nav>
      <form class="lookup" role="search" onSubmit=${(/** @type {any} */ event) => {
        event.preventDefault();
        const id = event.target.elements.id.value.trim();
        if (id) setParams({ open: id });
      }}><label class="unseen" for="lookup">An item's id</label><input id="lookup" name="id" class="field" placeholder="Look an item up by its id" autocomplete="off" spellcheck="false" />
        <button class="button">Look up</button></form>
    </div>`;
  const side = openId && html`<${Details} key=${openId} id=${openId} onClose=${close} nameOfReason=${() => undefined}>
      <a class="button" href=${`/?p=${encodeURIComponent(`1,item,${openId}`)}`}><${Icon} name="search" />More like this</a>
      <a class="button" href=${`/person?e=${encodeURIComponent(`like,0,item,${openId}`)}`}><${Icon} name="person" />A person who likes it</a>
      <${Vectors} id=${openId} onOpen=${open} />
    <//>`;
  const foot = html`<${CopyCall} method="Search" request=${{}} ways=${listWays(filter, address, filterText)} />`;
  return html`<${Frame} title="Catalogue" head=${head} side=${side} sideTitle="Details" onSideClose=${close} foot=${foot}>
    ${tab === 'copies'
      ? html`<${Copies} onOpen=${open} />`
      : tab === 'indexing'
        ? html`<${Indexing} onOpen=${open} />`
        : html`<${Items} key=${at.getAll('f').join('\n')} chosen=${chosen} filter=${filter} openId=${openId} onOpen=${open} />`}
  <//>`;
}

/** @param {{chosen: import('../filters.js').Chosen, filter?: object, openId: string | null, onOpen: (id: string) => void}} props */
function Items({ chosen, filter, openId, onOpen }) {
  const [items, setItems] = useState(/** @type {Result[] | undefined} */ (undefined));
  const [next, setNext] = useState('');
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState(/** @type {unknown} */ (undefined));
  const ready = filtersReady(chosen);
  /** @param {string} token */
  const more = (token) => {
    setLoading(true);
    return call('GET', '/v1/items', { query: { page_size: PAGE, page_token: token, filter: filter && JSON.stringify(filter) } }).then(
      (page) => {
        const found = page.items.map(asResult);
        meet(found);
        setItems((before) => [...(token ? (before ?? []) : []), ...found]);
        setNext(page.next_page_token);
        setError(undefined);
        say(`${count(found.length, 'item')}${token ? ' more' : ''}`);
      },
      setError,
    ).finally(() => setLoading(false));
  };
  useEffect(() => void (ready && more('')), [ready]);
  return html`<div class="bar"><h2>${items ? (next ? `The first ${count(items.length, 'item')}` : count(items.length, 'item')) : ''}</h2>
      <${FilterChips} chosen=${chosen} onChange=${(/** @type {import('../filters.js').Chosen} */ now) => setParams({ f: writeFilters(now), open: null })} /></div>
    ${error
      ? html`<${ErrorBox} error=${error} again=${() => more('')} />`
      : items && !items.length
        ? html`<${EmptyState} title=${chosen.size ? 'Nothing passes' : 'The catalogue is empty'}>${chosen.size
            ? html`<p>No item has all of these filters.</p><button class="button" onClick=${() => setParams({ f: null })}>Take the filters away</button>`
            : html`<p>Index one: <code>triveni index items.jsonl --root media</code>, then serve it again.</p>`}<//>`
        : html`<${Grid} label="Items" results=${items} loading=${loading} openId=${openId} onOpen=${(/** @type {Result} */ { item_id }) => onOpen(item_id)} />`}
    ${items && next && html`<div class="row-end centre"><button class="button" disabled=${loading} onClick=${() => more(next)}>Show more</button></div>`}`;
}
