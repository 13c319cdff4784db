"""Measuring a judge: the suite's items through the same replicas as any judging, and the card made of the verdicts.

Every item is asked of the bare judge, with rules and exact match off. What the judge is "as used" follows from the
same verdicts and the protocol's rules, so nothing is asked twice. A tenth of the items is repeated, and asked with
another template where the protocol has one; some right and wrong answers are held against each other in both orders.
Verdicts stay in `DIR/work`: what was asked is not asked again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import chain

import ray

from raybench.engine.groups import write_groups
from raybench.engine.judging import JUDGE_SCHEMA
from raybench.engine.limits import price_of
from raybench.engine.pipeline import call
from raybench.engine.plan import PlannedModel, block_rows, plan_model
from raybench.engine.session import Session, Show, opened
from raybench.engine.stages import judge_rows
from raybench.engine.worker import Work
from raybench.errors import ModelError, SpecError
from raybench.interfaces import JudgeProtocol
from raybench.judges._suite import CATEGORIES, VERSIONS, Item, gates, suite
from raybench.parsing.refusal import refusal
from raybench.schema import Row, canonical_json
from raybench.scoring.card_page import page
from raybench.scoring.cards import CARD, FOLDER, card_key
from raybench.scoring.measuring import Judged, measure
from raybench.spec import JudgeSpec, RunSpec, protocol_of
from raybench.stats.agreement import rate
from raybench.store.files import Files

__all__ = ["PROTOCOL", "Asked", "Checked", "card_folder", "check_judge"]

#: The protocol that the suites are made for.
PROTOCOL = "reference_verdict"
PAGE, ITEMS, WORK = "judge_card.md", "items.jsonl", "work"
_REPEATS = 3
#: Pairs of a right and a wrong answer that are shown in both orders, at most.
_PAIRS = 100
_SWAPPED = {"FIRST": "SECOND", "SECOND": "FIRST", "TIE": "TIE"}
_NO_COLUMNS = {"task": "judge-check", "dataset": "", "split": "", "model": ""}


@dataclass(frozen=True)
class Asked:
    """Which suite a judge is asked: its name, items a category, and the seed they are made from."""

    suite: str
    items: int
    seed: int = 0


@dataclass(frozen=True)
class Checked:
    """What a check made: the card document, where it lies, and the items that were never answered."""

    card: Row
    folder: str
    unanswered: int


@dataclass(frozen=True)
class _Suite:
    asked: Asked
    items: Sequence[Item]


def card_folder(output: str | None, judge: str, suite_name: str) -> str:
    """Return where a card goes: DIR; inside a result folder its `judge_cards/`; by default `judge_cards/` here."""
    own = f"{judge}-{suite_name}"
    if output is None:
        return f"{FOLDER}/{own}"
    files = Files(output)
    return f"{output.rstrip('/')}/{FOLDER}/{own}" if files.names("units") else output.rstrip("/")


def check_judge(
    judge: JudgeSpec, asked: Asked, output: str, address: str | None = None, show: Show | None = None
) -> Checked:
    """Measure a judge on a suite and write `judge_card.json`, `judge_card.md` and `items.jsonl` into `output`.

    Raises:
        SpecError: a protocol that the suite is not made for, or no such suite.
        ModelError: the judge cannot be loaded.
    """
    if judge.protocol not in (None, PROTOCOL):
        raise SpecError(f"judge {judge.name}: judge-check measures the protocol {PROTOCOL}, not {judge.protocol}")
    made = _Suite(asked, suite(asked.suite, asked.items, seed=asked.seed))
    judge = judge.model_copy(update={"protocol": PROTOCOL, "repeats": _REPEATS})
    spec = RunSpec(output=f"{output}/{WORK}", judges=(judge,))
    with opened(spec, address, show) as session:
        planned: PlannedModel = call(plan_model, judge)
        calls = _calls(judge, planned, made.items)
        pace = _ask(session, planned, calls)
        rows = {row["key"]: row for row in session.store.query("SELECT * FROM all_verdicts", (), ("verdicts",))}
    verdicts = [rows.get(row["key"]) for row in calls.bare]
    unanswered = sum(row is None for row in verdicts)
    if unanswered == len(verdicts):
        raise ModelError(session.result.errors.get(judge.name) or f"judge {judge.name} answered no item")
    return _write(output, _Measured(judge, planned, made, calls, verdicts, rows, pace), unanswered)


@dataclass(frozen=True)
class _Calls:
    """Judge rows: one an item of the bare judge, repeats of some, some with another template, pairs in both orders."""

    bare: Sequence[Row]
    repeats: Sequence[Row]
    templates: Sequence[Row]
    pairs: Sequence[Row]


@dataclass(frozen=True)
class _Measured:
    judge: JudgeSpec
    planned: PlannedModel
    suite: _Suite
    calls: _Calls
    verdicts: Sequence[Row | None]
    rows: Mapping[str, Row]
    pace: float | None


def _bare(judge: JudgeSpec, template: str | None = None) -> JudgeProtocol:
    """The protocol with rules and exact match off: every item is asked."""
    off = {"rules": False, "exact_match": False}
    entry = judge.model_copy(update={"protocol_options": {**judge.protocol_options, **off}})
    protocol: JudgeProtocol = protocol_of(
        entry if template is None else entry.model_copy(update={"template": template}), PROTOCOL
    )
    return protocol


def _records(items: Sequence[Item]) -> list[Row]:
    return [
        {**_NO_COLUMNS, "sample": item.id, "question": item.question, "target": item.reference,
         "text": item.candidate, "choices": [],
         "outcome": "refused" if refusal(item.candidate) else "answered"}
        for item in items
    ]  # fmt: skip


def _calls(judge: JudgeSpec, planned: PlannedModel, items: Sequence[Item]) -> _Calls:
    shown = {"name": judge.name, "config": planned.config, "identity": planned.identity, "repeats": _REPEATS}
    rows = [row for row in judge_rows(_records(items), _bare(judge), shown) if not row["decided"]]
    bare = [row for row in rows if row["aspect"] is None]
    repeats = [row for row in rows if row["aspect"] is not None]
    # The items that are repeated are also asked with the other template: one sample for both flip rates.
    chosen = {row["sample"] for row in repeats}
    other = _other_template(judge)
    some = [item for item in items if item.id in chosen] if other else []
    again = list(judge_rows(_records(some), _bare(judge, other), {**shown, "repeats": 1}))
    return _Calls(bare, repeats, again, _pairs(judge, items, {**shown, "repeats": 1}))


def _pairs(judge: JudgeSpec, items: Sequence[Item], shown: Row) -> list[Row]:
    """Return the calls that hold a right answer against a wrong one to the same question, in both orders.

    None where the judge's own template or options are no pairwise protocol's.
    """
    try:
        protocol = protocol_of(judge, "pairwise")
    except SpecError:
        return []
    answers: dict[str, dict[bool, Item]] = {}
    for item in items:
        if not CATEGORIES[item.category].attack:
            answers.setdefault(item.cluster, {}).setdefault(item.label == "CORRECT", item)
    both = [found for _, found in sorted(answers.items()) if len(found) == 2][:_PAIRS]
    records = [
        {**record, "sample": pair[True].id, "model": model}
        for pair in both
        for model, record in zip(("right", "wrong"), _records([pair[True], pair[False]]), strict=True)
    ]
    # Each pair stands in the items of both its answers.
    calls = {row["key"]: row for row in judge_rows(records, protocol, shown) if not row["decided"]}
    return list(calls.values())


def _other_template(judge: JudgeSpec) -> str | None:
    """Another version of the protocol's template, if one ships."""
    folder, own = resources.files("raybench.judges") / "templates", _bare(judge).template_hash
    names = sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    ours = [name for name in names if name.startswith(f"{PROTOCOL}-")]
    return next((name for name in ours if _bare(judge, name).template_hash != own), None)


def _ask(session: Session, planned: PlannedModel, calls: _Calls) -> float | None:
    """Ask what is not stored yet; return verdicts a second, None where nothing was asked."""
    store, name = session.store, planned.spec.name
    known = {row["key"] for row in store.query("SELECT DISTINCT key FROM all_verdicts", (), ("verdicts",))}
    wanted = {row["key"]: row for row in chain(calls.bare, calls.repeats, calls.templates, calls.pairs)}
    fresh = [{**row, "fanout": 1} for key, row in wanted.items() if key not in known]
    fresh.sort(key=lambda row: (row["template"], row["question"], row["reference"], row["candidate"]))
    if not fresh:
        return None
    file = f"runs/{session.run_id}/plan/judge-check.parquet"
    size = block_rows(len(fresh), planned.spec.replicas[1])
    write_groups(store, file, iter(fresh), JUDGE_SCHEMA, size)
    work = Work(name, planned, session.spec.output, session.run_id, "verdicts")
    session.stream(work, {"file": file, "rows": len(fresh), "block_rows": size}, [name])
    seconds = ray.get(session.ledger.progress.remote())[name]["seconds"]
    return len(fresh) / seconds if seconds else None


def _write(output: str, found: _Measured, unanswered: int) -> Checked:
    used = protocol_of(found.judge, PROTOCOL)
    decided = used.items(_records(found.suite.items))
    judged = [
        _judged(item, row, entry)
        for item, row, entry in zip(found.suite.items, found.verdicts, decided, strict=True)
    ]  # fmt: skip
    bars = {gate.category: gate.least for gate in gates(found.suite.asked.suite)}
    card = {**_heading(found, used), **measure(judged, bars), **_stability(found), "cost": _cost(output, found)}
    rows = [
        {**asdict(item), "verdict": one.label, "verdict_as_used": one.used, "p_correct": one.p_correct,
         "as_deserved": one.is_right(one.label)}
        for item, one in zip(found.suite.items, judged, strict=True)
    ]  # fmt: skip
    meanings = {name: category.meaning for name, category in CATEGORIES.items()}
    files = Files(output)
    files.write(ITEMS, "".join(canonical_json(row) + "\n" for row in rows).encode())
    files.write(PAGE, page(card, meanings, [row for row in rows if not row["as_deserved"]]).encode())
    files.write(CARD, (json.dumps(card, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())
    return Checked(card, output, unanswered)


def _judged(item: Item, row: Row | None, entry: Row | None) -> Judged:
    label = row["label"] if row is not None and row["status"] == "ok" else None
    decided = entry["decided"] if entry is not None else None
    shares = json.loads(row["label_probs"]) if row is not None and row["label_probs"] else {}
    return Judged(
        item.category, item.language, CATEGORIES[item.category].attack, item.cluster, item.detail, item.label, label,
        decided.label if decided is not None else label, item.candidate, shares.get("CORRECT"),
        row["label_mass"] if row is not None else None,
    )  # fmt: skip


def _heading(found: _Measured, used: JudgeProtocol) -> Row:
    key, asked = card_key(found.planned.config, PROTOCOL, used.template_hash), found.suite.asked
    return {
        "judge": found.judge.name, "suite": asked.suite, "key": key, "schema_version": 1,
        "suite_version": VERSIONS[asked.suite], "seed": asked.seed, "items": len(found.suite.items),
        "items_per_category": asked.items, "identity": dict(found.planned.identity),
        "judge_config": found.planned.config, "protocol": PROTOCOL, "template": used.template_hash,
    }  # fmt: skip


def _stability(found: _Measured) -> Row:
    """Flip rates of the bare judge: same prompt again, and another template. Null verdicts count as a label."""
    said = {row["item"]: _label(found.rows.get(row["key"])) for row in found.calls.bare}
    by_sample = {row["sample"]: _label(found.rows.get(row["key"])) for row in found.calls.bare}
    repeats = [(said[json.loads(row["aspect"])["of"]], row) for row in found.calls.repeats]
    templates = [(by_sample[row["sample"]], row) for row in found.calls.templates]
    return {
        "repeat_flips": _flips(repeats, found.rows), "template_flips": _flips(templates, found.rows),
        "order_consistency": _order_consistency(found),
    }  # fmt: skip


def _order_consistency(found: _Measured) -> Row | None:
    """How often the better of two answers stays the better when they change places, and how often neither ever was.

    Pairs with a null verdict are left out.
    """
    words: dict[str, dict[str, str | None]] = {}
    for row in found.calls.pairs:
        words.setdefault(row["sample"], {})[json.loads(row["aspect"])["order"]] = _label(found.rows.get(row["key"]))
    read = [(each["straight"], each["swapped"]) for each in words.values() if None not in each.values()]
    if not read:
        return None
    held = [straight is not None and _SWAPPED[straight] == swapped for straight, swapped in read]
    return {**asdict(rate(held)), "ties": read.count(("TIE", "TIE"))}


def _flips(pairs: Sequence[tuple[str | None, Row]], rows: Mapping[str, Row]) -> Row | None:
    hits = [before != _label(rows.get(row["key"])) for before, row in pairs]
    return asdict(rate(hits, [row["question"] + row["reference"] for _, row in pairs])) if hits else None


def _label(row: Row | None) -> str | None:
    return None if row is None or row["status"] != "ok" else str(row["label"])


def _cost(output: str, found: _Measured) -> Row:
    """Verdicts a second and tokens a verdict; the price of 1,000 verdicts where the entry declares one."""
    answered = [row for row in found.verdicts if row is not None]
    tokens = {}
    for name in ("tokens_in", "tokens_out"):
        known = [row[name] for row in answered if row[name] is not None]
        tokens[name] = sum(known) / len(known) if known else None
    price, pace = price_of(found.planned.spec), found.pace or _former_pace(output, found)
    seconds = 1000 / pace if pace and price.per_hour else 0.0
    cost = price.of(seconds, (1000 * (tokens["tokens_in"] or 0), 1000 * (tokens["tokens_out"] or 0)))
    return {"verdicts_per_second": pace, **tokens, "price": cost or None}


def _former_pace(output: str, found: _Measured) -> float | None:
    """The pace that an earlier check of the same judge measured, where this one had nothing to ask."""
    files = Files(output)
    if not files.exists(CARD):
        return None
    former: Row = json.loads(files.read(CARD))
    same = former.get("judge_config") == found.planned.config
    return former["cost"]["verdicts_per_second"] if same else None
