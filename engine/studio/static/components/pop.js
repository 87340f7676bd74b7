/** A small panel under a button; Escape and a click elsewhere close it. */
import { html, useEffect, useRef } from '../html.js';

/** @param {{label: any, title?: string, kind?: string, children?: any}} props `label` is what the button shows */
export function Pop({ label, title, kind = '', children }) {
  const box = useRef(/** @type {HTMLDetailsElement | null} */ (null));
  useEffect(() => {
    const control = new AbortController();
    const how = { signal: control.signal };
    addEventListener('pointerdown', (event) => {
      if (box.current?.open && !box.current.contains(/** @type {Node} */ (event.target))) box.current.open = false;
    }, how);
    box.current?.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !box.current?.open) return;
      event.stopPropagation();
      box.current.open = false;
      box.current.querySelector('summary')?.focus();
    }, how);
    return () => control.abort();
  }, []);
  return html`<details ref=${box} class=${`pop ${kind}`}><summary title=${title}>${label}</summary><div class="panel">${children}</div></details>`;
}
