/** Sounds: those that the server reads as they are, others written as WAV, and the outline of one that is shown. */
import { Problem } from './api.js';

const RATE = 44100;

/** Whether the server reads a sound as it is: WAV, FLAC, Ogg, MP3. @param {Blob} file */
export async function readable(file) {
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const name = String.fromCharCode(...start);
  return /^(RIFF|fLaC|OggS|ID3)/.test(name) || (start[0] === 0xff && (start[1] & 0xe0) === 0xe0);
}

/** @param {Blob} file @returns {Promise<AudioBuffer>} */
async function decoded(file) {
  return new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
}

/**
 * A sound that the browser can play, as WAV: one channel, 16 bits, 44,100 Hz.
 * @param {Blob} file
 * @param {string} name
 */
export async function asWav(file, name) {
  const buffer = await decoded(file).catch(() => {
    throw new Problem(`${name} is a sound that this browser cannot open`, 'save it as WAV, FLAC, Ogg or MP3', '');
  });
  return wav(mixed(buffer), buffer.sampleRate);
}

/** The mean of all channels. @param {AudioBuffer} buffer */
function mixed(buffer) {
  const sum = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let at = 0; at < sum.length; at++) sum[at] += samples[at] / buffer.numberOfChannels;
  }
  return sum;
}

/** @param {Float32Array} samples in [-1, 1] @param {number} rate */
function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  /** @param {number} at @param {string} name */
  const mark = (at, name) => [...name].forEach((letter, more) => view.setUint8(at + more, letter.charCodeAt(0)));
  mark(0, 'RIFF');
  view.setUint32(4, 36 + 2 * samples.length, true);
  mark(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  mark(36, 'data');
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, at) => view.setInt16(44 + 2 * at, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true));
  return new Blob([view], { type: 'audio/wav' });
}

/** @type {Map<string, Promise<number[]>>} */
const outlines = new Map();

/**
 * The loudness of a sound in bars, from 0 to 1, the loudest being 1; empty where it cannot be decoded.
 * @param {string} url
 * @param {number} bars
 * @returns {Promise<number[]>}
 */
export function outline(url, bars) {
  const known = outlines.get(url);
  if (known) return known;
  const found = fetch(url)
    .then((answer) => answer.blob())
    .then(decoded)
    .then((buffer) => {
      const samples = mixed(buffer);
      const size = Math.max(1, Math.floor(samples.length / bars));
      const loud = Array.from({ length: bars }, (_, bar) => {
        let sum = 0;
        for (let at = bar * size; at < Math.min(samples.length, (bar + 1) * size); at++) sum += samples[at] ** 2;
        return Math.sqrt(sum / size);
      });
      const most = Math.max(...loud, 1e-6);
      return loud.map((value) => value / most);
    })
    .catch(() => /** @type {number[]} */ ([]));
  outlines.set(url, found);
  return found;
}
