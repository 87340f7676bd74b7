/**
 * Pictures and sounds that were dropped, chosen, pasted or recorded. The address names them by a digest; this browser
 * keeps them, so that "back" and "reload" find them. They leave it only as part of a request to the server.
 */
import { Problem } from './api.js';
import { signal } from './html.js';
import { shrunk } from './picture.js';
import { asWav, readable } from './sound.js';

const KEEP = 40;
/** Uploads that the browser keeps. */

/** A picture or sound of the user's own. */
export class Upload {
  /** @param {{key: string, kind: 'image' | 'audio', name: string, blob: Blob}} about */
  constructor({ key, kind, name, blob }) {
    this.key = key;
    this.kind = kind;
    this.name = name;
    this.blob = blob;
    this.url = URL.createObjectURL(blob);
  }

  /** Its bytes as base64, as JSON of protobuf has them. @returns {Promise<string>} */
  base64() {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(String(reader.result).split(',', 2)[1] ?? '');
      reader.onerror = () => reject(new Problem(`${this.name} cannot be read`, 'choose it again', ''));
      reader.readAsDataURL(this.blob);
    });
  }
}

/** @type {Map<string, Upload>} */
const uploads = new Map();
const changed = signal(0);

/** The upload of a key; undefined if this browser does not have it. @param {string} key */
export function uploadOf(key) {
  changed.value;
  return uploads.get(key);
}

/**
 * Take a file in, made smaller or written anew where the server could not read it.
 * @param {File | Blob} file
 * @param {string} [name]
 * @returns {Promise<Upload>}
 */
export async function takeIn(file, name = 'name' in file ? file.name : 'pasted') {
  const kind = kindOf(file, name);
  if (!kind) {
    throw new Problem(`${name} is neither a picture nor a sound`, 'take a PNG, JPEG, WebP, SVG, WAV, Ogg, FLAC or MP3 file', '');
  }
  const blob = kind === 'image' ? await shrunk(file, name) : (await readable(file)) ? file : await asWav(file, name);
  const upload = new Upload({ key: await digest(blob), kind, name, blob });
  uploads.set(upload.key, upload);
  changed.value++;
  keep(upload);
  return upload;
}

/** @param {Blob} file @param {string} name @returns {'image' | 'audio' | undefined} */
function kindOf(file, name) {
  if (file.type.startsWith('image/') || /\.(png|jpe?g|gif|webp|bmp|tiff?|avif|svgz?|heic)$/i.test(name)) return 'image';
  if (/^(audio\/|video\/webm|application\/ogg)/.test(file.type) || /\.(wav|flac|og[ga]|opus|mp3|m4a|aac|webm)$/i.test(name)) return 'audio';
  return undefined;
}

/** @param {Blob} blob */
async function digest(blob) {
  if (!crypto.subtle) return Math.random().toString(16).slice(2, 14).padEnd(12, '0'); // not on this machine, no TLS
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  return [...bytes.slice(0, 6)].map((one) => one.toString(16).padStart(2, '0')).join('');
}

/** @returns {Promise<IDBObjectStore>} @param {IDBTransactionMode} mode */
function shelf(mode) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('triveni-studio', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('uploads', { keyPath: 'key' });
    opening.onsuccess = () => resolve(opening.result.transaction('uploads', mode).objectStore('uploads'));
    opening.onerror = () => reject(opening.error);
  });
}

/** @param {Upload} upload */
async function keep({ key, kind, name, blob }) {
  try {
    const store = await shelf('readwrite');
    store.put({ key, kind, name, blob, time: Date.now() });
    const all = store.getAll();
    all.onsuccess = () =>
      all.result.sort((a, b) => b.time - a.time).slice(KEEP).forEach((old) => store.delete(old.key));
  } catch {
    // a browser that keeps nothing has the upload until the page is closed
  }
}

/** Whether what the browser has kept is known by now. @type {Promise<void>} */
export const kept = shelf('readonly').then(
  (store) =>
    new Promise((resolve) => {
      const all = store.getAll();
      all.onsuccess = () => {
        for (const one of all.result) if (!uploads.has(one.key)) uploads.set(one.key, new Upload(one));
        changed.value++;
        resolve();
      };
      all.onerror = () => resolve();
    }),
  () => {},
);
