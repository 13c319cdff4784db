// Inline SVG: dots with whiskers on one labelled axis, a scatter, a line. Every mark differs in shape, not in colour alone.

import { s } from "./dom.js";
import { full, number, unitName } from "./format.js";

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** Round steps that cut [low, high] into about `wanted` parts. */
function ticks(low, high, wanted) {
  const raw = (high - low) / wanted;
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * base).find((each) => each >= raw * 0.999) ?? raw;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-6; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

/** One axis for all rows, wide enough for each value and interval: {low, high, ticks, unit, width, x(value)}. */
export function axis(scores, { unit = "fraction", width = 220, zero = false } = {}) {
  const values = scores.flatMap((each) => [each?.value, each?.low, each?.high]).filter(known);
  let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  if (zero) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  const room = Math.max(high - low, unit === "fraction" ? 0.04 : Math.abs(high) * 0.1 || 0.1) * 0.08;
  [low, high] = [low - room, high + room];
  if (unit === "fraction" && !zero) [low, high] = [Math.max(low, 0), Math.min(high, 1)];
  if (unit === "per image" && !zero) low = Math.max(low, 0);
  if (high <= low) high = low + 0.1;
  const inset = 10;
  const x = (value) => inset + (width - 2 * inset) * (value - low) / (high - low);
  return { low, high, ticks: ticks(low, high, width / 55), unit, width, x, zero };
}

const plain = (value, unit) => (unit === "fraction" ? String(Number((100 * value).toFixed(1))).replace("-", "−") : number(value, unit));

/** The axis' labels, for the head of its column. */
export function axisHead(scale) {
  return s("svg", { class: "axis", width: scale.width, height: 16, viewBox: `0 0 ${scale.width} 16`, role: "img", "aria-label": `Axis in ${unitName(scale.unit)}, from ${plain(scale.low, scale.unit)} to ${plain(scale.high, scale.unit)}` },
    scale.ticks.map((tick) => s("text", { x: scale.x(tick), y: 12, "text-anchor": "middle" }, plain(tick, scale.unit))));
}

/** One row: the value as a mark of its kind, its 95 % interval as a whisker; dashed where results are partial. */
export function whisker(scale, score, { kind = "system", partial = false, tone = "", label = "" } = {}) {
  const { width, x } = scale;
  const [height, mid] = [24, 12];
  const parts = scale.ticks.map((tick) => s("line", { class: scale.zero && tick === 0 ? "zero" : "grid", x1: x(tick), x2: x(tick), y1: 0, y2: height }));
  if (known(score?.value)) {
    const at = x(score.value);
    if (known(score.low) && known(score.high)) {
      const [from, to] = [x(score.low), x(score.high)];
      parts.push(s("path", { class: "whisker", d: `M${from} ${mid}H${to}M${from} ${mid - 4}v8M${to} ${mid - 4}v8`, "stroke-dasharray": partial ? "3 3" : null }));
    }
    parts.push(mark(kind, at, mid));
  }
  return s("svg", { class: `dots ${kind} ${tone}`.trim(), width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${label} ${full({ unit: scale.unit, ...score })}`.trim() }, parts);
}

function mark(kind, x, y) {
  if (kind === "reported") return s("path", { class: "mark", d: `M${x} ${y - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z` });
  if (kind === "baseline") return s("rect", { class: "mark", x: x - 4, y: y - 4, width: 8, height: 8 });
  return s("circle", { class: "mark", cx: x, cy: y, r: 4.5 });
}

/** Score against a cost-like x on a log axis; the frontier is joined by a line and its points are filled. */
export function scatter(points, { x, y, unit, xName, yName, width = 760, height = 380 }) {
  const used = points.filter((each) => known(x(each)) && x(each) > 0 && known(y(each)));
  const [left, right, top, bottom] = [52, 24, 14, 44];
  const logs = used.map((each) => Math.log10(x(each)));
  const [fromX, toX] = [Math.min(...logs) - 0.15, Math.max(...logs) + 0.35];
  const scale = axis(used.map((each) => ({ value: y(each), low: each.low, high: each.high })), { unit });
  const px = (value) => left + (width - left - right) * (Math.log10(value) - fromX) / (toX - fromX);
  const py = (value) => height - bottom - (height - top - bottom) * (value - scale.low) / (scale.high - scale.low);
  const nodes = [];
  for (const tick of ticks(scale.low, scale.high, 6)) {
    nodes.push(s("line", { class: "grid", x1: left, x2: width - right, y1: py(tick), y2: py(tick) }), s("text", { x: left - 8, y: py(tick) + 4, "text-anchor": "end" }, plain(tick, unit)));
  }
  for (const tick of logTicks(fromX, toX)) {
    nodes.push(s("line", { class: "grid", x1: px(tick), x2: px(tick), y1: top, y2: height - bottom }), s("text", { x: px(tick), y: height - bottom + 16, "text-anchor": "middle" }, tick >= 1 ? tick.toLocaleString("en") : String(tick)));
  }
  nodes.push(s("text", { class: "name", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xName));
  nodes.push(s("text", { class: "name", x: 12, y: (top + height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(top + height - bottom) / 2})` }, yName));
  const front = used.filter((each) => each.frontier).sort((a, b) => x(a) - x(b));
  if (front.length > 1) nodes.push(s("path", { class: "front", d: `M${front.map((each) => `${px(x(each))} ${py(y(each))}`).join("L")}` }));
  const placed = [];
  for (const each of used) {
    const [cx, cy] = [px(x(each)), py(y(each))];
    if (known(each.low) && known(each.high)) nodes.push(s("path", { class: "whisker", d: `M${cx} ${py(each.low)}V${py(each.high)}` }));
    nodes.push(s("circle", { class: `point ${each.frontier ? "on" : ""}`, cx, cy, r: 5 }));
    let ty = cy - 9;
    while (placed.some(([ox, oy]) => Math.abs(ox - cx) < 130 && Math.abs(oy - ty) < 13)) ty += 14;
    placed.push([cx, ty]);
    const end = cx > width - 150;
    nodes.push(s("text", { class: "label", x: end ? cx - 8 : cx + 8, y: ty, "text-anchor": end ? "end" : "start" }, String(each.model).slice(0, 32)));
  }
  return s("svg", { class: "plot", style: { "max-width": `${width}px` }, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${yName} against ${xName} of ${used.length} models; the table below holds the numbers` }, nodes);
}

function logTicks(from, to) {
  const found = [];
  for (let power = Math.floor(from); power <= Math.ceil(to); power += 1) {
    for (const each of [1, 2, 5]) {
      const value = Number((each * 10 ** power).toPrecision(6));
      if (Math.log10(value) >= from && Math.log10(value) <= to) found.push(value);
    }
  }
  return found;
}

/** A line over (x, y) pairs with both axes labelled at their ends; `square` draws the diagonal of perfect calibration. */
export function lineChart(pairs, { xName, yName, xText = String, yText = String, label, square = false, width = 560, height = 220 }) {
  const [left, right, top, bottom] = [52, 16, 12, 36];
  const xs = pairs.map(([x]) => x);
  const ys = pairs.map(([, y]) => y);
  const [x0, x1] = square ? [0, 1] : [Math.min(...xs), Math.max(...xs)];
  const [y0, y1] = square ? [0, 1] : [0, Math.max(...ys, 1e-9) * 1.08];
  const px = (x) => left + (width - left - right) * (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5);
  const py = (y) => height - bottom - (height - top - bottom) * (y - y0) / (y1 - y0);
  const rows = ticks(y0, y1, 4).map((tick) => [s("line", { class: "grid", x1: left, x2: width - right, y1: py(tick), y2: py(tick) }), s("text", { x: left - 8, y: py(tick) + 4, "text-anchor": "end" }, yText(tick))]);
  return s("svg", { class: "plot", style: { "max-width": `${width}px` }, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, rows.flat(),
    square ? s("path", { class: "ideal", d: `M${px(0)} ${py(0)}L${px(1)} ${py(1)}` }) : null,
    s("path", { class: "curve", d: `M${pairs.map(([x, y]) => `${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("L")}` }),
    pairs.length <= 40 ? pairs.map(([x, y]) => s("circle", { class: "point on", cx: px(x), cy: py(y), r: 3 })) : null,
    s("text", { x: left, y: height - bottom + 16 }, xText(x0)), s("text", { x: width - right, y: height - bottom + 16, "text-anchor": "end" }, xText(x1)),
    s("text", { class: "name", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xName),
    s("text", { class: "name", x: 12, y: (top + height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(top + height - bottom) / 2})` }, yName));
}
