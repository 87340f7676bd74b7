/** A request of the page as one would write it in a program: Python, curl, grpcurl. */
import { python as written } from './python-call.js';
import { Upload } from './uploads.js';

/** @typedef {'Recommend' | 'Search'} Method */

/** What an upload is called on the disk of whoever copies the call. @param {Upload} upload */
function fileName({ name, blob }) {
  const plain = name.replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '') || 'upload';
  return /\.\w+$/.test(plain) ? plain : `${plain}.${blob.type.split('/')[1]?.split(/[;+]/)[0] ?? 'bin'}`;
}

/** JSON in a shell's quotes; the bytes of uploads are read from files. @param {object} request */
function shellJson(request) {
  /** @type {Upload[]} */
  const uploads = [];
  const mark = crypto.randomUUID?.() ?? String(Math.random());
  const text = JSON.stringify(request, (_, value) => (value instanceof Upload ? `${mark}${uploads.push(value) - 1};` : value), 2);
  const quoted = `'${text.replaceAll("'", `'\\''`)}'`;
  return quoted.replaceAll(new RegExp(`${mark}(\\d+);`, 'g'), (_, at) => `'"$(base64 < ${fileName(uploads[at])} | tr -d '\\n')"'`);
}

/** @param {Method} method @param {object} request */
export const curl = (method, request) =>
  `curl ${location.origin}/v1/${method.toLowerCase()} \\\n  -H 'Content-Type: application/json' \\\n  -d ${shellJson(request)}`;

/** @param {Method} method @param {object} request @param {string} address of the gRPC server */
export const grpcurl = (method, request, address) =>
  `grpcurl -plaintext -d ${shellJson(request)} \\\n  ${address} triveni.v1.RecommendationService/${method}`;

/** @param {Method} method @param {object} request @param {string} address of the gRPC server */
export const python = (method, request, address) => written(method, request, address, fileName);
