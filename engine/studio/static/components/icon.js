/** Icons: strokes on a 20 × 20 field, in the colour of the text around them. */
import { html } from '../html.js';

/** @type {Record<string, string>} */
const PATHS = {
  search: 'M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM13 13l5 5',
  person: 'M10 3a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM3 18c1-5 13-5 14 0',
  map: 'M5 4.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM12 2.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM15 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM7 13.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM10 8.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3Z',
  catalogue: 'M3 3h6v6H3zM11 3h6v6h-6zM3 11h6v6H3zM11 11h6v6h-6z',
  learning: 'M2 16 8 9l4 4 6-9',
  live: 'M1 11h4l2-7 4 13 2-8 1 2h5',
  text: 'M4 5V3.5h12V5M10 3.5V16.5M7.5 16.5h5',
  image: 'M3 4h14v12H3zM3 13l4-4 4 4 2-2 4 4M13 7.5v.01',
  audio: 'M8 14.5a2.5 2.5 0 1 1-2.5-2.5H8V4l8-1.5v10.5a2.5 2.5 0 1 1-2.5-2.5H16',
  mic: 'M10 2.5a2.5 2.5 0 0 1 2.5 2.5v4a2.5 2.5 0 0 1-5 0V5A2.5 2.5 0 0 1 10 2.5ZM5 9a5 5 0 0 0 10 0M10 14v3.5',
  more: 'M10 16.5S3 12.5 3 7.8A3.7 3.7 0 0 1 10 6a3.7 3.7 0 0 1 7 1.8c0 4.7-7 8.7-7 8.7Z',
  less: 'M4 10h12',
  plus: 'M10 4v12M4 10h12',
  close: 'M5 5l10 10M15 5 5 15',
  play: 'M6 3.5v13l10.5-6.5z',
  pause: 'M7 4v12M13 4v12',
  stop: 'M5 5h10v10H5z',
  copy: 'M7 7h9v10H7zM4 13V3h9',
  check: 'M4 10.5 8.5 15 16 5.5',
  filter: 'M3 5h14M6 10h8M8.5 15h3',
  down: 'M5 8l5 5 5-5',
  right: 'M8 5l5 5-5 5',
  sun: 'M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6 16 16M16 4l-1.4 1.4M5.4 14.6 4 16',
  moon: 'M16.5 12A7 7 0 0 1 8 3.5a7 7 0 1 0 8.5 8.5Z',
  half: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM10 3v14M10 5.5h4.8M10 8.5h6.7M10 11.5h6.7M10 14.5h4.8',
  keys: 'M2.5 5h15v10h-15zM5.5 8v.01M8.5 8v.01M11.5 8v.01M14.5 8v.01M6.5 12h7',
  eye: 'M2 10c3-6.5 13-6.5 16 0-3 6.5-13 6.5-16 0ZM10 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z',
  click: 'M7 7l10 4-4.5 1.8L10.5 17zM3.5 7H2M7 3.5V2M4.5 4.5l-1-1',
  bag: 'M4 7h12l-1 10H5zM7 7a3 3 0 0 1 6 0',
  star: 'M10 2.5l2.3 4.8 5.2.700-3.8 3.6.900 5.2L10 14.3l-4.6 2.5.900-5.2L2.5 8l5.2-.7z',
  skip: 'M4 4v12l7-6zM15 4v12',
  leave: 'M8 3H4v14h4M12 6l4 4-4 4M7 10h9',
  undo: 'M4 8h8a4.5 4.5 0 0 1 0 9H8M7.5 4.5 4 8l3.5 3.5',
  sides: 'M3 3.5h14v13H3zM10 3.5v13',
  trash: 'M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.5 6',
};

/** @param {{name: string, label?: string}} props a label makes it say something, where nothing beside it does */
export function Icon({ name, label }) {
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden=${label ? undefined : 'true'} role=${label ? 'img' : undefined} aria-label=${label}>
    <path d=${PATHS[name] ?? PATHS.text} /></svg>`;
}

/** Where three rivers meet. */
export function Mark() {
  return html`<svg viewBox="0 0 28 28" aria-hidden="true">
    <path d="M5 3c0 9 9 8 9 22" stroke="var(--text)" /><path d="M14 3v22" stroke="var(--image)" />
    <path d="M23 3c0 9-9 8-9 22" stroke="var(--audio)" /></svg>`;
}
