"""raybench: Ray-distributed evaluation and judging of medical vision-language models.

import raybench
result = raybench.run("spec.yaml")          # what `raybench run spec.yaml` does
results = raybench.load("results/seed")     # pandas frames
results.scores.query("headline")[["model", "value", "low", "high"]]
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from raybench.engine.run import RunResult

__all__ = ["Results", "__version__", "load", "run"]

__version__ = version("raybench")


class Results:
    """A result folder as pandas DataFrames, read when first asked for.

    Attributes:
        scores: one row a score, with interval, counts and signature.
        records: one row a unit: outcome, parsed value, per-metric statistics (JSON).
        responses: one row a unit that was answered: text, tokens, seconds, messages.
        verdicts: one row a judged item.
    """

    def __init__(self, folder: str) -> None:
        from raybench.store import Store

        self._store = Store(folder, must_exist=True)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The `scores` view."""
        frame: pd.DataFrame = self._store.frame("scores")
        return frame

    @cached_property
    def records(self) -> pd.DataFrame:
        """The `records` view: the newest complete generation."""
        frame: pd.DataFrame = self._store.frame("records")
        return frame

    @cached_property
    def responses(self) -> pd.DataFrame:
        """The `responses` view: each unit with the response to its content key."""
        frame: pd.DataFrame = self._store.frame("responses")
        return frame

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """The `verdicts` view."""
        frame: pd.DataFrame = self._store.frame("verdicts")
        return frame


def load(folder: str | Path) -> Results:
    """Open a result folder.

    Raises:
        StoreError: it does not exist or holds no results.
    """
    return Results(str(folder))


def run(spec: str | Path | Mapping[str, Any], address: str | None = None) -> RunResult:
    """Run a spec: a YAML file, or the same keys as a mapping.

    Args:
        address: Ray cluster ("auto", "host:port"); None starts a local Ray, or
            uses the one this process is connected to.

    Raises:
        UserError: bad input; one sentence.
    """
    from raybench import spec as specs
    from raybench.engine.run import run as run_spec

    document = spec if isinstance(spec, Mapping) else specs.read(spec)
    where = "spec" if isinstance(spec, Mapping) else str(spec)
    return run_spec(specs.build(document, where), address)
