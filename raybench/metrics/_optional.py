"""What the optional text scorers share: packages and weights that are asked for only when such a profile is used."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from raybench.errors import DataError, one_line
from raybench.schema import Row

__all__ = ["load", "opened", "texts"]


def load(package: str, profile: str) -> Any:
    """Import an optional package.

    Raises:
        DataError: it is not installed, or cannot be imported here.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise DataError(f"profile {profile} needs {package} ({one_line(error, 100)}): pip install {package}") from error


def opened(profile: str, make: Any, *arguments: Any, **options: Any) -> Any:
    """Return a scorer object.

    Raises:
        DataError: its weights are not here and cannot be fetched.
    """
    try:
        return make(*arguments, **options)
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"profile {profile}: its weights cannot be loaded: {one_line(error, 200)}") from error


def texts(record: Row) -> tuple[Sequence[str], Sequence[str]]:
    """Return ([what the model said], [reference]); "" where a row is refused or unparsed."""
    value = record["value"] if isinstance(record["value"], str) else record["text"]
    said = str(value or "") if record["outcome"] == "answered" else ""
    return [said], [str(record["target"])]
