// The leaderboard: all tasks beside one another, or one task with every number beside its headline.

import { api, isStatic } from "./data.js";
import { choose, foreign, h, say } from "./dom.js";
import { FLAGS, capital, count, flagText, full, plural, ranks, rate, share, unitName, words } from "./format.js";
import { axis, axisHead, whisker } from "./charts.js";
import { flagBadge, kindBadge, metricLabel, metricNote, placeKey, placeOf, scoreCell, scoreCsv } from "./cells.js";
import { href, params, set } from "./route.js";
import { table } from "./table.js";

/** More published numbers than this start hidden: the models measured here come first. */
const FEW = 6;

export async function page(asked, meta) {
  const tasks = meta.tasks;
  const one = asked.get("task") ? tasks.find((each) => fits(each, asked)) : tasks.length === 1 ? tasks[0] : null;
  if (asked.get("task") && !one) throw new Error(`No task ${asked.get("task")} here; there are: ${[...new Set(tasks.map((each) => each.task))].join(", ")}.`);
  return one ? single(one, asked, meta) : overview(asked, meta);
}

const fits = (task, asked) => ["task", "dataset", "split"].every((name) => !asked.get(name) || asked.get(name) === task[name]);

function taskChoice(meta, chosen) {
  if (meta.tasks.length < 2) return null;
  const options = meta.tasks.map((each) => [placeKey(each), `${words(each.task)}${each.dataset === each.task ? "" : ` · ${each.dataset}`}`]);
  return choose("task", "Task", [["", "All tasks"], ...options], chosen, (key) => {
    const [task, dataset, split] = key.split("|");
    set({ page: null, task: task || null, dataset, split, slice: null, sort: null, judge: null, images: null });
  });
}

function filterField(act) {
  return h("label", { class: "field", for: "filter" }, h("span", {}, "Filter ", h("kbd", {}, "/")), h("input", {
    id: "filter", type: "search", size: 18, value: params().get("filter") ?? "", placeholder: "model name", autocomplete: "off", spellcheck: "false",
    on: { input: (event) => { set({ filter: event.target.value }, { replace: true, quiet: true }); act(); } },
  }));
}

const matches = (line) => (line.label ?? line.model).toLowerCase().includes((params().get("filter") ?? "").toLowerCase());

// --- selecting two for Compare --------------------------------------------------------------------------------------

function picker(place, redraw) {
  const bar = h("div", { class: "pickbar", hidden: true });
  const draw = () => {
    const picked = params().getAll("pick");
    bar.hidden = !picked.length;
    bar.replaceChildren(
      h("span", {}, picked.length === 1 ? "Choose one more to compare with " : "Chosen: ", picked.flatMap((name, i) => [i ? " and " : "", h("strong", {}, foreign(name))])),
      picked.length === 2 ? h("a", { class: "primary", id: "compare", href: href({ page: "compare", a: picked[0], b: picked[1], ...place }) }, "Compare") : null,
      h("button", { type: "button", class: "link", on: { click: () => { set({ pick: null }, { replace: true, quiet: true }); draw(); redraw(); } } }, "clear"));
  };
  const column = {
    key: "pick", label: "Compare", kind: "pick", head: h("span", { class: "unseen" }, "Compare"), sticky: false,
    cell: (line) => (line.kind !== "system" ? null : h("input", {
      type: "checkbox", "aria-label": `Compare ${line.label ?? line.model}`, checked: params().getAll("pick").includes(line.model),
      on: { change: (event) => {
        const rest = params().getAll("pick").filter((name) => name !== line.model);
        set({ pick: event.target.checked ? [...rest, line.model].slice(-2) : rest }, { replace: true, quiet: true });
        draw();
        for (const box of document.querySelectorAll("td.pick input")) box.checked = params().getAll("pick").includes(box.closest("tr").dataset.model);
      } },
    })),
  };
  draw();
  return { bar, column };
}

const chosen = (line) => ({
  kind: [line.kind, line.partial ? "partial" : "", line.ranks?.[0] === 1 ? "lead" : ""].join(" "),
  data: { model: line.model },
});

/** Ranks are tested for while the table is already read: ask again until they stand in the answer, then hand it over. */
async function rankedLater(data, asked, act) {
  if (!data.ranks_pending) return;
  try {
    const { reported, ...plain } = asked;
    await api("ranks", plain);
    act(await api("board", asked, { fresh: true }));
  } catch (error) {
    say(error.message);
  }
}

const rankText = (line, pending) => (line.ranks ? ranks(line.ranks) : pending && line.kind === "system" && !line.partial ? "…" : ranks(null));

const rankColumn = (pending) => ({
  key: "rank", label: "Rank", tip: "Rank as a 95 % interval from paired tests on the same samples, Holm-adjusted. Rows with an accent edge cannot be told from the leader.",
  kind: "rank", sort: (line) => line.ranks?.[0] ?? null, head: "Rank",
  cell: (line) => h("span", { class: line.ranks ? "" : "quiet", data: line.ranks ? {} : { tip: line.kind !== "system" ? "Not ranked." : pending() ? "The paired tests are running." : "Not ranked: scored on other samples, or not on every task." } }, rankText(line, pending())),
  text: (line) => ranks(line.ranks), csv: (line) => ({ "rank best": line.ranks?.[0] ?? "", "rank worst": line.ranks?.[1] ?? "", kind: line.kind }),
});

const modelColumn = (address) => ({
  key: "model", label: "Model", sticky: true, heading: true, kind: "model", sort: (line) => (line.label ?? line.model).toLowerCase(),
  cell: (line) => {
    const link = address(line);
    const name = foreign(line.label ?? line.model);
    return h("span", { class: "name" }, link ? h("a", { class: "open", href: link }, name) : name, kindBadge(line.kind),
      line.partial && line.kind === "system" ? h("span", { class: "badge warn", tip: "Scored on other samples or on older labels than the ranked rows. `raybench score` renews labels; running the job again fills in samples." }, "partial") : null,
      line.kind === "reported" ? (line.headline?.flags ?? []).map(flagBadge) : null);
  },
  text: (line) => `${line.label ?? line.model}${line.kind === "system" ? "" : ` (${line.kind})`}${line.partial && line.kind === "system" ? " (partial)" : ""}`,
  csv: (line) => ({ model: line.label ?? line.model }),
});

// --- all tasks ------------------------------------------------------------------------------------------------------

async function overview(asked, meta) {
  const question = { slice: asked.get("slice") };
  const data = await api("board", question);
  const groups = data.groups ?? [];
  const entries = new Map((data.overview ?? []).map((each) => [placeKey(each), each]));
  const wanted = asked.get("group");
  const shown = groups.filter((each) => !wanted || each.group === wanted);
  const [redraws, menu, hidden, pinned] = [[], [], asked.getAll("hide"), asked.getAll("pin")];
  let pending = Boolean(data.ranks_pending);
  const pick = picker({}, () => redraws.forEach((act) => act()));
  const parts = shown.map((group) => {
    let current = group;
    const lines = () => current.lines.map((line) => ({ kind: "system", ...line })).filter(matches);
    const every = groupColumns(group, entries, { pick: pick.column, slice: asked.get("slice") }, () => pending);
    menu.push(...every);
    const made = table({
      name: `leaderboard-${group.group || "tasks"}`, caption: `${title(group)}: headline of each task, with 95 % interval${asked.get("slice") ? `, ${sliceWords(asked.get("slice"))}` : ""}`, rows: lines(), state: `sort-${group.group || "all"}`,
      columns: arranged(every, hidden, pinned), chosen, empty: "No model has this in its name.",
    });
    redraws.push((next) => {
      current = next?.groups.find((each) => each.group === group.group) ?? current;
      made.update(lines());
    });
    return h("section", {}, h("div", { class: "tablehead" }, h("h2", {}, title(group)), made.exports()), made.node);
  });
  rankedLater(data, question, (next) => { pending = false; redraws.forEach((act) => act(next)); });
  const systems = new Set(groups.flatMap((group) => group.lines.map((line) => line.model)));
  return {
    title: "Leaderboard",
    content: [
      h("h1", {}, "Leaderboard"),
      h("p", { class: "sub" }, `${plural(meta.models?.length || systems.size, "model")} · ${plural(meta.tasks.length, "task")} · ${plural(meta.counts.records ?? 0, "graded answer")}. Values with the 95 % interval; an overall value only where every task of its group is there. A task's name opens its full table; two ticked models can be compared.`),
      asked.get("slice") ? h("p", { class: "active" }, h("a", { class: "chip", href: href({ slice: null }, true), "aria-label": "All samples again" }, h("span", { class: "quiet" }, "only samples of "), foreign(sliceWords(asked.get("slice"))), h("span", { "aria-hidden": "true" }, " ×"))) : null,
      h("div", { class: "filters" }, taskChoice(meta, ""), groups.length > 1 ? choose("group", "Task group", [["", "All groups"], ...groups.map((each) => [each.group, title(each)])], wanted, (group) => set({ group })) : null, kindChoices(meta, asked), filterField(() => redraws.forEach((act) => act())), columnMenu(menu, hidden, pinned)),
      pick.bar, parts,
    ],
  };
}

const title = (group) => (group.group ? capital(words(group.group)) : "Other tasks");

const sliceWords = (slice) => slice.replace("=", ": ").replaceAll("_", " ");

/** What many tasks share: the kind of image and the language of the question. One at a time. */
function kindChoices(meta, asked) {
  if (isStatic()) return null;
  return ["modality", "language"].map((name) => {
    const values = [...new Set(meta.tasks.flatMap((task) => task.slices?.[name] ?? []))].sort();
    return values.length > 1 ? choose(name, capital(name), [["", "All"], ...values.map((value) => [`${name}=${value}`, value])], asked.get("slice"), (slice) => set({ slice })) : null;
  });
}

function groupColumns(group, entries, { pick, slice }, pending) {
  const lone = group.tasks.length === 1 ? group.tasks[0] : null;
  const whole = !lone && group.lines.some((line) => line.overall);
  const overallUnit = entries.get(group.tasks[0])?.metric?.unit;
  const asScore = (line) => (lone ? line.cells?.[lone] : line.overall) && { unit: overallUnit, ...(lone ? line.cells[lone] : line.overall) };
  const scale = axis(group.lines.map(asScore), { unit: overallUnit, width: 200 });
  const plot = { key: "plot", label: "95 % interval", kind: "c-plot", head: axisHead(scale), cell: (line) => whisker(scale, asScore(line), { label: line.model }) };
  return [
    pick, ...(pending() || group.lines.some((line) => line.ranks) ? [rankColumn(pending)] : []), modelColumn(() => null),
    ...(whole ? [
      { key: "overall", label: "Overall", numeric: true, sort: (line) => line.overall?.value ?? null, cell: (line) => scoreCell(asScore(line)), text: (line) => full(asScore(line) ?? {}), csv: (line) => scoreCsv("overall", line.overall) },
      plot,
    ] : []),
    ...group.tasks.map((key) => taskColumn(key, entries.get(key), group, slice)), ...(lone ? [plot] : []),
  ];
}

function taskColumn(key, entry, group, slice) {
  const [task, dataset, split] = key.split("|");
  const metric = entry?.metric ?? {};
  const values = group.lines.map((line) => line.cells?.[key]?.value).filter((value) => typeof value === "number");
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const strength = (value) => (values.length < 2 || high - low < 1e-9 || typeof value !== "number" ? 0 : Math.round(80 * (metric.higher_is_better === false ? high - value : value - low) / (high - low)));
  const score = (line) => line.cells?.[key] && { unit: metric.unit, ...line.cells[key] };
  return {
    key: `t-${task}-${dataset}`, label: words(task), numeric: true, optional: true, lower: metric.higher_is_better === false, kind: "task", sort: (line) => line.cells?.[key]?.value ?? null,
    head: h("span", {}, h("a", { href: href({ task, dataset, split, slice }), tip: `Open ${words(task)} on ${dataset}/${split}` }, words(task)), h("span", { class: "under" }, metricLabel(metric))),
    paint: (line) => ({ "--tint": `${strength(score(line)?.value)}%` }), cell: (line) => scoreCell(score(line), { link: href({ page: "samples", task, dataset, split, slice, model: line.model }) }),
    text: (line) => full(score(line) ?? {}), csv: (line) => scoreCsv(task, line.cells?.[key]),
  };
}

// --- one task -------------------------------------------------------------------------------------------------------

/** Some sources name a model and give no number for it. */
const hasNumber = (line) => [line.headline, ...Object.values(line.scores ?? {})].some((score) => typeof score?.value === "number");

async function single(task, asked, meta) {
  const place = placeOf(task);
  const question = {
    ...place, slice: asked.get("slice"), profile: asked.get("profile"), judge: asked.get("judge"), images: asked.get("images"), reported: "1",
  };
  const data = await api("board", question);
  let [current, pending] = [data, Boolean(data.ranks_pending)];
  const published = data.lines.filter((line) => line.kind === "reported" && hasNumber(line)).length;
  const withPublished = (asked.get("published") ?? (published > FEW ? "0" : "1")) === "1";
  const isShown = (line) => line.kind !== "reported" || (withPublished && hasNumber(line));
  const lines = () => current.lines.filter((line) => isShown(line) && matches(line));
  const [hidden, pinned] = [asked.getAll("hide"), asked.getAll("pin")];
  const redraw = () => made.update(lines());
  const pick = picker(place, redraw);
  const seen = { ...data, lines: data.lines.filter(isShown) };
  const every = boardColumns(seen, place, pick.column, () => pending);
  const columns = arranged(every, hidden, pinned);
  const made = table({
    name: `leaderboard-${task.task}${asked.get("slice") ? `-${asked.get("slice")}` : ""}`, columns, rows: lines(), chosen, empty: data.lines.length ? "No model has this in its name." : "Nothing is scored here yet.",
    caption: `${words(task.task)} on ${task.dataset}/${task.split}: ${metricNote(data.metric)}, ${unitName(data.metric.unit)} with 95 % interval${asked.get("slice") ? `, slice ${asked.get("slice")}` : ""}`,
  });
  rankedLater(data, question, (next) => { [current, pending] = [next, false]; redraw(); });
  const n = data.lines.find((line) => line.kind === "system")?.headline?.n;
  const about = data.about ?? task.about;
  return {
    title: words(task.task),
    content: [
      h("h1", {}, h("bdi", {}, words(task.task))),
      h("p", { class: "sub" }, about ? [foreign(about), h("br")] : null,
        foreign(`${task.dataset}/${task.split}`), ` · ${plural(n ?? task.n_samples, "sample")} · ranked by ${metricNote(data.metric)}, in ${unitName(data.metric.unit)}, with the 95 % interval`),
      data.mde_sentence ? h("p", { class: "mde" }, sentence(data.mde_sentence)) : null,
      h("div", { class: "filters" }, taskChoice(meta, placeKey(task)), boardFilters(data, task, asked, { published, withPublished }), filterField(redraw), columnMenu(every, hidden, pinned)),
      pick.bar,
      h("section", {}, h("div", { class: "tablehead" }, h("span", { class: "quiet" }, "Tick two models to compare them."), made.exports()), made.node),
      footnotes(seen, task),
    ],
  };
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.)]$/.test(text) ? (text.endsWith(".") ? "" : ".") : "."}`;

function boardFilters(data, task, asked, { published, withPublished }) {
  const slices = Object.entries(task.slices ?? {}).map(([name, values]) => [capital(words(name)), values.map((value) => [`${name}=${value}`, `${words(name)}: ${value}`])]);
  const columns = (data.columns ?? []).filter((each) => !each.profile.startsWith("judge "));
  return [
    slices.length ? choose("slice", "Slice", [["", "All samples"], ...slices], asked.get("slice"), (slice) => set({ slice })) : null,
    columns.length ? choose("profile", "Ranked by", [["", "Headline"], ...columns.map((each) => [each.profile, words(each.profile)])], asked.get("profile"), (profile) => set({ profile, sort: null })) : null,
    (data.judges ?? []).length > 1 ? choose("judge", "Judge", [["", "All judges"], ...data.judges.map((name) => [name, name])], asked.get("judge"), (judge) => set({ judge })) : null,
    (data.images ?? []).length > 1 ? choose("images", "Images", [["", "Any"], ...data.images.map((name) => [name, words(name)])], asked.get("images"), (images) => set({ images })) : null,
    published ? choose("published", "Published numbers", [["1", `${published} shown`], ["0", `${published} hidden`]], withPublished ? "1" : "0", (value) => set({ published: value })) : null,
  ];
}

/** The columns that are not hidden; pinned ones stand right after the model and stay in sight. */
function arranged(columns, hidden, pinned) {
  const shown = columns.filter((column) => !hidden.includes(column.key));
  const kept = pinned.map((key) => shown.find((column) => column.key === key && !column.sticky)).filter(Boolean);
  const at = shown.findIndex((column) => column.key === "model") + 1;
  return [...shown.slice(0, at), ...kept.map((column) => ({ ...column, pinned: true })), ...shown.slice(at).filter((column) => !kept.includes(column))];
}

let menuOpen = false;

function columnMenu(columns, hidden, pinned) {
  const free = columns.filter((column) => column.optional || column.key === "headline" || column.key === "overall");
  if (!free.length) return null;
  const menu = h("details", { class: "menu columnsmenu", open: menuOpen, on: { toggle: () => { menuOpen = menu.open; } } }, h("summary", {}, "Columns"), h("div", {}, free.map((column) => h("div", { class: "columnrow" }, h("label", {}, h("input", {
    type: "checkbox", checked: !hidden.includes(column.key), disabled: !column.optional,
    on: { change: (event) => set({ hide: event.target.checked ? hidden.filter((key) => key !== column.key) : [...hidden, column.key] }, { replace: true }) },
  }), " ", column.label), h("button", {
    type: "button", class: "link", "aria-pressed": String(pinned.includes(column.key)), "aria-label": `Pin ${column.label}`, tip: "Keep it beside the model",
    on: { click: () => set({ pin: pinned.includes(column.key) ? pinned.filter((key) => key !== column.key) : [...pinned, column.key] }, { replace: true }) },
  }, pinned.includes(column.key) ? "unpin" : "pin")))));
  return menu;
}

function boardColumns(data, place, pick, pending) {
  const { metric } = data;
  const scale = axis(data.lines.map((line) => line.headline), { unit: metric.unit, width: 190 });
  const head = (line) => line.headline && { unit: metric.unit, kind: line.kind, ...line.headline };
  const rows = (line, more = {}) => (line.kind === "system" ? href({ page: "samples", ...place, model: line.model, ...cellOf(line), ...more }) : null);
  const counts = (name, tip) => ({
    key: name, label: capital(words(name)), numeric: true, lower: true, optional: true, tip, sort: (line) => line.headline?.[name] ?? null,
    cell: (line) => outcomeShare(line, name, rows), text: (line) => share(line.headline?.[name], planned(line)), csv: (line) => ({ [name]: line.headline?.[name] ?? "" }),
  });
  return [
    pick, rankColumn(pending), modelColumn((line) => rows(line)),
    { key: "headline", label: capital(metricLabel(metric)), numeric: true, lower: metric.higher_is_better === false, kind: "headline", tip: `${metricNote(metric)}: this ranks the models.`, sort: (line) => line.headline?.value ?? null,
      cell: (line) => (line.kind === "reported" ? [scoreCell({ ...head(line), flags: [] }), line.headline?.metric !== metric.metric ? h("span", { class: "n" }, words(line.headline?.metric)) : null] : scoreCell(head(line), { link: rows(line) })),
      text: (line) => `${full(head(line) ?? {})}${line.kind === "reported" && line.headline?.metric !== metric.metric ? ` ${line.headline?.metric}` : ""}`, csv: (line) => ({ metric: line.headline?.metric ?? metric.metric, ...scoreCsv("value", line.headline), unit: metric.unit }) },
    { key: "plot", label: "95 % interval", kind: "c-plot", head: axisHead(scale), cell: (line) => whisker(scale, head(line), { kind: line.kind, partial: line.partial, label: line.label ?? line.model }) },
    ...(data.columns ?? []).filter((column) => data.lines.some((line) => line.scores?.[`${column.profile}|${column.metric}`])).map((column) => sideColumn(column, data)),
    { key: "n", label: "n", numeric: true, optional: true, tip: "Samples in the headline's denominator, and how many patients, studies or images they come from.", sort: (line) => line.headline?.n ?? null,
      cell: (line) => [count(line.headline?.n), line.headline?.n_clusters && line.headline.n_clusters !== line.headline.n ? h("span", { class: "under" }, plural(line.headline.n_clusters, "cluster")) : null], text: (line) => count(line.headline?.n), csv: (line) => ({ n: line.headline?.n ?? "", clusters: line.headline?.n_clusters ?? "" }) },
    counts("refused", "Refused to answer, in percent of the planned rows: scored as wrong."),
    counts("unparsed", "Answered in a form that could not be read, in percent of the planned rows: scored as wrong."),
    counts("failed", "Infrastructure failed, in percent of the planned rows: not scored; run the job again."),
    ...(data.ranks_pending || data.lines.some((line) => line.rows_per_second) ? [{ key: "rate", label: "rows/s", numeric: true, optional: true, tip: "Answers a second of one replica while it works.", sort: (line) => line.rows_per_second ?? null, cell: (line) => rate(line.rows_per_second), text: (line) => rate(line.rows_per_second) }] : []),
  ];
}

/** What picks a line's rows; "*" stands for the mean over variants, which has no rows of its own. */
const cellOf = (line) => Object.fromEntries(["config", "variant", "images"].filter((name) => line.cell && line.cell[name] !== "*").map((name) => [name, line.cell[name]]));
const planned = (line) => line.headline?.planned ?? line.headline?.n;

function outcomeShare(line, name, rows) {
  const found = line.headline?.[name];
  if (line.kind !== "system" || typeof found !== "number") return h("span", { class: "quiet" }, "–");
  const text = share(found, planned(line));
  return found && rows(line) ? h("a", { href: rows(line, { outcome: name }), tip: `${plural(found, "row")}: see them` }, text) : h("span", { class: found ? "" : "quiet" }, text);
}

function sideColumn(column, data) {
  const key = `${column.profile}|${column.metric}`;
  const score = (line) => line.scores?.[key] && { unit: column.unit, ...line.scores[key] };
  const judged = column.profile.startsWith("judge ");
  const shared = judged ? ["uncalibrated", "unsupported", "corrected"].filter((flag) => data.lines.some((line) => line.scores?.[key]?.flags?.includes(flag))) : [];
  const stand = shared.length === 1 ? shared[0] : null;
  return {
    key: `c-${column.profile}-${column.metric}`, label: `${judged ? column.profile : words(column.profile)} ${words(column.metric)}`, numeric: true, optional: true, lower: column.higher_is_better === false, kind: judged ? "c-judge" : "c-side",
    tip: `${words(column.metric)} of ${judged ? column.profile : `the scorer profile ${column.profile}`}, in ${unitName(column.unit)}.${stand ? ` ${capital(FLAGS[stand][0])}: ${flagText(stand)}` : ""}`,
    head: h("span", {}, foreign(judged ? column.profile : words(column.profile)), h("span", { class: "under" }, words(column.metric).replace("overall accuracy", "overall"), stand ? h("span", { class: `mark-${stand}` }, ` ${stand}`) : null)),
    sort: (line) => score(line)?.value ?? null, cell: (line) => scoreCell(score(line), { bare: true, quietFlags: stand ? [stand] : [] }),
    text: (line) => full(score(line) ?? {}), csv: (line) => scoreCsv(`${column.profile} ${column.metric}`, line.scores?.[key]),
  };
}

function footnotes(data, task) {
  const flags = new Set(data.lines.filter((line) => line.kind === "system").flatMap((line) => [line.headline, ...Object.values(line.scores ?? {})].flatMap((score) => score?.flags ?? [])));
  const notes = [
    task.leaks ? `Known leak: ${task.leaks}` : null,
    ...[...flags].map((flag) => `${FLAGS[flag]?.[0] ?? flag}: ${flagText(flag)}`),
    ...(data.notes ?? []).filter((note) => !(flags.has("uncalibrated") && note.startsWith("judge scores are uncalibrated"))),
    data.lines.some((line) => line.kind === "reported") ? "published: numbers from papers and studies under other prompts and grading; diamonds in the plot, never ranked. Their source is told on hover." : null,
  ].filter(Boolean);
  return notes.length ? h("section", { class: "footnotes" }, h("h2", {}, "Notes"), h("ul", {}, [...new Set(notes)].map((note) => h("li", {}, foreign(note))))) : null;
}
