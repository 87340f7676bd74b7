/** "Copy this call": what the page has just asked, as one would write it in a program. */
import { about } from '../about.js';
import { curl, grpcurl, python } from '../calls.js';
import { html, useState } from '../html.js';
import { Dialog } from './dialog.js';
import { Icon } from './icon.js';

/** @typedef {{name: string, text: string}[]} Written */

/** @param {{method: import('../calls.js').Method, request?: object, ways?: Written}} props `ways` are those of another call */
export function CopyCall({ method, request, ways }) {
  const [open, setOpen] = useState(false);
  return html`<button class="button bare push" onClick=${() => setOpen(true)} disabled=${!request}><${Icon} name="copy" />Copy this call</button>
    <${Dialog} title="This call" open=${open} onClose=${() => setOpen(false)} kind="wide"><${Ways} method=${method} request=${{ ...request, trace: undefined }} given=${ways} /><//>`;
}

/** @param {{method: import('../calls.js').Method, request: object, given?: Written}} props */
function Ways({ method, request, given }) {
  const [chosen, setChosen] = useState(0);
  const [copied, setCopied] = useState(false);
  const address = about.value?.address ?? '127.0.0.1:50051';
  const ways = given ?? [
    { name: 'Python', text: python(method, request, address) },
    { name: 'curl', text: curl(method, request) },
    { name: 'grpcurl', text: grpcurl(method, request, address) },
  ];
  const copy = async () => {
    await navigator.clipboard?.writeText(ways[chosen].text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return html`<div class="tabs"><div role="tablist" aria-label="Written as"
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = (chosen + step + ways.length) % ways.length;
        setChosen(next);
        /** @type {HTMLElement | undefined} */ (/** @type {Element} */ (event.currentTarget).querySelectorAll('[role=tab]')[next])?.focus();
      }}>
      ${ways.map(({ name }, at) => html`<button role="tab" id=${`way-${at}`} aria-selected=${at === chosen} aria-controls="way" tabindex=${at === chosen ? 0 : -1} onClick=${() => setChosen(at)}>${name}</button>`)}
      </div><button class="button push" onClick=${copy}><${Icon} name=${copied ? 'check' : 'copy'} />${copied ? 'Copied' : 'Copy'}</button>
    </div>
    <pre id="way" role="tabpanel" aria-labelledby=${`way-${chosen}`} tabindex="0"><code>${ways[chosen].text}</code></pre>`;
}
