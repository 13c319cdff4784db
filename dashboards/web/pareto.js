// What a model's score costs: score against speed, tokens or price, the frontier marked: nothing beats it on both.

import { api } from "./data.js";
import { choose, foreign, h, state } from "./dom.js";
import { full, rate, unitName, words } from "./format.js";
import { scatter } from "./charts.js";
import { metricLabel, placeKey, placeOf, scoreCell, scoreCsv } from "./cells.js";
import { href, set } from "./route.js";
import { table } from "./table.js";

const tokens = (value) => (typeof value === "number" ? value.toFixed(1) : "–");

/** What a score can be set against: [key, name in the choice, axis, whether more is better]. */
const AGAINST = [
  ["rows_per_second", "Answers a second", "answers a second of one replica (log scale, faster to the right)", true],
  ["tokens_out", "Tokens written", "tokens written an answer (log scale, fewer to the left)", false],
  ["cost_per_1000", "Price", "price of 1,000 answers, in the spec's currency (log scale, cheaper to the left)", false],
];

/** Those that no other model beats or equals on one side while beating it on the other. */
function marked(points, key, more, up) {
  const good = (each) => [up ? each.score : -each.score, more ? each[key] : -each[key]];
  const known = points.filter((each) => each[key] > 0);
  const beaten = (one) => known.some((other) => {
    const [[s, x], [t, y]] = [good(one), good(other)];
    return t >= s && y >= x && (t > s || y > x);
  });
  return points.map((each) => ({ ...each, frontier: each[key] > 0 && !beaten(each) }));
}

export async function page(asked, meta) {
  const task = meta.tasks.find((each) => asked.get("task") === each.task && (!asked.get("dataset") || asked.get("dataset") === each.dataset)) ?? meta.tasks[0];
  const data = await api("pareto", placeOf(task));
  const metric = data.metric ?? task.headline;
  const up = metric.higher_is_better !== false;
  const there = AGAINST.filter(([name]) => data.points.some((each) => each[name] > 0));
  const [key, name, axisName, more] = there.find(([each]) => each === asked.get("against")) ?? there[0] ?? AGAINST[0];
  const points = marked(data.points.filter((each) => typeof each.score === "number"), key, more, up);
  const timed = points.filter((each) => each[key] > 0);
  const made = table({ name: `speed-${task.task}`, caption: `${words(task.task)} on ${task.dataset}/${task.split}: ${metricLabel(metric)} against ${name.toLowerCase()}`, rows: points, chosen: (row) => ({ kind: row.frontier ? "lead" : "" }), columns: columns(metric, placeOf(task), points.some((each) => each.cost_per_1000 > 0)) });
  return {
    title: `Score against speed, ${words(task.task)}`,
    content: [
      h("h1", {}, "Score against speed"),
      h("p", { class: "sub" }, foreign(words(task.task)), ` · ${metricLabel(metric)} in ${unitName(metric.unit)}${up ? "" : ", lower is better"}, with the 95 % interval. Filled dots are the frontier: no other model is both better and ${more ? "faster" : "cheaper"}.`),
      h("div", { class: "filters" }, choose("task", "Task", meta.tasks.map((each) => [placeKey(each), `${words(each.task)} · ${each.dataset}`]), placeKey(task), (key) => { const [name, dataset, split] = key.split("|"); set({ task: name, dataset, split }); }), there.length > 1 ? choose("against", "Against", there.map(([each, text]) => [each, text]), key, (against) => set({ against })) : null),
      timed.length ? h("figure", { class: "figure" }, scatter(timed, { x: (each) => each[key], y: (each) => each.score, unit: metric.unit, xName: axisName, yName: `${metricLabel(metric)}, ${unitName(metric.unit)}` })) : state("No timing here", "The runs in this folder stored no seconds, so there is nothing to set the scores against."),
      h("section", {}, h("div", { class: "tablehead" }, h("span", { class: "quiet" }, "Speeds hold for the machines they were measured on."), made.exports()), made.node),
    ],
  };
}

function columns(metric, place, priced) {
  const score = (row) => ({ value: row.score, low: row.low, high: row.high, unit: metric.unit, n: row.n });
  return [
    { key: "model", label: "Model", sticky: true, heading: true, sort: (row) => row.model, cell: (row) => [h("a", { class: "open", href: href({ page: "samples", ...place, model: row.model }) }, foreign(row.label ?? row.model)), row.frontier ? h("span", { class: "badge good" }, "frontier") : null], text: (row) => `${row.model}${row.frontier ? " (frontier)" : ""}`, csv: (row) => ({ model: row.model, frontier: row.frontier }) },
    { key: "score", label: metricLabel(metric), numeric: true, sort: (row) => row.score, cell: (row) => scoreCell(score(row)), text: (row) => full(score(row)), csv: (row) => scoreCsv("score", { ...score(row) }) },
    { key: "rate", label: "answers/s", numeric: true, sort: (row) => row.rows_per_second ?? null, cell: (row) => rate(row.rows_per_second), text: (row) => rate(row.rows_per_second), csv: (row) => ({ rows_per_second: row.rows_per_second ?? "" }) },
    { key: "tokens", label: "Tokens out", numeric: true, sort: (row) => row.tokens_out ?? null, cell: (row) => tokens(row.tokens_out), text: (row) => tokens(row.tokens_out), csv: (row) => ({ tokens_out: row.tokens_out ?? "" }) },
    ...(priced ? [{ key: "cost", label: "Price of 1,000", numeric: true, lower: true, tip: "Of 1,000 answers, at the prices that the spec gives.", sort: (row) => row.cost_per_1000 ?? null, cell: (row) => rate(row.cost_per_1000), text: (row) => rate(row.cost_per_1000), csv: (row) => ({ cost_per_1000: row.cost_per_1000 ?? "" }) }] : []),
  ];
}
