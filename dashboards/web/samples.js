// Rows of graded answers: facets, text search, pages by key; every row leads to its sample.

import { api, imageUrl } from "./data.js";
import { brief, choose, foreign, h } from "./dom.js";
import { capital, count, plural, words } from "./format.js";
import { outcomeMark, placeKey, placeOf } from "./cells.js";
import { href, set } from "./route.js";
import { table } from "./table.js";

const FILTERS = ["model", "config", "variant", "images", "outcome", "correct", "slice", "judge", "verdict", "disagree", "other", "q"];
const PAGE = 50;

export async function page(asked, meta) {
  const task = meta.tasks.find((each) => ["task", "dataset", "split"].every((name) => !asked.get(name) || asked.get(name) === each[name])) ?? meta.tasks[0];
  const place = placeOf(task);
  const wanted = { ...place, limit: PAGE, ...Object.fromEntries(FILTERS.map((name) => [name, asked.get(name)])) };
  const data = await api("samples", wanted);
  const rows = [...data.rows];
  let next = data.next;
  remember(rows);
  const made = table({ name: `samples-${task.task}`, caption: `Graded answers of ${words(task.task)} on ${task.dataset}/${task.split}`, rows, columns: columns(place, asked), empty: "No answer fits these filters." });
  const more = h("button", { type: "button", hidden: !next, on: { click: async () => {
    more.disabled = true;
    const found = await api("samples", { ...wanted, after: next });
    rows.push(...found.rows);
    next = found.next;
    made.update(rows);
    remember(rows);
    note.textContent = shown(rows, data, next);
    more.disabled = false;
    more.hidden = !next;
  } } }, "Show more");
  const note = h("span", { class: "quiet" }, shown(rows, data, next));
  return {
    title: `Samples of ${words(task.task)}`,
    content: [
      h("h1", {}, "Samples"),
      h("div", { class: "filters" }, taskChoice(meta, task), facets(data, task, asked, meta), search(asked)),
      active(asked), h("div", { class: "tablehead" }, note, made.exports()), made.node, h("p", { class: "row" }, more),
    ],
  };
}

const shown = (rows, data, next) => (typeof data.total === "number" ? `${count(rows.length)} of ${plural(data.total, "answer")}` : `${plural(rows.length, "answer")}${next ? ", and more" : ""}`);

/** Which samples the list held, in order, so that j and k on a sample walk through it. */
function remember(rows) {
  try {
    sessionStorage.setItem("raybench-list", JSON.stringify([...new Set(rows.map((row) => row.sample))].slice(0, 2000)));
  } catch { /* then j and k follow the data set */ }
}

function taskChoice(meta, task) {
  return choose("task", "Task", meta.tasks.map((each) => [placeKey(each), `${words(each.task)} · ${each.dataset}`]), placeKey(task), (key) => {
    const [name, dataset, split] = key.split("|");
    set({ task: name, dataset, split, slice: null, judge: null, verdict: null, config: null, variant: null, images: null });
  });
}

function facets(data, task, asked, meta) {
  const facet = (name, label, any, values) => (values.length ? choose(name, label, [["", any], ...values], asked.get(name), (value) => set({ [name]: value })) : null);
  const counted = (name, turn = words) => (data.facets?.[name] ?? []).map((each) => [String(each.value), `${turn(each.value)}${typeof each.n === "number" ? ` (${count(each.n)})` : ""}`]);
  const counts = counted("model", String);
  const models = counts.length ? counts : meta.models.map((each) => [each.name ?? each, each.name ?? each]);
  const slices = grouped(counted("slice", (value) => String(value).replace("=", ": ")));
  const outcomes = counted("outcome");
  const [verdicts, judges] = [counted("verdict"), counted("judge", String)];
  return [
    facet("model", "Model", "All models", models),
    facet("outcome", "Outcome", "Any", outcomes.length ? outcomes : ["answered", "refused", "unparsed", "failed"].map((name) => [name, name])),
    facet("correct", "Right or wrong", "Either", [["1", "right"], ["0", "wrong"]]),
    facet("slice", "Slice", "All", slices.length ? slices : grouped(Object.entries(task.slices ?? {}).flatMap(([name, values]) => values.map((value) => [`${name}=${value}`, `${words(name)}: ${value}`])))),
    judges.length > 1 ? facet("judge", "Judge", "Any", judges) : null,
    facet("verdict", "Judge's verdict", "Any", verdicts),
    facet("disagree", "Disagreement", "–", [["models", "between models"], ...(judges.length > 1 ? [["judges", "between judges"]] : [])]),
    asked.get("disagree") === "models" ? facet("other", "… with", "any model", models.filter(([name]) => name !== asked.get("model"))) : null,
  ];
}

/** Slices under the name of what they slice by. */
function grouped(slices) {
  const found = new Map();
  for (const [value, text] of slices) {
    const name = capital(words(value.split("=")[0]));
    found.set(name, [...(found.get(name) ?? []), [value, text]]);
  }
  return [...found];
}

function search(asked) {
  return h("form", { class: "field", role: "search", on: { submit: (event) => { event.preventDefault(); set({ q: event.target.elements.q.value }); } } },
    h("label", { for: "q" }, h("span", {}, "Search text ", h("kbd", {}, "/"))), h("input", { id: "q", name: "q", type: "search", size: 18, value: asked.get("q") ?? "", placeholder: "question or answer", autocomplete: "off" }));
}

function active(asked) {
  const on = [...FILTERS].filter((name) => asked.get(name));
  if (!on.length) return null;
  return h("p", { class: "active" }, on.map((name) => h("a", { class: "chip", href: href({ [name]: null }, true), "aria-label": `Remove ${name} ${asked.get(name)}` }, h("span", { class: "quiet" }, `${words(name)} `), foreign(brief(asked.get(name), 40)), h("span", { "aria-hidden": "true" }, " ×"))),
    on.length > 1 ? h("a", { href: href(Object.fromEntries(on.map((name) => [name, null])), true) }, "clear all") : null);
}

function columns(place, asked) {
  const link = (row) => href({ page: "sample", ...place, sample: row.sample, model: [asked.get("model"), asked.get("other")].filter(Boolean), list: "samples" });
  const text = (key, label, limit = 110) => ({ key, label, kind: "text", sort: (row) => row[key] ?? "", cell: (row) => foreign(brief(row[key], limit)), text: (row) => row[key] ?? "" });
  return [
    { key: "thumb", label: "Image", kind: "thumb", head: h("span", { class: "unseen" }, "Image"), cell: (row) => thumbnail(place, row) },
    { key: "sample", label: "Sample", sticky: true, heading: true, sort: (row) => row.sample, cell: (row) => h("a", { class: "open id", href: link(row) }, foreign(brief(row.sample, 44))), text: (row) => row.sample },
    text("question", "Question"), text("target", "Reference", 60),
    ...(asked.get("model") ? [] : [{ key: "model", label: "Model", kind: "model", sort: (row) => row.model, cell: (row) => foreign(row.model), text: (row) => row.model }]),
    text("text", "Answer"),
    { key: "correct", label: "Result", sort: (row) => `${row.outcome}${row.correct}`, cell: (row) => outcomeMark(row), text: (row) => (row.outcome === "answered" ? (row.correct === null || row.correct === undefined ? "answered" : row.correct ? "right" : "wrong") : row.outcome), csv: (row) => ({ outcome: row.outcome, correct: row.correct ?? "" }) },
    { key: "verdicts", label: "Judge", cell: (row) => verdictList(row), text: (row) => (row.verdicts ?? []).map((each) => `${each.judge}: ${each.label ?? "–"}`).join("; ") },
  ];
}

const verdictList = (row) => (row.verdicts?.length ? row.verdicts.map((each) => h("span", { class: "verdictline", data: { tip: each.judge } }, foreign(brief(each.label ?? "not read", 24)))) : h("span", { class: "quiet" }, "–"));

function thumbnail(place, row) {
  const image = h("img", { src: imageUrl({ ...place, sample: row.sample, n: 0, thumb: 1 }), alt: "", width: 44, height: 44, loading: "lazy" });
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "quiet" }, "–")));
  return row.n_images === 0 ? h("span", { class: "quiet" }, "–") : image;
}

export const remembered = () => {
  try {
    return JSON.parse(sessionStorage.getItem("raybench-list") ?? "[]");
  } catch {
    return [];
  }
};
