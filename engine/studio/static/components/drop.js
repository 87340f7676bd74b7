/** Files that are dropped anywhere on the page, or pasted. */
import { html, useEffect, useState } from '../html.js';
import { Icon } from './icon.js';

/** @param {{onFiles: (files: File[]) => void}} props */
export function Drop({ onFiles }) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const control = new AbortController();
    const how = { signal: control.signal };
    let depth = 0;
    /** @param {DragEvent} event */
    const withFiles = (event) => event.dataTransfer?.types.includes('Files');
    addEventListener('dragenter', (event) => withFiles(event) && setOver(++depth > 0), how);
    addEventListener('dragleave', (event) => withFiles(event) && setOver(--depth > 0), how);
    addEventListener('dragover', (event) => withFiles(event) && event.preventDefault(), how);
    addEventListener('drop', (event) => {
      depth = 0;
      setOver(false);
      if (!withFiles(event)) return;
      event.preventDefault();
      onFiles([...(event.dataTransfer?.files ?? [])]);
    }, how);
    addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      onFiles(files);
    }, how);
    return () => control.abort();
  }, [onFiles]);
  return over && html`<div class="drop"><p><${Icon} name="image" /><${Icon} name="audio" />Drop pictures and sounds to look for what is like them</p></div>`;
}
