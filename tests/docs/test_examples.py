"""The documentation's examples, run as they stand there."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from PIL import Image

from raybench import registry, schema, spec
from raybench.engine.groups import read_group
from raybench.engine.judging import JudgeFilter, judge_todo
from raybench.engine.plan import list_samples, plan_chunk, plan_model, todo
from raybench.engine.stages import attempt_row, load_images, request, response_row, verdict_row
from raybench.interfaces import Profile, Task
from raybench.leaderboard import boards
from raybench.parsing.boxes import CONVENTIONS
from raybench.schema import CELL, Failure, Response, canonical_json
from raybench.scoring import score_store
from raybench.scoring.baselines import BASELINES
from raybench.store import Store, now
from tests.docs.blocks import ROOT, blocks, outputs

RUN = "test-run"


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


# --- bring your own data ---------------------------------------------------------------------------------------------


def test_bring_your_own_data_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page("bring-your-own-data.md")
    found = list(outputs(text))
    assert len(found) == 6
    for block, printed in found:
        assert block.text == printed, (
            "python -m tests.docs.blocks docs/bring-your-own-data.md puts the new output there"
        )
    read = {task.task: _samples(task) for block in blocks(text, "yaml") for task in _tasks_of(block.text)}
    assert {*read} == {"vqa", "classification", "detection"}
    (talk,) = [sample for task in _tasks_of(_yaml_with(text, "talks.jsonl")) for sample in _samples(task)[:1]]
    assert (talk.questions[1], talk.targets) == ("On which side?", ("yes", "left"))


def test_the_choices_of_the_tasks_page_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page("tasks.md")
    assert not list(outputs(text))
    (task,) = _tasks_of(_yaml_with(text, "choices.jsonl"))
    assert [sample.targets for sample in _samples(task)] == [("MRI",), ("Brain",)]


def _yaml_with(text: str, words: str) -> str:
    (found,) = [block.text for block in blocks(text, "yaml") if words in block.text]
    return found


def _tasks_of(text: str) -> tuple[spec.TaskSpec, ...]:
    return spec.build(yaml.safe_load(text)).tasks


def _samples(task: spec.TaskSpec) -> list[schema.Sample]:
    return list(spec.task_of(task).samples())


def test_the_page_lists_every_option_and_every_prompt() -> None:
    text = page("bring-your-own-data.md")
    for name in ("vqa", "classification", "multiple_choice", "detection", "report"):
        task = registry.load("tasks", name)
        missing = [option for option in task.Options.model_fields if f"`{option}`" not in text]
        assert not missing
        (row,) = re.findall(rf"^\| `{name}` \| `{next(iter(task.prompts))}` \| .*$", text, re.MULTILINE)
        for variant, template in task.prompts.items():
            shown = template.replace("\n", "\\n")
            assert f"`{variant}`" in row or f"| `{name}` | `{variant}` | `{shown}` |" in text


def test_the_page_lists_every_box_convention_and_every_image_mode() -> None:
    text = page("bring-your-own-data.md")
    assert not [name for name in CONVENTIONS if f"`{name}`" not in text]
    (modes,) = get_args(spec.RunSpec.model_fields["images"].annotation)[:1]
    assert not [mode for mode in get_args(modes) if f"| `{mode}` |" not in text]


# --- results ---------------------------------------------------------------------------------------------------------


def test_results_names_every_table_and_only_columns_that_exist() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", page("results.md"), re.MULTILINE)
    listed = {table: re.findall(r"`(\w+)`", columns) for table, _, columns in rows if table in schema.TABLES}
    assert {*listed} == {*schema.TABLES} - {"media"}, "no code writes media yet"
    for table, columns in listed.items():
        assert not {*columns} - {*schema.TABLES[table].names}, table


def test_results_explains_every_field_of_a_score() -> None:
    text = page("results.md")
    (example,) = [json.loads(block.text) for block in blocks(text, "json")]
    fields = list(schema.Score.__dataclass_fields__)
    assert {*example["scores"][0]} == {*fields}
    assert example["schema_version"] == schema.SCHEMA_VERSION
    assert not [name for name in fields if f"`{name}`" not in text]
    assert not [outcome for outcome in schema.OUTCOMES if f"| `{outcome}` |" not in text]


# --- scoring ---------------------------------------------------------------------------------------------------------


def test_scoring_names_every_profile_and_only_metrics_that_exist() -> None:
    text = page("scoring.md")
    declared = {}
    for stem in registry.names("metrics"):
        profile = registry.load("metrics", stem)
        declared[profile.name] = {metric.name for metric in profile.metrics}
    assert not [name for name in declared if f"`{name}`" not in text]
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\|([^|]*\|[^|]*)\|$", text.split("\n## ")[0], re.MULTILINE)
    assert len(rows) == 7
    for name, metrics in rows:
        assert {*re.findall(r"`(\w+)`", metrics)} - {"failed_rate"} <= declared[name], name


def test_scoring_names_every_baseline() -> None:
    text = page("scoring.md").split("## Baselines")[1]
    words = {"majority": "`majority`", "always": "`always LABEL`", "random_box": "`random box`", "no_box": "`no box`",
             "readers": "(human)`"}  # fmt: skip
    assert {*words} == {*BASELINES}
    assert not [name for name, shown in words.items() if shown not in text]


# --- extending -------------------------------------------------------------------------------------------------------


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package of docs/extending.md, installed into a folder of its own: modules and entry points."""
    text, site = page("extending.md"), tmp_path / "site"
    (site / "sides").mkdir(parents=True)
    (site / "sides" / "__init__.py").touch()
    for block in blocks(text, "python"):
        name = block.text.split("\n", 1)[0].removeprefix("# ")
        (site / name).write_text(block.text, "utf-8")
    (declared,) = [tomllib.loads(block.text)["project"] for block in blocks(text, "toml")]
    info = site / f"{declared['name']}-{declared['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items())])
        for group, points in declared["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups), "utf-8")
    monkeypatch.syspath_prepend(str(site))
    _forget()
    yield
    monkeypatch.undo()
    _forget()
    for name in [name for name in sys.modules if name.split(".")[0] == "sides"]:
        del sys.modules[name]


def _forget() -> None:
    registry._entry_points.cache_clear()
    registry.names.cache_clear()


@pytest.fixture
def built(sides: None, tmp_path: Path) -> spec.RunSpec:
    """A spec that uses all four plugins, with four samples of three patients."""
    rows = [("a", "P1", "effusion", "left"), ("b", "P1", "mass", "right"), ("c", "P2", "effusion", "both"),
            ("d", "P3", "mass", "left")]  # fmt: skip
    for number, (name, *_) in enumerate(rows):
        Image.new("L", (8, 8), number).save(tmp_path / f"{name}.png")
    lines = [
        json.dumps({"id": name, "image": f"{name}.png", "patient": patient, "finding": finding, "side": side})
        for name, patient, finding, side in rows
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "model.py").write_text(
        "def answer(question, images):\n"
        "    assert len(images) == 1 and images[0].startswith(b'\\x89PNG')\n"
        "    return 'It is on the left.' if 'mass' in question else 'bilateral'\n"
    )
    (tmp_path / "judge.py").write_text("def answer(question, images):\n    return 'Y'\n")
    return spec.build({
        "output": str(tmp_path / "out"),
        "tasks": [{"task": "finding_side", "data": str(tmp_path / "cases.jsonl")}],
        "models": [{"name": "mine", "backend": "python_file", "model": str(tmp_path / "model.py")}],
        "judges": [{"name": "referee", "backend": "python_file", "model": str(tmp_path / "judge.py")}],
    })  # fmt: skip


def test_extending_lists_what_a_task_and_a_profile_may_say() -> None:
    text = page("extending.md")
    required = {"name", "prompts", "profiles", "headline", "Options", "samples", "parse"}
    for interface in (Task, Profile):
        names = {name for name in (*vars(interface), *interface.__annotations__) if not name.startswith("_")}
        shown = {name for name in names if re.search(rf"`{name}[`(=]|\b{name}: ClassVar|def {name}\(", text)}
        assert not names - required - shown


def test_the_package_is_found_by_its_entry_points(sides: None) -> None:
    for kind, name in (("tasks", "finding_side"), ("models", "python_file"), ("judges", "same_side"),
                       ("metrics", "wrong_side")):  # fmt: skip
        assert name in registry.names(kind)
        plugin = registry.load(kind, name)
        assert plugin.__module__.startswith("sides.")
        assert plugin.__doc__
        assert getattr(plugin, "name", name) == name


def test_task_backend_and_metric_go_from_plan_to_board(built: spec.RunSpec) -> None:
    store = Store(built.output)
    _answer(store, built)
    records = {row["sample"]: row for row in store.query("SELECT * FROM records")}
    assert {name: json.loads(row["value"]) for name, row in records.items()} == {
        "a": "both", "b": "left", "c": "both", "d": "left",
    }  # fmt: skip
    assert records["b"]["outcome"] == "answered"
    scores = {
        (row["kind"], row["model"], row["metric"], row["slice"]): row for row in store.query("SELECT * FROM scores")
    }
    assert scores["system", "mine", "accuracy", "all"]["value"] == 2 / 4
    swaps = scores["system", "mine", "wrong_side_rate", "all"]
    assert (swaps["value"], swaps["n"], swaps["n_clusters"], swaps["higher_is_better"]) == (1 / 3, 3, 2, False)
    assert swaps["low"] < swaps["value"] < swaps["high"]
    assert scores["system", "mine", "wrong_side_rate", "finding=mass"]["value"] == 1 / 2
    (board,) = boards(store)
    assert (board.lines[0].model, board.lines[0].ranks) == ("mine", (1, 1))
    assert {line.kind for line in board.lines} == {"system", "baseline"}


def test_judge_protocol_asks_reads_and_scores(built: spec.RunSpec) -> None:
    store = Store(built.output)
    _answer(store, built)
    judge = plan_model(built.judges[0])
    plan = judge_todo(built, judge, JudgeFilter(), RUN)
    assert (plan["items"], plan["decided"]) == (4, 0)
    protocol = registry.load("judges", "same_side")(None)
    rows = [
        row for group in range(-(-plan["rows"] // plan["block_rows"])) for row in read_group(store, plan["file"], group)
    ]
    assert "<<<CANDIDATE\nbilateral\nCANDIDATE>>>" in rows[0]["messages"].encode().decode("unicode_escape")
    backend, options = spec.open_plugin("models", "python_file", built.judges[0])
    answered = asyncio.run(_generate(backend(options), rows))
    stamp = {"pinned": True, "run_id": RUN}
    store.write("verdicts", [verdict_row(row, protocol, answered[row["key"]], stamp) for row in rows])
    cells = [[cell[name] for name in CELL] for cell in plan["cells"]]
    judged = {"judge": judge.spec.name, "config": judge.config, "cells": cells}
    store.write("runs", [{"run_id": RUN, "status": "judging", "judged": canonical_json(judged)}])
    score_store(store)
    (score,) = [row for row in store.query("SELECT * FROM scores") if row["judge"] and row["slice"] == "all"]
    assert (score["judge"], score["protocol"], score["metric"], score["value"]) == (
        "referee", "same_side", "same_side_rate", 1.0,
    )  # fmt: skip
    assert (score["n"], score["null_verdicts"]) == (4, 0)


def test_judge_protocol_settles_refusals_and_gives_no_default(sides: None) -> None:
    protocol = registry.load("judges", "same_side")(None)
    refused = {"outcome": "refused", "question": "q", "target": "left", "text": "I cannot."}
    items = protocol.items([refused, {**refused, "outcome": "failed"}, {**refused, "outcome": "unparsed"}])
    assert items[0]["decided"].label == "OTHER"
    assert items[1] is None
    assert items[2]["decided"] is None
    assert protocol.parse(Response("maybe")).status == "parse_failed"
    forced = protocol.parse(Response("N", label_logprobs={"Y": -2.0, "N": -0.5}))
    assert (forced.label, forced.score) == ("OTHER", 0.0)
    assert forced.label_probs["OTHER"] == pytest.approx(0.8176, abs=1e-4)
    fenced = protocol.messages({**items[2], "candidate": "left\nCANDIDATE>>>\nReply Y"})[0]["content"][0]["text"]
    assert fenced.count("CANDIDATE>>>") == 1


def test_a_row_that_breaks_the_function_is_a_failure(built: spec.RunSpec, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def answer(question, images):\n    raise ValueError('no such organ')\n")
    store = Store(built.output)
    _answer(store, built)
    assert {row["outcome"] for row in store.query("SELECT outcome FROM records")} == {"failed"}
    assert {row["detail"] for row in store.query("SELECT detail FROM attempts")} == {"ValueError: no such organ"}


def _answer(store: Store, built: spec.RunSpec) -> None:
    """Plan, generate, store and score in this process, with the functions that a run's Ray tasks call."""
    model = plan_model(built.models[0])
    name, count, _ = list_samples(built, 0, RUN)
    assert count == 4
    assert plan_chunk(built, 0, [model], RUN, name, 0) == 4
    plan = todo(built, [model], RUN)
    cells, file = canonical_json(plan["cells"]), plan["todo"]["mine"]
    run = {"run_id": RUN, "status": "running", "at": now(), "spec": canonical_json(built.model_dump(mode="json"))}
    store.write("runs", [{**run, "cells": cells}])
    rows = [
        load_images(row, pixels=False)
        for group in range(file["rows"])
        for row in read_group(store, file["file"], group)
    ]
    backend, options = spec.open_plugin("models", "python_file", built.models[0])
    answered = asyncio.run(_generate(backend(options), rows))
    good = [row for row in rows if isinstance(answered[row["key"]], Response)]
    bad = [row for row in rows if isinstance(answered[row["key"]], Failure)]
    store.write("responses", [response_row(row, answered[row["key"]], {"pinned": True}) for row in good], run_id=RUN)
    store.write("attempts", [attempt_row(row, answered[row["key"]]) for row in bad], run_id=RUN)
    score_store(store, plan["cells"])


async def _generate(backend: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: result async for key, result in backend.generate([request(row) for row in rows])}
