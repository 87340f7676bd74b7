/** Pictures before they are sent. */
import { Problem } from './api.js';

const LARGE = 3 << 20;
const SIDE = 1536;

/**
 * A picture as the server can read it: a large one is made smaller, since encoders look at a few hundred pixels; one of
 * a format that only the browser knows is written anew.
 * @param {Blob} file
 * @param {string} name
 * @returns {Promise<Blob>}
 */
export async function shrunk(file, name) {
  const known = /^image\/(png|jpeg|gif|webp|bmp|tiff|avif|svg\+xml)$/.test(file.type) || !file.type;
  if (known && file.size <= LARGE) return file;
  const bitmap = await createImageBitmap(file).catch(() => undefined);
  if (!bitmap) {
    if (known) return file; // the server says what is wrong with it
    throw new Problem(`${name} is a picture that this browser cannot open`, 'save it as PNG or JPEG', '');
  }
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  const paper = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  paper.fillStyle = '#fff';
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
}
