// Two models on the same samples: who is better, by how much, how sure, and the cases where they differ.

import { api } from "./data.js";
import { brief, choose, foreign, h, state } from "./dom.js";
import { count, full, number, plural, pvalue, pwords, pointsName, signed, words } from "./format.js";
import { axis, axisHead, whisker } from "./charts.js";
import { metricLabel, metricNote, placeKey, placeOf, valueText } from "./cells.js";
import { layersOf, miniature, sampleOf, swatch } from "./boxes.js";
import { href, set } from "./route.js";
import { table } from "./table.js";

const SURE = 0.05;
const known = (value) => typeof value === "number";

export async function page(asked, meta) {
  const models = meta.models.map((each) => each.name ?? each);
  const two = !asked.get("a") && !asked.get("b") && models.length === 2;  // nothing else could be meant
  const [a, b] = two ? models : ["a", "b"].map((side) => asked.get(side));
  const head = [h("h1", {}, "Compare"), h("div", { class: "filters" }, sideChoice("a", "Model A", models, a), swap(a, b), sideChoice("b", "Model B", models, b))];
  if (!a || !b || a === b) {
    const hint = a && a === b ? "Both sides name the same model; choose another one." : models.length < 2 ? "This folder holds answers of one model only; run the same tasks with a second one." : "Choose two models above, or tick two rows of the leaderboard.";
    return { title: "Compare", content: [...head, state("Two models are needed", hint)] };
  }
  const data = await api("compare", { a, b }).catch((error) => { if (!error.status) throw error; return error; });
  if (data instanceof Error) return { title: "Compare", content: [...head, state("These two cannot be compared here", h("p", {}, foreign(data.message)), h("p", {}, h("a", { href: href({}) }, "Back to the leaderboard")))] };
  const heads = data.items.filter((item) => item.headline);
  if (asked.get("task") && !heads.some((item) => item.task === asked.get("task"))) return { title: "Compare", content: [...head, nothingOn(asked)] };
  const places = [...new Map(heads.map((item) => [placeKey(item), item])).values()];
  const fit = (item) => ["task", "dataset", "split", "variant", "images"].every((name) => !asked.get(name) || item[name] === asked.get(name));
  const chosen = heads.filter(fit);
  const one = asked.get("task") && chosen.length ? chosen[0] : heads.length === 1 ? heads[0] : null;
  head[1].append(taskChoice(meta, places, one));
  if (one?.slices?.length) head[1].append(sliceChoice(one, asked.get("slice")));
  const [nameA, nameB] = data.models;
  const body = one ? detail(one, data, asked.get("slice")) : all(heads, data);
  return { title: `${nameA} and ${nameB}`, ...body, content: [...head, ...body.content, properties(data)] };
}

const sideChoice = (side, label, models, chosen) => choose(side, label, [["", "choose …"], ...models.map((name) => [name, name])], chosen, (value) => set({ [side]: value }));

const swap = (a, b) => h("button", { type: "button", class: "swap", "aria-label": "Swap A and B", tip: "Swap A and B", disabled: !a || !b, on: { click: () => set({ a: b, b: a }) } }, "⇄");

function taskChoice(meta, places, one) {
  const known = meta.tasks.filter((task) => places.some((item) => item.task === task.task) || !one);
  const options = (one && places.length < 2 ? known : places).map((item) => [placeKey(item), `${words(item.task)} · ${item.dataset}`]);
  return choose("task", "Task", [["", "All tasks"], ...new Map(options)], one ? placeKey(one) : "", (key) => {
    const [task, dataset, split] = key.split("|");
    set({ task: task || null, dataset, split, variant: null, images: null, slice: null, sort: null });
  });
}

const sliceText = (slice) => slice.replace("=", ": ").replaceAll("_", " ");

const sliceChoice = (item, chosen) => choose("slice", "Slice", [["", "All samples"], ...item.slices.map((row) => [row.slice, `${sliceText(row.slice)} (${count(row.n)})`])], chosen, (slice) => set({ slice }));

/** A comparison on one slice of its samples: its numbers, and the cases that lie in it. */
export function within(item, slice) {
  const row = slice && (item.slices ?? []).find((each) => each.slice === slice);
  if (!row) return item;
  const at = slice.indexOf("=");
  const [name, value] = [slice.slice(0, at), slice.slice(at + 1)];
  return { ...item, mde: null, only: 0, ...row, flips: (item.flips ?? []).filter((flip) => String(flip.slices?.[name] ?? "") === value) };
}

const nothingOn = (asked) => state(`Nothing to compare on ${words(asked.get("task"))}`, "The two were not both graded on it with the same prompt.", h("p", {}, h("a", { href: href({ task: null, dataset: null, split: null }, true) }, "Compare them on all tasks")));

// --- who is better --------------------------------------------------------------------------------------------------

const isSure = (item) => typeof item.p === "number" && item.p < SURE && item.difference !== 0;
const winner = (item) => ((item.difference > 0) === (item.higher_is_better !== false) ? "a" : "b");
const tone = (item) => (isSure(item) ? `side-${winner(item)}` : "undecided");

const where = (item) => [foreign(words(item.task)), item.slice ? [", ", foreign(sliceText(item.slice))] : ""];

/** The answer in a sentence; never "better" where the test leaves it open. */
function verdict(item, [a, b]) {
  const unit = pointsName(item.unit);
  const values = [h("b", {}, number(item.value_a, item.unit)), " against ", h("b", {}, number(item.value_b, item.unit))];
  const size = full({ value: item.difference, low: item.low, high: item.high, unit: item.unit });
  const tail = `${pwords(item.p)}, ${plural(item.n, "sample")} that both were graded on`;
  if (isSure(item)) {
    const [better, worse] = winner(item) === "a" ? [a, b] : [b, a];
    const pair = winner(item) === "a" ? values : [values[2], values[1], values[0]];
    const turned = item.difference > 0 ? item : { ...item, difference: -item.difference, low: known(item.high) ? -item.high : null, high: known(item.low) ? -item.low : null };
    return h("div", { class: "verdict" }, h("p", { class: "big" }, h("strong", {}, foreign(better)), " is better than ", foreign(worse), " at ", ...where(item), "."),
      h("p", {}, `${metricLabel(item)}: `, pair, ", a difference of ", h("b", {}, `${number(Math.abs(turned.difference), turned.unit)} ${unit}`), known(turned.low) ? ` (95 % interval ${number(turned.low, turned.unit)} to ${number(turned.high, turned.unit)})` : "", `, ${tail}.`));
  }
  return h("div", { class: "verdict" }, h("p", { class: "big" }, "No difference can be shown between ", foreign(a), " and ", foreign(b), " at ", ...where(item), "."),
    h("p", {}, `${metricLabel(item)}: `, values, `, A less B ${size} ${unit}, ${tail}.`,
      typeof item.mde === "number" ? ` Differences under about ${number(item.mde, item.unit)} ${unit} cannot be told apart with so many samples.` : ""));
}

function differenceColumns(rows, data) {
  const scales = new Map();
  for (const unit of new Set(rows.map((row) => row.unit))) scales.set(unit, axis(rows.filter((row) => row.unit === unit).map((row) => ({ value: row.difference, low: row.low, high: row.high })), { unit, zero: true, width: 240 }));
  const [a, b] = data.models;
  const first = [...scales.values()][0];
  const score = (row) => ({ value: row.difference, low: row.low, high: row.high, unit: row.unit });
  return [
    { key: "a", label: a, head: [h("span", { class: "side a" }, "A "), foreign(brief(a, 28))], numeric: true, sort: (row) => row.value_a, cell: (row) => number(row.value_a, row.unit), text: (row) => number(row.value_a, row.unit), csv: (row) => ({ A: row.value_a }) },
    { key: "b", label: b, head: [h("span", { class: "side b" }, "B "), foreign(brief(b, 28))], numeric: true, sort: (row) => row.value_b, cell: (row) => number(row.value_b, row.unit), text: (row) => number(row.value_b, row.unit), csv: (row) => ({ B: row.value_b }) },
    { key: "difference", label: "A − B", numeric: true, tip: "Difference on the same samples, with its 95 % interval.", sort: (row) => row.difference,
      cell: (row) => h("span", { class: `delta ${tone(row)}`, data: { tip: `${full(score(row))}, ${pwords(row.p)}${row.test ? ` (${words(row.test)})` : ""}, n = ${count(row.n)}${row.n_clusters && row.n_clusters !== row.n ? ` in ${count(row.n_clusters)} clusters` : ""}` } }, isSure(row) ? h("span", { class: "glyph" }, winner(row) === "a" ? "▲A " : "▼B ") : h("span", { class: "glyph quiet" }, "≈ "), h("span", { class: "value" }, signed(row.difference, row.unit)), " ", h("span", { class: "interval" }, row.low === null || row.low === undefined ? "" : `[${number(row.low, row.unit)}, ${number(row.high, row.unit)}]`)),
      text: (row) => full(score(row)), csv: (row) => ({ difference: row.difference, low: row.low, high: row.high }) },
    { key: "plot", label: "95 % interval", kind: "c-plot", head: scales.size === 1 ? axisHead(first) : "95 % interval", cell: (row) => whisker(scales.get(row.unit), score(row), { tone: tone(row), label: "A less B" }) },
    { key: "p", label: "p", numeric: true, sort: (row) => row.p, cell: (row) => pvalue(row.p), text: (row) => pvalue(row.p), csv: (row) => ({ p: row.p, test: row.test ?? "" }) },
    { key: "n", label: "n", numeric: true, sort: (row) => row.n, cell: (row) => h("span", { class: row.n < 30 ? "small" : "" }, count(row.n)), text: (row) => count(row.n) },
  ];
}

const dim = (row) => ({ kind: row.n < 30 ? "few" : "" });

function all(heads, data) {
  const [a, b] = data.models;
  const sure = heads.filter(isSure);
  const wins = (side) => sure.filter((item) => winner(item) === side).length;
  const made = table({
    name: `compare-${a}-${b}`, caption: `${a} (A) and ${b} (B): difference of each task's headline`, rows: heads, chosen: dim,
    columns: [
      { key: "task", label: "Task", sticky: true, heading: true, sort: (row) => row.task, cell: (row) => h("a", { class: "open", href: href({ ...placeOf(row), variant: several(heads, row) ? row.variant : null, images: several(heads, row) ? row.images : null }, true) }, foreign(words(row.task)), h("span", { class: "under" }, foreign(`${row.dataset} · ${metricLabel(row)}${several(heads, row) ? ` · ${row.variant}, ${row.images}` : ""}`))), text: (row) => `${words(row.task)} (${metricLabel(row)})`, csv: (row) => ({ task: row.task, dataset: row.dataset, split: row.split, profile: row.profile, metric: row.metric }) },
      ...differenceColumns(heads, data),
    ],
  });
  return { content: [
    h("div", { class: "verdict" }, h("p", { class: "big" }, h("strong", {}, foreign(a)), ` is better on ${plural(wins("a"), "task")}, `, h("strong", {}, foreign(b)), ` on ${wins("b")}; ${heads.length - sure.length === 0 ? "no task leaves it open" : `${heads.length - sure.length} of ${heads.length} cannot be told apart`}.`),
      h("p", {}, "Paired on the same samples; a p value of each task alone. Open a task for its slices and the cases where the two differ.")),
    h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, "Tasks"), made.exports()), made.node),
  ] };
}

const several = (heads, row) => heads.filter((other) => placeKey(other) === placeKey(row)).length > 1;

function detail(whole, data, slice) {
  const item = within(whole, slice);
  const slices = (whole.slices ?? []).map((row) => ({ unit: item.unit, higher_is_better: item.higher_is_better, ...row }));
  const [a, b] = data.models;
  const sliced = slices.length ? table({ name: `compare-${item.task}-slices`, caption: `${a} (A) and ${b} (B) on ${words(item.task)} by slice: ${metricNote(item)}`, rows: slices, chosen: dim, state: "sort-s", columns: [
    { key: "slice", label: "Slice", sticky: true, heading: true, sort: (row) => row.slice, cell: (row) => h("a", { href: href({ slice: row.slice }, true), tip: "Only this slice: its verdict and its cases" }, foreign(sliceText(row.slice))), text: (row) => row.slice }, ...differenceColumns(slices, data)] }) : null;
  return { content: [
    verdict(item, data.models), item.only ? h("p", { class: "quiet" }, `${plural(item.only, "sample")} left out: only one of the two was graded on ${item.only === 1 ? "it" : "them"}.`) : null,
    flips(item, data),
    sliced ? h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, "By slice"), h("span", { class: "quiet" }, "p values of each slice alone: of twenty slices without a difference one looks like one."), sliced.exports()), sliced.node) : null,
    everyMetric(whole, data),
  ] };
}

/** All metrics of the task: asked for when opened, since some take the server a while to compare. */
function everyMetric(item, data) {
  const [a, b] = data.models;
  const node = h("details", { id: "metrics" }, h("summary", {}, h("h2", { class: "inline" }, "Every metric")));
  node.addEventListener("toggle", async () => {
    if (!node.open || node.children.length > 1) return;
    const note = h("p", { class: "quiet" }, "Comparing …");
    node.append(note);
    try {
      const all = await api("compare", { a, b, task: item.task });
      note.replaceWith(...metricTable(item, all));
    } catch (error) {
      note.replaceChildren(foreign(error.message));
    }
  });
  return h("section", {}, node);
}

function metricTable(item, data) {
  const [a, b] = data.models;
  const others = data.items.filter((other) => ["task", "dataset", "split", "variant", "images"].every((name) => other[name] === item[name]));
  const metrics = table({ name: `compare-${item.task}`, caption: `${a} (A) and ${b} (B) on ${words(item.task)}: every metric`, rows: others, chosen: dim, state: "sort-m", columns: [
    { key: "metric", label: "Metric", sticky: true, heading: true, sort: (row) => row.metric, cell: (row) => h("span", {}, foreign(metricLabel(row)), row.headline ? h("span", { class: "badge" }, "headline") : null, h("span", { class: "under" }, foreign(words(row.profile)))), text: (row) => `${row.profile} ${row.metric}`, csv: (row) => ({ profile: row.profile, metric: row.metric }) },
    ...differenceColumns(others, data)] });
  return [h("div", { class: "tablehead tight" }, metrics.exports()), metrics.node];
}

// --- the cases where they differ ------------------------------------------------------------------------------------

/** The address of a case: its sample, with both models' answers, walking through the list it stands in. */
export function flipLink(item, models, sample, side) {
  return href({ page: "sample", ...placeOf(item), slice: item.slice, variant: item.variant, images: item.images, sample, model: models, list: "flips", a: models[0], b: models[1], side });
}

export const sides = (item, [a, b]) => [[a, "a"], [b, "b"]].map(([name, side]) => [side, name, (item.flips ?? []).filter((flip) => flip.better === name)]);

function flips(item, data) {
  const found = sides(item, data.models);
  const total = found.reduce((sum, [, , list]) => sum + list.length, 0);
  const by = item.flips_by ? ` by ${words(item.flips_by)}` : "";
  if (!total) {
    return h("section", { id: "cases" }, h("h2", {}, "Cases where they differ"), h("p", { class: "quiet" }, item.only_a === 0 && item.only_b === 0 ? "None: both are right on the same samples." : "This metric has no sample that is right or wrong by itself."),
      h("p", {}, h("a", { href: href({ page: "samples", ...placeOf(item), model: data.models[0], other: data.models[1], disagree: "models" }) }, "Samples on which the two models' answers differ")));
  }
  const first = found.flatMap(([side, , list]) => list.slice(0, 3).map((flip) => [side, flip]));
  const cards = h("ul", { class: "cases", data: { rows: "" } }, first.map(([side, flip]) => caseCard(item, data.models, side, flip)));
  const lists = found.map(([side, name, list]) => {
    const other = data.models[side === "a" ? 1 : 0];
    const made = table({ name: `flips-${side}-${item.task}`, caption: `${name} right, ${other} wrong on ${words(item.task)}${by}`, rows: list, state: `sort-${side}`, empty: "None.", columns: flipColumns(item, data.models, side) });
    return h("details", {}, h("summary", {}, h("span", { class: `side ${side}` }, side.toUpperCase()), " ", foreign(name), " right, ", foreign(other), ` wrong: ${count(list.length)}`), h("div", { class: "tablehead" }, h("span"), made.exports()), made.node);
  });
  return h("section", { id: "cases" }, h("div", { class: "tablehead" }, h("h2", {}, "Cases where they differ"), h("span", { class: "quiet" }, `${count(found[0][2].length)} only A right · ${count(found[1][2].length)} only B right${by}`)), cards, lists);
}

/** One case as a card: its words at once, its picture and what was read of the answers as soon as they are there. */
function caseCard(item, models, side, flip) {
  const picture = h("div", { class: "mini none" });
  const read = h("span", { class: "casetext" });
  const anchor = h("a", { class: "open case", href: flipLink(item, models, flip.sample, side) }, picture, h("span", { class: "casetext" },
    h("span", {}, ["a", "b"].map((each) => [h("span", { class: `side ${each}` }, each.toUpperCase()), h("span", { class: each === side ? "right" : "wrong" }, each === side ? "✓ right\u2003" : "✗ wrong\u2003")])),
    h("span", { class: "question" }, foreign(brief(flip.question, 90))), h("span", { class: "quiet" }, "Reference: ", foreign(brief(flip.target, 50))), read));
  fillCard(item, models, flip, { picture, read }).catch(() => picture.replaceChildren("no picture"));
  return h("li", {}, anchor);
}

async function fillCard(item, models, flip, { picture, read }) {
  const place = placeOf(item);
  const found = await sampleOf(place, flip.sample);
  const answers = models.map((name) => found.answers.find((each) => each.model === name && each.variant === item.variant && each.images === item.images) ?? found.answers.find((each) => each.model === name)).filter(Boolean);
  const letter = (name) => (name === models[0] ? "A" : "B");
  picture.replaceWith(miniature(place, found.sample, answers));
  read.append(...answers.map((each) => h("span", { class: "quiet" }, `${letter(each.model)}: `, foreign(brief(each.outcome === "answered" ? valueText(each.value) : each.outcome, 60)))),
    h("span", { class: "legend" }, layersOf(found.sample, answers).map((layer) => h("span", {}, swatch(layer.style), layer.reference ? "reference" : letter(layer.name)))));
}

function flipColumns(item, models, side) {
  const text = (key, label) => ({ key, label, sort: (row) => row[key] ?? "", cell: (row) => foreign(brief(row[key], 120)), text: (row) => row[key] ?? "" });
  return [
    { key: "sample", label: "Sample", sticky: true, heading: true, sort: (row) => row.sample, cell: (row) => h("a", { class: "open id", href: flipLink(item, models, row.sample, side) }, foreign(brief(row.sample, 40))), text: (row) => row.sample },
    text("question", "Question"), text("target", "Reference"), text("text_a", `A: ${models[0]}`), text("text_b", `B: ${models[1]}`),
  ];
}

function properties(data) {
  const rows = data.properties ?? [];
  const show = (value) => foreign(typeof value === "string" ? value : value === undefined ? "–" : JSON.stringify(value));
  const asText = (value) => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));
  if (!rows.length) return h("section", {}, h("h2", {}, "Properties that differ"), h("p", { class: "quiet" }, "None but the name: same prompt, revision and parameters as far as the runs say."));
  const made = table({ name: "properties", caption: `What differs between ${data.models[0]} (A) and ${data.models[1]} (B)`, rows, state: "sort-p", columns: [
    { key: "name", label: "Property", heading: true, sticky: true, sort: (row) => row.name, cell: (row) => foreign(row.name), text: (row) => row.name },
    { key: "a", label: `A: ${data.models[0]}`, cell: (row) => show(row.a), text: (row) => asText(row.a) }, { key: "b", label: `B: ${data.models[1]}`, cell: (row) => show(row.b), text: (row) => asText(row.b) }] });
  return h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, "Properties that differ"), made.exports()), made.node);
}
