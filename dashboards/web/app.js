// The shell: header, pages by address, keys, tips, theme, and what is said when something is missing or broken.

import { api, isStatic } from "./data.js";
import { foreign, h, s, state } from "./dom.js";
import { moment, plural } from "./format.js";
import { back, href, listen, onRoute, params } from "./route.js";

const PAGES = {
  board: ["Leaderboard", () => import("./board.js")],
  compare: ["Compare", () => import("./compare.js")],
  samples: ["Samples", () => import("./samples.js")],
  sample: [null, () => import("./sample.js")],
  pareto: ["Speed", () => import("./pareto.js")],
  judge: ["Judges", () => import("./judge.js")],
  run: ["Runs", () => import("./run.js")],
};
const KEYS = [
  ["/", "filter"], ["j  k", "next / previous row or sample"], ["Enter", "open the row"], ["x", "choose a row for Compare"],
  ["b", "hide or show boxes"], ["e", "export the table"], ["?", "this help"], ["Esc", "back"],
];

const main = document.getElementById("main");
const busy = document.getElementById("busy");
let current = {};
let turn = 0;

async function draw({ moved = false, top = null } = {}) {
  const mine = ++turn;
  const asked = params();
  const name = PAGES[asked.get("page")] ? asked.get("page") : "board";
  const focused = document.activeElement?.id;
  busy.classList.add("on");
  let shown;
  try {
    const [meta, module] = await Promise.all([api("meta"), PAGES[name][1]()]);
    header(meta, name);
    banner(meta, asked);
    shown = emptiness(meta, name) ?? await module.page(asked, meta);
  } catch (error) {
    shown = broken(error);
  }
  if (mine !== turn) {
    shown.cleanup?.();
    return;
  }
  current.cleanup?.();
  const other = current.name !== name;
  current = { ...shown, name };
  main.replaceChildren(...[shown.content].flat(9).filter(Boolean));
  document.title = `${shown.title} · raybench`;
  busy.classList.remove("on");
  hideTip();
  shown.ready?.();
  if (top !== null) scrollTo(0, top);
  else if (moved && (other || shown.top)) scrollTo(0, 0);
  const again = !other && focused && document.getElementById(focused);
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
  else if (moved && other) main.focus({ preventScroll: true });
}

function emptiness(meta, name) {
  if (name === "run" || name === "judge") return null;
  if (!meta.runs.length && !meta.tasks.length) {
    return {
      title: "No results yet",
      content: [h("h1", {}, "No results yet"), state("This folder holds no run.",
        h("p", {}, "Fill it with the built-in example, which needs no download and no GPU:"),
        h("pre", {}, "raybench run jobs/quickstart.yaml\nraybench dashboard results/quickstart"))],
    };
  }
  if (!meta.tasks.length) {
    return {
      title: "Nothing scored yet",
      content: [h("h1", {}, "Nothing scored yet"), state("A run is there, and none of its answers is scored.",
        h("p", {}, "While it is running, ", h("a", { href: href({ page: "run" }) }, "Runs"), " shows how far it is. If it was stopped, run the same command again: it goes on where it ended. Answers that are there can be scored with:"),
        h("pre", {}, "raybench score DIR"))],
    };
  }
  return null;
}

function broken(error) {
  console.warn(error.message);  // a sentence of ours; not an error of the page
  return {
    title: "Not shown",
    content: [h("h1", {}, "This cannot be shown"), h("section", { class: "state" },
      h("p", {}, foreign(error.message)),
      h("p", { class: "row" }, h("button", { type: "button", on: { click: () => draw() } }, "Try again"),
        h("a", { href: href({}) }, "Back to the leaderboard")))],
  };
}

function header(meta, name) {
  const asked = params();
  const task = asked.get("task") ? Object.fromEntries(["task", "dataset", "split"].map((key) => [key, asked.get(key)])) : {};
  const run = meta.runs.at(-1);
  const links = Object.entries(PAGES).filter(([, [label]]) => label).map(([page, [label]]) => h("a", {
    href: href({ page: page === "board" ? null : page, ...(page === "run" || page === "judge" ? {} : task), ...(page === "compare" ? compared(asked) : {}) }),
    "aria-current": page === name || (page === "samples" && name === "sample") ? "page" : null,
  }, label));
  const place = document.getElementById("head");
  place.replaceChildren(
    h("a", { class: "brand", href: href({}), "aria-label": "raybench, all tasks" }, "raybench"),
    h("nav", { "aria-label": "Pages" }, links),
    h("div", { class: "about" },
      run ? h("span", { class: "quiet", tip: `Newest run: ${run.run_id}, ${run.status}. ${plural(meta.counts.records ?? 0, "graded answer")}.` },
        `${run.status} · ${moment(run.at)}`) : null,
      h("button", { type: "button", id: "theme", class: "icon", "aria-label": "Light or dark", tip: "Light or dark", on: { click: toggleTheme } }, themeIcon()),
      h("button", { type: "button", id: "keys", class: "icon", "aria-label": "Keys and help", tip: "Keys and help (?)", on: { click: help } }, "?")));
}

function compared(asked) {
  const picked = asked.getAll("pick");
  return picked.length === 2 ? { a: picked[0], b: picked[1] } : { a: asked.get("a"), b: asked.get("b") };
}

function banner(meta, asked) {
  const parts = [];
  const here = meta.tasks.filter((task) => !asked.get("task") || task.task === asked.get("task"));
  if (here.length && here.every((task) => task.self_check)) {
    parts.push(h("p", { class: "note self" }, h("strong", {}, "Drawn images."), " A self-check of the pipeline, never a medical claim."));
  }
  if (meta.partial) {
    const done = typeof meta.committed === "number" ? `${Math.floor(100 * meta.committed)} % committed` : "not everything planned is there";
    parts.push(h("p", { class: "note" }, h("strong", {}, "Partial results: "), `${done}. Numbers may still move; the same `, h("code", {}, "raybench run"), " command goes on where it ended."));
  }
  for (const problem of meta.problems ?? []) parts.push(h("p", { class: "note warn" }, foreign(problem)));
  document.getElementById("banner").replaceChildren(...parts);
}

// --- theme ----------------------------------------------------------------------------------------------------------

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("raybench-theme", theme);
  } catch { /* not remembered */ }
  document.getElementById("theme").replaceChildren(themeIcon());
}

function themeIcon() {
  return s("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
    s("circle", { cx: 8, cy: 8, r: 6, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }),
    s("path", { d: isDark() ? "M8 2a6 6 0 0 1 0 12z" : "M8 2a6 6 0 0 0 0 12z", fill: "currentColor" }));
}

// --- keys -----------------------------------------------------------------------------------------------------------

const isTyping = (node) => node?.closest?.("textarea, select, [contenteditable], input:not([type=checkbox]):not([type=radio]):not([type=button])");

const ACTIONS = {
  "/": () => document.querySelector("#filter, #q")?.focus(),
  "?": help,
  e: () => document.querySelector(".exports button")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  x: () => (document.activeElement?.closest("tr") ?? document.querySelector("tr:hover"))?.querySelector("input[type=checkbox]")?.click(),
};

/** Move the focus to the next or previous row's link. */
function step(by) {
  const rows = [...document.querySelectorAll("[data-rows] > *")].filter((each) => each.offsetParent);
  const links = rows.map((each) => each.querySelector("a.open") ?? each.querySelector("input[type=checkbox], a")).filter(Boolean);
  const row = document.activeElement?.closest("tr, li");
  const here = links.findIndex((each) => each === document.activeElement || (row && row.contains(each)));
  const next = links[here < 0 ? (by > 0 ? 0 : links.length - 1) : here + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "Escape") {
    if (!hideTip()) back();
    return;
  }
  const act = current.keys?.[event.key] ?? ACTIONS[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
}

function help() {
  const dialog = document.getElementById("help");
  const close = () => dialog.close();
  dialog.replaceChildren(
    h("h2", { id: "help-title" }, "Keys"),
    h("table", { class: "keys" }, h("tbody", {}, KEYS.map(([key, text]) => h("tr", {}, h("th", { scope: "row" }, key.split("  ").map((each) => h("kbd", {}, each))), h("td", {}, text))))),
    h("h2", {}, "Reading the numbers"),
    h("p", {}, "Ranks are intervals from paired tests on the same samples: “1–3” says that the tests leave places 1 to 3 open. ± and [low, high] are 95 % intervals that respect patients or images. A grey number stands on fewer than 30 samples. “–” is missing, never 0."),
    h("p", {}, "Filled dots are models, squares trivial baselines, diamonds numbers published elsewhere, which were not measured here and are not ranked."),
    h("p", { class: "row" }, h("button", { type: "button", on: { click: close } }, "Close")));
  dialog.showModal();
}

// --- tips -----------------------------------------------------------------------------------------------------------

const bubble = document.getElementById("tip");

function showTip(event) {
  const node = event.target.closest?.("[data-tip]");
  if (!node) {
    hideTip();
    return;
  }
  bubble.textContent = node.dataset.tip;
  bubble.hidden = false;
  node.setAttribute("aria-describedby", "tip");
  const at = node.getBoundingClientRect();
  const own = bubble.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left + at.width / 2 - own.width / 2, document.documentElement.clientWidth - own.width - 8));
  const below = at.bottom + 6 + own.height < innerHeight;
  bubble.style.setProperty("left", `${left}px`);
  bubble.style.setProperty("top", `${below ? at.bottom + 6 : Math.max(4, at.top - own.height - 6)}px`);
}

function hideTip() {
  const was = !bubble.hidden;
  bubble.hidden = true;
  return was;
}

function start() {
  listen();
  onRoute(draw);
  document.addEventListener("keydown", onKey);
  for (const event of ["mouseover", "focusin"]) document.addEventListener(event, showTip);
  addEventListener("scroll", hideTip, { passive: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.getElementById("theme")?.replaceChildren(themeIcon()));
  if (isStatic()) document.documentElement.classList.add("static");
  draw({ top: history.state?.top ?? null });
}

start();
