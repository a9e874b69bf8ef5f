// page.js - the live image: controls, the workers that render, and what is said about the image.
// TABLES, WORKER and MODULE come from make_page.py.
"use strict";

// ---- what can be set ---------------------------------------------------------------------------
// A control: label, unit, the field of the Python configuration and the place in it, the flag of the
// command and the place among its values, slider from, to, step.  `none`: the slider's value that
// stands for "not given", and what to call it.
const CONTROLS = {
  "Unit cell": [
    ...["a", "b", "c"].map((label, i) => ({label, unit: "Å", field: "crystal.cell_angstrom", place: i, flag: "-cell", from: 20, to: 200, step: 0.1})),
    ...["α", "β", "γ"].map((label, i) => ({label, unit: "°", field: "crystal.cell_deg", place: i, flag: "-cell", at: 3 + i, from: 50, to: 130, step: 0.1})),
  ],
  "Crystal": [
    ...["a", "b", "c"].map((axis, i) => ({label: `cells along ${axis}`, unit: "", field: "crystal.n_cells", place: i, flag: `-N${axis}`, from: 1, to: 60, step: 1})),
    {label: "shape", field: "crystal.shape", options: TABLES.shapes.map(shape => shape.name)},
    {label: "F of all", unit: "e", field: "f", flag: "-default_F", from: 0, to: 1000, step: 1},
  ],
  "Orientation": ["x", "y", "z"].map((axis, i) => ({label: `about ${axis}`, unit: "°", field: "crystal.misset_deg", place: i, flag: "-misset", from: -180, to: 180, step: 0.1})),
  "Rotation while exposed": [
    {label: "start φ", unit: "°", field: "goniometer.phi_deg", flag: "-phi", from: -180, to: 180, step: 0.1},
    {label: "range", unit: "°", field: "goniometer.osc_deg", flag: "-osc", from: 0, to: 5, step: 0.01, none: "still"},
    {label: "steps", unit: "", field: "goniometer.phi_steps", flag: "-phisteps", from: 0, to: 60, step: 1, none: "auto"},
  ],
  "Mosaicity": [
    {label: "spread", unit: "°", field: "crystal.mosaic_spread_deg", flag: "-mosaic_spread", from: 0, to: 3, step: 0.01, none: "none"},
    {label: "domains", unit: "", field: "crystal.mosaic_domains", flag: "-mosaic_domains", from: 0, to: 60, step: 1, none: "auto"},
    {label: "seed", unit: "", field: "crystal.mosaic_seed", flag: "-mosaic_seed", from: 1, to: 100, step: 1},
  ],
  "Beam": [
    {label: "wavelength", unit: "Å", field: "beam.wavelength_angstrom", flag: "-lambda", from: 0.3, to: 4, step: 0.001},
    {label: "polarization", unit: "", field: "beam.polarization_kahn", flag: "-polar", from: -1, to: 1, step: 0.01},
    {label: "fluence", unit: "/m²", field: "beam.fluence_photons_per_m2", flag: "-fluence", number: true},
  ],
  "Detector": [
    {label: "distance", unit: "mm", field: "detector.distance_mm", flag: "-distance", from: 20, to: 600, step: 1},
    {label: "pixel", unit: "mm", field: "detector.pixel_size_mm", flag: "-pixel", from: 0.02, to: 1, step: 0.01},
    {label: "pixels, fast", unit: "", field: "detector.n_fast", flag: "-detpixels_x", from: 64, to: 1024, step: 64},
    {label: "pixels, slow", unit: "", field: "detector.n_slow", flag: "-detpixels_y", from: 64, to: 1024, step: 64},
    {label: "two theta", unit: "°", field: "detector.twotheta_deg", flag: "-twotheta", from: -60, to: 60, step: 0.5},
    {label: "turns about", field: "detector.pivot", options: Object.keys(TABLES.pivots)},
    {label: "sub-pixels", unit: "", field: "sampling.oversample", flag: "-oversample", from: 0, to: 5, step: 1, none: "auto"},
  ],
};
// What only a command sets here.
const HIDDEN = [
  {label: "beam centre", field: "detector.beam_x_mm", flag: "-Xbeam"},
  {label: "beam centre", field: "detector.beam_y_mm", flag: "-Ybeam"},
  {label: "polarization", field: "beam.polarization_correction"},
];
const ALL = [...Object.values(CONTROLS).flat(), ...HIDDEN];
const START = {
  "crystal.cell_angstrom": [38, 46, 54], "crystal.cell_deg": [90, 98, 90], "crystal.n_cells": [8, 8, 8],
  "crystal.shape": ["gauss_hkl"], "crystal.misset_deg": [10, 25, 5], "f": [100],
  "goniometer.phi_deg": [0], "goniometer.osc_deg": [null], "goniometer.phi_steps": [null],
  "crystal.mosaic_spread_deg": [null], "crystal.mosaic_domains": [null], "crystal.mosaic_seed": [TABLES.defaults["crystal.mosaic_seed"]],
  "beam.wavelength_angstrom": [1], "beam.polarization_kahn": [0], "beam.polarization_correction": [true],
  "beam.fluence_photons_per_m2": [TABLES.defaults["beam.fluence_photons_per_m2"]],
  "detector.distance_mm": [100], "detector.pixel_size_mm": [0.4], "detector.n_fast": [256], "detector.n_slow": [256],
  "detector.beam_x_mm": [null], "detector.beam_y_mm": [null], "detector.pivot": ["beam"], "detector.twotheta_deg": [0], "sampling.oversample": [1],
};
const clone = value => JSON.parse(JSON.stringify(value));
const at = (selector, root = document) => root.querySelector(selector);

let state = clone(START);      // field -> values, null: not given
let quirksOff = new Set();     // names, besides the preset
let preset = "nanobragg";
let reflections = null;        // {id, name, content}

// ---- the command and Python --------------------------------------------------------------------

const quirksText = () => {
  const toggles = TABLES.quirks.filter(quirk => quirksOff.has(quirk.name)).map(quirk => (preset === "none" ? "+" : "-") + quirk.name);
  return [preset, ...toggles].join(",");
};
const quirkBits = () => TABLES.quirks.reduce((sum, quirk) =>
  sum + ((preset === "none") === quirksOff.has(quirk.name) ? quirk.bit : 0), 0);
const quote = name => /^[\w./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;

/** What is given: all but what equals the default that a command starts with. */
function command() {
  const words = [];
  const value = (field, place = 0) => state[field][place];
  words.push("-cell", ...state["crystal.cell_angstrom"], ...state["crystal.cell_deg"]);
  if (state["crystal.misset_deg"].some(angle => angle !== 0)) words.push("-misset", ...state["crystal.misset_deg"]);
  if (reflections) words.push("-hkl", quote(reflections.name));
  for (const control of ALL) {
    const given = value(control.field, control.place ?? 0);
    if (control.flag === undefined || ["-cell", "-misset"].includes(control.flag) || given === null) continue;
    if (control.field.startsWith("detector.n_") && value("detector.n_fast") === value("detector.n_slow")) {
      if (control.field === "detector.n_fast") words.push("-detpixels", given);
      continue;
    }
    if (control.field === "crystal.n_cells" && new Set(state["crystal.n_cells"]).size === 1) {
      if (control.place === 0) words.push("-N", given);
      continue;
    }
    if (control.field in TABLES.defaults && TABLES.defaults[control.field] === given && !["beam.wavelength_angstrom", "detector.distance_mm", "detector.pixel_size_mm"].includes(control.field)) continue;
    words.push(control.flag, given);
  }
  const shape = TABLES.shapes.find(shape => shape.name === value("crystal.shape"));
  if (shape.name !== "square") words.push(shape.flag);
  if (!value("beam.polarization_correction")) words.push("-nopolar");
  const implied = value("detector.twotheta_deg") !== 0 ? "sample" : "beam";   // by the last flag that says so
  if (value("detector.pivot") !== implied) words.push("-pivot", value("detector.pivot"));
  if (quirksText() !== "nanobragg") words.push("--quirks", quirksText());
  return words.join(" ");
}

function python() {
  const parts = {beam: [], crystal: [], goniometer: [], detector: [], sampling: []};
  const say = value => value === null ? "None" : value === true ? "True" : value === false ? "False" :
    typeof value === "string" ? JSON.stringify(value) : String(value);
  for (const [path, values] of Object.entries(state)) {
    if (path === "f" || values.every(value => value === null)) continue;
    const [part, name] = path.split(".");
    const text = values.length > 1 ? `(${values.map(say).join(", ")})` : say(values[0]);
    if (values.length === 1 && TABLES.defaults[path] === values[0]) continue;
    parts[part].push(`${name}=${text}`);
  }
  const classes = Object.entries(parts).filter(([, given]) => given.length)
    .map(([part, given]) => `    ${part}=nb.${part[0].toUpperCase()}${part.slice(1)}(${given.join(", ")}),\n`);
  const quirks = quirksText() === "nanobragg" ? "" : `, quirks=nb.Quirks.parse("${quirksText()}")`;
  const read = quirksText() === "nanobragg" ? "" : `, quirks=nb.Quirks.parse("${quirksText()}")`;
  const table = reflections ? `nb.read_hkl(${JSON.stringify(reflections.name)}, default_f=${say(state.f[0])}${read})` : `nb.StructureFactors.constant(${say(state.f[0])})`;
  return `import nanobragg_hybrid as nb\n\nexperiment = nb.Experiment(\n${classes.join("")})\n` +
    `result = nb.simulate(experiment, ${table}${quirks})\n`;
}

/** Sets everything from a command; throws at the first word that this page cannot show. */
function takeCommand(text) {
  const words = text.replaceAll("\\\n", " ").trim().split(/\s+/).filter(word => word !== "");
  if (/nanoBragg$/.test(words[0] ?? "")) words.shift();
  const next = clone(START);
  for (const [field, values] of Object.entries(next))
    next[field] = values.map((_, i) => field in TABLES.defaults ? [TABLES.defaults[field]].flat()[i] ?? null : null);
  next["crystal.cell_angstrom"] = null;
  next.f = [0];
  next["detector.n_fast"] = next["detector.n_slow"] = [1024];
  next["detector.pivot"] = ["beam"];
  const off = new Set();
  let base = "nanobragg";
  const numbers = (flag, count) => {
    const values = words.splice(0, count).map(Number);
    if (values.length < count || !values.every(Number.isFinite)) throw new Error(`${flag}: need ${count} number${count > 1 ? "s" : ""}`);
    return values;
  };
  const name = flag => {
    if (!words.length) throw new Error(`${flag}: need what follows it`);
    return words.shift();
  };
  const aliases = {"-mosaic": "-mosaic_spread", "-mosaici": "-mosaic_spread", "-mosaicity": "-mosaic_spread", "-mosaic_dom": "-mosaic_domains",
    "-wave": "-lambda", "-detpixels_f": "-detpixels_x", "-detpixels_s": "-detpixels_y"};
  while (words.length) {
    const word = words.shift();
    const flag = aliases[word] ?? word;
    const control = ALL.find(control => control.flag === flag);
    const shape = TABLES.shapes.find(shape => shape.flags.includes(flag));
    if (flag === "-cell") {
      const cell = numbers(flag, 6);
      next["crystal.cell_angstrom"] = cell.slice(0, 3);
      next["crystal.cell_deg"] = cell.slice(3);
    } else if (flag === "-misset") next["crystal.misset_deg"] = numbers(flag, 3);
    else if (flag === "-N") next["crystal.n_cells"] = Array(3).fill(Math.max(1, numbers(flag, 1)[0]));
    else if (flag === "-energy") next["beam.wavelength_angstrom"] = [12398.42 / numbers(flag, 1)[0]];
    else if (flag === "-pivot") {
      const pivot = name(flag);
      if (!(pivot in TABLES.pivots)) throw new Error(`-pivot: got ${pivot}`);
      next["detector.pivot"] = [pivot];
    } else if (flag === "-detpixels") next["detector.n_fast"] = next["detector.n_slow"] = numbers(flag, 1);
    else if (flag === "-nopolar") next["beam.polarization_correction"] = [false];
    else if (flag === "-seed") numbers(flag, 1);   // of the noise, which this page does not draw
    else if (flag === "-noprogress" || flag === "-progress") continue;
    else if (flag === "-floatfile") name(flag);   // this page has its own name for it
    else if (flag === "-hkl") {
      const file = name(flag);
      if (!reflections || reflections.name !== file) throw new Error(`-hkl ${file}: open this file under "Structure factors" first`);
      next.hkl = true;
    } else if (flag === "--quirks") {
      const [first, ...rest] = name(flag).split(",");
      const toggles = /^[+-]/.test(first) ? [first, ...rest] : rest;
      if (!/^[+-]/.test(first)) base = first;
      if (!["nanobragg", "none"].includes(base)) throw new Error(`--quirks ${base}: here only nanobragg and none`);
      for (const toggle of toggles) {
        const quirk = toggle.slice(1), on = toggle[0] === "+";
        if (!TABLES.quirks.some(known => known.name === quirk)) throw new Error(`--quirks: ${quirk} is none`);
        if (on === (base === "none")) off.add(quirk); else off.delete(quirk);
      }
    } else if (shape) next["crystal.shape"] = [shape.name];
    else if (control) {
      let [value] = numbers(word, 1);
      const positive = ["goniometer.phi_steps", "crystal.mosaic_domains", "sampling.oversample"];
      if (control.field === "crystal.n_cells") value = Math.max(1, value);
      if (control.field === "goniometer.osc_deg" && value < 0) value = null;
      if (positive.includes(control.field) && value <= 0) value = null;
      next[control.field] = [...next[control.field]];
      next[control.field][control.place ?? 0] = value;
      if (["-distance", "-Xbeam", "-Ybeam"].includes(flag)) next["detector.pivot"] = ["beam"];
      if (flag === "-twotheta") next["detector.pivot"] = ["sample"];
      if (flag === "-polar") next["beam.polarization_correction"] = [true];
    } else throw new Error(`${word}: this page does not know it`);
  }
  if (next["crystal.cell_angstrom"] === null) throw new Error("need -cell with six numbers");
  if (!next.hkl) reflections = null;
  delete next.hkl;
  state = next;
  quirksOff = off;
  preset = base;
  showControls();
  changed();
}

// ---- rendering ---------------------------------------------------------------------------------

const workers = [];
let parts = 1;
let wanted = 0, running = null, done = 0, image = null, seen = null, sentText = null;
let waitingFor = [];
let spotIds = 0;
const spotCalls = new Map();

async function startWorkers() {
  const packed = Uint8Array.from(atob(MODULE), letter => letter.charCodeAt(0));
  const bytes = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const address = URL.createObjectURL(new Blob([WORKER], {type: "text/javascript"}));
  parts = Math.max(1, Math.min(4, navigator.hardwareConcurrency || 1));
  const ready = Array.from({length: parts}, (_, part) => new Promise((resolve, reject) => {
    const worker = new Worker(address);
    workers.push(worker);
    worker.onerror = event => reject(new Error(event.message));
    worker.onmessage = ({data}) => {
      if (data.ready) { worker.onmessage = ({data}) => heard(data); resolve(data.ready); }
      else reject(new Error(data.problem));
    };
    worker.postMessage({start: bytes, part, parts});
  }));
  const [first] = await Promise.all(ready);
  const known = new Set(first.numbers.map(([name]) => name));
  for (const field of Object.keys(START)) if (field !== "f" && !known.has(field)) throw new Error(`the library has no number ${field}`);
  return first;
}

function numbers() {
  const given = {};
  const shapes = TABLES.shapes.map(shape => shape.name);
  for (const [field, values] of Object.entries(state)) {
    if (field === "f" || values.some(value => value === null)) continue;
    given[field] = field === "crystal.shape" ? [TABLES.shapes[shapes.indexOf(values[0])].number] :
      field === "detector.pivot" ? [TABLES.pivots[values[0]]] : values.map(Number);
  }
  return given;
}

/** Something changed: render, at once or when the image in work is done.  One that takes long is
 * given up. */
function changed() {
  wanted++;
  at("#sha").textContent = "…";
  if (running === null) render();
  else if (performance.now() - running.since > 250) render();
}

function render() {
  running = {id: wanted, since: performance.now(), arrived: [], shares: Array(parts).fill(0)};
  const text = reflections && {...reflections, stream: (quirkBits() / TABLES.quirks.find(quirk => quirk.name === "hkl_stream").bit) % 2 >= 1 ? 1 : 0};
  const same = text !== null && sentText === text.id + ":" + text.stream;
  sentText = text && text.id + ":" + text.stream;
  const job = {id: wanted, numbers: numbers(), quirks: quirkBits(), f: state.f[0], text: same ? "same" : text};
  for (const worker of workers) worker.postMessage({job});
}

function heard(data) {
  if (data.id !== undefined) { spotCalls.get(data.id)?.(data.spots); spotCalls.delete(data.id); return; }
  if (!running || data.job !== running.id) return;
  if (data.share !== undefined) { onTheWay(data); return; }
  running.shares[data.part] = 1;
  running.arrived.push(data);
  if (running.arrived.length < parts) return;
  const {id, arrived, since} = running;
  running = null;
  const problem = arrived.find(part => part.problem)?.problem;
  done = id;
  if (problem) failed(problem); else finished(arrived, performance.now() - since);
  if (wanted !== id) render();
  else for (const resolve of waitingFor.splice(0)) resolve();
}

/** Of an image that takes long: how far it is, and how much longer that will be. */
function onTheWay({part, share}) {
  running.shares[part] = share;
  const whole = running.shares.reduce((sum, each) => sum + each, 0) / parts;
  const left = (performance.now() - running.since) * (1 / whole - 1) / 1000;
  at("#time").textContent = `rendering: ${(100 * whole).toFixed(0)} %, some ${left < 10 ? left.toFixed(1) : left.toFixed(0)} s left; any change gives it up`;
}

function failed(text) {
  at("#problem").textContent = text;
  at("#problem").hidden = false;
  at("#sha").textContent = "no image of these settings; the one shown is older";
  at("#warnings").textContent = "";
  image = null;
}

function finished(arrived, milliseconds) {
  const view = arrived[0].view;
  image = new Float32Array(view.n_fast * view.n_slow);
  for (const part of arrived) part.rows.forEach(([row0], i) => image.set(part.pixels[i], row0 * view.n_fast));
  seen = view;
  at("#problem").hidden = true;
  picture.show([{pixels: image, n_fast: view.n_fast, n_slow: view.n_slow, geometry: {
    pix0: view.pix0_m, fast: view.fast_axis, slow: view.slow_axis, pixel_size: view.pixel_size_m,
    beam: view.beam_direction, wavelength_angstrom: view.wavelength_m * 1e10}}]);
  const steps = view.steps === 1 ? "1 step" : `${view.steps} steps`;
  at("#time").textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)} ms · ${view.n_fast} × ${view.n_slow} pixels · ${steps} each` +
    (view.oversample > 1 ? ` · ${view.oversample} × ${view.oversample} sub-pixels` : "") + (view.domains > 1 ? ` · ${view.domains} domains` : "");
  const words = TABLES.warnings.filter(warning => Math.floor(view.warnings / warning.bit) % 2).map(warning => warning.words);
  const cell = [...view.cell_angstrom, ...view.cell_deg].map(number => pictureNumber(number, 6));
  const asked = [...state["crystal.cell_angstrom"], ...state["crystal.cell_deg"]].map(number => pictureNumber(number, 6));
  if (cell.join() !== asked.join()) words.push(`the cell in use is ${cell.slice(0, 3).join(" ")} Å, ${cell.slice(3).join(" ")} °`);
  if (!image.some(value => value !== 0)) words.unshift(`the image is dark${reason()}`);
  else if (image.some(value => !(value >= 0))) words.unshift("some pixels are below 0, or no numbers");
  at("#warnings").textContent = words.length ? "Note: " + words.join("; ") : "";
  later();
}

// Why an image may be dark, as far as the settings say.
function reason() {
  const factors = reflections === null && state.f[0] === 0 ? "F is 0" : "";
  const light = state["beam.fluence_photons_per_m2"][0] === 0 ? "the fluence is 0" : "";
  const because = [factors, light].filter(Boolean).join(", and ");
  return because ? `: ${because}` : ": no spot reaches a pixel";
}

let idle = null;
function later() {
  clearTimeout(idle);
  idle = setTimeout(async () => {
    if (wanted !== done || !image) return;
    const text = await digest(image);
    if (wanted !== done) return;
    at("#sha").textContent = text;
    try { history.replaceState(null, "", "#" + encodeURIComponent(command())); } catch { /* some browsers limit how often */ }
    if (at("#labels").checked) labelSpots();
  }, 60);
}

async function digest(pixels) {
  if (!globalThis.crypto?.subtle) return "(this browser gives no SHA-256 to a page opened this way)";
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", pixels));
  return [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join("");
}

// ---- spots -------------------------------------------------------------------------------------

function askSpots(places) {
  return new Promise(resolve => {
    const id = ++spotIds;
    spotCalls.set(id, resolve);
    workers[0].postMessage({spots: places, id});
  });
}

const hklText = spot => spot.whole.map(index => index === 0 ? "0" : String(index)).join(" ");

let asked = 0;
async function pointed(point) {
  const mine = ++asked;
  if (!point) { picture.note(""); return; }
  if (running !== null || !workers.length) return;
  const [spot] = await askSpots([[point.fast, point.slow]]);
  if (mine !== asked) return;
  picture.note(spot?.problem ? spot.problem : spot ? `hkl ${hklText(spot)} (at ${spot.hkl.map(x => x.toFixed(3)).join(" ")}), F ${pictureNumber(spot.f_cell)}` : "");
}

/** The brightest pixels within three of each other, with their indices. */
async function labelSpots() {
  if (!image || !at("#labels").checked) { picture.label([]); return; }
  const mine = done, {n_fast, n_slow} = seen;
  const floor = picture.settings.high * 0.5;
  const peaks = [];
  for (let slow = 3; slow < n_slow - 3; slow++)
    for (let fast = 3; fast < n_fast - 3; fast++) {
      const value = image[slow * n_fast + fast];
      if (!(value > floor)) continue;
      let highest = true;
      for (let s = -3; s <= 3 && highest; s++)
        for (let f = -3; f <= 3; f++) {
          const other = image[(slow + s) * n_fast + fast + f];
          if (other > value || other === value && (s < 0 || s === 0 && f < 0)) { highest = false; break; }
        }
      if (highest) peaks.push([value, fast, slow]);
    }
  peaks.sort((a, b) => b[0] - a[0]);
  const places = peaks.slice(0, 40).map(([, fast, slow]) => [fast, slow]);
  const spots = await askSpots(places);
  if (mine !== done || wanted !== done) return;
  const said = new Set();
  picture.label(places.flatMap(([fast, slow], i) => {
    if (!spots[i]?.hkl) return [];
    const text = hklText(spots[i]);
    if (said.has(text)) return [];
    said.add(text);
    return [{panel: 0, fast, slow, text}];
  }));
}

// ---- controls ----------------------------------------------------------------------------------

function makeControls() {
  for (const [group, controls] of Object.entries(CONTROLS)) {
    const box = document.createElement("details");
    box.open = !["Beam", "Mosaicity"].includes(group);
    box.innerHTML = `<summary>${group}</summary>`;
    controls.forEach((control, i) => {
      const id = `${group}-${i}`.replaceAll(/[^\w-]/g, "_");
      const row = document.createElement("div");
      row.className = "row";
      control.row = row;
      if (control.options) {
        row.innerHTML = `<label for="${id}">${control.label}</label><select id="${id}">${control.options.map(option => `<option>${option}</option>`).join("")}</select><span></span><span></span>`;
        at("select", row).addEventListener("input", event => put(control, event.target.value));
      } else {
        const slider = control.number ? "<span></span>" : `<input type="range" min="${control.from}" max="${control.to}" step="${control.step}" aria-label="${group}: ${control.label}">`;
        row.innerHTML = `<label for="${id}">${control.label}</label>${slider}<input id="${id}" type="text" inputmode="decimal" autocomplete="off" spellcheck="false"><span>${control.unit}</span>`;
        row.dataset.field = control.field;
        row.dataset.place = control.place ?? 0;
        at("input[type=range]", row)?.addEventListener("input", event => {
          const value = Number(event.target.value);
          put(control, control.none && value === 0 ? null : value);
        });
        at("input[type=text]", row).addEventListener("change", event => {
          const text = event.target.value.trim().replace(",", ".");
          const value = text === control.none || text === "" && control.none ? null : Number(text);
          const isBad = Number.isNaN(value) || text === "" && !control.none;
          event.target.classList.toggle("bad", isBad);
          if (!isBad) { put(control, value); return; }
          const also = control.none ? `, or ${control.none}` : "";
          at("#problem").textContent = `${group}, ${control.label}: got "${text}", need a number${also}; the image is that of ${showing(control)}`;
          at("#problem").hidden = false;
        });
      }
      box.append(row);
    });
    at("#controls").append(box);
  }
  const box = document.createElement("details");
  box.innerHTML = `<summary>Quirks of nanoBragg</summary><p class="hint">What nanoBragg does that is not the physics; without a tick it is corrected.</p>` +
    `<p><label>all others <select id="preset"><option value="nanobragg">as nanoBragg</option><option value="none">corrected</option></select></label></p>` +
    TABLES.quirks.filter(quirk => quirk.shown).map(quirk => `<label class="quirk"><input type="checkbox" data-quirk="${quirk.name}"><span><b>${quirk.name}</b> ${quirk.summary}</span></label>`).join("");
  at("#controls").append(box);
  at("#preset").addEventListener("input", event => {
    const on = new Map(TABLES.quirks.filter(quirk => quirk.shown).map(quirk => [quirk.name, isOn(quirk.name)]));
    preset = event.target.value;
    quirksOff = new Set([...on].filter(([, isOn]) => isOn === (preset === "none")).map(([name]) => name));
    showControls();
    changed();
  });
  for (const check of box.querySelectorAll("[data-quirk]"))
    check.addEventListener("input", () => {
      if (check.checked === (preset === "none")) quirksOff.add(check.dataset.quirk); else quirksOff.delete(check.dataset.quirk);
      changed();
    });
}

const isOn = name => (preset === "none") === quirksOff.has(name);

function put(control, value) {
  state[control.field][control.place ?? 0] = value;
  showControl(control);
  changed();
}

const showing = control => state[control.field][control.place ?? 0] ?? control.none;

function showControl(control) {
  if (!control.row) return;
  const value = state[control.field][control.place ?? 0];
  if (control.options) { at("select", control.row).value = value; return; }
  const slider = at("input[type=range]", control.row);
  if (slider && Number(slider.value) !== value) slider.value = value ?? 0;
  const box = at("input[type=text]", control.row);
  box.value = value === null ? control.none ?? "" : String(value);
  box.classList.remove("bad");
}

function showControls() {
  for (const control of ALL) showControl(control);
  at("#preset").value = preset;
  for (const check of document.querySelectorAll("[data-quirk]")) check.checked = isOn(check.dataset.quirk);
  at("#hkl-name").textContent = reflections ? reflections.name : "all reflections have the F above";
  at("#hkl-clear").hidden = !reflections;
}

function takeReflections(name, content) {
  reflections = {id: performance.now(), name, content};
  showControls();
  changed();
}

async function copy(button, text) {
  at("#text").value = text;
  at("#dialog-title").textContent = button.textContent;
  at("#dialog-take").hidden = true;
  let words = "copied";
  try { await navigator.clipboard.writeText(text); } catch { words = "select and copy the text"; }
  at("#dialog-note").textContent = words;
  at("#dialog").showModal();
  at("#text").select();
}

const picture = new Picture(at("#picture"), {unit: "photons", onpoint: pointed});

function connect() {
  at("#copy-command").addEventListener("click", event => copy(event.target, "nanoBragg " + command()));
  at("#copy-python").addEventListener("click", event => copy(event.target, python()));
  at("#paste").addEventListener("click", () => {
    at("#text").value = "";
    at("#dialog-title").textContent = "A nanoBragg command";
    at("#dialog-note").textContent = "";
    at("#dialog-take").hidden = false;
    at("#dialog").showModal();
  });
  at("#dialog-take").addEventListener("click", event => {
    event.preventDefault();
    try { takeCommand(at("#text").value); at("#dialog").close(); }
    catch (error) { at("#dialog-note").textContent = error.message; }
  });
  at("#reset").addEventListener("click", () => {
    state = clone(START);
    quirksOff = new Set();
    preset = "nanobragg";
    reflections = null;
    showControls();
    changed();
  });
  at("#save").addEventListener("click", () => {
    if (!image) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([image]));
    link.download = "floatimage.bin";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  at("#labels").addEventListener("input", () => labelSpots());
  at("#hkl").addEventListener("change", async event => {
    const [file] = event.target.files;
    if (!file) return;
    takeReflections(file.name, await file.text());
    event.target.value = "";
  });
  at("#hkl-clear").addEventListener("click", () => { reflections = null; showControls(); changed(); });
}

// What scripts may use.
const live = {
  command, python, takeCommand, takeReflections,
  state: () => clone(state),
  set: (field, ...values) => {
    if (!(field in state) || values.length !== state[field].length) throw new Error(`${field}: there is no such number`);
    state[field] = values;
    showControls();
    changed();
  },
  settled: async () => {
    if (done !== wanted) await new Promise(resolve => waitingFor.push(resolve));
    return image && {sha256: await digest(image), ...seen};
  },
  image: () => image,
  picture,
  spot: async (fast, slow) => (await askSpots([[fast, slow]]))[0],
  ready: null,
};
live.ready = (async () => {
  makeControls();
  connect();
  showControls();
  try {
    const {build} = await startWorkers();
    at("#build").textContent = build.trim().split("\n").join(" · ");
    const words = decodeURIComponent(location.hash.slice(1));
    if (words) {
      try { takeCommand(words); return; } catch (error) { failed(`the address: ${error.message}`); }
    }
    changed();
  } catch (error) {
    failed(`The page could not start: ${error.message}`);
    throw error;
  }
})();
