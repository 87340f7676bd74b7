/** The one player of the page: a new sound stops the one before. */
import { batch, signal } from './html.js';
import { toastError } from './components/toast.js';
import { Problem } from './api.js';

const audio = new Audio();

/** The address of the sound that is in the player. */
export const source = signal('');
export const playing = signal(false);
/** How far it is, in seconds, and how long it is. */
export const position = signal(0);
export const length = signal(0);

audio.addEventListener('timeupdate', () => (position.value = audio.currentTime));
audio.addEventListener('durationchange', () => (length.value = Number.isFinite(audio.duration) ? audio.duration : 0));
for (const name of ['play', 'pause', 'ended']) audio.addEventListener(name, () => (playing.value = !audio.paused && !audio.ended));

/** Play a sound, or stop it if it plays. @param {string} url */
export function toggle(url) {
  if (source.value === url && playing.value) {
    audio.pause();
    return;
  }
  load(url);
  audio.play().catch((error) => {
    if (error.name !== 'AbortError') toastError(new Problem('this sound cannot be played', 'see whether its file is still there', ''));
  });
}

/** Go to a place of a sound. @param {string} url @param {number} share from 0 to 1 */
export function seek(url, share) {
  load(url);
  /** @type {() => void} */
  const jump = () => (audio.currentTime = share * audio.duration);
  if (audio.readyState) jump();
  else audio.addEventListener('loadedmetadata', jump, { once: true });
}

export function stop() {
  audio.pause();
}

/** @param {string} url */
function load(url) {
  if (source.value === url) return;
  audio.src = url;
  batch(() => {
    source.value = url;
    position.value = 0;
    length.value = 0;
  });
}
