// Tables that can be sorted, read aloud and taken away: a real <table>, and the same rows as CSV, Markdown or LaTeX.

import { h, say, visible } from "./dom.js";
import { href, params, set } from "./route.js";

/**
 * A column: {key, label, tip, numeric, lower, sticky, pinned, sort(row), cell(row) -> Node | text, text(row), csv(row)}.
 *   sticky: stays in sight when the table scrolls sideways; pinned: so on wide screens only, as the reader asked.
 *   sort: what to order by (null last); absent = not sortable.
 *   text: plain text for exports; absent = not exported. csv: several {name: value}; default {label: text}.
 */
export function table({ columns, rows, caption, name, state = "sort", chosen = () => ({}), empty = "Nothing here.", start = null }) {
  const body = h("tbody", { data: { rows: "" } });
  const heads = new Map();
  const order = () => params().get(state) ?? start ?? "";
  const shown = () => sorted(rows, columns, order());
  const fill = () => {
    const [key, down] = parse(order());
    for (const [column, th] of heads) {
      th.setAttribute("aria-sort", column.key !== key ? "none" : down ? "descending" : "ascending");
    }
    const ready = shown();
    body.replaceChildren(...ready.map((row) => line(row, columns, chosen(row))));
    if (!ready.length) body.append(h("tr", { class: "none" }, h("td", { colspan: columns.length }, empty)));
    place(node);
  };
  const head = h("tr", {}, columns.map((column) => {
    const th = h("th", { scope: "col", class: classes(column) }, label(column, () => {
      const [key, down] = parse(order());
      const first = column.numeric && !column.lower;
      const next = key === column.key ? !down : first;
      set({ [state]: `${next ? "-" : ""}${column.key}` }, { replace: true, quiet: true });
      fill();
      say(`Sorted by ${column.label}, ${next ? "descending" : "ascending"}`);
    }));
    if (column.sort) heads.set(column, th);
    return th;
  }));
  const node = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", { class: "data" }, h("caption", { class: "unseen" }, caption), h("thead", {}, head), body));
  fill();
  if (columns.filter(isPinned).length > 1) new ResizeObserver(() => place(node)).observe(node);
  return { node, fill, exports: () => exportBar(() => ({ columns, rows: shown(), caption, name })), update: (next) => { rows = next; fill(); } };
}

const parse = (order) => (order.startsWith("-") ? [order.slice(1), true] : [order, false]);
const isPinned = (column) => Boolean(column.sticky || column.pinned);
const classes = (column) => [column.numeric ? "num" : "", column.sticky ? "pin" : column.pinned ? "pin by-hand" : "", column.kind ?? ""].join(" ").trim() || null;

/** Set each pinned column beside those pinned before it. */
function place(node) {
  const pins = [...node.querySelectorAll("thead .pin")];
  if (pins.length < 2) return;
  const narrow = matchMedia("(max-width: 640px)").matches;
  let left = 0;
  const offsets = new Map(pins.map((th) => {
    const at = left;
    if (!narrow || !th.classList.contains("by-hand")) left += th.getBoundingClientRect().width;
    return [th.cellIndex, at];
  }));
  for (const row of node.querySelectorAll("tr")) {
    for (const [index, at] of offsets) row.cells[index]?.style.setProperty("left", `${at}px`);
  }
}

function label(column, act) {
  const text = [column.head ?? column.label, column.lower ? h("span", { class: "quiet", "aria-label": ", lower is better" }, " ↓") : null];
  if (!column.sort) return column.tip ? h("span", { tip: column.tip }, text) : h("span", {}, text);
  return h("button", { type: "button", class: "sort", tip: column.tip ?? null, on: { click: act } }, text, h("span", { class: "arrow", "aria-hidden": "true" }));
}

function line(row, columns, { kind, data } = {}) {
  return h("tr", { class: kind || null, data: data ?? {} }, columns.map((column, i) => {
    const tag = column.sticky && i < 3 && column.heading ? "th" : "td";
    return h(tag, { class: classes(column), scope: tag === "th" ? "row" : null, style: column.paint?.(row) }, column.cell ? column.cell(row) : column.text(row));
  }));
}

function sorted(rows, columns, order) {
  const [key, down] = parse(order);
  const column = columns.find((each) => each.key === key && each.sort);
  if (!column) return rows;
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return rows.map((row, at) => [column.sort(row), at, row]).sort(([a, i], [b, j]) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b) || i - j;
    return (down ? -compare(a, b) : compare(a, b)) || i - j;
  }).map(([, , row]) => row);
}

// --- exports --------------------------------------------------------------------------------------------------------

/** CSV, Markdown, LaTeX and "copy link" for what `source()` gives at the time of the click. */
export function exportBar(source) {
  const button = (text, type, make) => h("button", { type: "button", on: { click: () => {
    const found = source();
    save(`${found.name}.${type}`, make(found));
    say(`${text} saved`);
  } } }, text);
  return h("div", { class: "exports", role: "group", "aria-label": "Export" },
    button("CSV", "csv", csv), button("Markdown", "md", markdown), button("LaTeX", "tex", latex),
    h("button", { type: "button", on: { click: copyLink } }, "Copy link"));
}

async function copyLink() {
  const address = new URL(href({}, true), location.href).href;
  try {
    await navigator.clipboard.writeText(address);
    say("Link copied");
  } catch {
    say("Copying is not allowed here: the address bar holds the link");
  }
}

export function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const anchor = h("a", { href: url, download: name.replace(/[^\w.-]+/g, "-") });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const kept = (columns) => columns.filter((column) => column.text || column.csv);

/** RFC 4180, quoted where needed; a text that a spreadsheet would run as a formula gets an apostrophe. */
export function csv({ columns, rows }) {
  const quote = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text) && !/^[-+]?[\d.]+$/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const cells = (row) => kept(columns).flatMap((column) => Object.entries(column.csv ? column.csv(row) : { [column.label]: column.text(row) }));
  const names = [...new Set(rows.flatMap((row) => cells(row).map(([name]) => name)))];
  const lines = rows.map((row) => {
    const found = Object.fromEntries(cells(row));
    return names.map((name) => quote(found[name])).join(",");
  });
  return `${[names.map(quote).join(","), ...lines].join("\r\n")}\r\n`;
}

export function markdown({ columns, rows, caption }) {
  const used = kept(columns).filter((column) => column.text);
  const cell = (text) => visible(text ?? "").replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("<", "&lt;").replace(/\s+/g, " ");
  const row = (texts) => `| ${texts.join(" | ")} |`;
  return `${[`${caption}\n`, row(used.map((column) => cell(column.label))), row(used.map((column) => (column.numeric ? "---:" : "---"))),
    ...rows.map((each) => row(used.map((column) => cell(column.text(each)))))].join("\n")}\n`;
}

const TEX = { "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "&": "\\&", "%": "\\%", $: "\\$", "#": "\\#", _: "\\_", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "–": "--", "−": "$-$", "±": "$\\pm$", "↓": "$\\downarrow$", "<": "$<$", ">": "$>$" };

/** A booktabs table with the intervals as they stand on the page. */
export function latex({ columns, rows, caption }) {
  const used = kept(columns).filter((column) => column.text);
  const cell = (text) => visible(text ?? "").replace(/\s+/g, " ").replace(/[\\{}&%$#_~^–−±↓<>]/g, (c) => TEX[c]);
  const row = (texts) => `  ${texts.join(" & ")} \\\\`;
  return [`% ${caption.replace(/\s+/g, " ")}`, `\\begin{tabular}{${used.map((column) => (column.numeric ? "r" : "l")).join("")}}`, "  \\toprule",
    row(used.map((column) => cell(column.label + (column.lower ? " ↓" : "")))), "  \\midrule",
    ...rows.map((each) => row(used.map((column) => cell(column.text(each))))), "  \\bottomrule", "\\end{tabular}", ""].join("\n");
}
