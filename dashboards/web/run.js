// Runs: what was asked for, where it stands, what failed and why. A run that goes on is read again every few seconds.

import { api, isStatic } from "./data.js";
import { choose, foreign, h, prose, state } from "./dom.js";
import { capital, count, duration, moment, plural, rate, words } from "./format.js";
import { lineChart } from "./charts.js";
import { href, set } from "./route.js";
import { table } from "./table.js";

const AGAIN = 5000;
/** More changes than this are folded away: another job, not another setting. */
const MANY = 20;
const ENDED = ["done", "incomplete", "failed", "interrupted", "lost"];
const MEANING = {
  done: "Everything planned is answered.", incomplete: "Ended with rows that failed; the same command asks those again.", failed: "Ended by an error; see below.",
  interrupted: "Stopped by hand; the same command goes on where it ended.", lost: "Has not reported for a minute: taken for dead. The same command goes on where it ended.",
};

export async function page(asked) {
  const runs = (await api("runs", {}, { fresh: true })).slice().reverse();
  if (!runs.length) return { title: "Runs", content: [h("h1", {}, "Runs"), state("No run yet", "Start one:", h("pre", {}, "raybench run jobs/quickstart.yaml"))] };
  const id = asked.get("run_id") ?? runs[0].run_id;
  const data = await api("run", { run_id: id }, { fresh: true });
  const known = runs.find((run) => run.run_id === id) ?? {};
  const status = data.status ?? known.status;
  const live = h("section", {}, ...liveParts(data));
  const timer = ENDED.includes(status) || isStatic() ? null : setInterval(() => again(id, live), AGAIN);
  return {
    title: `Run ${id}`,
    cleanup: () => clearInterval(timer),
    content: [
      h("h1", {}, "Run ", h("span", { class: "quiet id" }, foreign(id))),
      h("div", { class: "filters" }, choose("run_id", "Run", runs.map((run) => [run.run_id, `${run.run_id} · ${run.status} · ${moment(run.began)}`]), id, (value) => set({ run_id: value }))),
      h("p", {}, badge(status), " ", h("span", { class: "quiet" }, `${MEANING[status] ?? "Going on: this page fills in by itself."} Began ${moment(data.began ?? known.began)}, last word ${moment(data.at ?? known.at)}.`)),
      (data.warnings ?? []).map((each) => h("p", { class: "note warn" }, foreign(each))), data.detail ? h("p", { class: "note warn" }, foreign(data.detail)) : null,
      live, failures(data), difference(data), facts(data), spec(data),
    ],
  };
}

const badge = (status) => h("span", { class: `badge ${status === "done" ? "good" : ["failed", "lost"].includes(status) ? "bad" : "warn"}` }, words(status));

async function again(id, live) {
  try {
    const data = await api("run", { run_id: id }, { fresh: true });
    live.replaceChildren(...liveParts(data));
    if (ENDED.includes(data.status)) set({}, { replace: true });
  } catch { /* the next try may do */ }
}

function liveParts(data) {
  return [progress(data), cells(data), throughput(data)].filter(Boolean);
}

function progress({ progress: found, status }) {
  const streams = Object.entries(found?.streams ?? {});
  if (!streams.length || ENDED.includes(status)) return null;
  return h("div", { class: "streams" }, h("h2", {}, `Progress: ${found.phase ?? ""}`), streams.map(([name, stream]) => {
    const counts = Object.entries(stream.counts ?? {});
    const done = counts.reduce((sum, [, n]) => sum + n, 0);
    return h("div", { class: "stream" }, foreign(name), h("progress", { max: Math.max(1, stream.total), value: done, "aria-label": `${name}: ${done} of ${stream.total}` }),
      h("span", { class: "quiet" }, `${count(done)} of ${count(stream.total)} · ${rate(stream.rows_per_second)} rows/s · ${duration(stream.eta_seconds)} left${counts.filter(([key, n]) => n && key !== "answered" && key !== "ok").map(([key, n]) => ` · ${n} ${words(key)}`).join("")}`));
  }));
}

function cells({ cells: rows }) {
  if (!rows?.length) return null;
  const number = (key, lower = false) => ({ key, label: capital(words(key)), numeric: true, lower, sort: (row) => row[key] ?? null, cell: (row) => h("span", { class: row[key] ? "" : "quiet" }, count(row[key])), text: (row) => count(row[key]), csv: (row) => ({ [key]: row[key] ?? "" }) });
  const made = table({ name: "cells", caption: "Planned rows of each cell and how they ended", rows, columns: [
    { key: "task", label: "Task", sticky: true, heading: true, sort: (row) => row.task, cell: (row) => h("a", { class: "open", href: href({ task: row.task, dataset: row.dataset, split: row.split }) }, foreign(words(row.task)), h("span", { class: "under" }, foreign(row.dataset))), text: (row) => row.task },
    { key: "model", label: "Model", kind: "model", sort: (row) => row.model, cell: (row) => h("span", {}, foreign(row.model), h("span", { class: "under" }, foreign([row.variant, row.images === "with" ? "" : row.images].filter(Boolean).join(", ")))), text: (row) => row.model },
    { key: "done", label: "Done", kind: "c-plot", sort: (row) => done(row) / Math.max(1, row.planned), cell: (row) => h("progress", { max: Math.max(1, row.planned), value: done(row), "aria-label": `${done(row)} of ${row.planned}` }) },
    number("planned"), number("answered"), number("refused", true), number("unparsed", true), number("failed", true), number("pending", true)] });
  return h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, "Cells"), made.exports()), made.node);
}

const done = (row) => (row.answered ?? 0) + (row.refused ?? 0) + (row.unparsed ?? 0) + (row.failed ?? 0);

function throughput({ throughput: points }) {
  const pairs = (points ?? []).map(({ at, rows }) => [Date.parse(at) / 1000, rows]).filter(([at]) => Number.isFinite(at));
  if (pairs.length < 2) return null;
  const first = pairs[0][0];
  const seen = pairs.map(([at, rows]) => [at - first, rows]);
  const step = Math.max(1e-9, Math.min(...seen.slice(1).map(([at], i) => at - seen[i][0]).filter((each) => each > 0)));
  const plain = seen.flatMap(([at, rows], i) => (i && at - seen[i - 1][0] > 1.5 * step ? [[seen[i - 1][0] + step, 0], [at - step, 0], [at, rows]] : [[at, rows]]));  // stretches without an answer
  return h("section", {}, h("h2", {}, "Throughput"), lineChart(plain, { xName: "since the first answer", yName: `answers per ${duration(step)}`, xText: (value) => (value < 1 ? "0 s" : duration(value)), yText: (value) => count(Math.round(value)), label: `Answers over time, ${plural(pairs.length, "point")}` }));
}

function failures({ failures: rows }) {
  if (!rows?.length) return h("section", {}, h("h2", {}, "Failures"), h("p", { class: "quiet" }, "None."));
  const made = table({ name: "failures", caption: "Failed calls by reason", rows, state: "sort-f", columns: [
    { key: "reason", label: "Reason", heading: true, sticky: true, sort: (row) => row.reason, cell: (row) => foreign(row.reason), text: (row) => row.reason },
    { key: "n", label: "Calls", numeric: true, sort: (row) => row.n, cell: (row) => count(row.n), text: (row) => count(row.n) },
    { key: "example", label: "Example", kind: "text", cell: (row) => prose(row.example ?? "", 240), text: (row) => row.example ?? "" }] });
  return h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, "Failures"), made.exports()), made.node);
}

const shown = (value) => (value === null || value === undefined ? h("span", { class: "quiet" }, "–") : foreign(typeof value === "string" ? value : JSON.stringify(value)));

function difference({ spec_diff: rows, previous }) {
  if (!Array.isArray(rows)) return null;
  if (!rows.length) return previous ? h("section", {}, h("h2", {}, "Spec"), h("p", { class: "quiet" }, "The same as of the run before.")) : null;
  const made = table({ name: "spec-diff", caption: "What the spec says other than the run before", rows, state: "sort-d", columns: [
    { key: "path", label: "Setting", heading: true, sticky: true, sort: (row) => row.path, cell: (row) => h("span", { class: "id" }, foreign(row.path)), text: (row) => row.path },
    { key: "before", label: "Before", kind: "text", cell: (row) => shown(row.before), text: (row) => JSON.stringify(row.before ?? null) }, { key: "after", label: "This run", kind: "text", cell: (row) => shown(row.after), text: (row) => JSON.stringify(row.after ?? null) }] });
  const head = `Changed since the run before: ${plural(rows.length, "setting")}`;
  if (rows.length > MANY) return h("section", {}, h("details", {}, h("summary", {}, h("h2", { class: "inline" }, head)), h("div", { class: "tablehead tight" }, made.exports()), made.node));
  return h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, head), made.exports()), made.node);
}

/** Nested settings as one flat list of pairs. */
function flat(value, path = "") {
  if (value === null || typeof value !== "object") return [[path, value]];
  const inner = Object.entries(value);
  if (!inner.length) return [];
  return inner.flatMap(([key, each]) => flat(each, path ? `${path}.${key}` : key));
}

function facts(data) {
  const parts = [["Environment", data.environment], ["Versions", data.versions], ["Git", data.git]].filter(([, found]) => found && flat(found).length);
  return h("div", { class: "columns" }, parts.map(([title, found]) => h("section", {}, h("h2", {}, title), h("dl", { class: "facts" }, flat(found).map(([key, value]) => [h("dt", {}, foreign(key || title)), h("dd", {}, shown(value))])))));
}

function spec({ spec: found }) {
  if (!found) return null;
  return h("section", {}, h("details", {}, h("summary", {}, "Spec as it ran"), prose(typeof found === "string" ? found : JSON.stringify(found, null, 2), 20_000, "raw")));
}
