"""A judge card as a page to read: the same numbers as `judge_card.json`, and items that the judge got wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raybench.schema import Row

__all__ = ["page"]

_SUITES = {
    "medical": "made-up questions about medical images in English and Chinese, from tables of medical terms",
    "phantom": "questions that the phantom tasks ask, in English; it says nothing about medical answers",
}


def page(card: Row, meanings: Mapping[str, str], failures: Sequence[Row]) -> str:
    """Return the page as Markdown.

    Args:
        card: the card document.
        meanings: category -> what it tests.
        failures: items judged otherwise than deserved: "category", "question", "reference", "candidate", "label",
            "verdict".
    """
    parts = [_head(card), _rates(card), _categories(card, meanings), _attacks(card), _calibration(card)]
    parts += [_stability(card), _cost(card), _failures(failures)]
    return "\n".join(part for part in parts if part) + "\n"


def _head(card: Row) -> str:
    verdict = "**supported**" if card["supported"] else "**not supported**"
    lines = [
        f"# Judge card: {card['judge']}, {card['suite']} suite", "",
        f"{verdict} for {card['suite']} tasks. Suite: {_SUITES[card['suite']]};"
        f" {card['items']} items, seed {card['seed']}, suite version {card['suite_version']}.", "",
    ]  # fmt: skip
    lines += [f"- {reason}" for reason in card["reasons"]] + ([""] if card["reasons"] else [])
    identity = ", ".join(f"{name} {value}" for name, value in card["identity"].items() if value not in (None, "", {}))
    lines += [
        f"Key `{card['key']}`: {identity}; protocol {card['protocol']}, template {card['template']}."
        " A change of any of these voids the card.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _rates(card: Row) -> str:
    rows = [[name, _rate(card[name]), _rate(card["as_used"][name])] for name in ("sensitivity", "specificity", "kappa")]
    note = (
        "Over all items but attacks. *Bare*: the judge alone. *As used*: rules settle what is no attempt, and an"
        " exact match is CORRECT without a call.\n"
    )
    return f"## In all\n\n{note}\n" + _table(["", "bare", "as used"], rows)


def _categories(card: Row, meanings: Mapping[str, str]) -> str:
    rows = []
    for name, entry in card["categories"].items():
        languages = ", ".join(f"{language} {_percent(each['value'])}" for language, each in entry["languages"].items())
        bar = "" if entry["gate"] is None else f"{_gate(entry)} (>= {entry['gate']:.0%})"
        rows.append([f"{name}: {meanings[name]}", str(entry["n"]), _rate(entry["bare"]), languages, bar,
                     _rate(entry["as_used"]), _percent(entry["called_correct"])])  # fmt: skip
    header = ["category", "items", "judged as deserved, bare", "by language", "gate", "as used", "called CORRECT"]
    return "## Categories\n\n" + _table(header, rows)


def _gate(entry: Row) -> str:
    """Say how a gated category ended: a share over the bar may still be one of too few items."""
    if entry["passed"]:
        return "passed"
    shares = [each["value"] or 0.0 for each in entry["languages"].values()]
    return "**too few items**" if min(shares) >= entry["gate"] else "**missed**"


def _attacks(card: Row) -> str:
    rows = [
        [f"{row['category']} {row['attack']}".replace("|", "\\|"), str(row["n"]), _percent(row["called_correct"]),
         _percent(row["as_used"])]
        for row in card["attacks"]
    ]  # fmt: skip
    return "## Attacks\n\nShare called CORRECT; none deserves it.\n\n" + _table(
        ["attack", "items", "bare", "as used"], rows
    )


def _calibration(card: Row) -> str:
    found = card["calibration"]
    if found is None:
        return "## Calibration\n\nThis backend gives no probabilities of labels.\n"
    rows = [
        [
            f"{each['low']:.1f}-{each['high']:.1f}",
            str(each["n"]),
            f"{each['mean_p']:.3f}",
            f"{each['share_correct']:.3f}",
        ]
        for each in found["curve"]
    ]
    title = f"## Calibration\n\nExpected calibration error of the probability of CORRECT: {found['ece']:.3f}.\n\n"
    mass = card["label_mass"]
    tail = f"\nProbability of the three labels together: least {mass['least']:.3f}, median {mass['median']:.3f}.\n"
    return title + _table(["probability", "items", "mean", "share that is right"], rows) + (tail if mass else "")


def _stability(card: Row) -> str:
    lines = ["## Stability", ""]
    for name, label in (("repeat_flips", "asked again"), ("template_flips", "asked with another template")):
        found = card[name]
        shown = "not measured" if found is None else f"{_rate(found)} of {found['n']} verdicts flip"
        lines.append(f"- {label}: {shown}")
    order = card["order_consistency"]
    shown = (
        "not measured"
        if order is None
        else f"{_rate(order)} of {order['n']} pairs keep their better answer ({order['ties']} ties)"
    )
    lines.append(f"- a right and a wrong answer side by side, then the other way round: {shown}")
    slope = card["length_slope"]
    shown = "not measured"
    if slope:
        shown = f"{slope['per_doubling']:+.2f} [{slope['low']:+.2f}, {slope['high']:+.2f}] log odds of CORRECT"
    lines.append(f"- a candidate of twice the length, its truth held equal: {shown}")
    lines.append(f"- no verdict: {card['null_rate']:.1%} of the items")
    return "\n".join(lines) + "\n"


def _cost(card: Row) -> str:
    cost = card["cost"]
    rate = "not measured" if cost["verdicts_per_second"] is None else f"{cost['verdicts_per_second']:.1f} a second"
    tokens = ", ".join(
        f"{cost[name]:.0f} {label}" for name, label in (("tokens_in", "read"), ("tokens_out", "written"))
        if cost[name] is not None
    )  # fmt: skip
    lines = [f"- verdicts: {rate}", f"- tokens a verdict: {tokens or 'not known'}"]
    if cost["price"] is not None:
        lines.append(f"- price of 1,000 verdicts: {cost['price']:.4g}, in the currency of the declared price")
    return "## Cost\n\n" + "\n".join(lines) + "\n"


def _failures(failures: Sequence[Row], each: int = 3) -> str:
    if not failures:
        return ""
    lines = ["## Known failures", "", f"Up to {each} a category; all items stand in `items.jsonl`.", ""]
    shown: dict[str, int] = {}
    for row in failures:
        shown[row["category"]] = shown.get(row["category"], 0) + 1
        if shown[row["category"]] <= each:
            candidate = " ".join(str(row["candidate"]).split()).replace("`", "'")
            lines.append(
                f"- {row['category']}: {row['question']} Reference: {row['reference']}. Candidate: `{candidate}`."
                f" Deserves {row['label']}, was given {row['verdict'] or 'no verdict'}."
            )
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "|".join([":--", *["--:"] * (len(header) - 1)]) + "|", *lines[1:]]) + "\n"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _rate(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    return f"{100 * entry['value']:.1f} [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}]"
