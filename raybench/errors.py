"""Every error raybench raises on purpose, as one tree.

    RaybenchError
    ├── UserError              bad input: one sentence, exit code 2, no traceback
    │   ├── SpecError          the YAML, a flag or a plugin's options
    │   ├── UnknownNameError   no task, model, judge or metric of that name
    │   ├── DataError          a file, a column, an id
    │   ├── StoreError         a result folder that is missing, empty or not ours
    │   │   └── UnreadableError  stored rows that cannot be read now; asking again may help
    │   ├── ModelError         a model that cannot be resolved or loaded
    │   └── PolicyError        something the data's terms forbid
    └── EngineError            the cluster or a replica failed; never the user's input

A `UserError` says what is wrong, where, what is allowed and what was probably
meant. Everything else is a bug or a broken machine and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DataError",
    "EngineError",
    "ModelError",
    "PolicyError",
    "RaybenchError",
    "SpecError",
    "StoreError",
    "UnknownNameError",
    "UnreadableError",
    "UserError",
    "nearest",
    "one_line",
]


class RaybenchError(Exception):
    """Root of the tree; never raised itself."""


class UserError(RaybenchError):
    """Something the user can mend. `str(error)` is the one sentence shown."""


class SpecError(UserError):
    """A spec, a flag or a plugin option that is not allowed."""


class UnknownNameError(UserError):
    """A plugin or catalogue name that does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        listed = ", ".join(names) if names else "none installed"
        super().__init__(f"unknown {kind} {name!r}{nearest(name, names)}; known: {listed}")


class DataError(UserError):
    """A data file, column or id that is missing or malformed."""


class StoreError(UserError):
    """A result folder that is missing, empty or unreadable."""


class UnreadableError(StoreError):
    """Stored rows that cannot be read now: a part is damaged or being replaced, or memory is short."""


class ModelError(UserError):
    """A model that cannot be resolved, loaded or used as asked."""


class PolicyError(UserError):
    """An action that the terms of a restricted data set forbid."""


class EngineError(RaybenchError):
    """The cluster, a replica or the pipeline failed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the closest known name, or ""."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def one_line(error: BaseException, limit: int = 400) -> str:
    """Return an error as one line of at most `limit` characters, class name first."""
    text = " ".join(str(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= limit else line[: limit - 1] + "…"
