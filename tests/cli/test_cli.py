"""The command line as a user meets it: exit codes, one sentence for bad input, clean stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from raybench.cli import app, main

Make = Callable[..., Any]
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `raybench ARGS` in this process; return (exit code, stdout, stderr)."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raybench", *map(str, args)])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return int(code or 0), out, err

    return call


@pytest.fixture
def answers(tmp_path: Path) -> Callable[..., Path]:
    """A maker of answer files: rows as JSONL."""

    def make(*rows: dict[str, Any], name: str = "answers.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return path

    return make


def _refused(result: tuple[int, str, str], *words: str) -> None:
    """Exit 2 and one sentence that holds the words, without a traceback."""
    code, out, err = result
    assert code == 2, err
    sentences = [line for line in err.splitlines() if line.startswith("raybench: ")]
    assert len(sentences) == 1, err
    assert "Traceback" not in err
    assert out == ""
    for word in words:
        assert word in sentences[0], sentences[0]


def _import(cli: Cli, path: Path, data: Path, out: Path, *more: object) -> tuple[int, str, str]:
    return cli("import", path, "--task", "vqa", "--data", data, "--model", "m", "-o", out, *more)


def test_an_import_scores_and_ranks(cli: Cli, answers: Make, table: Make, tmp_path: Path) -> None:
    rows = [{"id": i, "prediction": "yes"} for i in range(10)]
    out = tmp_path / "out"
    code, stdout, _ = _import(cli, answers(*rows), table(10), out)
    assert (code, stdout) == (0, "")
    code, stdout, stderr = cli("leaderboard", out, "--format", "json")
    document = json.loads(stdout)
    assert (code, stderr, set(document)) == (0, "", {"schema_version", "scores"})
    found = {s["metric"]: s for s in document["scores"] if s["slice"] == "all" and s["kind"] == "system"}
    assert (found["overall_accuracy"]["value"], found["overall_accuracy"]["n"]) == (0.5, 10)
    for style in ("table", "markdown", "latex", "csv"):
        code, stdout, _ = cli("leaderboard", out, "--format", style)
        assert code == 0
        assert "majority" in stdout
    code, stdout, _ = cli("show", out, "--task", "vqa", "--model", "m", "--limit", "1")
    assert "Is questions number 0 shown?" in stdout
    assert cli("status", out)[0] == cli("compact", out)[0] == cli("score", out)[0] == 0


def test_two_imports_compare(cli: Cli, answers: Make, table: Make, tmp_path: Path) -> None:
    data, out = table(40), tmp_path / "out"
    truth = ["yes" if i % 2 else "no" for i in range(40)]
    good = answers(*[{"id": i, "text": truth[i]} for i in range(40)], name="good.jsonl")
    assert cli("import", good, "--task", "vqa", "--data", data, "--model", "good", "-o", out)[0] == 0
    assert _import(cli, answers(*[{"id": i, "text": "yes"} for i in range(40)]), data, out)[0] == 0
    code, stdout, _ = cli("compare", out, "good", "m", "--format", "json")
    assert code == 0
    headline = next(item for item in json.loads(stdout)["comparisons"] if item["headline"])
    assert (headline["difference"], headline["only_a"], headline["only_b"]) == (0.5, 20, 0)
    assert headline["low"] > 0
    _refused(cli("compare", out, "good", "n"), "no records of model 'n'", "good, m")


def test_missing_answers_are_failed_and_exit_1(cli: Cli, answers: Make, table: Make, tmp_path: Path) -> None:
    rows = [{"id": i, "prediction": "" if i == 0 else "yes"} for i in (0, 1, 2, 3, 99)]
    out = tmp_path / "out"
    code, _, stderr = _import(cli, answers(*rows), table(6), out)
    assert code == 1
    assert "1 id unknown (not in the task, left out), e.g. '99'" in stderr
    assert "2 ids missing (failed), e.g. '4'" in stderr
    document = json.loads(cli("leaderboard", out, "--format", "json")[1])
    score = next(s for s in document["scores"] if s["headline"] and s["kind"] == "system")
    assert [score[name] for name in ("planned", "answered", "refused", "failed", "n")] == [6, 3, 1, 2, 4]


@pytest.mark.parametrize(
    ("rows", "more", "words"),
    [
        ([], [], ["holds no rows"]),
        ([{"id": 1, "prediction": "a"}, {"id": 1, "prediction": "b"}], [], ["1 id stands more than once", "'1'"]),
        ([{"id": 1, "prediction": "a", "answer": "b"}], [], ["several columns", "prediction, answer", "--text-field"]),
        ([{"id": 1, "reply": "a"}], [], ["no column for an answer", "columns: id, reply"]),
        ([{"name": 1, "text": "a"}], [], ["no column for an id"]),
        ([{"id": 1, "text": "a"}], ["--text-field", "txet"], ["no column 'txet'", "did you mean 'text'"]),
        ([{"id": "x", "text": "a"}], [], ["none of its 1 ids", "'x'"]),
        ([{"id": 1, "text": "a"}], ["--boxes", "xyxy-norm"], ["reads no boxes"]),
    ],
)  # fmt: skip
def test_bad_answers_are_one_sentence(
    rows: list[dict[str, Any]], more: list[str], words: list[str], cli: Cli, answers: Make, table: Make, tmp_path: Path
) -> None:
    _refused(_import(cli, answers(*rows), table(6), tmp_path / "out", *more), *words)


def test_the_gold_beside_the_prediction_needs_a_word(cli: Cli, answers: Make, table: Make, tmp_path: Path) -> None:
    rows = [{"id": i, "prediction": "yes", "answer": "no"} for i in range(6)]
    out = tmp_path / "out"
    assert _import(cli, answers(*rows), table(6), out, "--text-field", "prediction")[0] == 0


def _spec(tmp_path: Path, **changes: Any) -> Path:
    model = {"name": "m", "backend": "faulty", "log": str(tmp_path / "log")}
    tasks = [{"task": "vqa", "data": "d.csv"}]
    document = {"output": str(tmp_path / "out"), "tasks": tasks, "models": [model], **changes}
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modles": []}, ["unknown key 'modles'", "did you mean 'models'"]),
        ({"models": [{"name": "m", "backend": "hf", "modle": "x"}]}, ["unknown key 'modle'", "did you mean 'model'"]),
        ({"tasks": ["vqa_rda"]}, ["unknown task 'vqa_rda'", "did you mean 'vqa_rad'"]),
        ({"tasks": [{"task": "vqa", "dta": "x"}]}, ["unknown key 'dta'", "did you mean 'data'"]),
        ({"models": [{"name": "m", "backend": "hff", "model": "x"}]}, ["unknown backend 'hff'"]),
        ({"models": ["lava-1.5-7b"]}, ["unknown model 'lava-1.5-7b'", "did you mean 'llava-1.5-7b'"]),
        ({"generation": {"temperature": -1}}, ["generation.temperature", "-1"]),
        ({"models": []}, ["at least one task and one model"]),
    ],
)
def test_a_bad_spec_is_one_sentence(changes: dict[str, Any], words: list[str], cli: Cli, tmp_path: Path) -> None:
    _refused(cli("run", _spec(tmp_path, **changes)), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run"], ["either SPEC.yaml or both --model and --task"]),
        (["run", "nowhere.yaml"], ["no spec file nowhere.yaml"]),
        (["leaderboard", "nowhere"], ["no result folder nowhere"]),
        (["judge", "nowhere", "--judge", "llama-3-8b"], ["no result folder ", "nowhere"]),
        (["run", "--model", "./nowhere", "--task", "vqa_rad"], ["no such folder"]),
        (["run", "--model", "faulty-model", "--task", "vqa_rad"], ["unknown model 'faulty-model'"]),
    ],
)
def test_bad_arguments_are_one_sentence(args: list[str], words: list[str], cli: Cli) -> None:
    _refused(cli(*args), *words)


@pytest.mark.usefixtures("local_ray")
class TestRun:
    """Verbs that need Ray."""

    def test_missing_data_say_how_to_get_them(self, cli: Cli, tmp_path: Path) -> None:
        spec = _spec(tmp_path, tasks=[{"task": "vqa_rad", "data": str(tmp_path / "nothing")}])
        _refused(cli("run", spec), "no VQA-RAD at", "osf.io/89kps")
        spec = _spec(tmp_path, tasks=[{"task": "vqa", "data": str(tmp_path / "nothing.csv")}])
        _refused(cli("run", spec), "no file", "nothing.csv")

    def test_a_model_that_is_not_there(self, cli: Cli, table: Make, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        model = {"name": "m", "backend": "hf", "model": str(tmp_path / "empty")}
        tasks = [{"task": "vqa", "data": str(table(3))}]
        _refused(cli("run", _spec(tmp_path, tasks=tasks, models=[model])), "has no config.json")

    def test_a_run_reports_and_exits(self, cli: Cli, table: Make, tmp_path: Path) -> None:
        tasks = [{"task": "vqa", "data": str(table(6))}]
        log = str(tmp_path / "log")
        broken = _spec(tmp_path, tasks=tasks, models=[{"name": "m", "backend": "faulty", "log": log, "fail_on": ["2"]}])
        code, stdout, stderr = cli("run", broken)
        assert (code, stdout) == (1, "")
        assert "incomplete: m on vqa (short): 1 of 6 rows failed (http_500)" in stderr
        code, _, stderr = cli("run", _spec(tmp_path, tasks=tasks))
        assert code == 0
        assert "1 answered and 0 judged by this run" in stderr
        code, _, stderr = cli("run", _spec(tmp_path, tasks=tasks), "--dry-run")
        assert (code, "6 rows, 6 stored, 0 to answer" in stderr) == (0, True)


def test_boxes_says_what_each_convention_would_read(cli: Cli, answers: Make, tmp_path: Path) -> None:
    Image.new("L", (100, 50)).save(tmp_path / "a.png")
    box = {"bbox": [10, 10, 40, 40], "label": "nodule"}
    data = answers({"id": 1, "image": "a.png", "boxes": [box]}, name="boxes.jsonl")
    given = answers({"id": 1, "text": json.dumps([{"bbox_2d": [0.1, 0.2, 0.4, 0.8], "label": "nodule"}])})
    out = tmp_path / "out"
    code, _, stderr = cli("import", given, "--task", "detection", "--data", data, "--model", "m", "-o", out)
    assert code == 0, stderr
    code, stdout, _ = cli("boxes", out, "--task", "detection", "--model", "m")
    assert code == 0
    declared = next(line for line in stdout.splitlines() if "(declared)" in line)
    assert declared.split() == ["xyxy-norm", "(declared)", "1", "1", "100.0", "100.0"]
    assert "scoring never chooses a reading by the truth" in stdout
    assert "tie_range" in cli("status", out, "--facts")[1]
    _refused(cli("boxes", out, "--task", "detection", "--model", "n"), "no answers of detection / n")


def test_every_command_has_help(cli: Cli) -> None:
    names = [command.name for command in app.registered_commands]
    spine = "run import judge score leaderboard compare show status compact list doctor"
    assert set(spine.split()) <= set(names)
    for name in names:
        code, stdout, _ = cli(name, "--help")
        assert (code, "Usage" in stdout) == (0, True)


@pytest.mark.parametrize("kind", ["tasks", "models", "judges", "metrics"])
def test_list_names_every_plugin_with_a_line(kind: str, cli: Cli) -> None:
    from raybench import registry

    code, stdout, _ = cli("list", kind)
    assert code == 0
    for name in registry.names(kind):
        shown = getattr(registry.load(kind, name), "name", name) if kind == "metrics" else name
        line = next(line for line in stdout.splitlines() if line.split()[:1] == [shown])
        assert len(line.split()) > 2


def test_doctor_names_no_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    code, stdout, stderr = cli("doctor")
    assert (code, "HF_TOKEN" in stdout, "verysecret" in stdout + stderr) == (0, True, False)


def test_starting_the_command_line_imports_nothing_heavy() -> None:
    script = (
        "import sys, raybench.cli; "
        "print([n for n in ('torch', 'ray', 'transformers', 'pandas', 'duckdb', 'pydantic') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "[]"
