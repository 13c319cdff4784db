"""The protocols on their own: order-swap algebra, sentences, signed points, panels, numbers as labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from raybench import registry
from raybench.errors import DataError, SpecError
from raybench.interfaces import judge_calls
from raybench.judges.claims import Claims, sentences
from raybench.judges.criteria import Criteria
from raybench.judges.pairwise import Pairwise
from raybench.judges.panel import Panel
from raybench.judges.relative10 import Relative10
from raybench.judges.rubric5 import Rubric5
from raybench.judges.rule import Rule
from raybench.schema import Response

PLACE = {"task": "t", "dataset": "d", "split": "s", "variant": "v", "images": "with", "turn": 0, "repeat": 0}


def record(text, model="m", sample="1", outcome="answered", **more):
    asked = {"question": "Where is the mass?", "target": "left lobe", "sample": sample, "model": model}
    return {**PLACE, **asked, "outcome": outcome, "text": text, **more}


def said(label, status="ok"):
    return {"status": status, "label": label, "score": None, "label_probs": None}


def played(protocol, records, word):
    """Play every pair with a judge `word(first text, second text)`; return model -> statistics."""
    out = {}
    for one, item in zip(records, protocol.items(records), strict=True):
        found = {}
        for part in item["parts"] or ():
            texts = [part["candidate"], part["other"]]
            shown = texts[::-1] if part["aspect"]["order"] == "swapped" else texts
            label = part["decided"].label if part["decided"] else word(*shown)
            found[part["item"]] = said(label)
        out[one["model"]] = protocol.aggregate(item, found)
    return out


@pytest.mark.parametrize("texts", itertools.permutations(["aa", "bb", "cc"]))
def test_a_fair_judge_gives_the_same_points_whatever_the_order(texts):
    records = [record(text, model=text) for text in texts]
    best = {"aa": 3, "bb": 2, "cc": 1}
    found = played(Pairwise(), records, lambda one, two: "FIRST" if best[one] > best[two] else "SECOND")
    assert {model: row["points"] for model, row in found.items()} == {"aa": 1.0, "bb": 0.5, "cc": 0.0}
    assert {row["agreed"] for row in found.values()} == {1.0}
    assert sum(row["points"] for row in found.values()) == 1.5, "what one wins the other loses"


@pytest.mark.parametrize("label", ["FIRST", "SECOND"])
def test_a_judge_with_a_favourite_slot_only_makes_ties(label):
    found = played(Pairwise(), [record("aa", "a"), record("bb", "b")], lambda *_: label)
    assert [(row["points"], row["ties"], row["agreed"]) for row in found.values()] == [(0.5, 1.0, 0.0)] * 2


def test_a_tie_and_a_win_make_a_tie():
    words = iter(["TIE", "FIRST"])
    protocol = Pairwise()
    records = [record("aa", "a"), record("bb", "b")]
    item = protocol.items(records)[0]
    found = {part["item"]: said(next(words)) for part in item["parts"]}
    assert protocol.aggregate(item, found)["points"] == 0.5


def test_both_sides_of_a_pair_are_one_call():
    protocol = Pairwise()
    for records in ([record("aa", "a"), record("bb", "b")], [record("bb", "b"), record("aa", "a")]):
        one, two = (item["parts"] for item in protocol.items(records))
        assert [part["item"] for part in one] == [part["item"] for part in two]
        assert [protocol.messages(part) for part in one] == [protocol.messages(part) for part in two]
    texts = [protocol.messages(part)[1]["content"][0]["text"] for part in one]
    assert texts[0].index("aa") < texts[0].index("bb")
    assert texts[1].index("bb") < texts[1].index("aa")


def test_pairs_meet_on_the_same_call_only():
    protocol = Pairwise()
    records = [
        record("aa", "a"), record("bb", "b", sample="2"), record("cc", "c", outcome="failed"), record("dd", "a"),
    ]  # fmt: skip
    items = protocol.items([*records, record("ee", "e", repeat=1)])
    assert [None if item is None else len(item["parts"]) for item in items] == [0, 0, None, 0, 0]
    alone = protocol.aggregate(items[0], {})
    assert (alone["judged"], alone["null"]) == (0.0, 0.0)
    against = Pairwise(Pairwise.Options(against="a"))
    trio = [record("aa", "a"), record("bb", "b"), record("cc", "c")]
    assert [len(item["parts"]) for item in against.items(trio)] == [4, 2, 2]


def test_equal_answers_tie_and_an_answer_beats_none_without_a_call():
    protocol = Pairwise()
    records = [record("aa", "a"), record("aa", "b"), record(":", "c"), record("", "d")]
    found = played(protocol, records, None)
    assert {model: row["points"] for model, row in found.items()} == pytest.approx(
        {"a": 2.5 / 3, "b": 2.5 / 3, "c": 0.5 / 3, "d": 0.5 / 3}
    )
    assert all("agreed" not in row for row in found.values()), "nothing was asked twice"


def test_a_pair_with_one_word_is_no_pair():
    protocol = Pairwise()
    item = protocol.items([record("aa", "a"), record("bb", "b")])[0]
    one = {item["parts"][0]["item"]: said("FIRST")}
    assert protocol.aggregate(item, one)["null"] == 1.0
    both = {**one, item["parts"][1]["item"]: said(None, "parse_failed")}
    assert protocol.aggregate(item, both)["null"] == 1.0


@pytest.mark.parametrize("name", registry.names("judges"))
@pytest.mark.parametrize("texts", [("aa", "bb"), ("", "bb"), ("", ""), ("left lobe", "bb")])
def test_what_is_in_a_denominator_has_its_hits(name, texts):
    """Also where no verdict is there at all: a score of nulls is no crash."""
    plugin = registry.load("judges", name)
    protocol = plugin(plugin.Options(judges=("a", "b")) if name == "panel" else plugin.Options())
    given = {"verdicts": {}, "context": {"criteria": '[{"criterion": "Names it"}]'}}
    records = [record(text, model=str(i), **given) for i, text in enumerate(texts)]
    for item in protocol.items(records):
        settled = [each for each in (item, *judge_calls(item)) if each["decided"] is not None]
        labels = {each["item"]: each["decided"].label for each in settled}
        decided = {digest: said("1" if name in ("rubric5", "relative10") else labels[digest]) for digest in labels}
        for found in ({}, decided):
            row = protocol.aggregate(item, found)
            columns = {key: np.asarray([value]) for key, value in row.items()}
            for metric in protocol.metrics():
                if metric.over in row:
                    assert metric.hit is None or metric.hit in row
                    metric.values(columns, np.ones((1, 1)))
            assert "null" in row


# --- criteria --------------------------------------------------------------------------------------------------------

SIGNED = [{"criterion": "Names the side", "points": 3}, {"criterion": "Names the organ", "points": 1},
          {"criterion": "Invents a fracture", "points": -2}]  # fmt: skip


@pytest.mark.parametrize(
    ("met", "earned"),
    [("AAB", 1.0), ("BBB", 0.0), ("BBA", -0.5), ("ABA", 0.25), ("ABB", 0.75)],
)
def test_points_are_signed_and_over_the_positive_ones(met, earned):
    protocol = Criteria(Criteria.Options(criteria=SIGNED))
    (item,) = protocol.items([record("x")])
    found = {
        part["item"]: said(protocol.labels[letter]) for part, letter in zip(item["parts"], met, strict=True)
    }  # fmt: skip
    row = protocol.aggregate(item, found)
    assert (row["judged"], row["earned"]) == (1.0, earned)
    assert row["fault_met"] == float(met[2] == "A")
    found[item["parts"][0]["item"]] = said(None, "truncated")
    assert protocol.aggregate(item, found)["null"] == 1.0, "what was not read is not unmet"


def test_an_empty_answer_meets_nothing_and_points_do_not_change_what_is_asked():
    protocol = Criteria(Criteria.Options(criteria=SIGNED))
    (item,) = protocol.items([record("")])
    assert judge_calls(item) == [item]
    assert protocol.aggregate(item, {item["item"]: said("UNMET")})["earned"] == 0.0
    other = Criteria(Criteria.Options(criteria=[{**SIGNED[0], "points": 9}]))
    assert other.items([record("x")])[0]["parts"][0]["item"] == protocol.items([record("x")])[0]["parts"][0]["item"]


def test_a_broken_rubric_is_a_data_error():
    with pytest.raises(DataError, match="sample '1': context field 'criteria' is no JSON list"):
        Criteria().items([record("x", context={"criteria": "[{'no': 'json'}]"})])


# --- claims ----------------------------------------------------------------------------------------------------------


def test_sentences_of_reports():
    report = """FINDINGS: Heart size is normal, 2.5 cm. Dr. Smith agrees e.g. on this.
    1. No effusion.
    - No effusion
    IMPRESSION: Nodule of 3. cm? 心影增大。双肺清晰。"""
    assert sentences(report) == [
        "Heart size is normal, 2.5 cm.", "Dr. Smith agrees e.g. on this.", "No effusion.", "Nodule of 3. cm?",
        "心影增大。", "双肺清晰。",
    ]  # fmt: skip
    assert sentences(" \n. - ") == []


def test_claims_are_shown_the_other_text_and_counted_by_side():
    protocol = Claims()
    (item,) = protocol.items([record("Mass left. Fracture.", target="Mass left. Effusion. Thank you.")])
    shown = [protocol.messages(part)[1]["content"][0]["text"] for part in item["parts"]]
    assert ["Effusion. Thank you." in text for text in shown] == [False, False, False, True, True]
    words = ["STATED", "NOT_STATED", "NO_FINDING", "STATED", "NOT_STATED"]
    found = {part["item"]: said(word) for part, word in zip(item["parts"], words, strict=True)}
    row = protocol.aggregate(item, found)
    assert [row[name] for name in ("matched", "missed", "stated", "invented")] == [1, 1, 1, 1]
    (blank,) = protocol.items([record("", target="Mass left. Effusion.")])
    row = protocol.aggregate(blank, {blank["item"]: said("NOT_STATED")})
    assert (row["matched"], row["missed"], row["said"]) == (0, 2, 0)


# --- rule, panel, numbers --------------------------------------------------------------------------------------------


def test_the_rule_knows_three_words():
    texts = {"Left lobe.": "CORRECT", "The left lobe": "CORRECT", "right lobe": "INCORRECT", ":": "NOT_ATTEMPTED"}
    items = Rule().items([record(text) for text in texts])
    assert [item["decided"].label for item in items] == list(texts.values())


@pytest.mark.parametrize(
    ("labels", "pooled"),
    [
        ("AAB", "CORRECT"), ("ABB", "INCORRECT"), ("ABC", "UNDECIDED"), ("AB", "UNDECIDED"), ("AABC", "UNDECIDED"),
        ("AA-", "CORRECT"), ("A--", None), ("AB-", None), ("CCA", "NOT_ATTEMPTED"),
    ],
)  # fmt: skip
def test_a_majority_is_of_all_members(labels, pooled):
    meaning = {"A": said("CORRECT"), "B": said("INCORRECT"), "C": said("NOT_ATTEMPTED"), "-": said(None, "truncated")}
    words = {f"j{i}": meaning[letter] for i, letter in enumerate(labels)}
    (item,) = Panel(Panel.Options(judges=tuple(words))).items([record("x", verdicts=words)])
    assert item["decided"].label == pooled
    assert (item["decided"].status == "ok") == (pooled is not None)


def test_a_panel_of_nobody_is_refused():
    with pytest.raises(SpecError, match="it has no members"):
        Panel().items([record("x", verdicts={})])


def test_a_mean_uses_probabilities_where_there_are_any():
    words = {"a": {**said("CORRECT"), "label_probs": '{"CORRECT":0.9,"INCORRECT":0.1}'}, "b": said("INCORRECT")}
    (item,) = Panel(Panel.Options(judges=("a", "b"), pool="mean")).items([record("x", verdicts=words)])
    assert (item["decided"].label, item["decided"].score) == ("INCORRECT", pytest.approx(0.45))


def test_ratings_average_by_probability():
    shares = {"1": 0.1, "2": 0.0, "3": 0.0, "4": 0.3, "5": 0.6}
    row = Rubric5().statistics({"status": "ok", "label": "5", "label_probs": shares})
    assert (row["points"], row["expected"]) == (5.0, pytest.approx(0.1 + 1.2 + 3.0))
    verdict = Rubric5().parse(Response("4", label_logprobs={"4": -0.1, "5": -2.4}))
    assert (verdict.label, verdict.score) == ("4", 4.0)
    assert verdict.label_mass == pytest.approx(0.9955, abs=1e-3)


@pytest.mark.parametrize("protocol", [Rubric5(), Relative10()])
def test_scales_are_read_from_text_where_numbers_are_no_tokens(protocol):
    assert protocol.labels_else_text
    assert protocol.parse(Response("Score: 4")).score == 4.0
    assert protocol.parse(Response("Score: 4", finish_reason="length")).status == "truncated"
    assert protocol.reminder.startswith("Reply with exactly one of 1, 2")
