/** Cards that change their places move there, so that the eye can follow; those that come fade in. */

const MOST = 120;
const HOW = { duration: 260, easing: 'cubic-bezier(.2, .7, .3, 1)' };

/** @typedef {Map<string, [number, number]>} Places of cards within their list, by item */

/** @param {HTMLElement} list @returns {Places} */
export function placesOf(list) {
  const cards = /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll('.card[data-item]'));
  return new Map([...cards].map((card) => [card.dataset.item ?? '', [card.offsetLeft, card.offsetTop]]));
}

/**
 * Let cards go from where they were to where they are.
 * @param {HTMLElement} list
 * @param {Places} before
 * @returns {Places} where they are
 */
export function flip(list, before) {
  const now = placesOf(list);
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (still || !before.size || now.size > MOST) return now;
  for (const card of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll('.card[data-item]'))) {
    const from = before.get(card.dataset.item ?? '');
    const to = now.get(card.dataset.item ?? '');
    if (!from) card.animate([{ opacity: 0 }, { opacity: 1 }], HOW);
    else if (to && (from[0] !== to[0] || from[1] !== to[1])) {
      card.animate([{ transform: `translate(${from[0] - to[0]}px, ${from[1] - to[1]}px)` }, { transform: 'none' }], HOW);
    }
  }
  return now;
}
