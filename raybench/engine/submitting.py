"""A spec as a Ray job: what travels with it, what may not, and how its end is told.

    job = submit(document, Submission(address="http://localhost:8265"))
    for chunk in logs(job): ...
    end(job)          # Ended(status, exit_code, message)

The job gets a working folder with the spec and the prompt files it names, never
data, weights or secrets: those are read where the work is done. A path that only
this machine has is refused unless the cluster runs here or the user declares that
every node sees it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from raybench.errors import EngineError, SpecError, one_line
from raybench.spec import expand_path, redacted, with_template

__all__ = ["Ended", "Job", "Submission", "end", "job_of", "logs", "printed", "stop_command", "submit", "working_files"]

#: Keys whose values are names and words, never paths.
_WORDS = frozenset({"name", "notes", "licence", "revision", "backend", "task", "protocol"})
#: Keys whose values are paths even where nothing lies there yet.
_PATHS = frozenset({"output", "reuse", "data", "images_dir", "answers"})
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
_TOKEN_HELP = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN) to the cluster's token in the environment of"
    " this command; where the file is ~/.ray/auth_token, `ray get-auth-token` prints it"
)
_RECONNECTS = 5
#: Ray tells of each upload and closed socket.
_CHATTY = (
    "ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging",
)  # fmt: skip
_TERMINAL = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class Submission:
    """How a job is submitted.

    Attributes:
        address: the dashboard's URL (http://HEAD:8265); None asks RAY_API_SERVER_ADDRESS or RAY_ADDRESS.
        shared: path prefixes that every node of the cluster sees.
        runtime_env: more of Ray's runtime environment (pip, env_vars ...); no secrets.
        cpus, gpus, memory_gb: what the entrypoint itself reserves; 0 runs it on the head.
        submission_id: the job's id; None lets Ray make one.
    """

    address: str | None = None
    shared: tuple[str, ...] = ()
    runtime_env: Mapping[str, Any] | None = None
    cpus: float = 0.0
    gpus: float = 0.0
    memory_gb: float = 0.0
    submission_id: str | None = None


@dataclass(frozen=True)
class Job:
    """A submitted job and the client that reaches it."""

    id: str
    address: str
    client: Any


@dataclass(frozen=True)
class Ended:
    """How a job ended: Ray's status word, the exit code to pass on, and Ray's message."""

    status: str
    exit_code: int
    message: str


def submit(document: Mapping[str, Any], submission: Submission) -> Job:
    """Submit a spec document (settings applied, not yet validated for the cluster) and return its job.

    Raises:
        SpecError: a path or a secret that may not travel; one sentence.
        EngineError: the cluster cannot be reached or refuses the job; says what to do.
    """
    extra = dict(submission.runtime_env or {})
    _check_runtime_env(extra)
    with _explained(submission.address):
        client, address = _client(submission.address)
        here = _runs_here(address)
        files = working_files(document, address, here, submission.shared)
        with _folder(files) as folder:
            job_id = client.submit_job(
                entrypoint="python -m raybench.cli run spec.yaml --address auto",
                submission_id=submission.submission_id,
                runtime_env={**extra, "working_dir": folder},
                metadata={"raybench": str(document.get("name", "run")), "output": printed(document.get("output"))},
                entrypoint_num_cpus=submission.cpus or None,
                entrypoint_num_gpus=submission.gpus or None,
                entrypoint_memory=int(submission.memory_gb * 2**30) or None,
            )
    return Job(str(job_id), address, client)


def job_of(job_id: str, address: str | None) -> Job:
    """Return a job that was submitted before.

    Raises:
        EngineError: no such cluster or no such job.
    """
    with _explained(address):
        client, url = _client(address)
        client.get_job_info(job_id)
        return Job(job_id, url, client)


def logs(job: Job, wait_seconds: float = 60.0) -> Iterator[str]:
    """Yield a job's log from its beginning, as it is written, until the job ends; a lost connection is taken up again.

    Args:
        wait_seconds: how long a job whose log has ended may take to end.

    Raises:
        EngineError: the connection was lost several times with nothing new between.
    """
    from aiohttp import ClientError

    loop, seen, lost = asyncio.new_event_loop(), 0, 0
    try:
        while True:
            source, position = job.client.tail_job_logs(job.id), 0
            try:
                while True:
                    chunk = loop.run_until_complete(anext(source))
                    fresh = chunk[max(seen - position, 0) :]
                    position += len(chunk)
                    seen = max(seen, position)
                    if fresh:
                        lost = 0
                        yield fresh
            except (StopAsyncIteration, RuntimeError, OSError, ClientError) as error:
                # Ray closes a log in good order also when its head has lost the job's node.
                if isinstance(error, StopAsyncIteration) and end(job, wait_seconds) is not None:
                    return
                lost += 1
                if lost > _RECONNECTS:
                    raise EngineError(
                        f"lost the log of job {job.id}: {one_line(error)}; the job goes on:"
                        f" raybench watch {job.id} --address {job.address}"
                    ) from error
                time.sleep(min(2.0**lost, 10.0))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def end(job: Job, wait_seconds: float = 60.0) -> Ended | None:
    """Return how a job ended, waiting a little for its last word; None if it still runs.

    A job whose entrypoint failed has the entrypoint's exit code, one that was stopped 130.
    """
    deadline = time.monotonic() + wait_seconds
    with _explained(job.address):
        while True:
            info = job.client.get_job_info(job.id)
            status = str(getattr(info.status, "value", info.status))
            if status in _TERMINAL:
                codes = {"SUCCEEDED": 0, "STOPPED": 130}
                code = codes.get(status, int(info.driver_exit_code or 1))
                return Ended(status, code if 0 <= code < 256 else 1, " ".join(str(info.message or "").split()))
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.5)


def stop_command(job: Job) -> str:
    """Return the command that ends a job; leaving a job alone never does."""
    return f"ray job stop --address {job.address} {job.id}"


def working_files(
    document: Mapping[str, Any], address: str, here: bool, shared: Sequence[str] = ()
) -> dict[str, str | Path]:
    """Return the working folder of a job: name -> text to write, or a file to copy.

    Args:
        here: every node of the cluster is this machine, so its paths hold there too.

    Raises:
        SpecError: a secret in the spec, or a path that the cluster's nodes cannot see.
    """
    _check_secrets(document)
    if isinstance(judges := document.get("judges"), list | tuple):
        document = {**document, "judges": [with_template(judge) for judge in judges]}
    prefixes = tuple(os.path.abspath(expand_path(prefix)) for prefix in shared)
    files: dict[str, str | Path] = {}

    def place(value: Any, where: tuple[Any, ...]) -> Any:
        if isinstance(value, Mapping):
            return {key: place(item, (*where, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [place(item, (*where, i)) for i, item in enumerate(value)]
        path = _local_path(value, _key(where))
        if path is None:
            return value
        if _key(where) == "prompts":
            name = f"prompts-{len(files)}{Path(path).suffix}"
            files[name] = Path(path)
            return name
        if not here and not any(path == prefix or path.startswith(prefix + os.sep) for prefix in prefixes):
            raise SpecError(_refusal(where, str(value), address))
        return path

    placed = place({"output": "results", **document}, ())
    return {**files, "spec.yaml": yaml.safe_dump(placed, sort_keys=False, allow_unicode=True)}


def _key(where: Sequence[Any]) -> str:
    return next((str(part) for part in reversed(where) if not isinstance(part, int)), "")


def _local_path(value: Any, key: str) -> str | None:
    """Return the absolute path a value stands for; None if it is none."""
    if not isinstance(value, str) or key in _WORDS or "\n" in value:
        return None
    text = value.removeprefix("file://")
    if "://" in text:
        return None
    path = expand_path(text)
    written = os.path.isabs(path) or value.startswith(("./", "../", "file://"))
    lies = os.path.exists(path) if key == "prompts" else os.sep in path and os.path.exists(path)
    return os.path.abspath(path) if key in _PATHS or written or lies else None


def _refusal(where: Sequence[Any], value: str, address: str) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    remedy = {
        "output": "write to s3://BUCKET/... or gs://BUCKET/...",
        "reuse": "give s3:// or gs://",
        "model": "give the checkpoint's hub id",
    }.get(_key(where), "give s3:// or gs://, or leave it out where the hub has it")
    return (
        f"{place}: {value} lies on this machine, where the nodes of {address} cannot read it: {remedy}, or a folder"
        " that every node mounts at the same path, declared by --shared PREFIX"
    )


def _check_secrets(value: Any, where: str = "spec", key: str = "") -> None:
    """A secret in a spec would stand in the cluster's job list for all to read."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_secrets(item, f"{where}.{name}", str(name))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_secrets(item, f"{where}[{i}]", key)
    elif redacted({key: value}) != {key: value}:
        raise SpecError(
            f"{where} holds a secret: a job's files can be read by everyone on the cluster; set it in the"
            " environment of the nodes (cluster.yaml, a Kubernetes Secret) and name the variable in the spec"
        )


def _check_runtime_env(extra: Mapping[str, Any]) -> None:
    if "working_dir" in extra:
        raise SpecError("runtime env: working_dir is made by submit; it holds the spec and its prompt files")
    for name in extra.get("env_vars") or {}:
        if _SECRET_NAME.search(name):
            raise SpecError(
                f"runtime env: env_vars.{name} looks like a secret, and a runtime environment is shown by the dashboard"
                " and kept in logs; set it in the environment of the nodes (cluster.yaml, a Kubernetes Secret)"
            )
    _check_secrets(extra, "runtime env")


@contextmanager
def _folder(files: Mapping[str, str | Path]) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="raybench-job-")
    try:
        for name, content in files.items():
            target = Path(folder, name)
            if isinstance(content, Path):
                shutil.copyfile(content, target)
            else:
                target.write_text(content, "utf-8")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _client(address: str | None) -> tuple[Any, str]:
    from ray.job_submission import JobSubmissionClient

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    client = JobSubmissionClient(address)
    return client, str(client.get_address())


def _runs_here(address: str) -> bool:
    """Whether every node of the cluster is this machine; behind a tunnel the address alone does not tell."""
    from ray.util.state import list_nodes

    own = {entry.address for entries in psutil.net_if_addrs().values() for entry in entries}
    own |= {"127.0.0.1", "::1", socket.gethostname()}
    nodes = list_nodes(address=address, raise_on_missing_output=False, filters=[("state", "=", "ALIVE")])
    return bool(nodes) and all(node.node_ip in own for node in nodes)


def printed(value: Any) -> str:
    """Return a value as text without credentials."""
    return str(redacted(value)) if value is not None else ""


@contextmanager
def _explained(address: str | None) -> Iterator[None]:
    """Turn what Ray's client raises into one sentence that says what to do."""
    import requests
    from ray.exceptions import AuthenticationError, RayError

    at = address or "the address in RAY_ADDRESS"
    try:
        yield
    except AuthenticationError as error:
        wrong = "refused the token (403)" if "failed" in str(error).lower() else "wants a token and got none (401)"
        raise EngineError(f"the cluster at {at} {wrong}: {_TOKEN_HELP}") from None
    except (ConnectionError, requests.exceptions.ConnectionError):
        raise EngineError(
            f"no Ray dashboard answers at {at}: give the head's http://HEAD:8265, or open a tunnel first"
            " (`ray dashboard cluster.yaml`, `kubectl port-forward`)"
        ) from None
    except (RayError, RuntimeError, ValueError, requests.exceptions.RequestException) as error:
        raise EngineError(f"the cluster at {at} refused: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The part of an error that a person needs; servers answer with whole tracebacks."""
    text = str(error)
    if "already exists" in text:
        return "a job of this submission id exists already; leave --submission-id out or give another"
    if "does not exist" in text or "404" in text:
        return "it knows no such job"
    lines = [line for line in text.splitlines() if line.strip()]
    return " ".join((lines[-1] if lines else type(error).__name__).split())[:400]
