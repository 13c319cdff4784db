"""What of a stored text may be shown: no path, no secret, no field that names a patient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from raybench.spec import redacted

__all__ = ["shown", "without_identity", "without_paths"]

_PATH = re.compile(
    r"(?:[a-zA-Z][\w+.-]*://(?!\S*\*\*\*@)|~/|(?<![\w/.])/(?=[^\s/])|\b[A-Za-z]:\\)[^\s'\"<>|,;]*[\\/][^\s'\"<>|,;)]*"
)
_WEB = ("http://", "https://")
#: Context fields that tell who a picture is of or where it lies.
_IDENTITY = re.compile(
    r"patient|subject|person|name$|birth|^dob$|^mrn$|accession|(study|series|exam)_?(id|uid)|uid$|path|uri|file|folder",
    re.IGNORECASE,
)


def without_paths(text: str) -> str:
    """Return text in which local paths and addresses of files are an ellipsis; web addresses stay."""
    return _PATH.sub(lambda match: match[0] if match[0].startswith(_WEB) else "…", text)


def shown(value: Any) -> Any:
    """Return a stored document without secrets and paths."""
    return _walked(redacted(value))


def _walked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _walked(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(each) for each in value]
    return without_paths(value) if isinstance(value, str) else value


def without_identity(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sample's context without the fields that tell who it is of."""
    return {key: value for key, value in context.items() if not _IDENTITY.search(key)}
