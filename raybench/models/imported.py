"""Answers produced elsewhere, read from a file and graded like any model's.

    raybench import answers.jsonl --task vqa_rad --data DIR --model my-model -o results

Rows carry an id (`id`, `qid` or `question_id`, compared as text) and the answer
in one of `prediction`, `response`, `text`, `answer`; if several of these are
there, `text_field` says which, since a file may carry the gold beside the
prediction. Blank text is a refusal; a missing id is a failure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import ClassVar

from raybench.data.images import fingerprint
from raybench.data.tables import read_rows
from raybench.errors import DataError, nearest
from raybench.interfaces import Backend, Capabilities, Options
from raybench.schema import Failure, Response, Result, Row, digest

__all__ = ["ID_FIELDS", "PLUGIN", "TEXT_FIELDS", "Imported", "read_answers"]

ID_FIELDS = ("id", "qid", "question_id")
TEXT_FIELDS = ("prediction", "response", "text", "answer")
#: Other usual names of a model's answer: beside one of TEXT_FIELDS they make it doubtful which is which.
_ALSO_TEXT = (
    "pred", "predicted", "predicted_answer", "model_answer", "model_output", "generated", "generated_text", "output",
    "completion", "hypothesis",
)  # fmt: skip


class ImportedOptions(Options):
    """The file of answers and, where needed, its columns."""

    answers: str
    text_field: str | None = None
    id_field: str | None = None


class Imported(Backend):
    """Answers from a JSONL, JSON, CSV or Parquet file, by sample id."""

    Options = ImportedOptions
    capabilities: ClassVar = Capabilities(images=True, concurrent=False)

    @classmethod
    def identity(cls, options: ImportedOptions) -> Row:
        """Nothing but the name decides: each answer's text is part of its own key."""
        read_answers(options.answers, options.text_field, options.id_field)
        return {"model": "imported", "revision": "", "pinned": True}

    @classmethod
    def key_extra(cls, options: ImportedOptions, sample_id: str) -> Row:
        """Return the sample id and a digest of its answer, so that a corrected file replaces the old answers."""
        text = read_answers(options.answers, options.text_field, options.id_field).get(sample_id)
        return {"sample": sample_id, "text": None if text is None else digest(text, 16)}

    def __init__(self, options: ImportedOptions) -> None:
        self._answers = read_answers(options.answers, options.text_field, options.id_field)
        self._source = options.answers

    async def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Yield the stored answers; a sample without one is a failure."""
        for row in rows:
            text = self._answers.get(row["sample"])
            if text is None:
                yield row["id"], Failure("missing", f"{self._source} has no answer with id {row['sample']}")
            else:
                yield row["id"], Response(text)


def read_answers(path: str, text_field: str | None = None, id_field: str | None = None) -> dict[str, str]:
    """Return id -> text of a file of answers; read again only when the file has changed.

    Raises:
        DataError: no such file or column, no rows, several text columns, blank or duplicate ids.
    """
    return _read(path, text_field, id_field, str(fingerprint(path)))


@lru_cache(maxsize=4)
def _read(path: str, text_field: str | None, id_field: str | None, _stamp: str) -> dict[str, str]:
    answers: dict[str, str] = {}
    twice: Counter[str] = Counter()
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path}, row {number}"
        given = row[_field(row, id_field, ID_FIELDS, "an id", "id_field", where)]
        if isinstance(given, bool | list | dict):
            raise DataError(f"{where}: an id must be text or a number, not {given!r:.60}")
        # A table's ways to leave a cell out, NaN among them.
        key = "" if given is None or given != given else str(given).strip()
        text = row[_field(row, text_field, TEXT_FIELDS, "an answer", "--text-field", where)]
        if not key:
            raise DataError(f"{where}: blank id")
        if key in answers:
            twice[key] += 1
        if isinstance(text, float) and math.isnan(text):
            continue  # a table's way to say that there is no answer: missing, not blank
        if isinstance(text, list | dict):
            raise DataError(f"{where}: an answer must be text, not a {type(text).__name__}")
        # Half surrogate pairs (JSON cut inside an emoji) can be stored nowhere.
        answers[key] = "" if text is None else str(text).encode("utf-8", "replace").decode()
    if twice:
        example = min(twice)
        raise DataError(
            f"{path}: {len(twice)} {'id stands' if len(twice) == 1 else 'ids stand'} more than once,"
            f" e.g. {example!r}; each needs exactly one answer"
        )
    return answers


def _field(row: Row, chosen: str | None, allowed: tuple[str, ...], what: str, flag: str, where: str) -> str:
    if chosen is not None:
        if chosen not in row:
            raise DataError(f"{where}: no column {chosen!r}{nearest(chosen, row)}; columns: {', '.join(map(str, row))}")
        return chosen
    found: list[str] = [name for name in (*allowed, *(_ALSO_TEXT if flag == "--text-field" else ())) if name in row]
    if len(found) == 1:
        return found[0]
    if found and flag == "id_field":
        return found[0]
    if not found:
        raise DataError(
            f"{where}: no column for {what} (one of {', '.join(allowed)}); columns: {', '.join(map(str, row))}"
        )
    raise DataError(
        f"{where}: several columns may be {what} ({', '.join(found)}); say which with {flag}, e.g. {flag} {found[0]}"
    )


PLUGIN = Imported
