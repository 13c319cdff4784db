// What a model's score costs: score against answers a second, the frontier marked; nothing beats a frontier model on both.

import { api } from "./data.js";
import { choose, foreign, h, state } from "./dom.js";
import { count, full, rate, unitName, words } from "./format.js";
import { scatter } from "./charts.js";
import { metricLabel, placeKey, placeOf, scoreCell, scoreCsv } from "./cells.js";
import { href, set } from "./route.js";
import { table } from "./table.js";

export async function page(asked, meta) {
  const task = meta.tasks.find((each) => asked.get("task") === each.task && (!asked.get("dataset") || asked.get("dataset") === each.dataset)) ?? meta.tasks[0];
  const data = await api("pareto", placeOf(task));
  const metric = data.metric ?? task.headline;
  const points = data.points.filter((each) => typeof each.score === "number");
  const timed = points.filter((each) => each.rows_per_second > 0);
  const made = table({ name: `speed-${task.task}`, caption: `${words(task.task)} on ${task.dataset}/${task.split}: ${metricLabel(metric)} against answers a second`, rows: points, chosen: (row) => ({ kind: row.frontier ? "lead" : "" }), columns: columns(metric, placeOf(task)) });
  const up = metric.higher_is_better !== false;
  return {
    title: `Score against speed, ${words(task.task)}`,
    content: [
      h("h1", {}, "Score against speed"),
      h("p", { class: "sub" }, foreign(words(task.task)), ` · ${metricLabel(metric)} in ${unitName(metric.unit)}${up ? "" : ", lower is better"}, with the 95 % interval. Filled dots are the frontier: no other model is both better and faster.`),
      h("div", { class: "filters" }, choose("task", "Task", meta.tasks.map((each) => [placeKey(each), `${words(each.task)} · ${each.dataset}`]), placeKey(task), (key) => { const [name, dataset, split] = key.split("|"); set({ task: name, dataset, split }); })),
      timed.length ? h("figure", { class: "figure" }, scatter(timed, { x: (each) => each.rows_per_second, y: (each) => each.score, unit: metric.unit, xName: "answers a second (log scale, faster to the right)", yName: `${metricLabel(metric)}, ${unitName(metric.unit)}` })) : state("No timing here", "The runs in this folder stored no seconds, so there is nothing to set the scores against."),
      h("section", {}, h("div", { class: "tablehead" }, h("span", { class: "quiet" }, "Speeds hold for the machines they were measured on."), made.exports()), made.node),
    ],
  };
}

function columns(metric, place) {
  const score = (row) => ({ value: row.score, low: row.low, high: row.high, unit: metric.unit, n: row.n });
  return [
    { key: "model", label: "Model", sticky: true, heading: true, sort: (row) => row.model, cell: (row) => [h("a", { class: "open", href: href({ page: "samples", ...place, model: row.model }) }, foreign(row.label ?? row.model)), row.frontier ? h("span", { class: "badge good" }, "frontier") : null], text: (row) => `${row.model}${row.frontier ? " (frontier)" : ""}`, csv: (row) => ({ model: row.model, frontier: row.frontier }) },
    { key: "score", label: metricLabel(metric), numeric: true, sort: (row) => row.score, cell: (row) => scoreCell(score(row)), text: (row) => full(score(row)), csv: (row) => scoreCsv("score", { ...score(row) }) },
    { key: "rate", label: "answers/s", numeric: true, sort: (row) => row.rows_per_second ?? null, cell: (row) => rate(row.rows_per_second), text: (row) => rate(row.rows_per_second), csv: (row) => ({ rows_per_second: row.rows_per_second ?? "" }) },
    { key: "tokens", label: "Tokens out", numeric: true, sort: (row) => row.tokens_out ?? null, cell: (row) => count(row.tokens_out), text: (row) => count(row.tokens_out), csv: (row) => ({ tokens_out: row.tokens_out ?? "" }) },
  ];
}
