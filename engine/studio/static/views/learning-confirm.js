/** Before a version begins to serve: what will happen. */
import { Dialog } from '../components/dialog.js';
import { Icon } from '../components/icon.js';
import { toast, toastError } from '../components/toast.js';
import { html, useState } from '../html.js';
import { learning } from './learning-data.js';

/** @typedef {{does: 'promote', version: string} | {does: 'rollback'}} Step */

const UNTRAINED = 'the untrained engine';

/** @param {{step?: Step, versions: import('../types').Versions, serving: string, onClose: () => void, onDone: () => void}} props */
export function Confirm({ step, versions, serving, onClose, onDone }) {
  const [busy, setBusy] = useState(false);
  const next = step?.does === 'promote' ? step.version : (versions.previous ?? '');
  const verb = step?.does === 'promote' ? 'Promote' : 'Roll back';
  const gate = versions.cards[next]?.gate;
  const doIt = async () => {
    setBusy(true);
    try {
      if (step?.does === 'promote') await learning.promote(step.version);
      else await learning.rollback();
      toast(`${next || UNTRAINED} serves`);
      onClose();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
      onDone();
    }
  };
  return html`<${Dialog} title=${step?.does === 'promote' ? 'Promote this version?' : 'Roll back?'} open=${Boolean(step)} onClose=${onClose}>
    <p><b>${next || UNTRAINED}</b> answers all requests from the next one on, in place of <b>${serving || UNTRAINED}</b>. No request fails; those that run end with what they began with.</p>
    ${step?.does === 'promote' && html`<p>“Roll back” lets ${serving || UNTRAINED} serve again, at once.</p>`}
    ${step?.does === 'rollback' && serving && html`<p>${serving} stays in the registry, and can be promoted again.</p>`}
    ${versions.candidate === next && next && html`<p>Its trial on ${Math.round(100 * versions.share)}% of users ends.</p>`}
    ${step?.does === 'promote' && gate && !gate.promote && html`<p class="warning"><b>The gate said no:</b> ${gate.reason}.</p>`}
    ${step?.does === 'promote' && !gate && html`<p class="warning">The gate was not asked about this version.</p>`}
    <div class="row-end"><button class="button" onClick=${onClose}>Leave it</button>
      <button class="button main" disabled=${busy} onClick=${doIt}><${Icon} name=${step?.does === 'promote' ? 'check' : 'undo'} />${verb}</button></div>
  <//>`;
}
