/** Draws many points on a canvas by WebGL2: discs and diamonds in a few colours. It knows nothing of items. */
import { Problem } from './api.js';

const VERTEX = `#version 300 es
in vec2 at; in float category; in float chosen;
uniform vec4 view; uniform float size; uniform float lit; uniform vec4 colours[13];
out vec4 colour; flat out float diamond;
void main() {
  int which = category < 12.0 ? int(category) : 12;
  bool faded = lit >= 0.0 && category != lit;
  colour = colours[which]; diamond = which < 12 && which >= 6 ? 1.0 : 0.0;
  colour.a *= faded ? 0.12 : 1.0;
  gl_PointSize = size * (chosen > 0.0 ? 1.7 : 1.0) * (faded ? 0.8 : 1.0);
  gl_Position = vec4((at - view.xy) * view.zw, 0.0, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour; flat in float diamond; out vec4 paint;
void main() {
  vec2 p = abs(gl_PointCoord * 2.0 - 1.0);
  float edge = diamond > 0.5 ? p.x + p.y : length(p);
  float a = colour.a * (1.0 - smoothstep(0.8, 1.0, edge));
  paint = vec4(colour.rgb * a, a);
}`;

/** Where one looks: the middle, and how many times nearer than all. @typedef {{x: number, y: number, zoom: number}} Camera */

export class Points {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    const gl = canvas.getContext('webgl2', { antialias: false, alpha: true, premultipliedAlpha: true });
    if (!gl) throw new Problem('this browser cannot draw by WebGL 2', 'turn on hardware acceleration, or open the page in another browser', '');
    this.canvas = canvas;
    this.gl = gl;
    this.count = 0;
    this.lit = -1;
    /** @type {Camera} */
    this.camera = { x: 0, y: 0, zoom: 1 };
    /** @type {Float32Array} */
    this.positions = new Float32Array();
    this.program = programOf(gl);
    this.buffers = { at: gl.createBuffer(), category: gl.createBuffer(), chosen: gl.createBuffer() };
    gl.useProgram(this.program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.frame = 0;
  }

  /** @param {Float32Array} positions x and y of each, -1 to 1 @param {Uint8Array} categories 255 for none */
  set(positions, categories) {
    this.positions = positions;
    this.count = categories.length;
    this.fill('at', positions, 2, this.gl.FLOAT);
    this.fill('category', categories, 1, this.gl.UNSIGNED_BYTE);
    this.choose([]);
  }

  /** Draw these larger. @param {number[]} rows */
  choose(rows) {
    const chosen = new Uint8Array(this.count);
    for (const row of rows) chosen[row] = 1;
    this.fill('chosen', chosen, 1, this.gl.UNSIGNED_BYTE);
    this.draw();
  }

  /** @param {'at' | 'category' | 'chosen'} name @param {Float32Array | Uint8Array} data @param {number} width @param {number} type */
  fill(name, data, width, type) {
    const gl = this.gl;
    const place = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, type, false, 0, 0);
  }

  /** @param {string[]} colours as CSS has them; the last is that of points without a category */
  paint(colours) {
    const all = new Float32Array(13 * 4);
    for (let at = 0; at < 13; at++) all.set(rgba(at === 12 ? /** @type {string} */ (colours.at(-1)) : colours[at % Math.max(1, colours.length - 1)]), at * 4);
    this.gl.uniform4fv(this.gl.getUniformLocation(this.program, 'colours'), all);
    this.draw();
  }

  /** Take the size that the page gives it. */
  resize() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    this.draw();
  }

  /** Pixels of the page for each unit of the map, across and up: at first the map fills the canvas. @returns {[number, number]} */
  get scale() {
    const near = 0.46 * this.camera.zoom;
    return [near * this.canvas.clientWidth, near * this.canvas.clientHeight];
  }

  /** The place of a point of the map, in pixels of the canvas. @param {number} x @param {number} y @returns {[number, number]} */
  toPage(x, y) {
    const [across, up] = this.scale;
    return [this.canvas.clientWidth / 2 + (x - this.camera.x) * across, this.canvas.clientHeight / 2 - (y - this.camera.y) * up];
  }

  /** @param {number} left @param {number} top @returns {[number, number]} */
  toMap(left, top) {
    const [across, up] = this.scale;
    return [this.camera.x + (left - this.canvas.clientWidth / 2) / across, this.camera.y - (top - this.canvas.clientHeight / 2) / up];
  }

  /** The point nearest to a place of the page; -1 if none is near. @param {number} left @param {number} top @param {number} [within] pixels */
  nearest(left, top, within = 14) {
    const [x, y] = this.toMap(left, top);
    const [across, up] = this.scale;
    let best = within * within;
    let found = -1;
    for (let row = 0, at = 0; row < this.count; row++, at += 2) {
      const dx = (this.positions[at] - x) * across;
      const dy = (this.positions[at + 1] - y) * up;
      const far = dx * dx + dy * dy;
      if (far < best) [best, found] = [far, row];
    }
    return found;
  }

  /** Let go of what it holds of the graphics card. */
  release() {
    cancelAnimationFrame(this.frame);
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }

  /** Draw at the next frame. */
  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.now();
    });
  }

  now() {
    const gl = this.gl;
    const { clientWidth, clientHeight } = this.canvas;
    const { x, y, zoom } = this.camera;
    const ratio = this.canvas.width / Math.max(1, clientWidth);
    const roomy = Math.sqrt((clientWidth * clientHeight) / Math.max(1, this.count)) * 0.34;
    const size = Math.max(2.2, Math.min(11, roomy) * Math.min(2.2, zoom ** 0.45));
    const uniform = (/** @type {string} */ name) => gl.getUniformLocation(this.program, name);
    gl.uniform4f(uniform('view'), x, y, 0.92 * zoom, 0.92 * zoom);
    gl.uniform1f(uniform('size'), size * ratio);
    gl.uniform1f(uniform('lit'), this.lit);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.drawArrays(gl.POINTS, 0, this.count);
  }
}

/** @param {WebGL2RenderingContext} gl */
function programOf(gl) {
  const program = gl.createProgram();
  for (const [type, text] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(type));
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Problem('the points cannot be drawn', String(gl.getProgramInfoLog(program)), '');
  return program;
}

/** A colour as CSS computes it, "rgb(1, 2, 3)", in parts of one. @param {string} colour */
function rgba(colour) {
  const [r = 128, g = 128, b = 128, a = 1] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return [r / 255, g / 255, b / 255, a];
}

/** The rows whose points lie within a polygon. @param {Float32Array} positions @param {[number, number][]} polygon @returns {number[]} */
export function within(positions, polygon) {
  const rows = [];
  for (let row = 0, at = 0; at < positions.length; row++, at += 2) if (inside(positions[at], positions[at + 1], polygon)) rows.push(row);
  return rows;
}

/** @param {number} x @param {number} y @param {[number, number][]} polygon */
function inside(x, y, polygon) {
  let is = false;
  for (let here = 0, last = polygon.length - 1; here < polygon.length; last = here++) {
    const [ax, ay] = polygon[here];
    const [bx, by] = polygon[last];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) is = !is;
  }
  return is;
}
