// worker.js - one copy of the C library, which renders every n-th strip of rows.
//
// Takes {start: bytes of the module, part, parts}, {job}, {spots: [[fast, slow], ...], id}; answers
// {ready}, {job, part, share: of its rows that are rendered, while that takes long}, {job, view, part, rows: [[row0, row1],
// ...], pixels}, {job, problem}, {id, spots: [null (no light), {problem} or what the brightest step has, ...]}.
"use strict";

const STRIP = 16;          // rows at once, or as few as have
const STRIP_STEPS = 1e8;   // so many steps of pixels: a second's work
const BREATH_MS = 25;      // how long it renders before it looks for messages
const WORD_MS = 500;       // how often it says how far it is

let c, part, parts, names, job = null, strips = [], pixels = [], rows = [], planned = "", textOf = null;
let total = 0, said = 0;   // strips of the job; when it last said how far it is
let isDue = false;         // a turn is on its way: there is never more than one
const next = new MessageChannel();
next.port1.onmessage = () => { isDue = false; go(); };

const words = at => {
  const bytes = new Uint8Array(c.memory.buffer);
  let end = at;
  while (bytes[end]) end++;
  return new TextDecoder().decode(bytes.subarray(at, end));
};
const must = result => {
  if (!result) throw new Error(words(c.live_problem()));
  return result;
};

async function start(bytes) {
  const module = await WebAssembly.compile(bytes);
  const unwanted = {};
  for (const {module: from, name} of WebAssembly.Module.imports(module))
    (unwanted[from] ??= {})[name] = () => { throw new Error(`the library asks for ${name}`); };
  c = (await WebAssembly.instantiate(module, unwanted)).exports;
  c._initialize();
  names = new Map();
  for (let i = 0; i < c.live_numbers(); i++) names.set(words(c.live_name(i)), i);
  postMessage({ready: {numbers: [...names].map(([name, i]) => [name, c.live_length(i)]), build: words(c.live_build_info())}});
}

/** The plan of a job, unless it is the one there is. */
function plan(wanted) {
  const key = JSON.stringify([wanted.numbers, wanted.quirks, wanted.f, wanted.text?.id]);
  if (key === planned) return;
  planned = "";
  c.live_reset(wanted.quirks);
  for (const [name, values] of Object.entries(wanted.numbers)) {
    if (!names.has(name)) throw new Error(`the library has no number ${name}`);
    values.forEach((value, place) => must(c.live_set(names.get(name), place, value)));
  }
  if (wanted.text) {
    const bytes = new TextEncoder().encode(wanted.text.content);
    const room = must(c.live_text(bytes.length));
    new Uint8Array(c.memory.buffer).set(bytes, room);
    must(c.live_read_text(bytes.length, wanted.text.stream, wanted.f));
  } else {
    c.live_constant_f(wanted.f);
  }
  must(c.live_plan());
  planned = key;
}

function view() {
  const v = new Float64Array(c.memory.buffer, c.live_view(), 27);
  const [n_fast, n_slow, pixel_size_m, wavelength_m] = v;
  return {n_fast, n_slow, pixel_size_m, wavelength_m, pix0_m: [...v.slice(4, 7)], fast_axis: [...v.slice(7, 10)],
    slow_axis: [...v.slice(10, 13)], beam_direction: [...v.slice(13, 16)], oversample: v[16], steps: v[17],
    domains: v[18], warnings: v[19], kernel: v[20], cell_angstrom: [...v.slice(21, 24)], cell_deg: [...v.slice(24, 27)]};
}

function begin(wanted) {
  job = wanted;
  pixels = [];
  rows = [];
  strips = [];
  try {
    plan(job);
    const {n_fast, n_slow, steps, oversample} = view();
    const strip = Math.max(1, Math.min(STRIP, Math.floor(STRIP_STEPS / (n_fast * steps * oversample * oversample))));
    for (let row = part * strip; row < n_slow; row += parts * strip) strips.push([row, Math.min(row + strip, n_slow)]);
    total = strips.length;
    said = performance.now();
  } catch (error) {
    postMessage({job: job.id, problem: error.message});
    job = null;
    return;
  }
  if (!isDue) go();
}

function go() {
  if (job === null) return;
  const end = performance.now() + BREATH_MS;
  try {
    const n_fast = view().n_fast;
    while (strips.length && performance.now() < end) {
      const [row0, row1] = strips.shift();
      const at = must(c.live_render(row0, row1));
      pixels.push(new Float32Array(c.memory.buffer, at, row1 * n_fast).slice(row0 * n_fast));
      rows.push([row0, row1]);
    }
  } catch (error) {
    postMessage({job: job.id, problem: error.message});
    job = null;
    return;
  }
  if (strips.length) {
    if (performance.now() - said > WORD_MS) {
      said = performance.now();
      postMessage({job: job.id, part, share: rows.length / total});
    }
    isDue = true;
    next.port2.postMessage(0);
    return;
  }
  postMessage({job: job.id, view: view(), part, rows, pixels}, pixels.map(piece => piece.buffer));
  job = null;
}

function spots(places) {
  return places.map(([fast, slow]) => {
    const at = planned && c.live_spot(fast, slow);
    if (!at) return planned ? {problem: words(c.live_problem())} : null;
    const v = new Float64Array(c.memory.buffer, at, 8);
    return v[7] ? {hkl: [...v.slice(0, 3)], whole: [...v.slice(3, 6)], f_cell: v[6], steps: v[7]} : null;
  });
}

onmessage = ({data}) => {
  if (data.start) {
    ({part, parts} = data);
    start(data.start).catch(error => postMessage({problem: error.message}));
  } else if (data.job) {
    if (data.job.text === "same") data.job.text = textOf; else textOf = data.job.text;
    begin(data.job);
  } else if (data.spots) {
    postMessage({id: data.id, spots: spots(data.spots)});
  }
};
