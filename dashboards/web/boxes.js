// The image viewer: reference boxes solid, predicted boxes dashed, each over a black halo; zoom, pan, window, slices.

import { api, imageUrl, isStatic } from "./data.js";
import { foreign, h, s } from "./dom.js";
import { plural } from "./format.js";
import { isBoxes } from "./cells.js";

const REFERENCE = { colour: "#00e5ff", dash: null };
const PREDICTED = [
  { colour: "#ffd400", dash: "7 4" }, { colour: "#ff5fa2", dash: "2.5 3.5" },
  { colour: "#7dff6b", dash: "12 4 2.5 4" }, { colour: "#ffa64d", dash: "14 5" }, { colour: "#c79bff", dash: "5 5" },
];
const MOST = 16;

/** Layers of boxes: the reference and each answer that holds some. [{name, boxes, style, reference}]. */
export function layersOf(sample, answers) {
  const layers = sample.boxes?.length ? [{ name: "Reference", boxes: sample.boxes, style: REFERENCE, reference: true }] : [];
  answers.forEach((each, i) => {  // a model keeps its line from case to case, whether or not others found something
    if (isBoxes(each.value) && each.value.length) layers.push({ name: each.name ?? each.model, boxes: each.value, style: PREDICTED[i % PREDICTED.length], reference: false });
  });
  return layers;
}

/** A short stroke in a layer's own line, for legends. */
export const swatch = ({ colour, dash }) => s("svg", { class: "swatch", width: 30, height: 12, viewBox: "0 0 30 12", "aria-hidden": "true" },
  s("path", { d: "M2 6h26", stroke: "#000", "stroke-width": 5 }), s("path", { d: "M2 6h26", stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash }));

/**
 * Draw layers into an SVG whose user units are the image's pixels; `scale` is screen pixels a unit.
 * The halo of a dashed box has gaps too: the reference shows through where both lie on one another.
 */
function draw(overlay, layers, { width, height }, scale, labels = true) {
  const predicted = layers.filter((layer) => !layer.reference);
  const captions = s("g", { class: "captions" });
  const groups = layers.filter((layer) => !layer.off).map((layer) => s("g", { class: layer.reference ? "reference" : "predicted" }, layer.boxes.map((box) => {
    const at = { x: box.x0 * width, y: box.y0 * height, width: Math.max(0, (box.x1 - box.x0) * width), height: Math.max(0, (box.y1 - box.y0) * height), fill: "none", "vector-effect": "non-scaling-stroke" };
    const parts = [s("rect", { ...at, stroke: "#000", "stroke-opacity": 0.85, "stroke-width": 5, "stroke-dasharray": layer.style.dash }), s("rect", { ...at, stroke: layer.style.colour, "stroke-width": 2.25, "stroke-dasharray": layer.style.dash })];
    if (labels && (box.label || !layer.reference)) captions.append(caption(layer, box, at, { scale, width, height, line: Math.max(0, predicted.indexOf(layer)) }));
    return parts;
  })));
  overlay.replaceChildren(...groups, captions);
}

/** A box's name at its corner: the reference above it, predictions below, each model on a line of its own. */
function caption(layer, box, at, { scale, width, height, line }) {
  const size = 12 / scale;
  const text = `${layer.reference ? "" : `${String(layer.name).slice(0, 18)}${box.label ? ": " : ""}`}${String(box.label ?? "").slice(0, 24)}${typeof box.score === "number" && box.score < 1 ? ` ${box.score.toFixed(2)}` : ""}`;
  const low = at.y + at.height + size * (1.05 + 1.15 * line);
  const above = layer.reference ? at.y > size * 1.3 : low > height;
  const end = at.x + text.length * size * 0.55 > width;
  return s("text", {
    x: end ? Math.min(at.x + at.width, width) : Math.max(at.x, 0), y: above ? Math.max(size, at.y - size * (0.35 + 1.15 * (layer.reference ? 0 : line + 1))) : low, "text-anchor": end ? "end" : "start",
    "font-size": size, fill: layer.style.colour, stroke: "#000", "stroke-width": size * 0.28, "paint-order": "stroke", "stroke-linejoin": "round",
  }, text);
}

/** A small picture with its boxes and nothing to press, for lists of cases. */
export function miniature(place, sample, answers) {
  const image = sample.images?.[0];
  if (!image) return h("div", { class: "mini none quiet" }, "no image");
  const overlay = s("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  draw(overlay, layersOf(sample, answers), { width: 1, height: 1 }, 150, false);
  return h("div", { class: "mini" }, h("img", { src: imageUrl({ ...place, sample: sample.id, n: 0 }), alt: "", loading: "lazy" }), overlay);
}

export const sampleOf = (place, id) => api("sample", { ...place, sample: id });

/**
 * The viewer of one sample: {node, toggle(), cleanup()}; toggle() hides and shows all boxes.
 * A plain image is windowed in the browser; one with a range of its own (DICOM, volumes) by the server.
 * Boxes are of the slice that the models saw; on others they are not drawn.
 */
export function viewer(place, sample, answers) {
  if (!sample.images?.length) return { node: h("div", { class: "viewer none" }, h("p", { class: "quiet" }, "This sample has no image.")), toggle: () => {}, cleanup: () => {} };
  const view = { n: 0, slice: null, zoom: 1, x: 0, y: 0, hidden: false, window: null };
  const layers = layersOf(sample, answers);
  const picture = h("img", { alt: `Image of sample ${sample.id}`, draggable: "false" });
  const overlay = s("svg", { class: "overlay", role: "img", "aria-label": describe(layers) });
  const board = h("div", { class: "board" }, picture, overlay);
  const stage = h("div", { class: "stage", tabindex: 0, role: "group", "aria-label": "Image: plus and minus zoom, arrows move, 0 resets" }, board);
  const trouble = h("p", { class: "note warn", hidden: true }, "The image cannot be shown: its file has moved or cannot be read. Run the dashboard where the data are.");
  const image = () => sample.images[view.n];
  const size = () => ({ width: image().width_px || picture.naturalWidth || 256, height: image().height_px || picture.naturalHeight || 256 });
  const onDefault = () => view.slice === null || view.slice === image().slice;
  const redraw = () => {
    const { width, height } = size();
    stage.style.setProperty("aspect-ratio", `${width} / ${height}`);
    overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    board.style.setProperty("transform", `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`);
    const scale = (stage.clientWidth || 400) / width * view.zoom;
    picture.classList.toggle("pixels", scale > 3);
    const here = layers.map((layer) => ({ ...layer, off: layer.off || view.hidden, boxes: onDefault() ? layer.boxes.filter((box) => (box.image ?? 0) === view.n) : [] }));
    draw(overlay, here, { width, height }, scale);
    level.textContent = `${Math.round(view.zoom * 100)} %`;
  };
  const load = () => {
    const server = image().range && view.window ? view.window.join(",") : null;
    picture.src = imageUrl({ ...place, sample: sample.id, n: view.n, slice: view.slice, window: server });
    redraw();
  };
  picture.addEventListener("load", () => { trouble.hidden = true; redraw(); });
  picture.addEventListener("error", () => { trouble.hidden = false; });
  const zoom = (factor, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2) => {
    const next = Math.min(MOST, Math.max(1, view.zoom * factor));
    view.x = cx - (cx - view.x) * next / view.zoom;
    view.y = cy - (cy - view.y) * next / view.zoom;
    view.zoom = next;
    hold();
    redraw();
  };
  const hold = () => {
    view.x = Math.min(0, Math.max(stage.clientWidth * (1 - view.zoom), view.x));
    view.y = Math.min(0, Math.max(stage.clientHeight * (1 - view.zoom), view.y));
  };
  const move = (x, y) => { view.x += x; view.y += y; hold(); redraw(); };
  const reset = () => { Object.assign(view, { zoom: 1, x: 0, y: 0 }); redraw(); };
  const level = h("span", { class: "level" }, "100 %");
  gestures(stage, { zoom, move, reset });
  const chips = layerChips(layers, redraw);
  const boxesButton = layers.length ? h("button", { type: "button", "aria-pressed": "true", tip: "Hide or show all boxes (b)", on: { click: () => toggle() } }, "Boxes ", h("kbd", {}, "b")) : null;
  const toggle = () => {
    view.hidden = !view.hidden;
    boxesButton?.setAttribute("aria-pressed", String(!view.hidden));
    redraw();
  };
  const bar = h("div", { class: "toolbar", role: "group", "aria-label": "Image controls" },
    h("button", { type: "button", "aria-label": "Zoom out", on: { click: () => zoom(1 / 1.5) } }, "−"), level,
    h("button", { type: "button", "aria-label": "Zoom in", on: { click: () => zoom(1.5) } }, "+"),
    h("button", { type: "button", on: { click: reset } }, "Fit"), boxesButton);
  const own = h("div");  // what depends on the image: its slices, its window
  const controls = () => own.replaceChildren(...[slices(image, view, load), windowing(image, view, picture, load)].filter(Boolean));
  const node = h("div", { class: "viewer" }, images(sample, view, () => { controls(); load(); }), stage, trouble, bar, chips, own);
  controls();
  const watch = new ResizeObserver(redraw);
  watch.observe(stage);
  load();
  return { node, toggle, cleanup: () => watch.disconnect() };
}

const describe = (layers) => (layers.length ? layers.map((layer) => `${layer.name}: ${plural(layer.boxes.length, "box", "boxes")}`).join("; ") : "No boxes");

function layerChips(layers, redraw) {
  return h("div", { class: "chips" }, layers.map((layer) => h("label", { class: "chip" },
    h("input", { type: "checkbox", checked: true, on: { change: (event) => { layer.off = !event.target.checked; redraw(); } } }),
    swatch(layer.style), foreign(layer.name), h("span", { class: "quiet" }, layer.reference ? ` solid · ${layer.boxes.length}` : ` dashed · ${layer.boxes.length}`))));
}

function gestures(stage, { zoom, move, reset }) {
  const down = new Map();
  stage.addEventListener("pointerdown", (event) => { down.set(event.pointerId, event); stage.setPointerCapture(event.pointerId); });
  stage.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const others = [...down.values()].filter((each) => each.pointerId !== event.pointerId);
    if (others.length) {
      const apart = (each) => Math.hypot(each.clientX - others[0].clientX, each.clientY - others[0].clientY);
      zoom(apart(event) / Math.max(1, apart(before)));
    } else move(event.clientX - before.clientX, event.clientY - before.clientY);
    down.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => down.delete(event.pointerId));
  stage.addEventListener("dblclick", reset);
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== stage) return;
    event.preventDefault();
    const at = stage.getBoundingClientRect();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.clientX - at.left, event.clientY - at.top);
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    const acts = { "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: reset, ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40) };
    if (!acts[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    acts[event.key]();
  });
}

function images(sample, view, load) {
  if (sample.images.length < 2) return null;
  const buttons = sample.images.map((each, n) => h("button", { type: "button", "aria-pressed": String(n === 0), on: { click: () => {
    Object.assign(view, { n, slice: null, window: null, zoom: 1, x: 0, y: 0 });
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === n)));
    load();
  } } }, foreign(each.label || `Image ${n + 1}`)));
  return h("div", { class: "toolbar", role: "group", "aria-label": "Images of this sample" }, buttons);
}

function range(label, from, to, value, act, step = 1) {
  const shown = h("output", {}, String(value));
  const input = h("input", { type: "range", min: from, max: to, step, value, "aria-label": label, on: { input: () => { shown.textContent = input.value; act(Number(input.value)); } } });
  return { node: h("label", { class: "slider" }, h("span", {}, label), input, shown), input, set: (next) => { input.value = next; shown.textContent = String(next); } };
}

const later = (act, delay = 120) => {
  let timer;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => act(...given), delay); };
};

function slices(image, view, load) {
  const found = image();
  if (!(found.slices > 1) || isStatic()) return null;
  return range("Slice", 0, found.slices - 1, found.slice ?? Math.floor(found.slices / 2), later((slice) => { view.slice = slice; load(); }, 60)).node;
}

/** Window and level: brightness is mapped so that [centre − width/2, centre + width/2] fills black to white. */
function windowing(image, view, picture, load) {
  const found = image();
  const own = found.range && !isStatic();
  const [low, high] = own ? found.range : [0, 255];
  const start = own ? found.window ?? [(low + high) / 2, high - low] : [128, 256];
  const filter = s("svg", { class: "unseen", "aria-hidden": "true" });
  const ask = later(load);
  picture.style.setProperty("filter", "none");
  const apply = () => {
    const [middle, width] = [Number(centre.input.value), Math.max(1, Number(spread.input.value))];
    if (own) {
      view.window = [middle, width];
      ask();
      return;
    }
    const plain = middle === start[0] && width === start[1];
    const [slope, shift] = [256 / width, 0.5 - (middle / 256) * (256 / width)];
    const part = (name) => s(name, { type: "linear", slope, intercept: shift });
    filter.replaceChildren(s("filter", { id: "window-level", "color-interpolation-filters": "sRGB" }, s("feComponentTransfer", {}, part("feFuncR"), part("feFuncG"), part("feFuncB"))));
    picture.style.setProperty("filter", plain ? "none" : "url(#window-level)");
  };
  const centre = range("Level", Math.floor(low), Math.ceil(high), Math.round(start[0]), apply);
  const spread = range("Window", 1, Math.ceil(high - low) + 1, Math.round(start[1]), apply);
  const restore = () => { centre.set(Math.round(start[0])); spread.set(Math.round(start[1])); view.window = null; if (own) load(); else apply(); };
  return h("details", { class: "menu wl" }, h("summary", {}, "Window / level"), h("div", {}, centre.node, spread.node, h("button", { type: "button", on: { click: restore } }, "Reset"), filter));
}
