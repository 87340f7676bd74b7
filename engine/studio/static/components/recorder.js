/** Records a sound: at most half a minute, with a level to see that something is heard. */
import { html, useEffect, useRef, useState } from '../html.js';
import { Icon } from './icon.js';
import { clock } from './player.js';
import { toast } from './toast.js';

const SECONDS = 30;

/** @param {{onFile: (file: Blob, name: string) => void, onEnd: () => void}} props it records from the moment it is shown */
export function Recorder({ onFile, onEnd }) {
  const [time, setTime] = useState(-1);
  const level = useRef(/** @type {HTMLElement | null} */ (null));
  const running = useRef(/** @type {{stop: (keep: boolean) => void} | undefined} */ (undefined));
  useEffect(() => {
    let gone = false;
    record(level, setTime).then(
      (recording) => {
        if (gone) return recording.stop(false);
        running.current = recording;
        return recording.sound.then((blob) => {
          if (blob) onFile(blob, `recording, ${clock(recording.seconds())}`);
          onEnd();
        });
      },
      (error) => {
        const remedy = globalThis.isSecureContext ? 'allow it in the address bar, or choose a file' : 'open the page as http://localhost, or over https';
        toast(`the microphone cannot be used (${error.name ?? error})`, { bad: true, remedy });
        onEnd();
      },
    );
    return () => {
      gone = true;
      running.current?.stop(false);
    };
  }, []);
  return html`<div class="recorder" role="group" aria-label="Recording">
    <span class="dot hue-audio" /><span ref=${level} class="level" aria-hidden="true" />
    <span class="num" role="timer">${time < 0 ? 'asking …' : `${clock(time)} of ${clock(SECONDS)}`}</span>
    <button class="button main" onClick=${() => running.current?.stop(true)} disabled=${time < 0}><${Icon} name="stop" />Use it</button>
    <button class="button bare" onClick=${() => (running.current ? running.current.stop(false) : onEnd())}>Cancel</button>
  </div>`;
}

/**
 * @param {{current: HTMLElement | null}} level
 * @param {(seconds: number) => void} tick
 */
async function record(level, tick) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException('', 'NotSupportedError');
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false } });
  const recorder = new MediaRecorder(stream);
  const context = new AudioContext();
  const meter = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let keep = true;
  const timer = setInterval(() => {
    meter.getFloatTimeDomainData(samples);
    const loud = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
    level.current?.style.setProperty('--level', String(Math.min(1, loud * 4)));
    tick(seconds());
    if (seconds() >= SECONDS) stop(true);
  }, 60);
  /** @param {boolean} wanted */
  function stop(wanted) {
    keep &&= wanted;
    clearInterval(timer);
    if (recorder.state !== 'inactive') recorder.stop();
    stream.getTracks().forEach((track) => track.stop());
    context.close().catch(() => {});
  }
  /** @type {Blob[]} */
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  /** @type {Promise<Blob | undefined>} */
  const sound = new Promise((resolve) => {
    recorder.onstop = () => resolve(keep && pieces.length ? new Blob(pieces, { type: recorder.mimeType }) : undefined);
  });
  recorder.start();
  return { sound, stop, seconds };
}
