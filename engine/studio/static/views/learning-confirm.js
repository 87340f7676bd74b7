/** Before a version begins to serve, or is tried: what will happen. */
import { Dialog } from '../components/dialog.js';
import { Icon } from '../components/icon.js';
import { toast, toastError } from '../components/toast.js';
import { percent } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { learning } from './learning-data.js';

/** @typedef {{does: 'promote' | 'try', version: string} | {does: 'rollback' | 'end'}} Step */
/** @typedef {{title: string, verb: string, icon: string, done: string, run: () => Promise<unknown>, says: any}} Asked */

const UNTRAINED = 'the untrained engine';

/** @param {{step?: Step, versions: import('../types').Versions, serving: string, onClose: () => void, onDone: () => void}} props */
export function Confirm({ step, versions, serving, onClose, onDone }) {
  const [busy, setBusy] = useState(false);
  const [share, setShare] = useState(versions.candidate_share);
  useEffect(() => setShare(versions.candidate_share), [step]);
  const asked = step && askedOf(step, versions, serving || UNTRAINED, share, setShare);
  const doIt = async () => {
    setBusy(true);
    try {
      await asked?.run();
      toast(asked?.done ?? '');
      onClose();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
      onDone();
    }
  };
  return html`<${Dialog} title=${asked?.title ?? ''} open=${Boolean(step)} onClose=${onClose}>${asked?.says}
    <div class="row-end"><button class="button" onClick=${onClose}>Leave it</button>
      <button class="button main" disabled=${busy} onClick=${doIt}><${Icon} name=${asked?.icon} />${asked?.verb}</button></div>
  <//>`;
}

/**
 * @param {Step} step @param {import('../types').Versions} versions @param {string} serves @param {number} share of users
 * @param {(share: number) => void} setShare
 * @returns {Asked}
 */
function askedOf(step, versions, serves, share, setShare) {
  const { candidate } = versions;
  if (step.does === 'try') {
    const { version } = step;
    return { title: 'Try this version?', verb: 'Try', icon: 'half', done: `${percent(share)} of users get ${version}`, run: () => learning.tryOut(version, share),
      says: html`<label class="stacked">Share of users <span class="slide"><input type="range" min="0.01" max="1" step="0.01" value=${share} aria-valuetext=${percent(share)}
          onInput=${(/** @type {any} */ event) => setShare(Number(event.target.value))} /><output>${percent(share)}</output></span></label>
        <p>From the next request on <b>${version}</b> answers ${percent(share)} of users, chosen by their ids, and <b>${serves}</b> the others; each user always gets the same. What follows their lists is compared here.</p>
        ${candidate && candidate !== version && html`<p>The trial of ${candidate} ends.</p>`}<${Gate} gate=${versions.cards[version]?.gate} />` };
  }
  if (step.does === 'end') {
    return { title: 'End the trial?', verb: 'End', icon: 'stop', done: `all users get ${serves}`, run: learning.endTrial,
      says: html`<p>All users get <b>${serves}</b> from the next request on. ${candidate} stays in the registry, and what followed its lists stays recorded.</p>` };
  }
  const promotes = step.does === 'promote';
  const next = promotes ? step.version : (versions.previous ?? '');
  const run = () => (promotes ? learning.promote(next) : learning.rollback());
  return { title: promotes ? 'Promote this version?' : 'Roll back?', verb: promotes ? 'Promote' : 'Roll back', icon: promotes ? 'check' : 'undo', done: `${next || UNTRAINED} serves`, run,
    says: html`<p><b>${next || UNTRAINED}</b> answers all requests from the next one on, in place of <b>${serves}</b>. No request fails; those that run end with what they began with.</p>
      ${promotes && html`<p>“Roll back” lets ${serves} serve again, at once.</p>`}
      ${!promotes && versions.serving && html`<p>${serves} stays in the registry, and can be promoted again.</p>`}
      ${candidate === next && next && html`<p>Its trial on ${percent(versions.share)} of users ends.</p>`}
      ${promotes && html`<${Gate} gate=${versions.cards[next]?.gate} />`}` };
}

/** @param {{gate: import('../types').Card['gate']}} props */
function Gate({ gate }) {
  if (gate?.promote) return null;
  return html`<p class="warning">${gate ? html`<b>The gate said no:</b> ${gate.reason}.` : 'The gate was not asked about this version.'}</p>`;
}
