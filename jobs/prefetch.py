"""Fetch weights to a node once, before its replicas load them: `cluster.yaml` and `jobs/kuberay.yaml` run it.

    python jobs/prefetch.py --to /weights llava-hf/llava-1.5-7b-hf s3://BUCKET/weights/llava-med

A hub id goes into the cache that the `hf` backend reads (HF_HOME, here --to). A folder of an object store is copied to
--to/NAME, which a spec then names as `model`. Both are whole or absent: a copy that was cut short is begun again, one
that is there is left alone. Several processes of one node may start it at once; they take turns.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import fsspec

__all__ = ["fetch", "main"]


def fetch(source: str, folder: Path) -> Path:
    """Return where the weights of `source` lie on this node, fetching them if they are not there yet."""
    if "://" not in source:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(source, cache_dir=folder / "hub"))
    target = folder / source.rstrip("/").rsplit("/", 1)[1]
    if target.exists():
        return target
    filesystem, path = fsspec.core.url_to_fs(source)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if not filesystem.isdir(path):
        raise FileNotFoundError(f"no folder {source}")
    filesystem.get(path.rstrip("/") + "/", f"{partial}/", recursive=True)
    os.rename(partial, target)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch every source; 1 if one could not be had, which leaves it to the replicas."""
    parser = argparse.ArgumentParser(description="Fetch weights to this node, once.")
    parser.add_argument("--to", type=Path, required=True, help="folder of this node that outlives its processes")
    parser.add_argument("sources", nargs="*", help="hub ids, or folders at s3://, gs://")
    given = parser.parse_args(arguments)
    given.to.mkdir(parents=True, exist_ok=True)
    failed = 0
    with open(given.to / ".raybench-prefetch.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for source in given.sources:
            try:
                print(f"{source}: {fetch(source, given.to)}")
            except Exception as error:  # a replica that needs it will say more
                print(f"{source}: {type(error).__name__}: {error}", file=sys.stderr)
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
