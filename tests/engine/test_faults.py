"""Faults at random places, one seed of each here and twenty in `make test-slow`; docs/faults.md is the table.

Whatever happens, at the end there are exactly N rows, none of them twice; no failed row has been scored; the scores
are those of the undisturbed run; what was sent again stays within the bounds; and the exit code said what was missing.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import raybench
from raybench.engine import run as engine_run
from raybench.engine.run import RunResult
from raybench.errors import RaybenchError
from raybench.spec import build
from tests.servers import FakeOpenAI

pytestmark = pytest.mark.usefixtures("local_ray")
Make = Callable[..., Any]
ROWS, AT_ONCE, REPLICAS = 48, 4, 2
#: The first seed belongs to `make test`.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 21))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Scores of a run without faults, by what answers; made once each."""
    known: dict[str, list[str]] = {}

    def scores(kind: str, document: dict[str, Any] | None = None) -> list[str]:
        if kind not in known:
            assert document is not None
            output = str(tmp_path_factory.mktemp("undisturbed"))
            assert _run({**document, "output": output}).exit_code == 0
            known[kind] = _scores(output)
        return known[kind]

    return scores


def _run(document: dict[str, Any]) -> RunResult:
    return engine_run.run(build(document))


def _scores(output: str) -> list[str]:
    columns = ["kind", "model", "judge", "profile", "metric", "slice", "sample_set", "value", "low", "high", "n"]
    found = raybench.load(output).scores[columns].astype(object)
    return sorted(map(str, found.itertuples(index=False, name=None)))


def _clean(document: dict[str, Any]) -> dict[str, Any]:
    """The same spec without its fault: the same model, so the same keys."""
    faults = {"die_on", "die_once", "kill_once", "oom_once", "clock_jumps", "full_while", "fail_on"}
    models = [{key: value for key, value in model.items() if key not in faults} for model in document["models"]]
    log = f"{document['models'][0].get('log', '')}.undisturbed"
    return {**document, "models": [{**model, "log": log} if "log" in model else model for model in models]}


def _check_rows(output: str, rows: int = ROWS) -> None:
    """Exactly N unique rows, and no failed one scored."""
    results = raybench.load(output)
    assert len(results.responses) == results.responses["key"].nunique() == rows
    assert len(results.records) == results.records["sample"].nunique() == rows
    assert set(results.records["outcome"]) == {"answered"}
    headline = results.scores.query("headline and kind == 'system' and slice == 'all' and judge.isna()")
    assert (headline["n"] == rows).all()
    assert (headline["failed"] == 0).all()


def _check_failed(output: str) -> None:
    """After a run that lost rows: the failed are counted, not scored."""
    records = raybench.load(output).records
    answered = int((records["outcome"] == "answered").sum())
    headline = raybench.load(output).scores.query("headline and kind == 'system' and slice == 'all'")
    assert headline["n"].tolist() == [answered]
    assert headline["failed"].tolist() == [ROWS - answered]


def _resent(sent: Counter[str]) -> int:
    return sum(times - 1 for sample, times in sent.items() if sample != "load")


@pytest.fixture
def spec(table: Make, faulty_spec: Make) -> Callable[..., dict[str, Any]]:
    """A maker of specs of 48 rows on two replicas of the faulty backend."""

    def make(**fault: Any) -> dict[str, Any]:
        made: dict[str, Any] = faulty_spec(table(ROWS), replicas=REPLICAS, rows_at_once=AT_ONCE, **fault)
        return made

    return make


def _chosen(seed: int, count: int = 1) -> list[str]:
    return [str(row) for row in random.Random(seed).sample(range(ROWS), count)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["kill_once", "oom_once"])
def test_a_replica_killed_or_out_of_memory(seed: int, fault: str, spec: Make, sent: Make, undisturbed: Make) -> None:
    count = 1 + seed % 2
    document = spec(**{fault: _chosen(seed, count)})
    result = _run(document)
    assert result.exit_code == 0
    _check_rows(result.output)
    assert 1 <= _resent(sent()) <= count * AT_ONCE
    assert _scores(result.output) == undisturbed("faulty", _clean(document))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_judge_killed(seed: int, spec: Make, sent: Make, table: Make, undisturbed: Make) -> None:
    document = spec()
    judge = {**document["models"][0], "name": "grader", "answer": "A", "log": document["models"][0]["log"] + ".judge",
             "protocol_options": {"exact_match": False}}  # fmt: skip
    clean = {**_clean(document), "judges": [{**judge, "log": judge["log"] + ".undisturbed"}]}
    document["judges"] = [{**judge, "kill_once": _chosen(seed)}]
    result = _run(document)
    assert (result.exit_code, result.judged) == (0, ROWS)
    _check_rows(result.output)
    verdicts = raybench.load(result.output).verdicts
    assert len(verdicts) == verdicts["key"].nunique() == ROWS
    assert _resent(sent()) == 0  # the subject was asked once
    log = Path(judge["log"]).read_text("utf-8").split("\n")
    assert 1 <= len([line for line in log if line and not line.startswith("load")]) - ROWS <= AT_ONCE
    assert _scores(result.output) == undisturbed("judged", clean)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_clock_jumps(seed: int, spec: Make, sent: Make, undisturbed: Make) -> None:
    pick = random.Random(seed)
    jumps = dict(zip(_chosen(seed, 3), [-86400.0, 86400.0, pick.uniform(-4e5, 4e5)], strict=True))
    document = spec(clock_jumps=jumps, fail_on=_chosen(seed + 1, 2))
    assert _run(document).exit_code == 1
    _check_failed(document["output"])
    result = _run({**document, "models": [{**document["models"][0], "fail_on": []}]})
    assert result.exit_code == 0
    _check_rows(result.output)
    assert _resent(sent()) == 2
    assert _scores(result.output) == undisturbed("faulty", _clean(document))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_disk_is_full(seed: int, spec: Make, sent: Make, tmp_path: Path, undisturbed: Make) -> None:
    full = tmp_path / "disk-is-full"
    full.touch()
    document = spec(full_while=str(full))
    document["models"][0]["rows_at_once"] = 1 + seed % AT_ONCE
    first = _run(document)
    assert first.exit_code == 1
    assert "No space left on device" in first.errors["faulty"]
    full.unlink()
    result = _run(document)
    assert result.exit_code == 0
    _check_rows(result.output)
    assert _resent(sent()) <= REPLICAS * AT_ONCE
    assert _scores(result.output) == undisturbed("faulty", _clean(document))


@pytest.mark.parametrize("seed", SEEDS)
def test_two_runs_on_one_folder_at_once(seed: int, spec: Make, sent: Make, undisturbed: Make) -> None:
    document = spec(seconds=0.01)
    document["models"][0]["kill_once"] = _chosen(seed) if seed % 2 else []
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(_run(document).exit_code)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]
    _check_rows(document["output"])
    assert sum(times for sample, times in sent().items() if sample != "load") <= 2 * ROWS + AT_ONCE
    assert _scores(document["output"]) == undisturbed("faulty", _clean(document))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["flapping", "slow", "resetting", "truncating"])
def test_an_endpoint_misbehaves(seed: int, fault: str, table: Make, tmp_path: Path, undisturbed: Make) -> None:
    share = random.Random(seed).uniform(0.1, 0.4)
    settings: dict[str, Any] = {
        "flapping": {"flap": 2 + seed % 7}, "slow": {"mode": "hang", "mode_share": share},
        "resetting": {"mode": "drop", "mode_share": share}, "truncating": {"mode": "garbage", "mode_share": share},
    }[fault]  # fmt: skip
    with FakeOpenAI(**settings) as server:
        model = {
            "name": "served", "backend": "openai", "base_url": server.base_url, "model": "fake", "concurrency": 4,
            "timeout_seconds": 0.5, "max_retries": 1, "max_retry_wait_seconds": 0.05,
        }  # fmt: skip
        data = str(table(ROWS))
        document = {"output": str(tmp_path / "out"), "tasks": [{"task": "vqa", "data": data}], "models": [model]}
        first = _run(document)
        failed = sum(cell["failed"] for cell in first.cells)
        assert first.exit_code == (1 if failed else 0)
        assert failed or fault == "flapping"
        _check_failed(document["output"])
        before = server.requests
        server.control(mode="normal", flap=0)
        patient = {**model, "timeout_seconds": 60.0}  # the same model; a busy machine is no fault of its server
        result = _run({**document, "models": [patient]})
        assert (result.exit_code, result.generated, server.requests - before) == (0, failed, failed)
        _check_rows(document["output"])
        clean = {**document, "models": [{**model, "base_url": server.base_url}]}
        assert _scores(document["output"]) == undisturbed("served", clean)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_object_store_is_smaller_than_the_images(seed: int, tmp_path: Path, faulty_spec: Make, sent: Make) -> None:
    side = 1500 + 100 * seed  # 48 decoded images of 7 MB and more against a store of 256 MB
    lines = ["id,image,question,answer"]
    for i in range(ROWS):
        Image.new("RGB", (side, side), (5 * i, 90, 10)).save(tmp_path / f"{i}.png")
        lines.append(f"{i},{i}.png,Is number {i} shown?,{'yes' if i % 2 else 'no'}")
    (tmp_path / "large.csv").write_text("\n".join(lines) + "\n", "utf-8")
    result = _run(faulty_spec(tmp_path / "large.csv", replicas=REPLICAS, rows_at_once=AT_ONCE, seconds=0.02))
    assert result.exit_code == 0
    _check_rows(result.output)
    assert _resent(sent()) == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 400 kB."""
    import subprocess

    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_really_fills(small_disk: Path, spec: Make, sent: Make, undisturbed: Make) -> None:
    document = {**spec(), "output": str(small_disk / "out")}
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 320_000)
    with pytest.raises((RaybenchError, OSError), match=r"[Nn]o space left|cannot"):
        _run(document)
    ballast.unlink()
    result = _run(document)
    assert result.exit_code == 0
    _check_rows(result.output)
    assert _scores(result.output) == undisturbed("faulty", _clean(spec()))
