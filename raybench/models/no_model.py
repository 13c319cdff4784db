"""No model: for judge protocols that decide everything without a call (`rule`, `panel`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from raybench.interfaces import Backend, Capabilities, Options
from raybench.schema import Failure, Result, Row

__all__ = ["PLUGIN", "NoModel"]


class NoModelOptions(Options):
    """Nothing to set; `model` names what is not there."""

    model: str = "none"


class NoModel(Backend):
    """Answers nothing; a judge entry with a protocol that asks nobody has this backend."""

    Options = NoModelOptions
    version: ClassVar[str] = "1"
    capabilities: ClassVar[Capabilities] = Capabilities(images=False, multi_turn=False)

    @classmethod
    def identity(cls, options: Any) -> Row:
        return {"model": options.model, "revision": "", "pinned": True}

    def __init__(self, options: Any) -> None:
        self.options = options

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Fail every row: nothing stands behind this backend."""
        for row in rows:
            yield row["id"], Failure("no_model", "this entry has no model; give it a backend to ask")


PLUGIN = NoModel
