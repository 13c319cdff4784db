"""`raybench submit`: what travels, what is refused and how it is said; once against a real head with a token."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from typer.testing import CliRunner

from raybench.cli import app
from raybench.engine.submitting import Submission, job_of, logs, submit, working_files
from raybench.errors import EngineError, RaybenchError, SpecError
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
TOKEN = "t0ken-" + "5" * 40
HEAD = "http://head.example:8265"


class _Jobs:
    """Ray's jobs server as far as a submission needs it: version, nodes, packages, jobs, a log that is tailed."""

    def __init__(
        self, *, token: str = "", node_ip: str = "127.0.0.1", code: int = 0, cuts: int = 0, closes: int = 0
    ) -> None:
        self.token, self.node_ip, self.code, self.cuts, self.closes = token, node_ip, code, cuts, closes
        self.status = ""
        self.submitted: list[dict[str, Any]] = []
        self.packages: dict[str, bytes] = {}
        self.log = ["starting\n", '@raybench {"run_id": "r", "phase": "done", "at": "", "streams": {}}\n', "ended\n"]
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _Jobs:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        served = web.Application(middlewares=[self._guard], client_max_size=2**26)
        served.add_routes([
            web.get("/api/version", self._version), web.get("/api/v0/nodes", self._nodes),
            web.get("/api/packages/{protocol}/{name}", self._package),
            web.put("/api/packages/{protocol}/{name}", self._package),
            web.post("/api/jobs/", self._submit), web.get("/api/jobs/{id}", self._info),
            web.get("/api/jobs/{id}/logs/tail", self._tail), web.get("/api/jobs/{id}/logs", self._logs),
        ])  # fmt: skip
        runner = web.AppRunner(served, access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self._port = int(runner.addresses[0][1])
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> Any:
        given = request.headers.get("Authorization", "")
        if self.token and not given:
            return web.Response(status=401, text="Unauthorized: Missing authentication token")
        if self.token and given != f"Bearer {self.token}":
            return web.Response(status=403, text="Forbidden: Invalid authentication token")
        return await handler(request)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": "s"})

    async def _nodes(self, _: web.Request) -> web.Response:
        node = {
            "node_id": "a" * 56, "node_ip": self.node_ip, "is_head_node": True, "state": "ALIVE", "node_name": "head",
            "state_message": None, "resources_total": {}, "labels": {}, "start_time_ms": 0, "end_time_ms": 0,
        }  # fmt: skip
        found = {
            "total": 1,
            "num_after_truncation": 1,
            "num_filtered": 1,
            "result": [node],
            "partial_failure_warning": "",
        }
        return web.json_response({"result": True, "msg": "", "data": {"result": {**found, "warnings": []}}})

    async def _package(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if request.method == "PUT":
            self.packages[name] = await request.read()
        return web.Response(status=200 if name in self.packages else 404)

    async def _submit(self, request: web.Request) -> web.Response:
        job = await request.json()
        if job.get("submission_id") == "taken":
            return web.Response(
                status=500, text="Traceback ...\nValueError: Job with submission_id taken already exists"
            )
        self.submitted.append(job)
        return web.json_response({"job_id": "raysubmit_1", "submission_id": job.get("submission_id") or "raysubmit_1"})

    async def _info(self, request: web.Request) -> web.Response:
        if request.match_info["id"] == "raysubmit_none":
            return web.Response(status=404, text="Job raysubmit_none does not exist")
        status = self.status or ("FAILED" if self.code else "SUCCEEDED")
        return web.json_response({
            "type": "SUBMISSION", "submission_id": "raysubmit_1", "status": status, "entrypoint": "x",
            "message": f"Job entrypoint command failed with exit code {self.code}", "driver_exit_code": self.code,
        })  # fmt: skip

    async def _logs(self, _: web.Request) -> web.Response:
        return web.json_response({"logs": "".join(self.log[:2])})

    async def _tail(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.closes:  # as a head does that has lost the job's node: the job goes on
            self.closes -= 1
            self.status = "RUNNING"
            await socket.send_str(self.log[0])
            await socket.close()
            return socket
        self.status = ""
        for number, chunk in enumerate(self.log):
            if self.cuts and number == 1:
                self.cuts -= 1
                assert request.transport is not None
                request.transport.abort()
                return socket
            await socket.send_str(chunk)
        await socket.close()
        return socket

    def files(self) -> dict[str, str]:
        """What the newest package holds."""
        data = list(self.packages.values())[-1]
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture(autouse=True)
def _no_ray_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("raybench.engine.submitting.time.sleep", lambda _: None)


@pytest.fixture
def suite(tmp_path: Path, table: Callable[..., Path]) -> dict[str, Any]:
    model = {"name": "served", "backend": "openai", "base_url": "http://10.0.0.9:8000/v1", "model": "m"}
    return {"name": "s", "tasks": [{"task": "vqa", "data": str(table(4))}], "models": [model], "output": "out"}


def _written(suite: dict[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(suite), "utf-8")
    return path


# --- what may travel -------------------------------------------------------------------------------------------------


def test_paths_of_this_machine_are_refused_on_a_cluster(suite: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"^output: out lies on this machine.*head\.example.*s3://BUCKET.*--shared PREFIX$"
    ):
        working_files(suite, HEAD, here=False)
    suite["output"] = "s3://bucket/out"
    with pytest.raises(SpecError, match=r"^tasks\[0\]\.data: .*questions\.csv lies on this machine"):
        working_files(suite, HEAD, here=False)
    suite["tasks"][0]["data"] = "s3://bucket/questions.csv"
    suite["models"][0]["adapter"] = str(tmp_path)
    with pytest.raises(SpecError, match=r"^models\[0\]\.adapter"):
        working_files(suite, HEAD, here=False)
    suite["models"][0] = {"name": "hub", "backend": "hf", "model": "owner/name"}
    text = working_files(suite, HEAD, here=False)["spec.yaml"]
    assert yaml.safe_load(str(text))["output"] == "s3://bucket/out"


def test_shared_folders_are_declared(suite: dict[str, Any], tmp_path: Path) -> None:
    suite["output"] = str(tmp_path / "results")
    spec = yaml.safe_load(str(working_files(suite, HEAD, here=False, shared=[str(tmp_path)])["spec.yaml"]))
    assert spec["output"] == str(tmp_path / "results")
    with pytest.raises(SpecError, match="lies on this machine"):
        working_files(suite, HEAD, here=False, shared=[str(tmp_path)[:-1]])  # no folder of that name


def test_relative_paths_become_absolute_where_the_cluster_is_here(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    suite["tasks"][0]["data"] = "questions/questions.csv"
    spec = yaml.safe_load(str(working_files(suite, HEAD, here=True)["spec.yaml"]))
    assert spec["output"] == str(tmp_path / "out")
    assert spec["tasks"][0]["data"] == str(tmp_path / "questions/questions.csv")
    assert spec["models"][0]["base_url"] == "http://10.0.0.9:8000/v1"


def test_prompt_files_travel(suite: dict[str, Any], tmp_path: Path) -> None:
    prompts = tmp_path / "mine.yaml"
    prompts.write_text("mine: '{question} Shortly.'\n")
    suite |= {"output": "s3://b/out", "tasks": [{"task": "vqa_rad", "prompts": str(prompts)}]}
    files = working_files(suite, HEAD, here=False)
    assert files["prompts-0.yaml"] == prompts
    assert yaml.safe_load(str(files["spec.yaml"]))["tasks"][0]["prompts"] == "prompts-0.yaml"


def test_a_judges_template_travels_in_the_spec(suite: dict[str, Any], tmp_path: Path) -> None:
    template = {"name": "mine", "messages": [{"role": "user", "content": "{{ question }}"}]}
    (tmp_path / "judge.yaml").write_text(yaml.safe_dump(template))
    for where in (str(tmp_path / "judge.yaml"), template):
        judge = {"name": "g", "backend": "openai", "template": where}
        files = working_files({**suite, "output": "s3://b/out", "tasks": [], "judges": [judge]}, HEAD, here=False)
        assert yaml.safe_load(str(files["spec.yaml"]))["judges"] == [{**judge, "template": template}]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"models": [{"name": "m", "api_key": "sk-123"}]}, r"spec\.models\[0\]\.api_key"),
        ({"models": [{"name": "m", "base_url": "http://me:pass@host/v1"}]}, r"spec\.models\[0\]\.base_url"),
        ({"models": [{"base_url": ["http://h/v1", "http://me:pass@h/v1"]}]}, r"spec\.models\[0\]\.base_url\[1\]"),
        ({"reuse": ["s3://key:pass@bucket/a"]}, r"spec\.reuse\[0\]"),
    ],
)
def test_secrets_in_a_spec_are_refused(suite: dict[str, Any], change: dict[str, Any], place: str) -> None:
    with pytest.raises(SpecError, match=f"^{place} holds a secret") as refused:
        working_files({**suite, **change}, HEAD, here=True)
    assert "sk-123" not in str(refused.value)
    assert "pass@" not in str(refused.value)


def test_secrets_in_a_runtime_env_are_refused(suite: dict[str, Any]) -> None:
    for env in ({"env_vars": {"HF_TOKEN": "hf_x"}}, {"env_vars": {"AWS_SECRET_ACCESS_KEY": "x"}}):
        with pytest.raises(SpecError, match=r"env_vars\.\w+ looks like a secret.*environment of the nodes"):
            submit(suite, Submission(HEAD, runtime_env=env))
    for env in ({"env_vars": {"HTTPS_PROXY": "http://me:pass@host"}}, {"pip": ["--index-url https://me:pass@host/a"]}):
        with pytest.raises(SpecError, match=r"^runtime env\.\S+ holds a secret"):
            submit(suite, Submission(HEAD, runtime_env=env))
    with pytest.raises(SpecError, match="working_dir is made by submit"):
        submit(suite, Submission(HEAD, runtime_env={"working_dir": "."}))


# --- submitting ------------------------------------------------------------------------------------------------------


def test_a_job_is_submitted_followed_and_its_code_passed_on(suite: dict[str, Any], tmp_path: Path) -> None:
    spec = _written(suite, tmp_path / "suite.yaml")
    with _Jobs(code=1) as jobs:
        done = CliRunner().invoke(
            app, ["submit", str(spec), "--address", jobs.url, "--set", "generation.max_tokens=7", "--memory-gb", "2"]
        )
        (job,) = jobs.submitted
        files = jobs.files()
    assert done.exit_code == 1, done.output
    assert {"starting", "ended"} <= set(done.stderr.splitlines())
    assert "raybench watch raysubmit_1 --address" in done.stderr
    assert job["entrypoint"] == "python -m raybench.cli run spec.yaml --address auto"
    assert job["entrypoint_memory"] == 2 * 2**30
    assert "entrypoint_num_gpus" not in job
    assert job["runtime_env"].keys() == {"working_dir"}
    assert set(files) == {"spec.yaml"}
    assert yaml.safe_load(files["spec.yaml"])["generation"] == {"max_tokens": 7}


def test_no_wait_prints_the_id_and_nothing_else_on_stdout(suite: dict[str, Any], tmp_path: Path) -> None:
    spec = _written(suite, tmp_path / "suite.yaml")
    with _Jobs() as jobs:
        done = CliRunner().invoke(
            app, ["submit", str(spec), "--address", jobs.url, "--no-wait", "--submission-id", "study-1"]
        )
    assert (done.exit_code, done.stdout) == (0, "study-1\n")
    assert "to watch it: raybench watch study-1" in done.stderr


def test_a_log_that_is_cut_off_is_taken_up_again(suite: dict[str, Any], tmp_path: Path) -> None:
    spec = _written(suite, tmp_path / "suite.yaml")
    with _Jobs(cuts=2) as jobs:
        done = CliRunner().invoke(app, ["submit", str(spec), "--address", jobs.url])
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines().count("starting") == 1, "no line comes twice"


def test_a_log_that_ends_before_its_job_is_taken_up_again() -> None:
    with _Jobs(closes=2) as jobs:
        assert "".join(logs(job_of("raysubmit_1", jobs.url), wait_seconds=0.0)) == "".join(jobs.log)


@pytest.mark.parametrize(("status", "code", "ended"), [("RUNNING", 0, None), ("", 2, 2), ("STOPPED", 0, 130)])
def test_a_job_is_looked_at_once(status: str, code: int, ended: int | None) -> None:
    with _Jobs(code=code) as jobs:
        jobs.status = status
        done = CliRunner().invoke(app, ["watch", "raysubmit_1", "--address", jobs.url, "--once"])
    assert done.exit_code == (ended or 0), done.output
    (line,) = done.stdout.splitlines()
    state = json.loads(line.removeprefix("@raybench "))
    assert (state["run_id"], state["exit_code"]) == ("r", ended)


def test_bad_input_is_said_before_anything_is_submitted(suite: dict[str, Any], tmp_path: Path) -> None:
    spec = _written({**suite, "tasks": [{"task": "vqa_radd"}]}, tmp_path / "suite.yaml")
    with _Jobs() as jobs:
        done = CliRunner().invoke(app, ["submit", str(spec), "--address", jobs.url])
        assert not jobs.submitted
    assert isinstance(done.exception, RaybenchError)
    assert "did you mean 'vqa_rad'" in str(done.exception)


def test_a_node_elsewhere_makes_local_paths_a_mistake_whatever_the_address(suite: dict[str, Any]) -> None:
    with _Jobs(node_ip="10.1.2.3") as jobs:  # behind a tunnel
        with pytest.raises(SpecError, match="lies on this machine"):
            submit(suite, Submission(jobs.url))
        assert not jobs.submitted


@pytest.mark.parametrize(
    ("given", "said"),
    [({}, "wants a token and got none (401)"), ({"RAY_AUTH_TOKEN": "wrong" * 10}, "refused the token (403)")],
)
def test_a_missing_token_is_explained(given: dict[str, str], said: str) -> None:
    # Ray reads its settings once a process, so each case has one of its own.
    with _Jobs(token=TOKEN) as jobs:
        done = _cli(
            ["watch", "raysubmit_1", "--address", jobs.url], given | ({"RAY_AUTH_MODE": "token"} if given else {})
        )
    assert done.returncode == 2
    assert said in done.stderr
    assert "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH" in done.stderr
    assert "wrong" not in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_server_refuses_is_one_sentence(suite: dict[str, Any]) -> None:
    with _Jobs() as jobs:
        with pytest.raises(EngineError, match=r"a job of this submission id exists already"):
            submit(suite, Submission(jobs.url, submission_id="taken"))
        done = CliRunner().invoke(app, ["watch", "raysubmit_none", "--address", jobs.url])
        assert isinstance(done.exception, EngineError)
        assert "knows no such job" in str(done.exception)
    with pytest.raises(EngineError, match=r"no Ray dashboard answers at http://127\.0\.0\.1:\d+: give the head's"):
        submit(suite, Submission(f"http://127.0.0.1:{free_port()}"))


def _cli(arguments: list[str], given: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-m", "raybench.cli", *arguments], cwd=options.pop("cwd", ROOT), env={**clean, **given},
        capture_output=True, text=True, check=False, timeout=options.pop("timeout", 120),
    )  # fmt: skip


# --- a real head -----------------------------------------------------------------------------------------------------

#: Ends the processes of one Ray only, which its temp folder names; `ray stop` would end everybody's.
STOP = """
import psutil, sys
for process in psutil.process_iter(["cmdline"]):
    if any(sys.argv[1] in part for part in process.info["cmdline"] or []) and process.pid != psutil.Process().pid:
        process.kill()
"""


@pytest.fixture
def head(tmp_path: Path) -> Iterator[dict[str, str]]:
    """`ray start --head` with token authentication, on ports and in a folder of its own; yields URL and environment."""
    token, port, dashboard = tmp_path / "token", free_port(), free_port()
    token.write_text(TOKEN)
    folder = Path("/dev/shm") / f"rs{os.getpid()}"  # Ray's sockets have long names: its folder must be short
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    start = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--num-cpus=8", f"--temp-dir={folder}",
             f"--port={port}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={free_port()}",
             "--dashboard-host=127.0.0.1", f"--dashboard-agent-listen-port={free_port()}"]  # fmt: skip
    path = os.pathsep.join([str(Path(sys.executable).parent), clean.get("PATH", "")])  # as in an activated environment
    done = subprocess.run(
        start, env={**clean, **env, "PATH": path}, capture_output=True, text=True, timeout=300, check=False
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield {"url": f"http://127.0.0.1:{dashboard}", **env}
    finally:
        subprocess.run([sys.executable, "-c", STOP, str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_the_quickstart_as_a_job_on_a_real_head_with_a_token(head: dict[str, str], tmp_path: Path) -> None:
    url = head["url"]
    env = {name: value for name, value in head.items() if name != "url"}
    spec = ["submit", str(ROOT / "jobs/quickstart.yaml"), "--address", url, "-o", str(tmp_path / "quickstart")]
    small = ["--set", "tasks=[{task: phantom_vqa, limit: 12}, {task: phantom_cxr_classification, limit: 8}]"]

    refused = _cli([*spec, *small], {})
    assert refused.returncode == 2
    assert "wants a token and got none (401)" in refused.stderr

    done = _cli([*spec, *small], env, cwd=tmp_path, timeout=540)
    assert done.returncode == 0, done.stderr
    assert re.search(r"40 answered and \d+ judged by this run", done.stderr)
    assert TOKEN not in done.stderr + done.stdout
    board = _cli(["leaderboard", str(tmp_path / "quickstart"), "--format", "json"], {})
    assert {score["model"] for score in json.loads(board.stdout)["scores"]} >= {"tiny-llava-a", "tiny-llava-b"}

    again = _cli([*spec, *small, "--no-wait"], env, cwd=tmp_path)
    watched = _cli(["watch", again.stdout.strip(), "--address", url], env, timeout=300)
    assert watched.returncode == 0, watched.stderr
    last = json.loads(watched.stdout.splitlines()[-1].removeprefix("@raybench "))
    assert (last["status"], last["exit_code"]) == ("succeeded", 0)

    broken = _cli([*spec, "--set", "tasks=[{task: vqa, data: /nowhere/at/all.csv}]"], env, cwd=tmp_path, timeout=300)
    assert broken.returncode == 2, "the entrypoint's own exit code"
    assert "/nowhere/at/all.csv" in broken.stderr
