"""What a plan leaves in the folder: one prompt a cell, no retired rows, nothing from a dry run, restricted hosts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raybench.engine.importing import import_answers
from raybench.engine.plan import block_rows, check_hosts, list_samples, plan_chunk, plan_model, todo
from raybench.errors import DataError, PolicyError
from raybench.scoring import score_store
from raybench.spec import RunSpec, build
from raybench.store import Store

Make = Callable[..., Path]


def _answers(tmp_path: Path, rows: int, text: str = "yes") -> str:
    path = tmp_path / f"answers-{rows}-{text}.jsonl"
    path.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i in range(rows)), "utf-8")
    return str(path)


def _spec(tmp_path: Path, data: Path, answers: str, model: str = "m", **task: Any) -> RunSpec:
    return build({
        "output": str(tmp_path / "out"),
        "tasks": [{"task": "vqa", "data": str(data), **task}],
        "models": [{"name": model, "backend": "imported", "answers": answers}],
    })  # fmt: skip


def _headline(tmp_path: Path, model: str = "m") -> dict[str, Any]:
    rows = Store(str(tmp_path / "out")).query("SELECT * FROM scores WHERE headline AND kind = 'system'")
    (row,) = [row for row in rows if row["model"] == model]
    return row


def _plan(spec: RunSpec, run_id: str, commit: bool = True) -> dict[str, Any]:
    models = [plan_model(model) for model in spec.models]
    name, _, _ = list_samples(spec, 0, run_id)
    plan_chunk(spec, 0, models, run_id, name, 0)
    return todo(spec, models, run_id, commit)


@pytest.mark.parametrize(("rows", "replicas", "size"), [(100, 4, 3), (5, 4, 1), (10**6, 2, 1024), (2000, 2, 125)])
def test_blocks_suit_the_pool(rows: int, replicas: int, size: int) -> None:
    assert block_rows(rows, replicas) == size


def test_a_cell_holds_its_newest_prompt_only(tmp_path: Path, table: Make) -> None:
    data, prompts = table(40), tmp_path / "prompts.jsonl"
    answers = _answers(tmp_path, 40)
    prompts.write_text('{"id": "mine", "prompt": "{question}"}\n', "utf-8")
    import_answers(_spec(tmp_path, data, answers, prompts=str(prompts)))
    assert _headline(tmp_path)["n"] == 40
    prompts.write_text('{"id": "mine", "prompt": "Now: {question}"}\n', "utf-8")
    import_answers(_spec(tmp_path, data, answers, prompts=str(prompts), limit=10))
    assert _headline(tmp_path)["n"] == 10
    prompts.write_text('{"id": "mine", "prompt": "{question}"}\n', "utf-8")
    import_answers(_spec(tmp_path, data, answers, prompts=str(prompts)))
    assert _headline(tmp_path)["n"] == 40


def test_rows_removed_from_the_data_are_retired_by_a_whole_plan_only(tmp_path: Path, table: Make) -> None:
    data, answers = table(40), _answers(tmp_path, 40)
    import_answers(_spec(tmp_path, data, answers))
    lines = data.read_text("utf-8").splitlines(keepends=True)
    data.write_text("".join([lines[0], *(line for line in lines[1:] if ",yes" in line)]), "utf-8")
    import_answers(_spec(tmp_path, data, answers, limit=5))
    assert _headline(tmp_path)["n"] == 40
    import_answers(_spec(tmp_path, data, answers))
    assert (_headline(tmp_path)["n"], _headline(tmp_path)["value"]) == (20, 1.0)


def test_a_corrected_label_is_scored_again_and_an_old_answer_never_meets_a_new_question(
    tmp_path: Path, table: Make
) -> None:
    data, answers = table(10), _answers(tmp_path, 10)
    for model in ("m", "other"):
        import_answers(_spec(tmp_path, data, answers, model))
    assert _headline(tmp_path)["value"] == 0.5
    text = data.read_text("utf-8")
    data.write_text(text.replace("number 0 shown?,no", "number 0 shown?,yes"), "utf-8")
    import_answers(_spec(tmp_path, data, answers))
    score_store(Store(str(tmp_path / "out")), only_stale=True)
    assert _headline(tmp_path)["value"] == _headline(tmp_path, "other")["value"] == 0.6
    data.write_text(text.replace("Is questions number 2 shown?", "Is number 2 missing?"), "utf-8")
    import_answers(_spec(tmp_path, data, answers))
    score_store(Store(str(tmp_path / "out")))
    assert (_headline(tmp_path)["n"], _headline(tmp_path, "other")["n"]) == (10, 9)


def test_scores_are_made_again_only_where_something_changed(tmp_path: Path, table: Make) -> None:
    data = table(10)
    import_answers(_spec(tmp_path, data, _answers(tmp_path, 10)))
    store = Store(str(tmp_path / "out"))
    assert score_store(store, only_stale=True) == 0
    assert score_store(store) > 0
    assert score_store(store, only_stale=True) == 0
    import_answers(_spec(tmp_path, data, _answers(tmp_path, 10, "no")))
    assert _headline(tmp_path)["value"] == 0.5


def test_a_dry_plan_leaves_the_folder_as_it_is(tmp_path: Path, table: Make) -> None:
    data = table(6)
    spec = _spec(tmp_path, data, _answers(tmp_path, 6))
    assert _plan(spec, "dry", commit=False)["cells"][0]["missing"] == 6
    store = Store(spec.output)
    assert [store.parts(table) for table in ("samples", "units", "responses")] == [[], [], []]
    assert _plan(spec, "real")["cells"][0]["missing"] == 6
    assert len(store.query("SELECT * FROM units")) == 6


def test_units_never_asked_are_counted_and_not_failed(tmp_path: Path, table: Make) -> None:
    data, answers = table(10), _answers(tmp_path, 10)
    _plan(_spec(tmp_path, data, answers), "killed")
    import_answers(_spec(tmp_path, data, answers, limit=4))
    score = _headline(tmp_path)
    assert [score[name] for name in ("planned", "answered", "failed", "coverage", "n")] == [10, 4, 0, 0.4, 4]


def test_an_id_that_stands_twice_is_refused_whatever_the_task(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    entry = {"qid": 1, "image_name": "a.png", "question": "Is it?", "answer": "yes", "answer_type": "CLOSED"}
    (tmp_path / "testset.json").write_text(json.dumps([entry, entry]), "utf-8")
    models = [{"name": "m", "backend": "imported", "answers": "a.jsonl"}]
    spec = build(
        {"output": str(tmp_path / "o"), "tasks": [{"task": "vqa_rad", "data": str(tmp_path)}], "models": models}
    )
    with pytest.raises(DataError, match="id '1' stands twice"):
        list_samples(spec, 0, "r")


@pytest.mark.parametrize(
    ("url", "more", "refused"),
    [
        ("http://localhost:8000/v1", {}, False),
        ("http://127.0.0.2:8000/v1", {}, False),
        ("http://[::1]:8000/v1", {}, False),
        ("https://api.example.org/v1", {}, True),
        ("http://localhost.example.org/v1", {}, True),
        ("http://gpu7:8000/v1", {}, True),
        ("http://gpu7:8000/v1", {"local_hosts": ["gpu7"]}, False),
        ("https://api.example.org/v1", {"allow_remote": ["api.example.org"]}, False),
    ],
)
def test_restricted_data_go_to_local_hosts_only(url: str, more: dict[str, Any], refused: bool, table: Make) -> None:
    model = {"name": "m", "backend": "openai", "model": "x", "base_url": url}
    spec = build({"tasks": [{"task": "vqa", "data": str(table(2)), "restricted": True}], "models": [model], **more})
    if refused:
        with pytest.raises(PolicyError, match="restricted data and m is at"):
            check_hosts(spec, "vqa")
    else:
        check_hosts(spec, "vqa")
