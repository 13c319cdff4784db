"""The verb submit: a spec as a Ray job on a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["COMMANDS", "submit"]


def submit(
    spec: Annotated[Path, typer.Argument(help="Spec file (YAML).", metavar="SPEC.yaml", show_default=False)],
    address: Annotated[
        str | None,
        typer.Option(help="The cluster's dashboard, http://HEAD:8265 (else RAY_ADDRESS).", metavar="URL"),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Result folder that every node can write: s3://, gs://.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value with dotted keys.")] = None,
    shared: Annotated[
        list[str] | None, typer.Option(help="A folder that every node mounts at this path.", metavar="PREFIX")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the job's id and leave it alone.")] = False,
    runtime_env: Annotated[
        Path | None, typer.Option(help="More of Ray's runtime environment (YAML); no secrets.", metavar="FILE")
    ] = None,
    cpus: Annotated[float, typer.Option(min=0, help="CPUs of the entrypoint itself; 0 runs it on the head.")] = 0,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of the entrypoint itself.")] = 0,
    memory_gb: Annotated[float, typer.Option(min=0, help="Memory of the entrypoint itself, GiB.")] = 0,
    submission_id: Annotated[str | None, typer.Option(help="The job's id; Ray makes one otherwise.")] = None,
) -> None:
    """Run SPEC.yaml as a job on a Ray cluster and follow it; ends with the job's exit code.

    Ctrl-C detaches and leaves the job at work. The spec and its prompt files travel; data, weights and secrets do not.
    """
    from raybench import spec as specs
    from raybench.engine.submitting import Submission
    from raybench.engine.submitting import submit as submit_job

    document = specs.with_settings(specs.read(spec), settings or [])
    document |= {"output": output} if output else {}
    specs.build(document, str(spec))  # what is wrong with it is said here, not in a log
    extra = specs.read(runtime_env) if runtime_env else None
    job = submit_job(
        document, Submission(address, tuple(shared or ()), extra, cpus, gpus, memory_gb, submission_id)
    )  # fmt: skip
    _say(f"job {job.id} on {job.address}; to watch it: raybench watch {job.id} --address {job.address}")
    if no_wait:
        typer.echo(job.id)
        return
    raise typer.Exit(_follow(job))


def _follow(job: Any) -> int:
    from raybench.cli.watch import follow_job
    from raybench.engine.submitting import stop_command

    try:
        code = follow_job(job, _say)
    except KeyboardInterrupt:
        _say(f"detached; job {job.id} goes on. To end it: {stop_command(job)}")
        return 130
    _say(f"job {job.id} ended with exit code {code}")
    return code


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


COMMANDS = (submit,)
