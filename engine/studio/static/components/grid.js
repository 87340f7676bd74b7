/** Results side by side. One card at a time takes the focus; arrows walk from one to the next. */
import { html, useLayoutEffect, useRef, useState } from '../html.js';
import { Card, CardToCome } from './card.js';
import { flip } from './flip.js';

/**
 * @param {{results?: import('../types').Result[], loading?: boolean, toCome?: number, label: string, kind?: string,
 *   actions?: import('./card.js').Action[], onOpen?: (item: import('../types').Result) => void, openId?: string | null,
 *   about?: (item: import('../types').Result) => {badge?: string, note?: string, marked?: boolean}}} props
 *   results that are undefined are on their way; `about` says what is special of a card
 */
export function Grid({ results, loading, toCome = 24, label, kind = '', actions = [], onOpen, openId, about }) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const [active, setActive] = useState(0);
  const had = useRef(-1);
  const places = useRef(/** @type {import('./flip.js').Places} */ (new Map()));
  const ids = (results ?? []).map((one) => one.item_id).join('\n');

  // A card that leaves takes the focus with it: the one in its place gets it.
  useLayoutEffect(() => {
    if (had.current >= 0 && !list.current?.contains(document.activeElement)) focus(had.current);
    if (list.current) places.current = flip(list.current, places.current);
  }, [ids]);

  /** @returns {HTMLElement[]} */
  const titles = () => [...(list.current?.querySelectorAll('.title') ?? [])].map((one) => /** @type {HTMLElement} */ (one));

  /** @param {number} at */
  function focus(at) {
    const all = titles();
    const to = Math.max(0, Math.min(all.length - 1, at));
    if (!all[to]) return;
    setActive(to);
    all[to].focus();
    all[to].closest('.card')?.scrollIntoView({ block: 'nearest' });
  }

  /** @param {KeyboardEvent} event */
  function onKeyDown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const card = /** @type {Element} */ (event.target).closest('.card');
    const all = titles();
    const at = all.findIndex((one) => one.closest('.card') === card);
    if (!card || at < 0) return;
    const wide = columns(all);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide, Home: -at, End: all.length - 1 - at }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      if (all[at + step]) focus(at + step);
      return;
    }
    const action = actions.find((one) => one.key === event.key);
    const result = results?.[at];
    if (action && result) action.run(result);
    else if (event.key === 'p') /** @type {HTMLElement | null} */ (card.querySelector('[data-play]'))?.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return html`<ul ref=${list} role="list" class=${`grid ${kind} ${loading && results ? 'waiting' : ''}`} aria-label=${label} aria-busy=${Boolean(loading)}
      onKeyDown=${onKeyDown}
      onFocusIn=${(/** @type {Event} */ event) => {
        const card = /** @type {Element} */ (event.target).closest('.card');
        had.current = titles().findIndex((one) => one.closest('.card') === card);
        if (had.current >= 0) setActive(had.current);
      }}
      onFocusOut=${(/** @type {FocusEvent} */ event) => {
        if (event.relatedTarget) had.current = -1;
      }}>
    ${!results
      ? Array.from({ length: toCome }, (_, at) => html`<${CardToCome} key=${at} />`)
      : results.map(
          (one, at) => html`<${Card} key=${one.item_id} result=${one} actions=${actions} onOpen=${onOpen} open=${one.item_id === openId}
            focusable=${at === Math.min(active, results.length - 1)} ...${about?.(one) ?? {}} />`,
        )}
  </ul>`;
}

/** How many cards lie side by side: by where they belong, not where they are while they move. @param {HTMLElement[]} all */
function columns(all) {
  const tops = all.map((one) => /** @type {HTMLElement | null} */ (one.closest('.card'))?.offsetTop);
  const first = tops.findIndex((top) => top !== tops[0]);
  return first < 0 ? all.length : first;
}
