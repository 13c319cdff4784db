"""Labelling: what is drawn, what raters see, what becomes of their ratings."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from raybench.cli.render import boards as render_boards
from raybench.engine.labelling import Labelling
from raybench.errors import DataError
from raybench.leaderboard import boards
from raybench.scoring import score_store
from raybench.scoring.labels import newest_draw
from raybench.store import Store
from tests.results import fill, judge, one, questions, scores

N = 80


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models on 80 questions whose answer is yes; the judge passes "Yes" and, wrongly, half of "perhaps"."""
    store, samples = Store(str(tmp_path)), questions(["yes"] * N)
    texts = {
        "good": [f"Yes, item {i}" if i % 4 else f"perhaps {i}" for i in range(N)],
        "poor": [f"Yes, item {i}" if i % 4 == 0 else f"nothing of the kind {i}" for i in range(N)],
    }
    fill(store, samples, {(model, "plain", 0): answers for model, answers in texts.items()})
    judge(store, {
        (sample.questions[0], "yes", text): called(text)
        for answers in texts.values() for sample, text in zip(samples, answers, strict=True)
    })  # fmt: skip
    score_store(store)
    return tmp_path


def called(answer: str) -> str:
    caught = answer.startswith("perhaps") and int(answer.split()[1]) % 8 == 0
    return "INCORRECT" if caught or answer.startswith("nothing") else "CORRECT"


def truth(answer: str) -> str:
    return "CORRECT" if answer.startswith("Yes") else "INCORRECT"


def test_every_answer_has_a_known_chance_to_be_drawn(folder: Path) -> None:
    draw = Labelling(str(folder), budget=40, seed=3).draw
    sizes = {(stratum.cell[3], stratum.verdict): stratum.population for stratum in draw.strata}
    assert sizes == {
        ("good", "called right"): 70, ("good", "called wrong"): 10,
        ("poor", "called right"): 20, ("poor", "called wrong"): 60,
    }  # fmt: skip
    assert sum(stratum.drawn for stratum in draw.strata) == 40
    for number, stratum in enumerate(draw.strata):
        own = [unit for unit in draw.units if unit.stratum == number]
        assert len(own) == stratum.drawn == round(stratum.inclusion * stratum.population)
    assert Labelling(str(folder)).draw == draw, "the sample stays until --fresh"
    again = Labelling(str(folder), seed=4, fresh=True).draw
    assert {stratum.drawn for stratum in again.strata} == {70, 10, 20, 60}, "139 of a class are more than there are"
    assert newest_draw(Store(str(folder))) == again


def test_raters_see_neither_model_nor_verdict(folder: Path) -> None:
    work = Labelling(str(folder), budget=20)
    path = folder / "rate.csv"
    count = work.export(str(path), None, False)
    text = path.read_text("utf-8")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert count == len(rows) == 20
    assert list(rows[0]) == ["id", "question", "reference", "answer", "images", "rating"]
    shown = text + "".join(answer.text() for answer in work.waiting("anna"))
    assert not any(word in shown for word in ("good", "poor", "CORRECT", "called", "vqa"))


def rated(folder: Path, raters: dict[str, int]) -> Labelling:
    """Rate the whole sample: each rater with the truth, but for the first k answers."""
    work = Labelling(str(folder), budget=60)
    for rater, wrong in raters.items():
        path = folder / f"{rater}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "rating"])
            for i, answer in enumerate(work.waiting(rater)):
                right = (truth(answer.answer) == "CORRECT") == (i >= wrong)
                writer.writerow([answer.id, "c" if right else "incorrect"])
        assert work.import_ratings(str(path), rater, False) == 60
    return work


def test_ratings_correct_the_judge(folder: Path) -> None:
    done = rated(folder, {"anna": 0, "ben": 0}).finish()
    assert done.raters == {"anna": 60, "ben": 60}
    assert done.between == 1.0
    assert done.disputed == 0
    store = Store(str(folder))
    stored = store.query(
        "SELECT DISTINCT judge, protocol, decided_by FROM verdicts WHERE judge LIKE 'human:%' ORDER BY 1"
    )
    assert [row["judge"] for row in stored] == ["human:anna", "human:ben"]
    # Judge-only, human-only, corrected: 87.5 % says the judge of the good model, 75 % are right.
    assert one(store, model="good", metric="judge_accuracy")["value"] == 0.875
    human, corrected = (
        one(store, model="good", metric=name) for name in ("human_accuracy", "judge_accuracy_corrected")
    )
    for found in (human, corrected):
        assert found["low"] <= 0.75 <= found["high"]
        assert found["value"] < 0.85
    assert "ppi++|labels:" in corrected["signature"]
    # The judge is never wrong about the other model, and people are as sure as it is.
    assert one(store, model="poor", metric="judge_kappa")["value"] == 1.0
    assert one(store, model="poor", metric="judge_accuracy_corrected")["value"] == pytest.approx(0.25)
    assert one(store, model="poor", metric="judge_sensitivity")["unit"] == "fraction"
    assert {row["judge"] for row in scores(store, metric="human_accuracy")} == {"human"}


def test_the_leaderboard_shows_all_three_side_by_side(folder: Path) -> None:
    rated(folder, {"anna": 0}).finish()
    text = render_boards(boards(Store(str(folder))), "table")
    header = next(line for line in text.splitlines() if line.startswith("model"))
    assert (
        header.index("judge j accuracy") < header.index("judge j accuracy_corrected") < header.index("human_accuracy")
    )
    assert "taken out with human labels of this run (PPI++)" in text
    (poor,) = [line for line in text.splitlines() if line.startswith("poor")]
    assert "25.0 [" in poor


def test_two_raters_who_differ_are_adjudicated(folder: Path) -> None:
    work = rated(folder, {"anna": 0, "ben": 5})
    done = work.finish()
    assert done.disputed == 5
    assert done.between is not None
    assert done.between < 1
    disputed = work.waiting("chief", adjudicate=True)
    assert len(disputed) == 5
    for answer in disputed:
        work.rate(answer, "chief", truth(answer.answer), adjudicate=True)
    assert work.finish().disputed == 0
    assert one(Store(str(folder)), model="poor", metric="judge_kappa")["value"] == 1.0


def test_half_rated_is_half_known(folder: Path) -> None:
    """Without a rating in some stratum nothing is corrected, and the score says so."""
    work = Labelling(str(folder), budget=60)
    draw = work.draw
    only = {unit.item for unit in draw.units if draw.strata[unit.stratum].verdict == "called wrong"}
    for answer in work.waiting("anna"):
        if answer.item in only:
            work.rate(answer, "anna", truth(answer.answer))
    work.finish()
    found = one(Store(str(folder)), model="poor", metric="judge_accuracy_corrected")
    assert found["value"] is None
    assert "refused: nothing is rated yet of: called right" in found["flags"]


def test_mistakes_in_a_ratings_file_are_one_sentence(folder: Path) -> None:
    work, path = Labelling(str(folder), budget=10), folder / "r.csv"
    known = work.waiting("a")[0].id
    for body, said in (
        ("id,rating\nzzz,c\n", "line 2: id 'zzz' is not in the sample draw-"),
        (f"id,rating\n{known},maybe\n", "rating 'maybe': allowed are c or CORRECT, i or INCORRECT"),
    ):
        path.write_text(body, encoding="utf-8")
        with pytest.raises(DataError, match=said):
            work.import_ratings(str(path), "a", False)
    path.write_text(f"id,rating\n{known},c\n", encoding="utf-8")
    with pytest.raises(DataError, match="no rater; give the column rater, or --rater ID"):
        work.import_ratings(str(path), None, False)
    with pytest.raises(DataError, match="no judge 'k' judged here"):
        Labelling(str(folder), judge="k", fresh=True)


def test_a_draw_is_a_file_that_anybody_can_read(folder: Path) -> None:
    draw = Labelling(str(folder), budget=10).draw
    document = json.loads((folder / "labels" / f"{draw.name}.json").read_text("utf-8"))
    assert document["seed"] == 0
    assert {"cell", "verdict", "population", "drawn", "rated"} == set(document["strata"][0])
