"""The nouns of raybench and the Arrow schemas of its tables.

A run turns *samples* into *units* (what is planned), units into *responses*,
responses into *answers* and *verdicts*, and those into *scores*. Inside Python
the nouns are frozen dataclasses; on the wire and on disk they are plain dicts
and Arrow rows, since Ray Data falls back to pickle for dataclass columns.

Open-keyed fields (slices, context, messages, statistics) are stored as
canonical JSON text, so that every part of a table has the same Arrow schema.

>>> digest({"b": 1, "a": [2]}) == digest({"a": [2], "b": 1})
True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

__all__ = [
    "CELL",
    "OUTCOMES",
    "SCHEMA_VERSION",
    "SCORE_KEY",
    "TABLES",
    "Answer",
    "Box",
    "Failure",
    "ImageRef",
    "Outcome",
    "Response",
    "Result",
    "Row",
    "Sample",
    "Score",
    "Verdict",
    "canonical_json",
    "digest",
]

SCHEMA_VERSION = 1

Row = dict[str, Any]
Outcome = Literal["answered", "refused", "unparsed", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("answered", "refused", "unparsed", "failed")

#: The columns that name one cell: one line of a leaderboard before metrics.
CELL = ("task", "dataset", "split", "model", "config", "variant", "images")


def canonical_json(value: Any) -> str:
    """Return JSON text that is equal for equal values: sorted keys, no spaces, UTF-8.

    Raises:
        TypeError: the value holds something JSON cannot carry.
        ValueError: the value holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 64) -> str:
    """Return the first `length` hex digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


@dataclass(frozen=True)
class ImageRef:
    """Where an image is and how to read it.

    Attributes:
        uri: path or fsspec URL of the file.
        frame: 0-based frame of a DICOM file (None: the middle one), page of a TIFF or
            volume of a 4-D NIfTI file (None: the first).
        plane: axial, coronal or sagittal, for volumes.
        slice: index along the plane, 0-based; None: the middle one.
        window: (centre, width) in the file's own units; None: the file's own.
    """

    uri: str
    frame: int | None = None
    plane: str | None = None
    slice: int | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Box:
    """A labelled box, corners as fractions (0-1) of the original image's width and height."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Sample:
    """One item of a benchmark, as its source gives it.

    Attributes:
        id: the source's own id, unique within (task, dataset, split).
        dataset: the data set's name in scores, e.g. "vqa_rad-osf".
        questions: user turns in order; one for single-turn tasks.
        targets: reference answers, one a question.
        choices: the closed list of answers, if the task has one.
        cluster: what rows share when they are not independent: the patient
            where known, else the image.
        slices: metadata columns that scores are broken down by.
        context: history, caption and other text a prompt may use.
    """

    id: str
    dataset: str
    split: str
    questions: tuple[str, ...]
    targets: tuple[str, ...]
    images: tuple[ImageRef, ...] = ()
    choices: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    cluster: str = ""
    slices: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        """Digest of everything but where the images lie; a corrected label changes it, a moved folder does not."""
        images = [{**asdict(image), "uri": ""} for image in self.images]
        return digest({**asdict(self), "images": images}, 32)

    @property
    def input_hash(self) -> str:
        """Digest of what a model is shown besides the images; answers to another input are never graded against it."""
        return digest([self.questions, self.choices, dict(self.context)], 16)

    def to_row(self, task: str, ordinal: int) -> Row:
        """Return the sample as a row of the `samples` table (image hashes still empty)."""
        return {
            "task": task,
            "dataset": self.dataset,
            "split": self.split,
            "sample": self.id,
            "sample_hash": self.content_hash,
            "input_hash": self.input_hash,
            "ordinal": ordinal,
            "questions": list(self.questions),
            "targets": list(self.targets),
            "choices": list(self.choices),
            "boxes": canonical_json([asdict(box) for box in self.boxes]),
            "images": canonical_json([asdict(image) for image in self.images]),
            "cluster": self.cluster,
            "slices": canonical_json(dict(self.slices)),
            "context": canonical_json(dict(self.context)),
        }


@dataclass(frozen=True)
class Response:
    """What a model returned for one call.

    Attributes:
        text: the final part of the output.
        reasoning: text the model marked as thinking, kept apart.
        finish_reason: "stop", "length", "label" or the server's own word.
        tokens_in, tokens_out: exact counts where the backend knows them.
        seconds: wall time of the call (of its micro-batch for `hf`).
        mean_logprob: mean log probability of the generated tokens.
        label_logprobs: raw log probability of each allowed label.
        notes: what else a reader should know, e.g. {"halved_batch": 4}.
    """

    text: str
    reasoning: str = ""
    finish_reason: str = "stop"
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0
    mean_logprob: float | None = None
    label_logprobs: Mapping[str, float] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Infrastructure failed for one call: never scored, never reused, retried by the next run.

    Attributes:
        reason: a short class such as "http_500", "timeout", "image", "replica_died".
        detail: one line for a person; holds no secret and no patient data.
        attempts: how often the call was sent.
    """

    reason: str
    detail: str
    attempts: int = 1


#: A row's id and what came of it.
Result = tuple[str, Response | Failure]


@dataclass(frozen=True)
class Answer:
    """What a parser read from a response.

    Attributes:
        value: the parsed value (JSON-able), None unless answered.
        extractor: the rule that fired, e.g. "yes_no:first_word".
        format: "exact_contract", "recovered:<rule>" or "unrecoverable".
        notes: counts of what was done to the value, e.g. {"swapped_corners": 1}.
    """

    outcome: Outcome
    value: Any = None
    extractor: str = ""
    format: str = "exact_contract"
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """One judge's word on one answer; `label` and `score` stay None unless status is "ok"."""

    status: Literal["ok", "refused_by_judge", "parse_failed", "truncated", "engine_error"]
    label: str | None = None
    score: float | None = None
    label_probs: Mapping[str, float] | None = None
    label_mass: float | None = None
    rationale: str = ""
    raw: str = ""


@dataclass(frozen=True)
class Score:
    """One aggregate with its interval, its counts and its recipe. Fields are None where they do not apply."""

    task: str
    dataset: str
    split: str
    sample_set: str
    model: str
    config: str
    variant: str
    images: str
    metric: str
    profile: str
    slice: str
    judge: str | None = None
    protocol: str | None = None
    kind: Literal["system", "baseline", "reported"] = "system"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    unit: str = "fraction"
    higher_is_better: bool = True
    n: int | None = None
    n_clusters: int | None = None
    planned: int | None = None
    answered: int | None = None
    refused: int | None = None
    unparsed: int | None = None
    failed: int | None = None
    null_verdicts: int | None = None
    bound_low: float | None = None
    bound_high: float | None = None
    coverage: float | None = None
    headline: bool = False
    group: str = ""
    flags: Sequence[str] = ()
    signature: str = ""
    generation: str = ""


SCORE_KEY = (
    "task", "dataset", "split", "sample_set", "model", "config", "variant",
    "images", "judge", "protocol", "metric", "profile", "slice",
)  # fmt: skip

_TEXT, _INT, _REAL, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_TEXTS = pa.list_(_TEXT)
_UNIT = dict.fromkeys(CELL, _TEXT) | {"sample": _TEXT, "repeat": _INT}


def _schema(columns: Mapping[str, pa.DataType]) -> pa.Schema:
    return pa.schema(list(columns.items()), metadata={"raybench_schema": str(SCHEMA_VERSION)})


#: Table name -> Arrow schema. Changes are additive: new columns, never other meanings.
TABLES: dict[str, pa.Schema] = {
    "samples": _schema({
        "task": _TEXT, "dataset": _TEXT, "split": _TEXT, "sample": _TEXT, "sample_hash": _TEXT,
        "input_hash": _TEXT, "ordinal": _INT, "questions": _TEXTS, "targets": _TEXTS, "choices": _TEXTS, "boxes": _TEXT,
        "images": _TEXT, "image_sha256": _TEXTS, "image_stamps": _TEXT, "image_sizes": _TEXT,
        "image_preprocessing": _TEXTS, "cluster": _TEXT,
        "slices": _TEXT, "context": _TEXT,
        "run_id": _TEXT, "committed_at": _TEXT,
    }),
    "units": _schema({
        "key": _TEXT, **_UNIT, "sample_hash": _TEXT, "input_hash": _TEXT, "prompt": _TEXT, "ordinal": _INT,
        "turns": _INT, "run_id": _TEXT, "committed_at": _TEXT,
    }),
    "responses": _schema({
        "key": _TEXT, **_UNIT, "turn": _INT, "messages": _TEXT, "text": _TEXT, "reasoning": _TEXT,
        "finish_reason": _TEXT, "tokens_in": _INT, "tokens_out": _INT, "seconds": _REAL,
        "mean_logprob": _REAL, "label_logprobs": _TEXT, "notes": _TEXT, "pinned": _FLAG,
        "replica": _TEXT, "node": _TEXT, "batch_size": _INT, "versions": _TEXT,
        "started_at": _TEXT, "run_id": _TEXT, "committed_at": _TEXT,
    }),
    "attempts": _schema({
        "key": _TEXT, **_UNIT, "judge": _TEXT, "protocol": _TEXT, "reason": _TEXT, "detail": _TEXT,
        "attempts": _INT, "run_id": _TEXT, "committed_at": _TEXT,
    }),
    "verdicts": _schema({
        "key": _TEXT, "item": _TEXT, "judge": _TEXT, "judge_config": _TEXT, "protocol": _TEXT,
        "template": _TEXT, "task": _TEXT, "dataset": _TEXT, "split": _TEXT, "sample": _TEXT, "model": _TEXT,
        "question": _TEXT, "reference": _TEXT, "candidate": _TEXT,
        "status": _TEXT, "label": _TEXT, "score": _REAL, "label_probs": _TEXT, "label_mass": _REAL,
        "rationale": _TEXT, "raw": _TEXT, "messages": _TEXT, "finish_reason": _TEXT, "decided_by": _TEXT,
        "tokens_in": _INT, "tokens_out": _INT, "seconds": _REAL, "pinned": _FLAG,
        "replica": _TEXT, "node": _TEXT, "versions": _TEXT, "run_id": _TEXT, "committed_at": _TEXT,
        "aspect": _TEXT, "other": _TEXT, "attempt": _INT, "fanout": _INT, "injection_flags": _TEXTS,
        "labels": _TEXT, "sampling": _TEXT, "started_at": _TEXT,
    }),
    "records": _schema({
        "generation": _TEXT, "key": _TEXT, **_UNIT, "sample_hash": _TEXT, "cluster": _TEXT,
        "slices": _TEXT, "turn": _INT, "outcome": _TEXT, "extractor": _TEXT, "format": _TEXT, "value": _TEXT,
        "notes": _TEXT, "text": _TEXT, "question": _TEXT, "target": _TEXT, "statistics": _TEXT, "reason": _TEXT,
        "signature": _TEXT, "committed_at": _TEXT,
    }),
    "media": _schema({
        "image_sha256": _TEXT, "width_px": _INT, "height_px": _INT, "thumbnail": pa.binary(),
        "run_id": _TEXT, "committed_at": _TEXT,
    }),
    "scores": _schema({
        **dict.fromkeys(SCORE_KEY, _TEXT), "kind": _TEXT, "value": _REAL, "low": _REAL, "high": _REAL,
        "sd": _REAL, "unit": _TEXT, "higher_is_better": _FLAG, "n": _INT, "n_clusters": _INT,
        "planned": _INT, "answered": _INT, "refused": _INT, "unparsed": _INT, "failed": _INT,
        "null_verdicts": _INT, "bound_low": _REAL, "bound_high": _REAL, "coverage": _REAL,
        "headline": _FLAG, "group": _TEXT, "flags": _TEXTS, "signature": _TEXT, "generation": _TEXT, "inputs": _TEXT,
        "committed_at": _TEXT,
    }),
    "runs": _schema({
        "run_id": _TEXT, "status": _TEXT, "at": _TEXT, "spec": _TEXT, "plan_digest": _TEXT,
        "cells": _TEXT, "judged": _TEXT, "environment": _TEXT, "versions": _TEXT, "git": _TEXT, "detail": _TEXT,
        "warnings": _TEXT, "facts": _TEXT, "pairs": _TEXT,
        "committed_at": _TEXT,
    }),
}  # fmt: skip
