"""Published numbers: every system of both studies, its flags, and where it stands beside ours."""

import csv
import dataclasses
import json
from importlib.resources import files

import pytest

from raybench.cli import render
from raybench.leaderboard import boards, score_rows
from raybench.leaderboard.boards import reported_rows
from raybench.schema import Score
from raybench.scoring import score_store
from raybench.store import Store
from tests.results import fill, questions

TASKS = ("vqa_rad", "slake", "path_vqa")

#: Second study, Table 4 (a): percent; "Ref" is open_accuracy over a closed vocabulary.
TABLE = {
    "LLaVA": {"vqa_rad": (50.00, 65.07), "slake": (78.18, 63.22), "path_vqa": (7.74, 63.20)},
    "LLaVA-Med (from LLaVA)": {"vqa_rad": (61.52, 84.19), "slake": (83.08, 85.34), "path_vqa": (37.95, 91.21)},
    "LLaVA-Med (from Vicuna)": {"vqa_rad": (64.39, 81.98), "slake": (84.71, 83.17), "path_vqa": (38.87, 91.65)},
    "LLaVA-Med (BioMedCLIP)": {"vqa_rad": (64.75, 83.09), "slake": (87.11, 86.78), "path_vqa": (39.60, 91.09)},
    "VL Encoder-Decoder": {"vqa_rad": (71.49, 82.47), "path_vqa": (71.49, 85.61)},
    "Q2ATransformer": {"vqa_rad": (79.19, 81.20), "path_vqa": (54.85, 88.85)},
    "Prefix T. Medical LM": {"slake": (84.30, 82.01), "path_vqa": (40.00, 87.00)},
    "PubMedCLIP": {"vqa_rad": (60.10, 80.00), "slake": (78.40, 82.50)},
    "BiomedCLIP": {"vqa_rad": (67.60, 79.80), "slake": (82.05, 89.70)},
    "M2I2": {"vqa_rad": (66.50, 83.50), "slake": (74.70, 91.10), "path_vqa": (36.30, 88.00)},
}


@pytest.fixture(scope="module")
def rows():
    text = files("raybench.leaderboard").joinpath("reported.csv").read_text("utf-8")
    return reported_rows({row["task_id"] for row in csv.DictReader(text.splitlines())})


def of(rows, model, **fields):
    return [row for row in rows if row["model"] == model and all(row[key] == value for key, value in fields.items())]


@pytest.mark.parametrize("model", TABLE)
def test_the_second_studys_table(rows, model):
    for task in TASKS:
        here = [row for row in of(rows, model, task=task) if "Table 4" in row["signature"]]
        found = {row["metric"].split("_")[0]: round(100 * row["value"], 2) for row in here}
        expected = TABLE[model].get(task)
        assert found == ({} if expected is None else dict(zip(("open", "closed"), expected, strict=True)))
        kinds = {row["profile"] for row in here if row["metric"].startswith("open")}
        ours = model.startswith("LLaVA")
        assert kinds <= {"llava-med-v1-batch" if ours else "closed-vocabulary"}


def test_the_first_study(rows):
    def number(model, task, metric):
        (row,) = [row for row in of(rows, model, task=task, metric=metric) if "first study" in row["signature"]]
        return row

    llama, llava = "Llama 3.2 Vision 11B", "LLaVA"
    assert [number(llama, "cxr_classification", metric)["value"] for metric in ("accuracy", "f1")] == [0.24, 0.387]
    assert [number(llava, "cxr_classification", metric)["value"] for metric in ("accuracy", "f1")] == [0.64, 0.18]
    assert [number(llama, task, "judge_accuracy")["value"] for task in ("mri_description", "mri_diagnosis")] == [
        3 / 25, 11 / 25,
    ]  # fmt: skip
    assert number(llava, "mri_description", "bleu_1")["value"] == 0.2247
    assert number(llava, "mri_detection", "map")["value"] == 0.01
    refused = number(llama, "cxr_grounding", "map")
    assert (refused["value"], refused["flags"]) == (None, ["refusal"])
    assert number(llama, "cxr_classification", "accuracy")["flags"] == ["degenerate", "n_inferred"]
    assert number(llama, "cxr_classification", "accuracy")["n"] == 25


def test_systems_without_a_number_say_so(rows):
    (alpaca,) = of(rows, "Visual Med-Alpaca")
    assert (alpaca["value"], alpaca["flags"], alpaca["slice"]) == (None, ["no_published_number"], "all")
    assert reported_rows({"slake"})[-1] == alpaca
    (captions,) = of(rows, "GPT-4 (text only, sees caption)")
    assert (captions["value"], captions["flags"]) == (1.0, ["upper_bound"])


def test_every_row_is_a_whole_score_with_a_source(rows):
    fields = {field.name for field in dataclasses.fields(Score)}
    assert all(set(row) == fields and row["kind"] == "reported" for row in rows)
    assert all(row["value"] is None or 0 <= row["value"] <= 1 for row in rows)
    assert all(row["value"] is not None or row["flags"] for row in rows)
    assert all(len(row["signature"].split("|")[1]) > 5 for row in rows)
    assert {row["task"] for row in reported_rows({"vqa_rad"})} == {"vqa_rad", ""}


def test_what_was_trained_beside_the_test_set_carries_the_flag(rows):
    leaked = {row["model"] for row in rows if "train_leak" in row["flags"]}
    assert leaked >= {
        "LLaVA-Med (from LLaVA)",
        "LLaVA-Med (from Vicuna)",
        "LLaVA-Med (BioMedCLIP)",
        "M2I2",
        "MUMC (re-run)",
    }
    assert {row["task"] for row in rows if "train_leak" in row["flags"]} == {"vqa_rad"}


@pytest.fixture(scope="module", params=["vqa_rad-osf", "vqa_rad-hf"])
def store(request, tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("reported") / "r"))
    asked = questions(["yes", "right lung"], slices=[{"answer_type": kind} for kind in ("closed", "open")])
    samples = [dataclasses.replace(sample, dataset=request.param) for sample in asked]
    fill(store, samples, {("m", "short", 0): ["yes", "lung"]}, {"task": "vqa_rad"})
    score_store(store)
    return store


def test_beside_ours(store):
    (board,) = boards(store, reported=True)
    lines = {line.model: line for line in board.lines if line.kind == "reported"}
    assert set(lines) == {row["model"] for row in reported_rows({"vqa_rad"})}
    assert all(line.ranks is None for line in lines.values())
    column = ("llava-med-v1-batch", "open_recall")
    system = next(line for line in board.lines if line.kind == "system")
    assert system.scores[column]["value"] == 0.5
    assert lines["LLaVA-Med (from LLaVA)"].scores[column]["value"] == 0.6152
    assert (column in board.columns) == (board.dataset == "vqa_rad-osf"), "in one column only on the same data"
    assert not any(column in board.columns for board in boards(store))


def test_as_text(store):
    found = boards(store, reported=True)
    text = render.boards(found, "table").splitlines()
    same = found[0].dataset == "vqa_rad-osf"
    where = "" if same else ", on vqa_rad-osf"
    (line,) = [line for line in text if line.startswith("LLaVA-Med (from LLaVA)")]
    assert f"LLaVA-Med (from LLaVA) (reported{where}, fine-tuned, train_leak)" in line
    assert "84.2 closed_accuracy" in line, "its profile is not stated: in no column of ours"
    assert ("61.5 open_recall (llava-med-v1-batch)" in line) != same
    (line,) = [line for line in text if line.startswith("Visual Med-Alpaca")]
    assert "(reported, no_published_number)" in line
    assert "no number" in line
    assert any(line.startswith("reported: published by others") for line in text)


def test_a_censored_number():
    row = next(row for row in reported_rows({"cxr_grounding"}) if "censored" in row["flags"])
    assert (row["model"], row["value"]) == ("LLaVA", 0.001)
    assert render._published(row) == "<0.1"


def test_as_json(store):
    document = json.loads(render.scores_json(score_rows(store, reported=True)))
    rows = [row for row in document["scores"] if row["kind"] == "reported"]
    assert len(rows) == len(reported_rows({"vqa_rad"})) > 45
    assert not any(row["kind"] == "reported" for row in score_rows(store))
