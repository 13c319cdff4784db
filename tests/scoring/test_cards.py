"""Cards are found by key and suite, the folder's own first; a changed judge has none."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from raybench.errors import StoreError
from raybench.judges.reference_verdict import ReferenceVerdict
from raybench.scoring import score_store
from raybench.scoring.cards import card_key, find_card, suite_of
from raybench.stats.agreement import Rate
from raybench.store import Store
from raybench.tasks.phantom_vqa import PhantomVqa
from raybench.tasks.vqa import Vqa
from tests.results import fill, judge, one, questions

TEMPLATE = ReferenceVerdict().template_hash


def card(key: str, *, suite: str = "medical", supported: bool = True, se: float = 0.9, sp: float = 0.9) -> str:
    rates = {"sensitivity": Rate(se, 0.8, 1.0, 600), "specificity": Rate(sp, 0.8, 1.0, 600)}
    known = {name: asdict(rate) for name, rate in rates.items()}
    known["kappa"] = asdict(Rate(0.8, 0.7, 0.9, 1200))
    return json.dumps({"judge": "j", "suite": suite, "key": key, "supported": supported, **known, "as_used": known})


def put(store: Store, text: str, name: str = "judge_cards/j-medical/judge_card.json") -> None:
    store.files.write(name, text.encode())


def test_any_change_of_the_judge_changes_the_key() -> None:
    key = card_key("c", "reference_verdict", TEMPLATE)
    others = {
        card_key("d", "reference_verdict", TEMPLATE),
        card_key("c", "rubric5", TEMPLATE),
        card_key("c", "reference_verdict", ReferenceVerdict(ReferenceVerdict.Options(template="v2")).template_hash),
    }
    assert key not in others
    assert len(others) == 3


def test_a_card_is_valid_for_its_suite_only(tmp_path: Path) -> None:
    store, key = Store(str(tmp_path)), card_key("jc", "reference_verdict", TEMPLATE)
    put(store, card(key), "judge_cards/flat.json")
    put(store, card(key, suite="phantom", supported=False))
    found = {suite: find_card(store, key, suite) for suite in ("medical", "phantom")}
    assert {suite: each.flags for suite, each in found.items() if each} == {
        "medical": (), "phantom": ("unsupported",),
    }  # fmt: skip
    assert find_card(store, card_key("other", "reference_verdict", TEMPLATE), "medical") is None


def test_suites_of_tasks() -> None:
    assert suite_of(PhantomVqa(PhantomVqa.Options())) == "phantom"
    assert suite_of(Vqa(Vqa.Options(data="unused.csv"))) == "medical"


def test_what_is_no_card_is_one_sentence(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    put(store, "{}", "judge_cards/x.json")
    with pytest.raises(StoreError, match=r"judge_cards/x.json is no judge card .*judge-check writes one"):
        find_card(store, "k", "medical")


def judged(folder: Path) -> Store:
    store = Store(str(folder))
    samples = questions(["yes"] * 60)
    texts = ["yes" if i % 3 else "no" for i in range(60)]
    fill(store, samples, {("m", "plain", 0): texts})
    judge(store, {
        (sample.questions[0], "yes", text): "CORRECT" if text == "yes" else "INCORRECT"
        for sample, text in zip(samples, texts, strict=True)
    })  # fmt: skip
    score_store(store)
    return store


def test_scores_say_what_is_known_of_the_judge(tmp_path: Path) -> None:
    store = judged(tmp_path)
    assert "uncalibrated" in one(store, metric="judge_accuracy")["flags"]
    key = card_key("jc", "reference_verdict", TEMPLATE)
    put(store, card(key, supported=False))
    assert score_store(store, only_stale=True) > 0, "a new card makes scores stale"
    assert {"unsupported", "uncalibrated"} & set(one(store, metric="judge_accuracy")["flags"]) == {"unsupported"}
    put(store, card(key))
    score_store(store, only_stale=True)
    assert not {"unsupported", "uncalibrated"} & set(one(store, metric="judge_accuracy")["flags"])
    put(store, card(card_key("another", "reference_verdict", TEMPLATE)))
    score_store(store, only_stale=True)
    assert "uncalibrated" in one(store, metric="judge_accuracy")["flags"], "a card of another judge counts for nothing"


def test_a_card_alone_corrects_by_rogan_and_gladen(tmp_path: Path) -> None:
    store = judged(tmp_path)
    put(store, card(card_key("jc", "reference_verdict", TEMPLATE), se=0.8, sp=0.9))
    score_store(store)
    found = one(store, metric="judge_accuracy_corrected")
    assert found["value"] == pytest.approx((40 / 60 + 0.9 - 1) / (0.8 + 0.9 - 1))
    assert found["low"] < found["value"] < found["high"]
    assert "rogan-gladen|card:" in found["signature"]
    assert not found["headline"]


def test_a_judge_no_better_than_chance_corrects_nothing(tmp_path: Path) -> None:
    store = judged(tmp_path)
    put(store, card(card_key("jc", "reference_verdict", TEMPLATE), se=0.6, sp=0.42, supported=False))
    score_store(store)
    found = one(store, metric="judge_accuracy_corrected")
    assert found["value"] is None
    assert "refused: sensitivity + specificity - 1 = 0.02 is not clearly above 0" in found["flags"]
