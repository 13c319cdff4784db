"""Boxes from stored answers: the declared convention, what others would read, and people as a reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raybench.cli import render
from raybench.errors import SpecError, StoreError
from raybench.leaderboard import boards
from raybench.schema import Box, Sample, canonical_json
from raybench.scoring import box_convention, box_readings, score_store
from raybench.store import Store
from raybench.tasks.cxr_grounding import CxrGrounding, CxrGroundingOptions
from tests.results import fill, one, scores
from tests.tasks import layouts


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "results"))


@pytest.mark.parametrize(
    ("model", "convention"),
    [
        ({}, ""),
        ({"boxes": "llava-pad", "max_pixels": 1000}, "llava-pad"),
        ({"boxes": "qwen2.5-vl"}, "qwen2.5-vl"),
        ({"boxes": "qwen2.5-vl", "max_pixels": None}, "qwen2.5-vl"),
        ({"boxes": "qwen2.5-vl", "max_pixels": 1003520}, "qwen2.5-vl:max_pixels=1003520"),
        ({"boxes": "qwen2.5-vl", "min_pixels": 50176, "max_pixels": 1003520},
         "qwen2.5-vl:min_pixels=50176,max_pixels=1003520"),
        ({"boxes": "qwen2.5-vl:max_pixels=100352", "max_pixels": 1003520}, "qwen2.5-vl:max_pixels=100352"),
    ],
)  # fmt: skip
def test_a_models_pixel_limits_are_part_of_its_convention(model, convention):
    assert box_convention(model) == convention


def test_an_unknown_convention_is_one_sentence():
    with pytest.raises(SpecError, match=r"did you mean 'qwen2.5-vl'"):
        box_convention({"boxes": "qwen2.5-v"})


def test_boxes_are_read_under_the_limits_that_the_model_ran_with(store):
    """2000 x 2000 px under 1003520 pixels is a 980 x 980 input (transformers' smart_resize)."""
    sample = Sample("s", "d", "test", ("Where?",), ("nodule",), choices=("nodule",), cluster="c",
                    boxes=(Box(0.5, 0.5, 1.0, 1.0, "nodule"),))  # fmt: skip
    text = '[{"bbox_2d": [490, 490, 980, 980], "label": "nodule"}]'
    task = {"task": "detection", "data": "unused.jsonl"}
    fill(store, [sample], {("m", "native", 0): [text]}, task)
    row = {**sample.to_row("detection", 0), "image_sizes": "[[2000,2000]]"}
    store.write("samples", [row])
    cells = canonical_json(store.query("SELECT DISTINCT task, dataset, split, model, config, variant, images, 0 AS"
                                       " task_index FROM units"))  # fmt: skip
    model = {"name": "m", "backend": "hf", "boxes": "qwen2.5-vl", "max_pixels": 1003520}
    spec = canonical_json({"tasks": [task], "models": [model]})
    store.write("runs", [{"run_id": "r2", "status": "running", "spec": spec, "cells": cells}])
    score_store(store)
    assert one(store, profile="detection", metric="mean_iou")["value"] == pytest.approx(1.0)
    found = {row["reading"]: row for row in box_readings(store, "detection", "m")}
    declared = found["qwen2.5-vl:max_pixels=1003520"]
    assert next(iter(found)) == declared["reading"]
    assert (declared["declared"], declared["mean_iou"], declared["in_range"]) == (True, pytest.approx(1.0), 1.0)
    assert found["norm1000-json"]["mean_iou"] == pytest.approx(0.48**2 / (0.49**2 + 0.5**2 - 0.48**2))
    assert (found["xyxy-norm"]["boxes"], found["xyxy-norm"]["in_range"]) == (0, 0.0)
    assert sum(row["declared"] for row in found.values()) == 1


def test_readings_need_answers_and_boxes(store):
    fill(store, [Sample("s", "d", "test", ("q",), ("yes",))], {("m", "short", 0): ["yes"]})
    with pytest.raises(StoreError, match=r"no answers of vqa / n \(did you mean 'vqa / m'\?\); it has: vqa / m"):
        box_readings(store, "vqa", "n")
    with pytest.raises(StoreError, match="task vqa reads no boxes"):
        box_readings(store, "vqa", "m")


# --- readers ---------------------------------------------------------------------------------------------------------


def vindr(tmp_path, **options):
    data = str(layouts.vindr_kaggle(tmp_path / "vindr"))
    found = CxrGrounding(CxrGroundingOptions(data=data, **options)).samples()
    return {"task": "cxr_grounding", "data": data, **options}, [replace(sample, split="test") for sample in found]


def test_each_reader_stands_beside_the_models_on_the_images_read(store, tmp_path):
    task, samples = vindr(tmp_path, readers="consensus")
    fill(store, samples, {("m", "native", 0): ["none"] * 3}, task)
    score_store(store)
    head = {row["model"]: row for row in scores(store, kind="baseline", metric="f1_50", slice="all")}
    readers = {f"reader {name} (human)" for name in ("R1", "R2", "R3", "R8")}
    assert {name for name in head if name.startswith("reader")} == readers, "R9 and R10: nothing drawn, nothing true"
    first = head["reader R1 (human)"]
    # i2's truth is one heart. R1 drew it (IoU 0.905); R2 drew it and a nodule that is no consensus.
    assert (first["value"], first["n"], first["planned"], first["coverage"]) == (1.0, 2, 3, pytest.approx(2 / 3))
    assert head["reader R2 (human)"]["value"] == pytest.approx(2 / 3)
    assert {"partial", "human"} <= set(first["flags"])
    assert first["sample_set"] == one(store, metric="f1_50", model="m")["sample_set"]
    assert f"set:{first['sample_set']}" not in first["signature"]
    (board,) = boards(store)
    assert readers < {line.model for line in board.lines if line.kind == "baseline"}
    assert "human: a reader's own boxes" in render.boards([board], "table")


def test_one_readers_truth_and_single_readings_have_no_readers(tmp_path):
    assert all("readers" not in sample.context for sample in vindr(tmp_path, readers="R1")[1])
    plain = CxrGrounding(CxrGroundingOptions(data=str(layouts.nih(tmp_path / "nih"))))
    assert all("readers" not in sample.context for sample in plain.samples())


def test_a_parser_is_not_shown_the_readers(tmp_path, monkeypatch):
    from raybench.scoring import read_answer

    task, samples = vindr(tmp_path)
    seen = []
    monkeypatch.setattr(CxrGrounding, "parse", lambda _self, sample, _text: seen.append(sample))
    row = samples[1].to_row("cxr_grounding", 1)
    assert "readers" in row["context"]
    read_answer(CxrGrounding(CxrGroundingOptions(data=task["data"])), row, "none")
    assert seen[0]["context"] == "{}"
