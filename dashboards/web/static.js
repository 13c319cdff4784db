// Answers that an export wrote down: found by their question; filters and mirrored comparisons are made here.

const PAGE = 50;
const files = new Map();

function file(name) {
  if (!files.has(name)) {
    const asked = fetch(name).then((reply) => {
      if (!reply.ok) throw new Error(`${name} is missing from this copy.`);
      return reply.json();
    });
    files.set(name, asked);
    asked.catch(() => files.delete(name));
  }
  return files.get(name);
}

let index = null;
const loaded = async () => { index ??= await file("api/index.json"); return index; };

const held = (params, names) => Object.fromEntries(Object.entries(params ?? {}).filter(([name, value]) => names.includes(name) && value !== null && value !== undefined && value !== "").map(([name, value]) => [name, String(value)]));

const key = (params) => JSON.stringify(Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1)));

async function kept(name, params) {
  const found = (await loaded()).questions[`${name} ${key(params)}`];
  return found ? file(found) : null;
}

const PLACE = ["task", "dataset", "split"];

async function board(params) {
  const asked = held(params, [...PLACE, "slice", "profile", "judge", "images"]);
  if (asked.slice === "all") delete asked.slice;
  const found = await kept("board", asked.task ? { ...asked, reported: "1" } : {});
  if (!found || params.reported !== "0") return found;
  return { ...found, lines: found.lines.filter((line) => line.kind !== "reported") };
}

async function compare(params) {
  const asked = held(params, ["a", "b", "task"]);
  const found = await kept("compare", asked);
  if (found) return found;
  const other = await kept("compare", { ...asked, a: asked.b, b: asked.a });
  return other && mirrored(other);
}

const less = (value) => (typeof value === "number" ? -value : value ?? null);

const turned = (row) => ({ ...row, value_a: row.value_b, value_b: row.value_a, difference: less(row.difference), low: less(row.high), high: less(row.low), only_a: row.only_b, only_b: row.only_a });

function mirrored(found) {
  return {
    models: [...found.models].reverse(),
    items: found.items.map((item) => ({ ...turned(item), slices: (item.slices ?? []).map(turned), flips: (item.flips ?? []).map((flip) => ({ ...flip, text_a: flip.text_b, text_b: flip.text_a })) })),
    properties: (found.properties ?? []).map(({ name, a, b }) => ({ name, a: b, b: a })),
  };
}

async function samples(params) {
  const all = await kept("samples", held(params, PLACE));
  if (!all) return null;
  const rows = all.rows.filter(wanted(params, all.rows));
  const from = Number(params.after ?? 0);
  const size = Number(params.limit ?? PAGE);
  return { ...all, rows: rows.slice(from, from + size), next: from + size < rows.length ? String(from + size) : null, total: rows.length };
}

function wanted(params, rows) {
  const tests = ["model", "config", "variant", "images", "outcome"].filter((name) => params[name]).map((name) => (row) => row[name] === params[name]);
  if (params.correct) tests.push((row) => row.correct === (params.correct === "1"));
  if (params.slice) {
    const at = params.slice.indexOf("=");
    const [name, value] = [params.slice.slice(0, at), params.slice.slice(at + 1)];
    tests.push((row) => row.slices?.[name] === value);
  }
  if (params.q) {
    const text = params.q.toLowerCase();
    tests.push((row) => row.sample === params.q || [row.question, row.target, row.text].some((each) => (each ?? "").toLowerCase().includes(text)));
  }
  if (params.judge) tests.push((row) => row.verdicts.some((each) => each.judge === params.judge));
  if (params.verdict) tests.push((row) => row.verdicts.some((each) => each.label?.toUpperCase() === params.verdict.toUpperCase() && (!params.judge || each.judge === params.judge)));
  if (params.disagree === "judges") tests.push((row) => new Set(row.verdicts.map((each) => each.label)).size > 1);
  if (params.disagree === "models") {
    const among = params.other ? [params.model, params.other] : null;
    const seen = new Map();
    for (const row of rows) {
      if (row.correct === null || (among && !among.includes(row.model))) continue;
      const asked = `${row.sample}#${row.turn}`;
      seen.set(asked, (seen.get(asked) ?? new Set()).add(row.correct));
    }
    tests.push((row) => (seen.get(`${row.sample}#${row.turn}`)?.size ?? 0) > 1);
  }
  return (row) => tests.every((test) => test(row));
}

const ASKED = { meta: [], runs: [], run: ["run_id"], judge: ["judge"], sample: [...PLACE, "sample"], pareto: PLACE };
const MADE = { board, compare, samples };

async function api(name, params = {}) {
  if (name === "ranks") return { ranks: {}, groups: {}, speed: {} };
  const found = MADE[name] ? await MADE[name](params) : await kept(name, held(params, ASKED[name] ?? []));
  if (!found) throw new Error("This copy holds no such view: it was written without it. `raybench dashboard DIR` shows everything.");
  return found;
}

/** Images are in the index, which every page has read by then; what was not written has no address. */
function imageUrl(params) {
  const place = [...PLACE, "sample"].map((name) => params[name]).join("|");
  return index?.images?.[`${place}|${params.n ?? 0}`] ?? "data:,";
}

export const STATIC = { api, imageUrl };
