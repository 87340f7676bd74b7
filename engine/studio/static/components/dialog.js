/** A dialog over the page; Escape, its cross and a click beside it close it. */
import { html, useEffect, useRef } from '../html.js';
import { Icon } from './icon.js';

/** @param {{title: string, open: boolean, onClose: () => void, children?: any, kind?: string}} props */
export function Dialog({ title, open, onClose, children, kind = '' }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    if (open && !box.current?.open) box.current?.showModal();
    if (!open && box.current?.open) box.current.close();
  }, [open]);
  return html`<dialog ref=${box} class=${`dialog ${kind}`} aria-label=${title} onClose=${onClose}
      onClick=${(/** @type {MouseEvent} */ event) => event.target === box.current && onClose()}>
    ${open && html`<div class="inside"><header><h2>${title}</h2>
      <button class="round" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button></header>
      ${children}</div>`}
  </dialog>`;
}
