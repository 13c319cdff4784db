// One sample: its image with boxes, the question and reference, and what each model answered, how it was read and judged.

import { api } from "./data.js";
import { brief, foreign, h, prose, visible } from "./dom.js";
import { count, plural, words } from "./format.js";
import { isBoxes, outcomeMark, placeOf, valueText } from "./cells.js";
import { viewer } from "./boxes.js";
import { go, href, params, set } from "./route.js";
import { remembered } from "./samples.js";
import { sides, within } from "./compare.js";

const FIRST = 4;

export async function page(asked) {
  const place = placeOf(Object.fromEntries(asked));
  const data = await api("sample", { ...place, sample: asked.get("sample") });
  const { sample } = data;
  const answers = chosenAnswers(data.answers, asked);
  const named = answers.map((each) => ({ ...each, name: nameOf(each, answers) }));
  const picture = viewer(place, sample, named);
  const walk = await neighbours(asked, data);
  const to = (id) => (id ? href({ sample: id }, true) : null);
  const follow = (id) => { if (id) go(to(id)); };
  prefetch(place, walk.next);
  return {
    title: `Sample ${sample.id}`,
    cleanup: picture.cleanup,
    keys: { b: picture.toggle, j: () => follow(walk.next), k: () => follow(walk.previous) },
    content: [
      h("div", { class: "crumbs" }, walk.up, h("span", { class: "grow" }), walk.note ? h("span", { class: "quiet" }, walk.note) : null, step("Previous", "k", to(walk.previous)), step("Next", "j", to(walk.next))),
      h("h1", { class: "sampletitle" }, foreign(words(asked.get("task"))), " ", h("span", { class: "quiet id" }, foreign(sample.id))),
      h("div", { class: "sample" }, picture.node, h("div", { class: "reading" }, asking(sample), modelChoice(data.answers, answers, asked), h("div", { class: "answers" }, named.map((each) => card(each, sample))))),
    ],
  };
}

const step = (text, key, link) => (link ? h("a", { class: "button", href: link, id: text.toLowerCase() }, text, " ", h("kbd", {}, key)) : h("span", { class: "button off" }, text, " ", h("kbd", {}, key)));

const nameOf = (answer, all) => {
  const twins = all.filter((each) => each.model === answer.model);
  const parts = ["config", "variant", "images", "repeat", "turn"].filter((name) => new Set(twins.map((each) => each[name])).size > 1).map((name) => `${["repeat", "turn"].includes(name) ? `${name} ` : ""}${answer[name]}`);
  return parts.length ? `${answer.model} (${parts.join(", ")})` : answer.model;
};

function chosenAnswers(answers, asked) {
  const models = asked.getAll("model");
  const kept = answers.filter((each) => (!models.length || models.includes(each.model)) && ["variant", "images", "config"].every((name) => !asked.get(name) || each[name] === asked.get(name)));
  const found = kept.length ? kept : answers;
  const place = (each) => (models.includes(each.model) ? models.indexOf(each.model) : models.length);
  const sorted = [...found].sort((a, b) => place(a) - place(b));
  return models.length ? sorted : sorted.slice(0, asked.get("all") ? sorted.length : FIRST);
}

function modelChoice(all, shown, asked) {
  const models = [...new Set(all.map((each) => each.model))];
  if (models.length < 2) return null;
  const on = new Set(shown.map((each) => each.model));
  return h("details", { class: "menu models" }, h("summary", {}, `Models shown: ${on.size} of ${models.length}`), h("div", {}, models.map((name) => h("label", {}, h("input", {
    type: "checkbox", checked: on.has(name), on: { change: (event) => set({ model: event.target.checked ? [...on, name] : [...on].filter((each) => each !== name) }, { replace: true }) },
  }), " ", foreign(name)))), asked.getAll("model").length ? h("a", { href: href({ model: null, all: 1 }, true) }, "show all") : null);
}

// --- walking through a list -----------------------------------------------------------------------------------------

async function neighbours(asked, data) {
  const here = asked.get("sample");
  const place = placeOf(Object.fromEntries(asked));
  if (asked.get("list") === "flips") {
    const found = await api("compare", { a: asked.get("a"), b: asked.get("b") }).catch(() => null);
    const whole = found?.items.find((each) => each.headline && ["task", "dataset", "split", "variant", "images"].every((name) => !asked.get(name) || each[name] === asked.get(name)));
    const item = whole && within(whole, asked.get("slice"));
    const side = item && sides(item, found.models).find(([name]) => name === asked.get("side"));
    const list = side ? side[2].map((flip) => flip.sample) : [];
    const up = h("a", { href: href({ page: "compare", a: asked.get("a"), b: asked.get("b"), ...place, slice: asked.get("slice"), variant: asked.get("variant"), images: asked.get("images") }) }, "‹ Compare ", foreign(asked.get("a")), " and ", foreign(asked.get("b")));
    if (list.includes(here)) return { ...around(list, here), up, note: `${side[1]} right, the other wrong: ${list.indexOf(here) + 1} of ${list.length}` };
    return { previous: data.previous?.sample, next: data.next?.sample, up };
  }
  const up = h("a", { href: href({ page: "samples", ...place, model: asked.getAll("model")[0] }) }, "‹ Samples");
  const list = asked.get("list") === "samples" ? remembered() : [];
  if (list.includes(here)) return { ...around(list, here), up, note: `${list.indexOf(here) + 1} of ${list.length} in the list` };
  return { previous: data.previous?.sample, next: data.next?.sample, up };
}

const around = (list, here) => ({ previous: list[list.indexOf(here) - 1], next: list[list.indexOf(here) + 1] });

function prefetch(place, next) {
  if (next) setTimeout(() => { api("sample", { ...place, sample: next }).catch(() => {}); }, 60);
}

// --- what was asked -------------------------------------------------------------------------------------------------

function asking(sample) {
  const turns = sample.questions.map((question, i) => [
    h("dt", {}, sample.questions.length > 1 ? `Question ${i + 1}` : "Question"), h("dd", {}, prose(question)),
    h("dt", {}, "Reference"), h("dd", { class: "target" }, sample.targets[i] === undefined || sample.targets[i] === "" ? h("span", { class: "quiet" }, "–") : prose(sample.targets[i])),
  ]);
  const context = Object.entries(sample.context ?? {}).filter(([, text]) => text);
  const slices = Object.entries(sample.slices ?? {});
  return h("dl", { class: "asking" }, turns,
    sample.choices?.length ? [h("dt", {}, "Choices"), h("dd", {}, sample.choices.map((each) => h("span", { class: "chip" }, foreign(each))))] : null,
    context.length ? [h("dt", {}, "Context"), h("dd", {}, context.map(([name, text]) => h("details", { open: String(text).length < 160 }, h("summary", {}, foreign(words(name))), prose(text, 600))))] : null,
    slices.length ? [h("dt", {}, "Slices"), h("dd", { class: "slices" }, slices.map(([name, value]) => h("a", { class: "chip", href: href({ page: "samples", ...placeOf(Object.fromEntries(params())), slice: `${name}=${value}` }) }, h("span", { class: "quiet" }, foreign(words(name)), " "), foreign(value))))] : null);
}

// --- what was answered ----------------------------------------------------------------------------------------------

function card(answer, sample) {
  return h("article", { class: "answer", "aria-label": `Answer of ${answer.name}` },
    h("header", {}, h("h2", {}, foreign(answer.name)), outcomeMark(answer)),
    answer.text ? prose(answer.text, 700) : h("p", { class: "quiet" }, answer.outcome === "failed" ? "No answer: the call failed." : "The answer is empty."),
    h("dl", { class: "facts" },
      h("dt", {}, "Read as"), h("dd", {}, answer.outcome === "answered" ? reading(answer.value, sample) : h("span", { class: "quiet" }, "nothing"), answer.extractor ? h("span", { class: "quiet by" }, " by ", foreign(answer.extractor, { class: "foreign id" }), answer.format && answer.format !== "exact_contract" ? [" (", foreign(brief(words(answer.format), 60)), ")"] : "") : null),
      answer.reason ? [h("dt", {}, "Failed"), h("dd", {}, foreign(answer.reason))] : null,
      (answer.verdicts ?? []).map((each) => [h("dt", {}, "Judge"), h("dd", {}, verdict(each))]),
      h("dt", {}, "Cost"), h("dd", { class: "quiet" }, foreign([tokens(answer.tokens), typeof answer.seconds === "number" ? `${answer.seconds.toFixed(2)} s` : null, answer.finish_reason ? `ended by ${brief(answer.finish_reason, 40)}` : null].filter(Boolean).join(" · ") || "–"))),
    answer.reasoning ? fold("Reasoning", () => prose(answer.reasoning, 2000)) : null,
    answer.messages ? fold("Prompt as sent", () => messages(answer.messages)) : null,
    fold("Raw JSON", () => prose(JSON.stringify(answer, null, 2), 4000, "raw")));
}

const tokens = (found) => {
  if (found === null || found === undefined) return null;
  if (typeof found !== "object") return plural(found, "token");
  const [into, out] = [found.in ?? found.tokens_in ?? null, found.out ?? found.tokens_out ?? null];
  return into === null && out === null ? null : `${count(into)} tokens in, ${count(out)} out`;
};

/** A <details> whose content is made when it is first opened: a page of twenty raw answers stays light. */
function fold(title, make) {
  const node = h("details", {}, h("summary", {}, title));
  node.addEventListener("toggle", () => { if (node.open && node.children.length === 1) node.append(make()); });
  return node;
}

function reading(value) {
  if (!isBoxes(value)) return prose(valueText(value), 400, "value");
  if (!value.length) return "no box";
  const cell = (each) => each.toFixed(3).replace(/^0/, "");
  return h("details", {}, h("summary", {}, valueText(value)), h("ul", { class: "boxlist" }, value.map((box) => h("li", {}, box.label ? [foreign(box.label), " "] : null, h("span", { class: "id" }, [box.x0, box.y0, box.x1, box.y1].map(cell).join(" "))))));
}

function verdict(found) {
  const probabilities = Object.entries(found.label_probs ?? {}).sort(([, a], [, b]) => b - a);
  const label = found.status && found.status !== "ok" ? h("span", { class: "badge warn" }, words(found.status)) : h("b", {}, foreign(found.label ?? "–"));
  return [label, h("span", { class: "quiet" }, " ", foreign(found.judge), found.protocol ? [" · ", foreign(brief(words(found.protocol), 60))] : "", found.decided_by && found.decided_by !== found.judge ? [" · decided by ", foreign(brief(words(found.decided_by), 60))] : ""),
    probabilities.length ? h("span", { class: "probs" }, probabilities.slice(0, 6).map(([name, p]) => h("span", {}, foreign(name), ` ${(100 * p).toFixed(1)} %`))) : null,
    found.rationale ? prose(found.rationale, 500, "rationale") : null];
}

function messages(found) {
  const list = typeof found === "string" ? parse(found) : found;
  if (!Array.isArray(list)) return prose(String(found), 2000, "raw");
  return h("div", { class: "messages" }, list.map((message) => h("div", {}, h("p", { class: "quiet" }, foreign(message.role)),
    (Array.isArray(message.content) ? message.content : [{ type: "text", text: message.content }]).map((part) => (part.type === "text" ? prose(part.text, 2000) : h("span", { class: "chip" }, `${visible(part.type)}${typeof part.image === "number" ? ` ${part.image + 1}` : ""}`))))));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
