// picture.js - images of one or several panels on a canvas: zoom to pixels, contrast, resolution
// rings, pixel values, labels.  No framework, nothing from a network; one class.
//
//   const picture = new Picture(element, {unit: "photons", onpoint: point => {...}});
//   picture.show([panel, ...]);      what to draw; view and contrast stay as they are
//   picture.label([{panel, fast, slow, text}, ...]);  words that would cover words before them are left out
//   picture.note(text);              words at the end of the line below the picture
//   picture.look(panel, fast, slow); the pixel to tell about; null: none
//   picture.fit(); picture.zoom(factor);
//   picture.set({scale, colours, rings, low, high, automatic}); picture.settings has them
//   picture.at(panel, fast, slow)    {panel, fast, slow, value, masked, d_angstrom, twotheta_deg}
//
// A panel is {pixels, n_fast, n_slow}, pixels any typed array in raster order, and may have
//   name      said beside its pixels where there are several panels
//   place     [x0, y0, fast_x, fast_y, slow_x, slow_y]: where the first pixel's corner is in the
//             picture and how far one goes for a pixel along fast and slow; else fast is to the
//             right and slow is down
//   mask      Uint8Array, 0 where a pixel is not to be used: drawn apart, and no part of the contrast
//   geometry  {pix0, fast, slow, pixel_size, beam, wavelength_angstrom}: three vectors in the
//             laboratory, the first to the corner of the first pixel, all lengths in one unit (fast and
//             slow without any); the direction in which the beam goes
// Pixel (fast, slow) is the square from that number to the next; its resolution is its centre's.
"use strict";

const PICTURE_STYLE = `
.nb-picture { display: flex; flex-direction: column; min-width: 0; min-height: 0; height: 100%; gap: 6px; }
.nb-picture .nb-bar { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 11px; }
.nb-picture .nb-bar label { display: inline-flex; align-items: center; gap: 5px; white-space: nowrap; }
.nb-picture .nb-bar input[type=range] { width: 90px; }
.nb-picture .nb-bar .nb-levels { min-width: 11em; font-variant-numeric: tabular-nums; }
.nb-picture .nb-stage { position: relative; flex: 1; min-height: 160px; }
.nb-picture canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none; cursor: crosshair; border-radius: 4px; }
.nb-picture canvas:focus-visible { outline: 2px solid #2f6fb5; outline-offset: 1px; }
.nb-picture .nb-readout { min-height: 1.5em; font-variant-numeric: tabular-nums; }
@media (max-width: 1000px) { .nb-picture .nb-readout { min-height: 3em; } }
.nb-picture .nb-readout b { font-weight: 600; }
`;

// Three ways from 0..1 to red, green, blue.
const PICTURE_COLOURS = {
  ink: t => [255 - 240 * t, 255 - 235 * t, 255 - 220 * t],
  grey: t => [255 * t, 255 * t, 255 * t],
  heat: t => [255 * Math.min(1, 2.2 * t), 255 * Math.max(0, Math.min(1, 2.2 * t - 0.7)),
              255 * Math.max(0.1 * (1 - t), Math.min(1, 4 * t - 3))],
};
const PICTURE_SCALES = {
  linear: t => t,
  root: t => Math.sqrt(t),
  log: t => Math.log1p(1000 * t) / Math.log1p(1000),
};
const PICTURE_MASKED = 0xffc8a078;  // alpha, blue, green, red
const PICTURE_BACKGROUND = {ink: "#e9ebee", grey: "#20242a", heat: "#14161a"};
const PICTURE_RINGS = [200, 150, 100, 80, 60, 50, 40, 30, 25, 20, 15, 12, 10, 8, 7, 6, 5, 4.5, 4, 3.5,
  3, 2.7, 2.5, 2.2, 2, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7,
  0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3];

const dot3 = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross3 = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit3 = a => { const length = Math.sqrt(dot3(a, a)); return a.map(x => x / length); };

/** A number as people read it: at most `digits` significant ones. */
function pictureNumber(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0 || Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
}

/** The number that stands at place n when they are sorted; moves them about, and sorts no more than it must. */
function ranked(numbers, n) {
  let low = 0, high = numbers.length - 1;
  while (low < high) {
    const pivot = numbers[(low + high) >> 1];
    let i = low, j = high;
    while (i <= j) {
      while (numbers[i] < pivot) i++;
      while (numbers[j] > pivot) j--;
      if (i <= j) { const kept = numbers[i]; numbers[i++] = numbers[j]; numbers[j--] = kept; }
    }
    if (n <= j) high = j;
    else if (n >= i) low = i;
    else break;
  }
  return numbers[n];
}

class Picture {
  constructor(element, options = {}) {
    this.options = {unit: "", onpoint: null, ...options};
    this.panels = [];
    this.labels = [];
    this.settings = {scale: "root", colours: "ink", rings: true, low: 0, high: 1, automatic: true};
    this.point = null;
    this.view = null;              // {scale, x, y}: canvas pixels a picture pixel, middle of the canvas
    this._pointers = new Map();
    this._build(element);
    new ResizeObserver(() => this._resize()).observe(this.stage);
    this._resize();
  }

  // ---- what callers use ----------------------------------------------------------------------

  show(panels) {
    for (const panel of panels)
      if (panel.pixels.length !== panel.n_fast * panel.n_slow)
        throw new Error(`panel ${panel.name ?? ""}: got ${panel.pixels.length} pixels, need ${panel.n_fast} x ${panel.n_slow}`);
    const before = this._bounds && this._bounds.join();
    this.panels = panels.map(panel => ({place: [0, 0, 1, 0, 0, 1], ...panel, levels: [], drawn: new Map()}));
    this._bounds = this._extent();
    this._range();
    if (this.view === null || before !== this._bounds.join()) this.fit();
    if (this.settings.automatic) this._automatic();
    this._colour();
    if (this.point) this.look(this.point.panel, this.point.fast, this.point.slow);
    this._draw();
  }

  label(labels) { this.labels = labels; this._draw(); }

  note(text) { this._note.textContent = text; }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (!(name in this.settings)) throw new Error(`there is no setting ${name}`);
      if (name === "scale" && !(value in PICTURE_SCALES) || name === "colours" && !(value in PICTURE_COLOURS))
        throw new Error(`${name}: got ${value}`);
      this.settings[name] = value;
    }
    if (("low" in changes || "high" in changes) && !("automatic" in changes)) this.settings.automatic = false;
    if (this.settings.automatic) this._automatic();
    this._colour();
    this._draw();
  }

  fit() {
    const [x0, y0, x1, y1] = this._bounds ?? [0, 0, 1, 1];
    const scale = Math.min(this.canvas.width / (x1 - x0), this.canvas.height / (y1 - y0)) * 0.98;
    this.view = {scale, x: (x0 + x1) / 2, y: (y0 + y1) / 2};
    this._fitted = true;
    this._draw();
  }

  zoom(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const [px, py] = this._picture(x, y);
    const scale = Math.min(400, Math.max(this.view.scale * factor, 0.005));
    this.view = {scale, x: px - (x - this.canvas.width / 2) / scale, y: py - (y - this.canvas.height / 2) / scale};
    this._fitted = false;
    this._draw();
  }

  look(panel, fast, slow) {
    const shown = this.panels[panel];
    const inside = shown && fast >= 0 && slow >= 0 && fast < shown.n_fast && slow < shown.n_slow;
    this.point = inside ? this.at(panel, fast, slow) : null;
    this._tell();
    if (this.options.onpoint) this.options.onpoint(this.point);
    this._draw();
  }

  at(panel, fast, slow) {
    const shown = this.panels[panel];
    const index = slow * shown.n_fast + fast;
    const point = {panel, fast, slow, value: shown.pixels[index], masked: shown.mask ? shown.mask[index] === 0 : false};
    return {...point, ...this._resolution(shown, fast + 0.5, slow + 0.5)};
  }

  // ---- geometry ------------------------------------------------------------------------------

  _resolution(panel, fast, slow) {
    const g = panel.geometry;
    if (!g) return {};
    const ray = unit3([0, 1, 2].map(i => g.pix0[i] + g.pixel_size * (fast * g.fast[i] + slow * g.slow[i])));
    const beam = unit3(g.beam);
    const c = cross3(ray, beam);
    const twotheta = Math.atan2(Math.sqrt(dot3(c, c)), dot3(ray, beam));
    return {d_angstrom: g.wavelength_angstrom / (2 * Math.sin(twotheta / 2)), twotheta_deg: twotheta * 180 / Math.PI};
  }

  /** Points of a ring on a panel's plane, in its pixels; null where the cone misses the plane. */
  _ring(panel, d) {
    const g = panel.geometry;
    const sine = g.wavelength_angstrom / (2 * d);
    if (sine >= 1) return [];
    const twotheta = 2 * Math.asin(sine);
    const beam = unit3(g.beam);
    const u = unit3(cross3(beam, Math.abs(beam[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0]));
    const v = cross3(beam, u);
    const normal = cross3(g.fast, g.slow);
    const along = dot3(g.pix0, normal);
    const cosine = Math.cos(twotheta), outward = Math.sin(twotheta);
    // A ray of the cone, and what it gives, are sums over its axis and the two directions across.
    const of = vector => [cosine * dot3(beam, vector), outward * dot3(u, vector), outward * dot3(v, vector)];
    const [n0, n1, n2] = of(normal), [f0, f1, f2] = of(g.fast), [s0, s1, s2] = of(g.slow);
    const fast = dot3(g.pix0, g.fast), slow = dot3(g.pix0, g.slow);
    const points = [];
    for (let i = 0; i <= 360; i++) {
      const c = Math.cos(i * Math.PI / 180), s = Math.sin(i * Math.PI / 180);
      const length = along / (n0 + c * n1 + s * n2);
      if (!(length > 0) || length > 1e4 * Math.abs(along)) { points.push(null); continue; }
      points.push([(length * (f0 + c * f1 + s * f2) - fast) / g.pixel_size, (length * (s0 + c * s1 + s * s2) - slow) / g.pixel_size]);
    }
    return points;
  }

  _placed(panel, fast, slow) {
    const p = panel.place;
    return [p[0] + fast * p[2] + slow * p[4], p[1] + fast * p[3] + slow * p[5]];
  }

  _unplaced(panel, x, y) {
    const p = panel.place, det = p[2] * p[5] - p[3] * p[4];
    return [((x - p[0]) * p[5] - (y - p[1]) * p[4]) / det, ((y - p[1]) * p[2] - (x - p[0]) * p[3]) / det];
  }

  _extent() {
    const bounds = [Infinity, Infinity, -Infinity, -Infinity];
    for (const panel of this.panels)
      for (const [fast, slow] of [[0, 0], [panel.n_fast, 0], [0, panel.n_slow], [panel.n_fast, panel.n_slow]]) {
        const [x, y] = this._placed(panel, fast, slow);
        bounds[0] = Math.min(bounds[0], x); bounds[1] = Math.min(bounds[1], y);
        bounds[2] = Math.max(bounds[2], x); bounds[3] = Math.max(bounds[3], y);
      }
    return bounds;
  }

  _canvas(x, y) {
    return [(x - this.view.x) * this.view.scale + this.canvas.width / 2, (y - this.view.y) * this.view.scale + this.canvas.height / 2];
  }

  _picture(x, y) {
    return [(x - this.canvas.width / 2) / this.view.scale + this.view.x, (y - this.canvas.height / 2) / this.view.scale + this.view.y];
  }

  _pixelAt(x, y) {
    const [px, py] = this._picture(x, y);
    for (let n = this.panels.length - 1; n >= 0; n--) {
      const [fast, slow] = this._unplaced(this.panels[n], px, py).map(Math.floor);
      if (fast >= 0 && slow >= 0 && fast < this.panels[n].n_fast && slow < this.panels[n].n_slow) return [n, fast, slow];
    }
    return [-1, 0, 0];
  }

  // ---- contrast ------------------------------------------------------------------------------

  /** Smallest and largest finite value, and a sample of all. */
  _range() {
    let total = 0;
    for (const panel of this.panels) total += panel.pixels.length;
    const stride = Math.max(1, Math.floor(total / 20000)) | 1;  // odd, so that columns take turns
    const sample = new Float64Array(Math.ceil(total / stride) + this.panels.length);
    let largest = -Infinity, smallest = Infinity, taken = 0;
    for (const {pixels, mask} of this.panels) {
      for (let i = 0; i < pixels.length; i++) {
        const value = pixels[i];
        if (mask && mask[i] === 0) continue;
        if (value > largest && value < Infinity) largest = value;
        if (value < smallest && value > -Infinity) smallest = value;
      }
      for (let i = 0; i < pixels.length; i += stride) if (Number.isFinite(pixels[i]) && !(mask && mask[i] === 0)) sample[taken++] = pixels[i];
    }
    if (!(largest >= smallest)) largest = smallest = 0;
    this.range = {smallest, largest, sample: sample.subarray(0, taken)};
  }

  _automatic() {
    const {smallest, largest, sample} = this.range;
    const at = part => sample.length ? ranked(sample, Math.min(sample.length - 1, Math.floor(part * sample.length))) : 0;
    const low = smallest >= 0 ? 0 : Math.max(smallest, Math.min(0, at(0.02)));
    let high = at(0.997);
    if (!(high > low)) high = largest > low ? largest : low + 1;
    this.settings.low = low;
    this.settings.high = high;
  }

  /** Colours of all the 2^16 upper halves of a float32, which is as fine as a screen shows. */
  _colour() {
    const {low, high, scale, colours} = this.settings;
    const half = new Uint16Array(2), number = new Float32Array(half.buffer);
    const curve = PICTURE_SCALES[scale], colour = PICTURE_COLOURS[colours];
    const shades = new Uint32Array(1024);
    for (let i = 0; i < 1024; i++) {
      const [r, g, b] = colour(i / 1023).map(x => Math.max(0, Math.min(255, Math.round(x))));
      shades[i] = (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    }
    const [first, last] = [0, 1].map(t => shades[Math.round(1023 * curve(t))]);
    this._shades = new Uint32Array(65536).fill(0xff4040d0);  // what is no number
    half[0] = 0x8000;
    for (const start of [0, 0x8000])  // numbers grow from 0, and fall below it
      for (let i = start; i < start + 0x7f80; i++) {
        half[1] = i;
        const t = ((i === 0 ? 0 : number[0]) - low) / (high - low);
        if (t > 0 && t < 1) { this._shades[i] = shades[Math.round(1023 * curve(t))]; continue; }
        this._shades[i] = t > 0 ? last : first;
        if (high > low && t > 0 === (start === 0)) { this._shades.fill(this._shades[i], i, start + 0x7f80); break; }
      }
    this._shades[0xff80] = PICTURE_MASKED;  // minus infinity, which stands for masked pixels
    for (const panel of this.panels) panel.drawn.clear();
    this._controls();
  }

  /** Pixels as float32, the brightest of each block of 2^level pixels along both edges. */
  _level(panel, level) {
    if (panel.levels[level]) return panel.levels[level];
    let made;
    if (level === 0) {
      let pixels = panel.pixels instanceof Float32Array ? panel.pixels : Float32Array.from(panel.pixels);
      if (panel.mask) pixels = pixels.map((value, i) => panel.mask[i] === 0 ? -Infinity : value);
      made = {pixels, n_fast: panel.n_fast, n_slow: panel.n_slow};
    } else {
      const finer = this._level(panel, level - 1);
      const n_fast = Math.ceil(finer.n_fast / 2), n_slow = Math.ceil(finer.n_slow / 2);
      const pixels = new Float32Array(n_fast * n_slow);
      for (let s = 0; s < n_slow; s++) {
        const first = 2 * s * finer.n_fast;
        const second = 2 * s + 1 < finer.n_slow ? first + finer.n_fast : first;
        for (let f = 0; f < n_fast; f++) {
          const left = 2 * f, right = left + 1 < finer.n_fast ? left + 1 : left;
          let best = finer.pixels[first + left];
          const others = [finer.pixels[first + right], finer.pixels[second + left], finer.pixels[second + right]];
          for (const other of others) if (other > best || Number.isNaN(best)) best = other;
          pixels[s * n_fast + f] = best;
        }
      }
      made = {pixels, n_fast, n_slow};
    }
    panel.levels[level] = made;
    return made;
  }

  /** The part of a panel that is in view, a canvas, and its bounds in pixels of the level. */
  _drawnPart(panel, level) {
    const {pixels, n_fast, n_slow} = this._level(panel, level);
    const {width, height} = this.canvas, step = 2 ** level, coarse = 256;
    const corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([x, y]) => this._unplaced(panel, ...this._picture(x, y)));
    const [f0, s0] = [0, 1].map(k => Math.max(0, Math.floor(Math.min(...corners.map(c => c[k])) / step / coarse) * coarse));
    const [f1, s1] = [0, 1].map(k => Math.min([n_fast, n_slow][k], Math.ceil(Math.max(...corners.map(c => c[k])) / step / coarse) * coarse));
    if (!(f1 > f0 && s1 > s0)) return null;
    const key = [level, f0, s0, f1, s1].join();
    if (!panel.drawn.has(key)) {
      const canvas = document.createElement("canvas");
      canvas.width = f1 - f0;
      canvas.height = s1 - s0;
      const context = canvas.getContext("2d");
      const data = context.createImageData(canvas.width, canvas.height);
      const out = new Uint32Array(data.data.buffer);
      const halves = new Uint16Array(pixels.buffer, pixels.byteOffset, 2 * pixels.length);
      for (let s = s0, to = 0; s < s1; s++)
        for (let from = 2 * (s * n_fast + f0) + 1, end = from + 2 * (f1 - f0); from < end; from += 2) out[to++] = this._shades[halves[from]];
      context.putImageData(data, 0, 0);
      panel.drawn.clear();
      panel.drawn.set(key, {canvas, f0, s0});
    }
    return panel.drawn.get(key);
  }

  // ---- drawing -------------------------------------------------------------------------------

  _draw() {
    if (this._waiting) return;
    this._waiting = true;
    requestAnimationFrame(() => { this._waiting = false; this._paint(); });
  }

  _paint() {
    const context = this.canvas.getContext("2d");
    const {width, height} = this.canvas;
    const dark = this.settings.colours !== "ink";
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = PICTURE_BACKGROUND[this.settings.colours];
    context.fillRect(0, 0, width, height);
    if (!this.panels.length || !this.view) return;
    context.imageSmoothingEnabled = false;
    const scale = this.view.scale;
    // A block is at least as large as a point of the screen, or some would fall between two.
    const level = Math.max(0, Math.min(8, Math.ceil(Math.log2(1 / scale) - 1e-9)));
    const [ox, oy] = this._canvas(0, 0);
    for (const panel of this.panels) {
      const p = panel.place;
      context.setTransform(scale * p[2], scale * p[3], scale * p[4], scale * p[5], ox + scale * p[0], oy + scale * p[1]);
      const drawn = this._drawnPart(panel, level), step = 2 ** level;
      if (drawn) context.drawImage(drawn.canvas, drawn.f0 * step, drawn.s0 * step, drawn.canvas.width * step, drawn.canvas.height * step);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (this.settings.rings) this._paintRings(context, dark);
    if (scale * this.ratio >= 40 * this.ratio * this.ratio) this._paintValues(context);
    this._paintLabels(context, dark);
    this._paintPoint(context, dark);
  }

  _paintRings(context, dark) {
    const {width, height} = this.canvas;
    const ratio = this.ratio;
    context.lineWidth = ratio;
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const ink = dark ? "rgba(140, 190, 255, 0.75)" : "rgba(30, 90, 170, 0.6)";
    const main = this.panels.find(panel => panel.geometry);
    if (!main) return;
    let last = 0;
    for (const d of PICTURE_RINGS) {
      const g = main.geometry, sine = g.wavelength_angstrom / (2 * d);
      if (sine >= 0.999) break;
      const distance = Math.abs(dot3(g.pix0, cross3(g.fast, g.slow))) / g.pixel_size;
      const radius = distance * Math.tan(Math.min(1.5, 2 * Math.asin(sine))) * this.view.scale;
      if (radius - last < 55 * ratio) continue;
      last = radius;
      let best = null;
      for (const panel of this.panels) {
        if (!panel.geometry) continue;
        context.strokeStyle = ink;
        context.beginPath();
        let before = false;
        for (const point of this._ring(panel, d)) {
          const inside = point && point[0] >= 0 && point[1] >= 0 && point[0] <= panel.n_fast && point[1] <= panel.n_slow;
          if (!inside) { before = false; continue; }
          const [x, y] = this._canvas(...this._placed(panel, point[0], point[1]));
          if (before) context.lineTo(x, y); else context.moveTo(x, y);
          before = true;
          const margin = 14 * ratio;
          if (x > 2 * margin && x < width - 2 * margin && y > margin && y < height - margin) {
            const rank = x - y;  // the upper right
            if (best === null || rank > best.rank) best = {rank, x, y};
          }
        }
        context.stroke();
      }
      if (best) {
        const text = `${d} Å`;
        const wide = context.measureText(text).width + 6 * ratio;
        context.fillStyle = dark ? "rgba(20, 24, 30, 0.7)" : "rgba(255, 255, 255, 0.8)";
        context.fillRect(best.x - wide / 2, best.y - 8 * ratio, wide, 16 * ratio);
        context.fillStyle = dark ? "#a9cdff" : "#1e5aaa";
        context.fillText(text, best.x, best.y);
      }
    }
  }

  _paintValues(context) {
    const ratio = this.ratio;
    const {width, height} = this.canvas;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const size = Math.min(13 * ratio, this.view.scale / 4.4);
    context.font = `${size}px system-ui, sans-serif`;
    for (const panel of this.panels) {
      const corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([x, y]) => this._unplaced(panel, ...this._picture(x, y)));
      const low = [0, 1].map(k => Math.max(0, Math.floor(Math.min(...corners.map(c => c[k])))));
      const high = [Math.min(panel.n_fast - 1, Math.floor(Math.max(...corners.map(c => c[0])))),
                    Math.min(panel.n_slow - 1, Math.floor(Math.max(...corners.map(c => c[1]))))];
      const halves = new Uint16Array(2), number = new Float32Array(halves.buffer);
      for (let s = low[1]; s <= high[1]; s++)
        for (let f = low[0]; f <= high[0]; f++) {
          const value = panel.pixels[s * panel.n_fast + f];
          number[0] = panel.mask && panel.mask[s * panel.n_fast + f] === 0 ? -Infinity : value;
          const shade = this._shades[halves[1]];
          const light = 0.3 * (shade & 255) + 0.6 * (shade >> 8 & 255) + 0.1 * (shade >> 16 & 255);
          context.fillStyle = light > 128 ? "#111" : "#eee";
          context.fillText(pictureNumber(value, 3), ...this._canvas(...this._placed(panel, f + 0.5, s + 0.5)));
        }
    }
  }

  _paintLabels(context, dark) {
    const ratio = this.ratio;
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.textAlign = "left";
    context.textBaseline = "bottom";
    context.strokeStyle = dark ? "#ffb070" : "#b4530a";
    context.lineWidth = ratio;
    const words = [];  // boxes of words that are written: those before have the place
    const {width, height} = this.canvas, radius = Math.max(5 * ratio, 1.2 * this.view.scale);
    for (const {panel, fast, slow, text} of this.labels) {
      if (!this.panels[panel]) continue;
      const [x, y] = this._canvas(...this._placed(this.panels[panel], fast + 0.5, slow + 0.5));
      if (x < -radius || y < -radius || x > width + radius || y > height + radius) continue;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
      const left = x + 0.75 * radius, bottom = y - 0.75 * radius;
      const right = left + context.measureText(text).width, top = bottom - 12 * ratio;
      if (words.some(([l, t, r, b]) => left < r && right > l && top < b && bottom > t)) continue;
      words.push([left, top, right, bottom]);
      context.lineWidth = 3 * ratio;
      context.strokeStyle = dark ? "rgba(20, 24, 30, 0.8)" : "rgba(255, 255, 255, 0.85)";
      context.strokeText(text, left, bottom);
      context.fillStyle = context.strokeStyle = dark ? "#ffb070" : "#b4530a";
      context.fillText(text, left, bottom);
      context.lineWidth = ratio;
    }
  }

  _paintPoint(context, dark) {
    if (!this.point || !this.panels[this.point.panel]) return;
    const panel = this.panels[this.point.panel];
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([f, s]) => this._canvas(...this._placed(panel, this.point.fast + f, this.point.slow + s)));
    const [x, y] = this._canvas(...this._placed(panel, this.point.fast + 0.5, this.point.slow + 0.5));
    context.strokeStyle = dark ? "#fff" : "#c02020";
    context.lineWidth = this.ratio;
    context.beginPath();
    if (this.view.scale >= 6 * this.ratio) {
      corners.forEach((corner, i) => i ? context.lineTo(...corner) : context.moveTo(...corner));
      context.closePath();
    } else {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 5 * this.ratio * dx, y + 5 * this.ratio * dy);
        context.lineTo(x + 11 * this.ratio * dx, y + 11 * this.ratio * dy);
      }
    }
    context.stroke();
  }

  _tell() {
    const point = this.point;
    const say = (name, value, unit) => `${name} <b>${value}</b>${unit ? " " + unit : ""}`;
    const words = [];
    if (point) {
      const panel = this.panels[point.panel];
      if (this.panels.length > 1) {
        const name = document.createElement("i");
        name.textContent = panel.name ?? point.panel;
        words.push(say("panel", name.innerHTML));
      }
      words.push(say("fast", point.fast), say("slow", point.slow), say("value", Number.isSafeInteger(point.value) ? point.value : pictureNumber(point.value, 6), this.options.unit));
      if (point.masked) words.push("masked");
      if (point.d_angstrom !== undefined)
        words.push(say("d", pictureNumber(point.d_angstrom), "Å"), say("2θ", point.twotheta_deg.toFixed(2), "°"));
    } else {
      words.push("Point at a pixel, or use the arrow keys; the wheel or + and − zoom, dragging moves, 0 shows all.");
    }
    this._where.innerHTML = words.join(" &ensp; ");
    if (!point) this.note("");
  }

  // ---- controls and events -------------------------------------------------------------------

  _build(element) {
    if (!document.getElementById("nb-picture-style")) {
      const style = document.createElement("style");
      style.id = "nb-picture-style";
      style.textContent = PICTURE_STYLE;
      document.head.append(style);
    }
    element.classList.add("nb-picture");
    element.innerHTML = `
      <div class="nb-bar" role="toolbar" aria-label="picture">
        <label>scale <select data-set="scale"><option value="root">square root</option><option value="linear">linear</option><option value="log">logarithm</option></select></label>
        <label>colours <select data-set="colours"><option value="ink">dark on light</option><option value="grey">light on dark</option><option value="heat">heat</option></select></label>
        <label>contrast <input data-level type="range" min="0" max="1000" aria-label="value of the strongest colour"></label>
        <span class="nb-levels"></span>
        <label><input data-set="automatic" type="checkbox"> automatic</label>
        <label><input data-set="rings" type="checkbox"> rings</label>
        <span><button type="button" data-do="in" aria-label="zoom in">+</button>
        <button type="button" data-do="out" aria-label="zoom out">−</button>
        <button type="button" data-do="fit">all</button></span>
      </div>
      <div class="nb-stage"><canvas tabindex="0" role="img" aria-label="image; arrow keys choose a pixel, + and - zoom, 0 shows all"></canvas></div>
      <div class="nb-readout" aria-live="polite"><span></span> &ensp; <span></span></div>`;
    this.stage = element.querySelector(".nb-stage");
    this.canvas = element.querySelector("canvas");
    this._bar = element.querySelector(".nb-bar");
    [this._where, this._note] = element.querySelectorAll(".nb-readout span");
    this._tell();
    for (const control of this._bar.querySelectorAll("[data-set]"))
      control.addEventListener("input", () => this.set({[control.dataset.set]: control.type === "checkbox" ? control.checked : control.value}));
    this._slider = this._bar.querySelector("[data-level]");
    this._slider.addEventListener("input", () => this.set({high: this._levelOf(Number(this._slider.value) / 1000)}));
    const actions = {in: () => this.zoom(1.5), out: () => this.zoom(1 / 1.5), fit: () => this.fit()};
    for (const button of this._bar.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
    this.canvas.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoom(Math.exp(-Math.max(-200, Math.min(200, event.deltaY)) / 400), ...this._place(event));
    }, {passive: false});
    this.canvas.addEventListener("pointerdown", event => this._down(event));
    this.canvas.addEventListener("pointermove", event => this._move(event));
    for (const name of ["pointerup", "pointercancel"])
      this.canvas.addEventListener(name, event => this._pointers.delete(event.pointerId));
    this.canvas.addEventListener("dblclick", event => this.zoom(3, ...this._place(event)));
    this.canvas.addEventListener("keydown", event => this._key(event));
  }

  /** The slider's way from 0..1 to the value of the strongest colour: even in the logarithm. */
  _levelOf(t) {
    const top = Math.max(this.range.largest - this.settings.low, 1e-30);
    return this.settings.low + top * Math.exp((t - 1) * Math.log(1e6));
  }

  _controls() {
    const {low, high} = this.settings;
    for (const control of this._bar.querySelectorAll("[data-set]"))
      if (control.type === "checkbox") control.checked = this.settings[control.dataset.set];
      else control.value = this.settings[control.dataset.set];
    const top = Math.max((this.range?.largest ?? 1) - low, 1e-30);
    this._slider.value = 1000 * (1 + Math.log((high - low) / top) / Math.log(1e6));
    this._bar.querySelector(".nb-levels").textContent = `${pictureNumber(low, 3)} to ${pictureNumber(high, 3)} ${this.options.unit}`;
  }

  _place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio];
  }

  _down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this._pointers.set(event.pointerId, this._place(event));
  }

  _move(event) {
    const place = this._place(event);
    const before = this._pointers.get(event.pointerId);
    if (before && this._pointers.size === 2) {
      const other = [...this._pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
      this.zoom(apart(place, other) / apart(before, other), (place[0] + other[0]) / 2, (place[1] + other[1]) / 2);
    }
    if (before) {
      const part = this._pointers.size === 2 ? 0.5 : 1;
      this.view.x -= part * (place[0] - before[0]) / this.view.scale;
      this.view.y -= part * (place[1] - before[1]) / this.view.scale;
      this._fitted = false;
      this._pointers.set(event.pointerId, place);
      this._draw();
      return;
    }
    const [panel, fast, slow] = this._pixelAt(...place);
    const same = this.point ? this.point.panel === panel && this.point.fast === fast && this.point.slow === slow : panel < 0;
    if (!same) this.look(panel, fast, slow);
  }

  _key(event) {
    const step = event.shiftKey ? 10 : 1;
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
    const s = this.settings;
    const actions = {
      "+": () => this.zoom(1.5, ...this._middle()), "=": () => this.zoom(1.5, ...this._middle()),
      "-": () => this.zoom(1 / 1.5, ...this._middle()), "0": () => this.fit(),
      "r": () => this.set({rings: !s.rings}), "a": () => this.set({automatic: !s.automatic}),
      "[": () => this.set({high: s.low + (s.high - s.low) / 1.3}), "]": () => this.set({high: s.low + (s.high - s.low) * 1.3}),
      "Escape": () => this.look(-1, 0, 0),
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key] && this.panels.length) {
      const point = this.point ?? {panel: 0, fast: this.panels[0].n_fast >> 1, slow: this.panels[0].n_slow >> 1};
      const panel = this.panels[point.panel];
      const clip = (value, count) => Math.max(0, Math.min(count - 1, value));
      this.look(point.panel, clip(point.fast + moves[event.key][0], panel.n_fast), clip(point.slow + moves[event.key][1], panel.n_slow));
    } else if (actions[event.key]) {
      actions[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Where the keyboard zooms: the chosen pixel if it is in view. */
  _middle() {
    const {width, height} = this.canvas;
    if (this.point) {
      const [x, y] = this._canvas(...this._placed(this.panels[this.point.panel], this.point.fast + 0.5, this.point.slow + 0.5));
      if (x >= 0 && y >= 0 && x < width && y < height) return [x, y];
    }
    return [width / 2, height / 2];
  }

  _resize() {
    this.ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.stage.clientWidth * this.ratio));
    const height = Math.max(1, Math.round(this.stage.clientHeight * this.ratio));
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    if (this.view && !this._fitted) this._draw(); else this.fit();
  }
}
