"""`raybench judge-check` through Ray with judges whose quality is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raybench.engine.judge_check import Asked, Checked, card_folder, check_judge
from raybench.errors import SpecError
from raybench.scoring.cards import find_card
from raybench.spec import JudgeSpec, build
from raybench.store import Store

pytestmark = pytest.mark.usefixtures("local_ray")


def spec(answer: str, **more: Any) -> JudgeSpec:
    entry = {"name": answer, "backend": "fake_judge", "answer": answer, **more}
    (judge,) = build({"judges": [entry]}, "test").judges
    return judge


def check(answer: str, folder: Path, items: int = 12, **more: Any) -> Checked:
    return check_judge(spec(answer, items=items, **more), Asked("phantom", items), str(folder))


def test_an_oracle_is_right_on_every_item_and_its_card_is_found(tmp_path: Path) -> None:
    found = check("oracle", tmp_path / "judge_cards" / "oracle")
    card = found.card
    assert found.unanswered == 0
    assert card["sensitivity"]["value"] == card["specificity"]["value"] == card["kappa"]["value"] == 1.0
    assert {entry["bare"]["value"] for entry in card["categories"].values()} == {1.0}
    assert all("items, 300 are needed" in reason for reason in card["reasons"]), "only the number of items is missing"
    assert card["repeat_flips"]["value"] == card["template_flips"]["value"] == 0.0
    assert [card["order_consistency"][name] for name in ("value", "n", "ties")] == [1.0, 21, 21]
    assert card["calibration"]["ece"] == pytest.approx(0.03, abs=0.02)
    assert card["cost"]["tokens_in"] == 100
    assert card["cost"]["verdicts_per_second"] > 0
    own = find_card(Store(str(tmp_path)), card["key"], "phantom")
    assert own is not None
    assert own.flags == ("unsupported",)
    page = (tmp_path / "judge_cards" / "oracle" / "judge_card.md").read_text("utf-8")
    assert "**not supported**" in page
    assert "Known failures" not in page


def test_items_can_be_read_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    first = check("correct", tmp_path, 6)
    lines = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == first.card["items"]
    assert {line["verdict"] for line in lines} == {"CORRECT"}
    assert all(line["as_deserved"] == (line["label"] == "CORRECT") for line in lines)
    assert first.card["order_consistency"]["value"] == 0.0, "always A is always the first answer"
    keys = [line for line in lines if line["category"] == "master_key"]
    assert {line["verdict_as_used"] for line in keys} >= {"NOT_ATTEMPTED"}, "rules catch what the bare judge passes"
    before = len(Store(str(tmp_path / "work")).query("SELECT key FROM raw_verdicts", (), ("verdicts",)))
    again = check("correct", tmp_path, 6)
    after = len(Store(str(tmp_path / "work")).query("SELECT key FROM raw_verdicts", (), ("verdicts",)))
    assert before == after
    assert again.card == first.card, "what was measured stays, pace included"


def test_an_unreadable_judge_has_null_verdicts_and_no_support(tmp_path: Path) -> None:
    card = check("garbage", tmp_path, 6).card
    assert card["null_rate"] == 1.0
    assert not card["supported"]
    assert card["sensitivity"]["value"] == card["specificity"]["value"] == 0.0
    assert "no verdict on 100.0% of the items, over 1%" in card["reasons"]
    assert card["calibration"] is None
    assert card["order_consistency"] is None


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["phantom", "medical"])
def test_only_the_oracle_is_supported(tmp_path: Path, suite: str) -> None:
    for answer, supported in (("oracle", True), ("correct", False), ("incorrect", False), ("coin", False)):
        judge = spec(answer, items=300, suite=suite)
        card = check_judge(judge, Asked(suite, 300), str(tmp_path / answer)).card
        assert card["supported"] is supported, card["reasons"]
        if answer != "oracle":
            assert card["kappa"]["value"] == pytest.approx(0.0, abs=0.06)


def test_where_a_card_goes(tmp_path: Path) -> None:
    assert card_folder(None, "j", "phantom") == "judge_cards/j-phantom"
    assert card_folder("cards/", "j", "phantom") == "cards"
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "a.parquet").touch()
    assert card_folder(str(tmp_path), "j", "phantom") == f"{tmp_path}/judge_cards/j-phantom"


def test_another_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="judge-check measures the protocol reference_verdict, not rubric5"):
        check_judge(spec("correct", protocol="rubric5"), Asked("phantom", 1), str(tmp_path))
