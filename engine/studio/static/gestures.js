/** What fingers, a mouse and its wheel do on a map. */

/**
 * @param {HTMLElement} element
 * @param {{lassoing: () => boolean, pan: (dx: number, dy: number) => void, zoom: (times: number, left: number, top: number) => void,
 *   hover: (left: number, top: number) => void, click: (left: number, top: number) => void,
 *   lasso: (left: number, top: number) => void, lassoed: () => void}} does all in pixels of the element
 * @returns {() => void} stops
 */
export function gestures(element, does) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let moved = 0;
  let lasso = false;
  const control = new AbortController();
  const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ handler) => element.addEventListener(name, handler, { signal: control.signal, passive: false });
  const place = (/** @type {PointerEvent} */ event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const apart = () => {
    const [a, b] = [...down.values()];
    return { far: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };

  on('pointerdown', (event) => {
    if (event.button) return;
    const here = place(event);
    down.set(event.pointerId, here);
    element.setPointerCapture(event.pointerId);
    moved = down.size > 1 ? 99 : 0;
    lasso = down.size === 1 && (does.lassoing() || event.shiftKey);
    if (lasso) does.lasso(here.x, here.y);
  });
  on('pointermove', (event) => {
    const here = place(event);
    const was = down.get(event.pointerId);
    if (!was) {
      if (event.pointerType === 'mouse') does.hover(here.x, here.y);
      return;
    }
    moved += Math.hypot(here.x - was.x, here.y - was.y);
    const before = down.size === 2 ? apart() : undefined;
    down.set(event.pointerId, here);
    if (before) {
      const after = apart();
      does.pan(after.x - before.x, after.y - before.y);
      if (before.far > 0) does.zoom(after.far / before.far, after.x, after.y);
    } else if (lasso) does.lasso(here.x, here.y);
    else does.pan(here.x - was.x, here.y - was.y);
  });
  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId)) return;
    const { x, y } = place(event);
    if (lasso && !down.size) does.lassoed();
    else if (moved < 5 && event.type === 'pointerup') does.click(x, y);
    if (!down.size) lasso = false;
  };
  on('pointerup', up);
  on('pointercancel', up);
  on('pointerleave', () => down.size || does.hover(-1, -1));
  on('wheel', (event) => {
    event.preventDefault();
    const { x, y } = place(event);
    does.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), x, y);
  });
  return () => control.abort();
}
