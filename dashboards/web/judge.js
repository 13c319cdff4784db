// The judge card: how often a judge agrees with people, on what, how sure it is of itself, and what fools it.

import { api } from "./data.js";
import { choose, foreign, h, prose, state } from "./dom.js";
import { capital, count, full, words } from "./format.js";
import { lineChart } from "./charts.js";
import { flagBadge, metricLabel, scoreCell, scoreCsv } from "./cells.js";
import { href, set } from "./route.js";
import { table } from "./table.js";

export async function page(asked, meta) {
  const judges = (meta.judges ?? []).map((each) => each.name ?? each);
  if (!judges.length) return { title: "Judges", content: [h("h1", {}, "Judges"), state("No judge has graded here", "Name one in the job's `judges:` list, or add verdicts to answers that are there:", h("pre", {}, "raybench judge DIR --judge NAME"))] };
  const name = asked.get("judge") && judges.includes(asked.get("judge")) ? asked.get("judge") : judges[0];
  const data = await api("judge", { judge: name });
  const cards = data.cards ?? (data.card ? [data.card] : []);
  const shown = cards[Number(asked.get("card") ?? 0)] ?? cards[0];
  return {
    title: `Judge ${name}`,
    content: [
      h("h1", {}, "Judge ", foreign(name)),
      judges.length > 1 || cards.length > 1 ? h("div", { class: "filters" }, judges.length > 1 ? choose("judge", "Judge", judges.map((each) => [each, each]), name, (judge) => set({ judge, card: null })) : null,
        cards.length > 1 ? choose("card", "Measured on", cards.map((each, i) => [String(i), String(each.suite ?? `card ${i + 1}`)]), String(cards.indexOf(shown)), (card) => set({ card })) : null) : null,
      shown ? card(shown) : nocard(name), graded(data), h("p", {}, h("a", { href: href({ page: "samples", disagree: "judges" }) }, "Answers on which judges disagree")),
    ],
  };
}

const nocard = () => h("p", { class: "note warn" }, flagBadge("uncalibrated"), " This judge has no card: nobody has measured it against people. Read its scores as one opinion, not as accuracy.");

const isTable = (value) => Array.isArray(value) && value.length && value.every((row) => row && typeof row === "object" && !Array.isArray(row));
const isKeyed = (value) => value && typeof value === "object" && !Array.isArray(value) && Object.values(value).length > 1 && Object.values(value).every((row) => row && typeof row === "object" && !Array.isArray(row));
const plain = (value) => value === null || typeof value !== "object";
const COEFFICIENTS = /kappa|alpha|gwet|slope|temperature|threshold|loss|logit|seconds|brier/;
/** A measured value with its interval: {value, low, high, n}. */
const isScore = (value) => value && typeof value === "object" && !Array.isArray(value) && "value" in value && ("low" in value || "n" in value);
const asScore = (value, name) => ({ unit: COEFFICIENTS.test(name) ? "coefficient" : "fraction", ...value });

function card(found) {
  const { as_used: used = {}, ...rest } = found;
  const measures = [...new Set([...Object.entries(rest), ...Object.entries(used ?? {})].filter(([, value]) => isScore(value)).map(([name]) => name))];
  const left = Object.entries(rest).filter(([name]) => !measures.includes(name) && !["supported", "reasons"].includes(name));
  const facts = left.filter(([, value]) => plain(value) || (Array.isArray(value) && value.every(plain)));
  const parts = left.filter(([name]) => !facts.some(([other]) => other === name));
  const also = Object.fromEntries(Object.entries(used ?? {}).filter(([name]) => !measures.includes(name)));
  if (Object.keys(also).length) parts.push(["as_used", also]);
  return [
    found.supported === false ? h("div", { class: "note warn" }, flagBadge("unsupported"), " On answers whose truth is known this judge does not pass: its scores are one opinion, and nothing is corrected by them.", found.reasons?.length ? h("ul", {}, found.reasons.map((each) => h("li", {}, foreign(each)))) : null)
      : found.supported === true ? h("p", { class: "note" }, h("span", { class: "badge good" }, "supported"), " Measured on answers whose truth is known; it passes there.") : null,
    h("p", { class: "sub" }, "What was measured of this judge holds for the kinds of answers named here and for no others."),
    measures.length ? agreement(measures, rest, used ?? {}) : null,
    facts.length ? h("dl", { class: "facts wide" }, facts.map(([name, value]) => [h("dt", {}, foreign(words(name))), h("dd", {}, show(value, name))])) : null,
    parts.map(([name, value]) => section(name, value)),
  ];
}

/** How often the judge agrees with the truth: alone, and with the rules that decide before it where a run uses them. */
function agreement(measures, bare, used) {
  const column = (key, label, side, tip) => ({ key, label, numeric: true, tip, sort: (row) => side[row.name]?.value ?? null, cell: (row) => scoreCell(side[row.name] ? asScore(side[row.name], row.name) : null),
    text: (row) => full(side[row.name] ? asScore(side[row.name], row.name) : {}), csv: (row) => scoreCsv(key, side[row.name]) });
  const both = measures.some((name) => isScore(used[name]));
  const count = (side) => ({ key: `n ${side === used ? "as used" : ""}`.trim(), label: "n", numeric: true, cell: (row) => String(side[row.name]?.n ?? "–"), text: (row) => String(side[row.name]?.n ?? "–") });
  const made = table({ name: "judge-agreement", caption: "Agreement with the truth, with 95 % interval", state: "sort-agreement", rows: measures.map((name) => ({ name })), columns: [
    { key: "name", label: "Measure", sticky: true, heading: true, cell: (row) => foreign(capital(words(row.name))), text: (row) => words(row.name) },
    column("judge", both ? "The judge alone" : "Value", bare, "The model's own word on every answer."), count(bare),
    ...(both ? [column("as used", "As used", used, "With the rules that decide clear cases before the judge is asked, as a run uses it."), count(used)] : [])] });
  return h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, "Agreement with the truth"), made.exports()), made.node);
}

/** Numbers under names that are shares are read as percent; the rest stay as they are. */
function show(value, name = "", percent = false) {
  if (value === null || value === undefined) return h("span", { class: "quiet" }, "–");
  if (Array.isArray(value)) return value.every((each) => typeof each === "number") ? `[${value.map((each) => text(each, name)).join(", ")}]` : prose(value.map((each) => (plain(each) ? text(each, name) : JSON.stringify(each))).join(", "), 400, "value");
  if (isScore(value)) return scoreCell(asScore(value, name));
  if (typeof value === "object") return prose(JSON.stringify(value), 300, "raw");
  return typeof value === "number" ? text(value, name, percent) : prose(text(value, name), 600, "value");
}

function text(value, name, percent = false) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (percent) return `${(100 * value).toFixed(1)} %`;
  if (Number.isInteger(value) && !/accuracy|rate|share/.test(name)) return count(value);
  if (COEFFICIENTS.test(name)) return value.toFixed(3);
  return value >= -1 && value <= 1 ? `${(100 * value).toFixed(1)} %` : String(Number(value.toPrecision(4)));
}

function section(name, value) {
  const curve = /calib|reliab/.test(name) ? calibration(value) : null;
  return h("section", {}, h("h2", {}, foreign(capital(words(name)))), curve, content(name, value));
}

function content(name, value) {
  if (isTable(value)) return grid(name, value);
  if (isKeyed(value)) return grid(name, Object.entries(value).map(([key, row]) => ({ name: key, ...spread(row) })));
  if (Array.isArray(value)) return prose(JSON.stringify(value, null, 1), 1500, "raw");
  const facts = Object.entries(value).filter(([, each]) => plain(each) || (Array.isArray(each) && each.every(plain)));
  const rest = Object.entries(value).filter(([key]) => !facts.some(([other]) => other === key));
  return [facts.length ? h("dl", { class: "facts wide" }, facts.map(([key, each]) => [h("dt", {}, foreign(words(key))), h("dd", {}, show(each, key))])) : null,
    rest.map(([key, each]) => h("div", {}, h("h3", {}, foreign(words(key))), content(key, each)))];
}

/** Scores by language become columns of their own. */
const spread = (row) => Object.fromEntries(Object.entries(row).flatMap(([key, value]) => (value && !isScore(value) && !Array.isArray(value) && typeof value === "object" && Object.values(value).every(isScore) ? Object.entries(value).map(([inner, each]) => [inner, each]) : [[key, value]])));

function grid(name, rows) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].slice(0, 14);
  const numeric = (key) => rows.every((row) => row[key] === null || row[key] === undefined || typeof row[key] === "number" || isScore(row[key]) || (Array.isArray(row[key]) && row[key].every((each) => typeof each === "number")));
  const shares = (key) => {
    const values = rows.map((row) => row[key]).filter((value) => typeof value === "number");
    return key !== "n" && !COEFFICIENTS.test(key) && values.some((value) => !Number.isInteger(value)) && values.every((value) => Math.abs(value) <= 1.2);
  };
  const made = table({ name: `judge-${name}`, caption: words(name), rows, state: `sort-${name}`, columns: keys.map((key, i) => ({
    key, label: capital(words(key)), numeric: numeric(key), sticky: i === 0, heading: i === 0, kind: numeric(key) ? "" : "text",
    sort: (row) => (plain(row[key]) ? row[key] ?? null : isScore(row[key]) ? row[key].value : null), cell: (row) => show(row[key], key, shares(key)), text: (row) => (isScore(row[key]) ? full(asScore(row[key], key)) : plain(row[key]) ? text(row[key] ?? "–", key, shares(key)) : JSON.stringify(row[key])), csv: (row) => (isScore(row[key]) ? scoreCsv(key, row[key]) : { [key]: plain(row[key]) ? row[key] : JSON.stringify(row[key]) }),
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
  const score = (row) => ({ unit: row.unit, ...row });
  const made = table({ name: `judge-${data.judge}-scores`, caption: `What ${data.judge} says of the answers here`, rows, state: "sort-scores", columns: [
    { key: "task", label: "Task", sticky: true, heading: true, sort: (row) => row.task, cell: (row) => h("a", { class: "open", href: href({ task: row.task, dataset: row.dataset, split: row.split, judge: data.judge }) }, foreign(words(row.task)), h("span", { class: "under" }, foreign(row.dataset))), text: (row) => row.task },
    { key: "model", label: "Model", kind: "model", sort: (row) => row.model, cell: (row) => h("a", { href: href({ page: "samples", task: row.task, dataset: row.dataset, split: row.split, model: row.model, judge: data.judge }) }, foreign(row.model)), text: (row) => row.model },
    { key: "metric", label: "Metric", sort: (row) => row.metric, cell: (row) => foreign(metricLabel(row)), text: (row) => metricLabel(row), csv: (row) => ({ metric: row.metric }) },
    { key: "value", label: "Value", numeric: true, kind: "headline", sort: (row) => row.value ?? null, cell: (row) => scoreCell(score(row)), text: (row) => `${full(score(row))}${(row.flags ?? []).map((flag) => ` ${flag}`).join("")}`, csv: (row) => ({ ...scoreCsv("value", row), flags: (row.flags ?? []).join(" ") }) },
    { key: "n", label: "n", numeric: true, sort: (row) => row.n ?? null, cell: (row) => count(row.n), text: (row) => count(row.n) },
    { key: "null", label: "Not read", numeric: true, lower: true, tip: "Verdicts that could not be read; they could move the value by as much.", sort: (row) => row.null_verdicts ?? null, cell: (row) => count(row.null_verdicts ?? 0), text: (row) => count(row.null_verdicts ?? 0) }] });
  return h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, "Its scores here"), made.exports()), made.node);
}
