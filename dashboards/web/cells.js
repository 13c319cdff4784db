// Table cells that several pages share: a score with its interval and marks, a model's name, a place (task, data set, split).

import { foreign, h } from "./dom.js";
import { count, flagMark, flagText, full, interval, number, plural, words } from "./format.js";

export const placeKey = ({ task, dataset, split }) => [task, dataset, split].join("|");
export const placeOf = (item) => ({ task: item.task, dataset: item.dataset, split: item.split });

/** What a pointer or the focus is told about a score. */
export function scoreTip(score) {
  if (!score || score.value === null || score.value === undefined) return "No value.";
  const parts = [`${full(score)} (95 % interval)`];
  if (typeof score.n === "number") parts.push(`n = ${count(score.n)}${score.n_clusters && score.n_clusters !== score.n ? `, ${plural(score.n_clusters, "cluster")}` : ""}`);
  if (typeof score.coverage === "number" && score.coverage < 1) parts.push(`${(100 * score.coverage).toFixed(1)} % of the planned rows`);
  if (typeof score.bound_low === "number" && typeof score.bound_high === "number") parts.push(`unread verdicts could move it to ${full({ value: score.bound_low, unit: score.unit })}–${full({ value: score.bound_high, unit: score.unit })}`);
  if (score.judge) parts.push(`judge ${score.judge}`);
  if (score.signature) parts.push(score.signature);
  return [...parts, ...(score.flags ?? []).map(flagText)].join(" · ");
}

const SMALL = 30;

/** A value with its interval behind it in grey; "–" if missing, grey with its n if that is under 30. */
export function scoreCell(score, { link = null, quietFlags = [], bare = false } = {}) {
  if (!score || score.value === null || score.value === undefined) return h("span", { class: "quiet", tip: "Missing: not scored." }, "–");
  const small = typeof score.n === "number" && score.n < SMALL && score.kind !== "reported";
  const text = [h("span", { class: "value" }, number(score.value, score.unit)), " ", bare ? null : h("span", { class: "interval" }, interval(score))];
  const flags = (score.flags ?? []).filter((flag) => flag !== "self check" && flag !== "few clusters" && !(bare && flag === "no spread") && !quietFlags.includes(flag));
  return h("span", { class: `score ${small ? "small" : ""}` },
    link ? h("a", { href: link, tip: scoreTip(score) }, text) : h("span", { data: { tip: scoreTip(score) } }, text),
    small && !bare ? h("span", { class: "n" }, `n=${score.n}`) : null,
    flags.map((flag) => flagBadge(flag)));
}

export const flagBadge = (flag) => h("span", { class: `badge ${["uncalibrated", "unsupported", "train_leak", "leak", "degenerate"].includes(flag) ? "warn" : ""}`, tip: flagText(flag) }, flagMark(flag));

export const KINDS = {
  baseline: ["baseline", "A trivial system, e.g. always the commonest answer: what a model has to beat. Not ranked."],
  reported: ["published", "A number from a paper or a study, not measured here: other prompts, other grading. Not ranked."],
};

export function kindBadge(kind) {
  const found = KINDS[kind];
  return found ? h("span", { class: `badge ${kind}`, tip: found[1] }, found[0]) : null;
}

/** Values of a score for a CSV: value, low, high and n under one label, as plain fractions. */
export const scoreCsv = (label, score) => ({ [label]: score?.value ?? "", [`${label} low`]: score?.low ?? "", [`${label} high`]: score?.high ?? "" });

export const metricLabel = (metric) => (metric?.label && metric.label !== metric.metric ? metric.label : words(metric?.metric));

const OUTCOMES = { answered: "", refused: "warn", unparsed: "warn", failed: "bad" };

/** Right or wrong as a glyph and a word; how it ended, where it was not answered. */
export function outcomeMark({ outcome, correct }) {
  if (outcome && outcome !== "answered") return h("span", { class: `badge ${OUTCOMES[outcome] ?? ""}` }, outcome);
  if (correct === true || correct === 1) return h("span", { class: "right" }, "✓ right");
  if (correct === false || correct === 0) return h("span", { class: "wrong" }, "✗ wrong");
  return h("span", { class: "quiet" }, outcome ?? "–");
}

/** Boxes as a count, other values as short text: what the parser read. */
export function valueText(value) {
  if (value === null || value === undefined) return "nothing";
  if (isBoxes(value)) return value.length ? plural(value.length, "box", "boxes") : "no box";
  return typeof value === "string" ? value : JSON.stringify(value);
}

export const isBoxes = (value) => Array.isArray(value) && value.every((each) => each && typeof each === "object" && "x0" in each);

export const taskTitle = (item) => foreign(words(item.task));

/** The same metric has a name, a unit and a direction; this says them once, under a title. */
export const metricNote = (metric) => `${metricLabel(metric)} (${metric.profile})${metric.higher_is_better === false ? ", lower is better" : ""}`;
