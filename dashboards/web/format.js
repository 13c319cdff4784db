// Numbers as people read them: percentages with one decimal, intervals, p values; what is missing is "–", never 0.

export const MISSING = "–";

const SCALES = { fraction: [100, 1], coefficient: [1, 3], "per image": [1, 2] };

const scaled = (value, unit) => {
  const [factor, digits] = SCALES[unit ?? "fraction"] ?? [1, 3];
  return (value * factor).toFixed(digits).replace(/^-(?=0(\.0*)?$)/, "").replace("-", "−");
};

const known = (value) => typeof value === "number" && Number.isFinite(value);

export const number = (value, unit) => (known(value) ? scaled(value, unit) : MISSING);

/** The interval beside a value: "±0.3" where both sides look alike, else "[low, high]"; "" where there is none. */
export function interval({ value, low, high, unit }) {
  if (!known(value) || !known(low) || !known(high)) return "";
  const [up, down] = [scaled(high - value, unit), scaled(value - low, unit)];
  return up === down ? `±${up}` : `[${scaled(low, unit)}, ${scaled(high, unit)}]`;
}

/** Value and interval in one line of plain text, for exports and labels. */
export function full({ value, low, high, unit } = {}) {
  if (!known(value)) return MISSING;
  return known(low) && known(high) ? `${scaled(value, unit)} [${scaled(low, unit)}, ${scaled(high, unit)}]` : scaled(value, unit);
}

/** A difference with its sign: "+14.8", "−2.0", "0.0". */
export function signed(value, unit) {
  if (!known(value)) return MISSING;
  const text = scaled(value, unit);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

export const pvalue = (p) => (!known(p) ? MISSING : p < 0.001 ? "<0.001" : p.toFixed(3));
export const pwords = (p) => (!known(p) ? "" : p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);
export const count = (n) => (known(n) ? n.toLocaleString("en") : MISSING);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const share = (part, whole) => (known(part) && whole ? (100 * part / whole).toFixed(1) : MISSING);
export const rate = (value) => (!known(value) ? MISSING : value >= 100 ? count(Math.round(value)) : value.toPrecision(2));
export const unitName = (unit) => ({ fraction: "percent", coefficient: "coefficient", "per image": "per image" })[unit ?? "fraction"] ?? unit;
export const pointsName = (unit) => (unit === undefined || unit === "fraction" ? "points" : "");

/** Ranks as an interval; never a bare place that tests do not bear out. */
export const ranks = (pair) => (!pair ? MISSING : pair[0] === pair[1] ? `${pair[0]}` : `${pair[0]}–${pair[1]}`);

const ACRONYMS = { f1: "F1", map: "mAP", ap: "AP", auroc: "AUROC", auprc: "AUPRC", mcc: "MCC", ece: "ECE", iou: "IoU", bleu: "BLEU", rouge: "ROUGE", froc: "FROC", rsna: "RSNA", vqa: "VQA", cxr: "CXR", mri: "MRI", pmc: "PMC", rad: "RAD" };

/** A metric's or task's key in words: f1_50 -> "F1 at IoU 0.5", closed_accuracy -> "closed accuracy". */
export function words(key) {
  return String(key ?? "").replace(/^(f1|precision|recall|ap|image_hit)_([3-9][05])(?=_|$)/, (_, name, at) => `${name}_at_iou_0.${at.replace(/0$/, "")}`)
    .replace(/^froc_(05|10|20)$/, (_, at) => `froc_at_0.${at.replace(/0$/, "")}_an_image`).replace(/_agnostic$/, "_(any_label)")
    .split("_").map((word) => ACRONYMS[word] ?? word).join(" ");
}

export const capital = (text) => (text.length > 1 ? text.replace(/^./, (c) => c.toUpperCase()) : text);

/** A moment as "22 Nov 2026, 08:47" in the reader's own time zone; text that is none stays as it is. */
export function moment(at) {
  const date = new Date(at ?? "");
  if (Number.isNaN(date.getTime())) return at || MISSING;
  return date.toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

export function duration(seconds) {
  if (!known(seconds)) return MISSING;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** What a flag on a score means: [short mark, sentence]. */
export const FLAGS = {
  "self check": ["self-check", "Drawn images: a self-check of the pipeline, never a medical claim."],
  "known leak": ["known leak", "Answers to this test are known to have leaked into public training data; see the notes."],
  "few clusters": ["rough", "Few clusters: an interval over fewer than 30 patients or images is rough."],
  "no spread": ["no spread", "No bootstrap draw differed, so Wilson's interval stands in."],
  uncalibrated: ["uncalibrated", "Nobody has measured this judge against people on this kind of data: its numbers may be biased."],
  unsupported: ["unsupported", "The judge's card does not cover this kind of data, or the judge is no better than chance on it."],
  constant: ["constant", "The same answer to every sample: the number is a property of the labels."],
  human: ["reader", "A human reader's own boxes, on the images that he or she read; the truth is made of them too."],
  corrected: ["corrected", "Corrected for the judge's known errors (sensitivity and specificity of its card)."],
  train_leak: ["leak", "Training data of this model hold test questions or rewordings of them."],
  leak: ["leak", "Training data hold test questions or rewordings of them."],
  best_epoch_on_test: ["picked on test", "The published number is of the epoch that did best on the test set."],
  degenerate: ["degenerate", "The same answer nearly everywhere: the number says more about the data than about the model."],
  small_n: ["small n", "Very few samples: the interval is wide."],
  suspect_duplicate: ["duplicate?", "The same number is published for another model; one of the two may be a slip."],
  refusal: ["refused", "The model refused to answer."],
  undertrained_3_epochs: ["3 epochs", "Trained for three epochs only, in the source's own words undertrained."],
  best_of: ["best of", "The best of several tries, not their mean."],
  scorer_bugs: ["scorer bugs", "The scorer behind this number has known bugs; see the source's issues."],
  no_published_number: ["no number", "The source names the model and gives no number."],
  censored: ["bound", "The source gives a bound, not a value."],
  below_majority: ["below majority", "Below what always giving the commonest answer scores."],
};
export const flagText = (flag) => FLAGS[flag]?.[1] ?? `Flag: ${flag}.`;
export const flagMark = (flag) => FLAGS[flag]?.[0] ?? (flag.length > 24 ? `${flag.slice(0, 24)}…` : words(flag));
