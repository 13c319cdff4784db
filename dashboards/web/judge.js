// The judge card: how often a judge agrees with people, on what, how sure it is of itself, and what fools it.

import { api } from "./data.js";
import { choose, foreign, h, prose, state } from "./dom.js";
import { capital, count, words } from "./format.js";
import { lineChart } from "./charts.js";
import { flagBadge } from "./cells.js";
import { href, set } from "./route.js";
import { table } from "./table.js";

export async function page(asked, meta) {
  const judges = (meta.judges ?? []).map((each) => each.name ?? each);
  if (!judges.length) return { title: "Judges", content: [h("h1", {}, "Judges"), state("No judge has graded here", "Name one in the job's `judges:` list, or add verdicts to answers that are there:", h("pre", {}, "raybench judge DIR --judge NAME"))] };
  const name = asked.get("judge") && judges.includes(asked.get("judge")) ? asked.get("judge") : judges[0];
  const data = await api("judge", { judge: name });
  return {
    title: `Judge ${name}`,
    content: [
      h("h1", {}, "Judge ", foreign(name)),
      judges.length > 1 ? h("div", { class: "filters" }, choose("judge", "Judge", judges.map((each) => [each, each]), name, (judge) => set({ judge }))) : null,
      data.card ? card(data.card) : nocard(name), graded(data), h("p", {}, h("a", { href: href({ page: "samples", disagree: "judges" }) }, "Answers on which judges disagree")),
    ],
  };
}

const nocard = () => h("p", { class: "note warn" }, flagBadge("uncalibrated"), " This judge has no card: nobody has measured it against people. Read its scores as one opinion, not as accuracy.");

const isTable = (value) => Array.isArray(value) && value.length && value.every((row) => row && typeof row === "object" && !Array.isArray(row));
const isKeyed = (value) => value && typeof value === "object" && !Array.isArray(value) && Object.values(value).length > 1 && Object.values(value).every((row) => row && typeof row === "object" && !Array.isArray(row));
const plain = (value) => value === null || typeof value !== "object";

function card(found) {
  const facts = Object.entries(found).filter(([, value]) => plain(value) || (Array.isArray(value) && value.every(plain)));
  const parts = Object.entries(found).filter(([name]) => !facts.some(([other]) => other === name));
  return [
    h("p", { class: "sub" }, "What was measured when this judge was made; it holds for the kinds of answers named here and for no others."),
    facts.length ? h("dl", { class: "facts wide" }, facts.map(([name, value]) => [h("dt", {}, foreign(words(name))), h("dd", {}, show(value, name))])) : null,
    parts.map(([name, value]) => section(name, value)),
  ];
}

/** Numbers under names that are shares are read as percent; the rest stay as they are. */
function show(value, name = "", percent = false) {
  if (value === null || value === undefined) return h("span", { class: "quiet" }, "–");
  if (Array.isArray(value)) return value.every((each) => typeof each === "number") ? `[${value.map((each) => text(each, name)).join(", ")}]` : prose(value.map((each) => (plain(each) ? text(each, name) : JSON.stringify(each))).join(", "), 400, "value");
  if (typeof value === "object") return prose(JSON.stringify(value), 300, "raw");
  return typeof value === "number" ? text(value, name, percent) : prose(text(value, name), 600, "value");
}

function text(value, name, percent = false) {
  if (typeof value !== "number") return String(value);
  if (percent) return `${(100 * value).toFixed(1)} %`;
  if (Number.isInteger(value) && !/accuracy|rate|share/.test(name)) return count(value);
  if (/kappa|alpha|slope|temperature|threshold|loss|gwet|logit|seconds|brier/.test(name)) return value.toFixed(3);
  return value >= -1 && value <= 1 ? `${(100 * value).toFixed(1)} %` : String(Number(value.toPrecision(4)));
}

function section(name, value) {
  const curve = /calib|reliab/.test(name) ? calibration(value) : null;
  return h("section", {}, h("h2", {}, foreign(capital(words(name)))), curve, content(name, value));
}

function content(name, value) {
  if (isTable(value)) return grid(name, value);
  if (isKeyed(value)) return grid(name, Object.entries(value).map(([key, row]) => ({ name: key, ...row })));
  if (Array.isArray(value)) return prose(JSON.stringify(value, null, 1), 1500, "raw");
  const facts = Object.entries(value).filter(([, each]) => plain(each) || (Array.isArray(each) && each.every(plain)));
  const rest = Object.entries(value).filter(([key]) => !facts.some(([other]) => other === key));
  return [facts.length ? h("dl", { class: "facts wide" }, facts.map(([key, each]) => [h("dt", {}, foreign(words(key))), h("dd", {}, show(each, key))])) : null,
    rest.map(([key, each]) => h("div", {}, h("h3", {}, foreign(words(key))), content(key, each)))];
}

function grid(name, rows) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].slice(0, 14);
  const numeric = (key) => rows.every((row) => row[key] === null || row[key] === undefined || typeof row[key] === "number" || (Array.isArray(row[key]) && row[key].every((each) => typeof each === "number")));
  const NOT_SHARES = /kappa|alpha|slope|temperature|threshold|loss|gwet|logit|seconds|brier|^n$/;
  const shares = (key) => {
    const values = rows.map((row) => row[key]).filter((value) => typeof value === "number");
    return !NOT_SHARES.test(key) && values.some((value) => !Number.isInteger(value)) && values.every((value) => Math.abs(value) <= 1.2);
  };
  const made = table({ name: `judge-${name}`, caption: words(name), rows, state: `sort-${name}`, columns: keys.map((key, i) => ({
    key, label: capital(words(key)), numeric: numeric(key), sticky: i === 0, heading: i === 0, kind: numeric(key) ? "" : "text",
    sort: (row) => (plain(row[key]) ? row[key] ?? null : null), cell: (row) => show(row[key], key, shares(key)), text: (row) => (plain(row[key]) ? text(row[key] ?? "–", key, shares(key)) : JSON.stringify(row[key])), csv: (row) => ({ [key]: plain(row[key]) ? row[key] : JSON.stringify(row[key]) }),
  })) });
  return h("div", {}, h("div", { class: "tablehead tight" }, made.exports()), made.node);
}

const FIRST = ["mean_predicted", "mean_confidence", "predicted", "confidence", "p_correct", "mean_p", "p", "mid"];
const SECOND = ["observed", "accuracy", "fraction_correct", "correct_rate", "human_correct", "share_correct", "correct", "rate"];

/** A calibration curve from whatever list of bins a card holds; null where there is none. */
function calibration(value) {
  const bins = isTable(value) ? value : isTable(value?.bins) ? value.bins : isTable(value?.curve) ? value.curve : null;
  if (!bins) return null;
  const [x, y] = [FIRST, SECOND].map((names) => names.find((name) => bins.some((bin) => typeof bin[name] === "number")));
  if (!x || !y) return null;
  const pairs = bins.filter((bin) => typeof bin[x] === "number" && typeof bin[y] === "number").map((bin) => [bin[x], bin[y]]).sort(([a], [b]) => a - b);
  const percent = (each) => `${Math.round(100 * each)} %`;
  return lineChart(pairs, { xName: "judge's own probability", yName: "right, as people say", square: true, height: 300, width: 380, xText: percent, yText: percent, label: "Calibration: the judge's probability against how often people agree; the dashed diagonal is perfect" });
}

function graded(data) {
  const rows = data.scores ?? [];
  if (!rows.length) return null;
  const keys = ["task", "model", "metric", "value", "low", "high", "n", "null_verdicts"].filter((key) => rows.some((row) => row[key] !== null && row[key] !== undefined));
  return h("section", {}, h("h2", {}, "Its scores here"), grid("scores", rows.map((row) => Object.fromEntries(keys.map((key) => [key, row[key]])))));
}
