/** Lines over time or epochs: a small chart with its newest values in words, drawn by uPlot. */
import uPlot from 'uplot';
import { html, useEffect, useLayoutEffect, useRef } from '../html.js';
import { theme } from '../theme.js';

/**
 * @typedef {{name: string, colour?: string, dash?: number[], now?: string, right?: boolean}} Line
 *   `colour` is the name of a token, `dash` lengths of strokes and gaps; `right` has a scale of its own
 * @typedef {(number | null | undefined)[]} Values
 */

const HEIGHT = 96;

/**
 * @param {{title: string, lines: Line[], x: number[], ys: Values[], range?: [number, number], time?: boolean,
 *   said: (value: number) => string, floor?: number}} props
 *   `range` is what the axis of x shows; `said` writes a value; `floor` is what the axis of y reaches at least. Over
 *   `time` it begins at zero, else it fits the values
 */
export function Chart({ title, lines, x, ys, range, time = true, said, floor = 0 }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const shown = useRef({ range, said, floor });
  shown.current = { range, said, floor };
  const data = /** @type {uPlot.AlignedData} */ ([x, ...ys]);
  const shape = JSON.stringify([lines.map(({ name, colour, dash, right }) => [name, colour, dash, right]), time, theme.value]);

  useLayoutEffect(() => {
    const place = /** @type {HTMLDivElement} */ (box.current);
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(place, lines, time, shown), data, place);
    };
    make();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: place.clientWidth, height: HEIGHT }));
    resized.observe(place);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', make);
    return () => {
      resized.disconnect();
      dark.removeEventListener('change', make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [data]);

  const words = lines.map(({ name, now }) => (now ? `${name} ${now}` : name)).join(', ');
  return html`<figure class="chart">
    <figcaption><b>${title}</b>${lines.map(
      ({ name, colour = 'ink', dash, now }) => html`<span key=${name}><i class=${`line ${dash ? 'dashed' : ''}`} style=${{ color: `var(--${colour})` }} />${name}${now ? html` <b>${now}</b>` : ''}</span>`,
    )}</figcaption>
    <div class="plot" ref=${box} role="img" aria-label=${`${title}: ${words}`} />
  </figure>`;
}

/** A token as a colour that a canvas takes. @param {Element} place @param {string} token */
function colourOf(place, token) {
  const probe = document.createElement('i');
  probe.style.color = `var(--${token})`;
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/**
 * @param {HTMLDivElement} place
 * @param {Line[]} lines
 * @param {boolean} time
 * @param {{current: {range?: [number, number], said: (value: number) => string, floor: number}}} shown
 * @returns {uPlot.Options}
 */
function options(place, lines, time, shown) {
  const axis = { stroke: colourOf(place, 'soft'), font: '11px system-ui, sans-serif', ticks: { show: false } };
  const grid = { stroke: colourOf(place, 'line'), width: 1 };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [6, 14, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time, range: (_, least, most) => shown.current.range ?? [least, most] },
      y: { range: (_, least, most) => (time ? [0, Math.max(most ?? 0, shown.current.floor) * 1.1 || 1] : fitted(least, most, 0.4, 0.1)) },
      right: { range: (_, least, most) => fitted(least, most, 0.1, 0.4) },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 22, gap: 4, space: 56, values: time ? clock : (_, ticks) => ticks.map((one) => (Number.isInteger(one) ? String(one) : '')) },
      { ...axis, grid, size: 46, gap: 4, space: 28, values: (_, ticks) => ticks.map((one) => shown.current.said(one)) },
      ...(lines.some(({ right }) => right) ? [{ ...axis, side: /** @type {const} */ (1), scale: 'right', grid: { show: false }, size: 42, gap: 4, space: 28 }] : []),
    ],
    series: [
      {},
      ...lines.map(({ name, colour = 'ink', dash, right }) => ({
        label: name,
        scale: right ? 'right' : 'y',
        stroke: colourOf(place, colour),
        width: 1.5,
        dash,
        points: { show: !time, size: 5, fill: colourOf(place, colour) },
      })),
    ],
  };
}

/** A range about values, with so much room below and above. @param {number | null} least @param {number | null} most @param {number} below @param {number} above @returns {[number, number]} */
function fitted(least, most, below, above) {
  if (least === null || most === null) return [0, 1];
  const span = most - least || Math.abs(most) / 2 || 1;
  return [least - below * span, most + above * span];
}

/** Times of the day, to the minute. @type {uPlot.Axis.DynamicValues} */
const clock = (_, ticks) =>
  ticks.map((one) => new Date(one * 1000).toLocaleTimeString('en-GB', one % 60 ? { hour: '2-digit', minute: '2-digit', second: '2-digit' } : { hour: '2-digit', minute: '2-digit' }));
