"""Run one suite inside a cluster: the entrypoint that `ray job submit` starts on the head.

    ray job submit --address http://HEAD:8265 --working-dir . -- python jobs/run_suite.py --spec jobs/vqa_rad.yaml

Exits as `raybench run` does: 0 done, 1 finished but incomplete, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import raybench
from raybench.errors import UserError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite that `--spec` names on the cluster this process is part of; return the exit code."""
    parser = argparse.ArgumentParser(description="Run one suite inside a Ray cluster.")
    parser.add_argument("--spec", type=Path, required=True, help="the suite's YAML file")
    spec = parser.parse_args(arguments).spec
    try:
        return int(raybench.run(spec, address="auto").exit_code)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
