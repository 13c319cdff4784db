"""The dashboard and the alert rules: what build.py writes, lint, syntax, and values from a real Prometheus."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import promql_parser
import pytest
import yaml

from raybench.engine.metrics import METRICS
from tests.servers import FakeOpenAI, free_port

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "dashboards/grafana"
#: Expressions that a cluster without GPUs, prices, a judge or trouble has no values for.
EMPTY_HERE = re.compile(r"gpus_utilization|gram_used|judge|verdicts|raybench_retries|raybench_failures|raybench_reused")


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grafana_build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["grafana_build"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "raybench.json").read_text("utf-8"))
    return found


def _expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], _filled(target["expr"])


def _filled(expression: str, window: str = "1m") -> str:
    """An expression as Grafana sends it, with everything chosen."""
    return re.sub(r"\$(run|model)\b", ".*", expression.replace("$__rate_interval", window))


def test_the_files_are_what_the_script_writes(build: ModuleType) -> None:
    assert build.main(["--check"]) == 0


def test_lint(board: dict[str, Any]) -> None:
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, f"{panel['title']} lies on another panel"
        cells |= own
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "run", "model"}


def test_every_expression_parses(board: dict[str, Any]) -> None:
    for title, expression in _expressions(board):
        assert promql_parser.parse(expression), title
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum by (model (x)")


def test_only_and_all_metrics_of_the_engine_are_used(board: dict[str, Any], build: ModuleType) -> None:
    text = json.dumps(board) + json.dumps(build.alerts())
    used = set(re.findall(r"ray_(raybench_[a-z_]+)", text))
    exported = {m.name + ("_total" if m.kind == "counter" else suffix) for m in METRICS for suffix in _suffixes(m.kind)}
    assert used <= exported
    assert {m.name for m in METRICS} == {m.name for m in METRICS if m.name in text}, "a metric that no panel shows"
    with pytest.raises(KeyError):
        build.series("raybench_unheard_of")


def _suffixes(kind: str) -> tuple[str, ...]:
    return ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)


@pytest.fixture(scope="session")
def prometheus() -> str:
    """Debian's Prometheus; installed where the tests run as root, missing nowhere under CI."""
    found = shutil.which("prometheus")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "prometheus"],
        ):
            subprocess.run(command, check=False, capture_output=True, timeout=600)
        found = shutil.which("prometheus")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no prometheus: apt-get install prometheus")
        pytest.skip("no prometheus: apt-get install prometheus")
    return found


@pytest.mark.slow
def test_promtool_accepts_the_rules_and_fires_them(prometheus: str, tmp_path: Path) -> None:
    rules = FOLDER / "raybench-alerts.yaml"
    subprocess.run(["promtool", "check", "rules", str(rules)], check=True, capture_output=True)
    labels = '{run="r", model="m"'
    series = [
        {"series": f"ray_raybench_planned_samples{labels}}}", "values": "100+0x120"},
        {"series": f"ray_raybench_committed_samples{labels}}}", "values": "40+0x120"},
        {"series": f'ray_raybench_actors{labels}, state="ready"}}', "values": "2+0x120"},
        {"series": f'ray_raybench_samples_total{labels}, task="t", outcome="answered"}}', "values": "40+0x120"},
        {"series": f'ray_raybench_samples_total{labels}, task="u", outcome="failed"}}', "values": "0+1x20 20+0x100"},
    ]  # fmt: skip
    firing = {"severity": "page", "model": "m", "run": "r"}
    summary = "m has replicas and rows to do, and nothing ended for 15 minutes"
    cases = [
        {"alertname": "RaybenchStalled", "eval_time": "25m", "exp_alerts": []},
        {"alertname": "RaybenchStalled", "eval_time": "60m",
         "exp_alerts": [{"exp_labels": firing, "exp_annotations": {"summary": summary}}]},
        {"alertname": "RaybenchFailing", "eval_time": "20m",
         "exp_alerts": [{"exp_labels": firing, "exp_annotations": {
             "summary": "more than 5 % of the rows of m fail: endpoint, replica or images"}}]},
        {"alertname": "RaybenchFailing", "eval_time": "60m", "exp_alerts": []},
    ]  # fmt: skip
    document = {
        "rule_files": [str(rules)], "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": cases}],
    }  # fmt: skip
    path = tmp_path / "cases.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_every_panel_has_values_while_a_sweep_runs(
    prometheus: str, board: dict[str, Any], tmp_path: Path, table: Callable[..., Path], build: ModuleType
) -> None:
    """A real Ray with its metrics agent, a real Prometheus scraping it, a sweep of two models against a slow server."""
    from ray._private.services import get_node_ip_address

    metrics, port = free_port(), free_port()
    # A token file in the home directory would switch authentication on for the head, and not for the run.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    ports = {name: free_port() for name in ("port", "dashboard-port", "ray-client-server-port")}
    # Ray's sockets have long names: its folder must be short.
    short = Path("/dev/shm") / f"rb{os.getpid()}"
    start = ["ray", "start", "--head", "--num-cpus=6", f"--temp-dir={short}", f"--metrics-export-port={metrics}"]
    start += [f"--{name}={value}" for name, value in ports.items()]
    binaries = Path(sys.executable).parent
    config = tmp_path / "prometheus.yaml"
    scrape = {"job_name": "ray", "static_configs": [{"targets": [f"127.0.0.1:{metrics}"]}]}
    scraping = {"scrape_interval": "2s", "evaluation_interval": "2s"}
    rules = [str(FOLDER / "raybench-alerts.yaml")]
    config.write_text(yaml.safe_dump({"global": scraping, "rule_files": rules, "scrape_configs": [scrape]}), "utf-8")
    command = [prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]  # fmt: skip
    server = subprocess.Popen(command)
    try:
        subprocess.run([binaries / start[0], *start[1:]], check=True, env=env, capture_output=True, timeout=300)
        with FakeOpenAI(delay_seconds=0.5) as fake:
            run = _sweep(fake.base_url, table, tmp_path, f"{get_node_ip_address()}:{ports['port']}", env)
            _until(lambda: _values(port, build.series("raybench_samples")), 240)
            wanted = [(title, _filled(e)) for title, e in _expressions(board) if not EMPTY_HERE.search(e)]
            missing = wanted
            deadline = time.monotonic() + 180
            while missing and time.monotonic() < deadline and run.poll() is None:
                missing = [(title, e) for title, e in missing if not _values(port, e)]
                time.sleep(2)
            for _, expression in _expressions(board):
                _values(port, expression)  # what has no values here is evaluated all the same
            assert not missing, "\n".join(f"{title}: {expression}" for title, expression in missing)
            assert run.poll() is None, "all this while the sweep was running"
            run.terminate()
            run.wait(timeout=60)
    finally:
        server.terminate()
        server.wait()
        subprocess.run([binaries / "python", "-c", _STOP, str(short)], check=False, env=env)
        shutil.rmtree(short, ignore_errors=True)


#: Ends the processes of one Ray only, which its temp folder names; `ray stop` would end everybody's.
_STOP = """
import psutil, sys
mine = [p for p in psutil.process_iter(["cmdline"]) if any(sys.argv[1] in part for part in p.info["cmdline"] or [])]
for process in mine:
    if process.pid != psutil.Process().pid:
        process.kill()
"""


def _sweep(url: str, table: Callable[..., Path], folder: Path, address: str, env: dict[str, str]) -> Any:
    models = [
        {"name": name, "backend": "openai", "base_url": url, "model": "fake", "concurrency": 4, "revision": name,
         "price_per_hour": 3600.0}
        for name in ("first", "second")
    ]  # fmt: skip
    task = {"task": "vqa", "data": str(table(4000))}
    spec = {"output": str(folder / "out"), "tasks": [task], "models": models}
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(spec), "utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "raybench.cli", "run", str(path), "--address", address], env=env, cwd=ROOT
    )


def _values(port: int, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10) as reply:
            found = json.load(reply)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{expression}: {error.read().decode()}")
    except OSError:
        return []
    assert found["status"] == "success"
    values: list[Any] = found["data"]["result"]
    return [value for value in values if value["value"][1] != "NaN"]


def _until(condition: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s"
        time.sleep(1)
