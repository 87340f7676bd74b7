/** Where one says what is looked for: words, a picture, a sound. The key "/" comes here. */
import { html, useEffect, useRef, useState } from '../html.js';
import { onKey } from '../keys.js';
import { Drop } from './drop.js';
import { Icon } from './icon.js';
import { Recorder } from './recorder.js';
import { toastError } from './toast.js';
import { takeIn } from '../uploads.js';

const PICTURES = 'image/*,.svg,.svgz';
const SOUNDS = 'audio/*,.wav,.flac,.ogg,.oga,.opus,.mp3,.m4a,.webm';

/**
 * @param {{label: string, placeholder: string, value: string, go?: string, onInput?: (text: string) => void, onEnter: (text: string) => void,
 *   onUpload: (upload: import('../uploads.js').Upload) => void, onPaste?: (text: string) => boolean, clears?: boolean}} props
 *   `onPaste` may take a pasted text over, and says whether it did; with `clears` the field is empty after Enter
 */
export function SearchField({ label, placeholder, value, go = 'Find', onInput, onEnter, onUpload, onPaste, clears = false }) {
  const [text, setText] = useState(value);
  const [recording, setRecording] = useState(false);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const files = useRef(/** @type {HTMLInputElement | null} */ (null));
  const wait = useRef(0);
  useEffect(() => onKey('/', () => field.current?.select()), []);
  useEffect(() => {
    if (document.activeElement !== field.current || value !== text.trim()) setText(value);
  }, [value]);

  /** @param {(Blob | File)[]} chosen @param {string} [name] */
  const take = async (chosen, name) => {
    for (const file of chosen) await takeIn(file, name).then(onUpload, toastError);
  };
  /** @param {string} accept */
  const choose = (accept) => {
    const input = /** @type {HTMLInputElement} */ (files.current);
    input.accept = accept;
    input.value = '';
    input.click();
  };
  /** @param {string} next */
  const type = (next) => {
    setText(next);
    clearTimeout(wait.current);
    if (onInput) wait.current = setTimeout(() => onInput(next.trim()), 160);
  };
  return html`<form class="ask" role="search" onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      clearTimeout(wait.current);
      onEnter(text.trim());
      if (clears) setText('');
    }}>
    <input ref=${field} type="text" aria-label=${label} placeholder=${placeholder} value=${text} autocomplete="off" enterkeyhint="search" spellcheck="false"
      onInput=${(/** @type {any} */ event) => type(event.target.value)}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === 'ArrowDown' && /** @type {HTMLElement | null} */ (document.querySelector('main .card .title'))?.focus()}
      onPaste=${(/** @type {ClipboardEvent} */ event) => {
        if (!event.clipboardData?.files.length && onPaste?.(event.clipboardData?.getData('text').trim() ?? '')) event.preventDefault();
      }} />
    ${text ? html`<button type="button" class="button bare clear" aria-label="Clear" onClick=${() => (type(''), onInput?.(''), field.current?.focus())}><${Icon} name="close" /></button>` : html`<kbd aria-hidden="true">/</kbd>`}
    <button type="button" class="button bare hue-image hued" onClick=${() => choose(PICTURES)}><${Icon} name="image" /><span>Picture</span></button>
    <button type="button" class="button bare hue-audio hued" onClick=${() => choose(SOUNDS)}><${Icon} name="audio" /><span>Sound</span></button>
    <button type="button" class="button bare hue-audio hued" aria-label="Record a sound" title="Record a sound" aria-pressed=${recording} onClick=${() => setRecording(!recording)}><${Icon} name="mic" /></button>
    <button class="button main">${go}</button>
    <input ref=${files} type="file" multiple hidden onChange=${(/** @type {any} */ event) => take([...event.target.files])} />
    ${recording && html`<${Recorder} onFile=${(/** @type {Blob} */ blob, /** @type {string} */ name) => take([blob], name)} onEnd=${() => setRecording(false)} />`}
    <${Drop} onFiles=${take} />
  </form>`;
}
