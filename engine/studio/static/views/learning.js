/** Learning: the versions of the model, which serves and which is tried, trainings, searches of settings, reports. */
import { EmptyState } from '../components/empty-state.js';
import { ErrorBox } from '../components/error-box.js';
import { Frame } from '../components/frame.js';
import { Icon } from '../components/icon.js';
import { count } from '../format.js';
import { html, useState } from '../html.js';
import { params, setParams } from '../router.js';
import { Confirm } from './learning-confirm.js';
import { learning, live, useAsked } from './learning-data.js';
import { Running, TrainDialog, Trainings } from './learning-training.js';
import { Tried } from './learning-tuning.js';
import { TrialOf } from './learning-trial.js';
import { VersionCard, VersionDetails } from './learning-versions.js';

/** @typedef {import('../types').Card} Card */
/** @typedef {import('../types').Versions} Versions */

export default function Learning() {
  const [training, setTraining] = useState(false);
  const [asking, setAsking] = useState(/** @type {import('./learning-confirm.js').Step | undefined} */ (undefined));
  const openId = params.value.get('open');
  const { answer: trainings, error: notTrained, again: trainingsAgain } = useAsked(learning.trainings, 2);
  const all = /** @type {import('../types').Training[]} */ (trainings?.trainings ?? []);
  const running = all.filter(live);
  const { answer: found, error, again } = useAsked(both, 10, [all.map(({ id, state }) => id + state).join()]);
  const { answer: listed, error: unlisted } = useAsked(learning.reports, 0);
  const ready = Boolean((found || error) && (trainings || notTrained) && (listed || unlisted)); // all at once: nothing moves
  const { answer: curve } = useAsked(running.length ? learning.curve : undefined, 2);
  const versions = /** @type {Versions | undefined} */ (found?.versions);
  const models = /** @type {import('../types').Model[]} */ (found?.models ?? []);
  const cards = models.flatMap(({ version }) => versions?.cards[version] ?? []);
  const serving = models.find((one) => one.serving)?.version ?? '';
  const opened = openId ? versions?.cards[openId] : undefined;
  const close = () => setParams({ open: null });
  const ask = (/** @type {string} */ version) => (/** @type {'promote' | 'try'} */ does) => setAsking({ does, version });

  const head = html`<div class="bar flat"><h1>Learning</h1>
    <span class="soft">${versions ? html`<b class="ink">${serving || 'The untrained engine'}</b> serves` : '…'}</span>
    <span class="ends push"><button class="button" disabled=${!versions || versions.previous === null} onClick=${() => setAsking({ does: 'rollback' })}><${Icon} name="undo" />Roll back…</button>
    <button class="button main" disabled=${Boolean(notTrained)} onClick=${() => setTraining(true)}><${Icon} name="learning" />Train…</button></span>
  </div>`;
  const side = opened && versions && html`<${VersionDetails} card=${opened} versions=${versions} serving=${serving} onClose=${close} onAsk=${ask(opened.version)} />`;

  return html`<${Frame} title="Learning" media=${false} head=${head} side=${side} sideTitle="Version" onSideClose=${close} foot=${html`<span>${found ? count(cards.length, 'version') : '…'}</span>`}>
    ${(ready ? running : []).map((one) => html`<${Running} key=${one.id} training=${one} curve=${curve} again=${trainingsAgain} />`)}
    ${error ? html`<${ErrorBox} error=${error} again=${again} />` : ''}
    ${ready && versions?.candidate ? html`<${TrialOf} versions=${versions} serving=${serving} onEnd=${() => setAsking({ does: 'end' })} onPromote=${() => setAsking({ does: 'promote', version: versions.candidate })} />` : ''}
    <section class="parts" aria-label="Versions" aria-busy=${!ready}>
      <h2>Versions</h2>
      ${versions?.broken.map(({ problem, remedy }) => html`<p class="error-line" key=${problem}>${problem}: ${remedy}</p>`)}
      ${ready && found && !cards.length
        ? html`<${EmptyState} title="Nothing is trained yet"><p>Record what people do (<code>triveni events import</code>, RecordEvents), then train.</p>
            <p>No events yet? <code>triveni simulate</code> makes up people with known tastes over your catalogue.</p><//>`
        : html`<ul class="versions">${ready ? '' : html`<li class="version to-come" aria-hidden="true" />`}${(ready ? cards : []).map((card) => html`<${VersionCard} key=${card.version} card=${card} versions=${versions} serving=${serving} open=${card.version === openId}
            onOpen=${() => setParams({ open: card.version === openId ? null : card.version })} onAsk=${ask(card.version)} />`)}</ul>`}
    </section>
    ${!ready ? '' : notTrained ? html`<section class="parts" aria-label="Trainings"><h2>Trainings</h2><${ErrorBox} error=${notTrained} /></section>` : html`<${Trainings} all=${all.filter((one) => !live(one))} />`}
    ${ready && html`<${Reports} reports=${listed?.reports ?? []} /><${Tried} />`}
    <${TrainDialog} open=${training} serving=${serving} onClose=${() => setTraining(false)} onBegun=${trainingsAgain} />
    ${versions && html`<${Confirm} step=${asking} versions=${versions} serving=${serving} onClose=${() => setAsking(undefined)} onDone=${again} />`}
  <//>`;
}

/** The versions as the contract lists them, and the rest of their cards. */
async function both() {
  const [{ models }, versions] = await Promise.all([learning.models(), learning.versions()]);
  return { models, versions };
}

/** Pages that `triveni evaluate --report` wrote. @param {{reports: {name: string, title: string, written: number}[]}} props */
function Reports({ reports }) {
  return html`<section class="parts" aria-label="Reports"><h2>Reports of evaluations</h2>
    ${reports.length
      ? html`<ul class="rows">${reports.map(({ name, title, written }) => html`<li key=${name}><a href=${`/studio/learning/reports/${name.split('/').map(encodeURIComponent).join('/')}`} target="_blank" rel="noopener">${title}</a>
          <span class="soft cut">var/${name}</span><span class="soft push">${new Date(1000 * written).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' })}</span></li>`)}</ul>`
      : html`<p class="soft">None below var/. <code>triveni evaluate --version serving --report var/report.html</code> compares what serves with eleven baselines.</p>`}
  </section>`;
}
