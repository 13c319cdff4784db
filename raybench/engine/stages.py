"""The steps of a run as pure functions on plain rows, testable without Ray.

sample row -> unit rows (with content keys) -> row with images -> response row
record rows -> judge item rows (with content keys) -> verdict row
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raybench.data.images import PREPROCESSING, fingerprint, open_image, read_bytes, sha256
from raybench.errors import DataError, SpecError, nearest
from raybench.interfaces import JudgeProtocol, Task
from raybench.schema import CELL, Failure, Response, Row, Verdict, canonical_json, digest

__all__ = [
    "attempt_row",
    "hash_images",
    "judge_rows",
    "load_images",
    "prompt_variants",
    "request",
    "response_row",
    "unit_rows",
    "verdict_row",
]


_FROM_SAMPLE = ("task", "dataset", "split", "sample", "sample_hash", "input_hash", "ordinal")


def prompt_variants(task: Task, prompts: str | Sequence[str], read: Any) -> dict[str, str]:
    """Return variant name -> template for a spec's `prompts`: default, all, a list of ids, or a file.

    Args:
        read: function from a path to {name: template}, called only for a file.

    Raises:
        SpecError: an id the task does not declare.
    """
    declared = dict(task.prompts)
    if prompts == "default":
        name = next(iter(declared))
        return {name: declared[name]}
    if prompts == "all":
        return declared
    if isinstance(prompts, str) and prompts not in declared:
        if "." in prompts or "/" in prompts:
            return dict(read(prompts))
        prompts = [prompts]
    chosen = [prompts] if isinstance(prompts, str) else list(prompts)
    for name in chosen:
        if name not in declared:
            allowed = ", ".join(["default", "all", *declared])
            raise SpecError(
                f"prompts: unknown variant {name!r}{nearest(name, declared)}; allowed: {allowed}, or a file"
            )
    return {name: declared[name] for name in chosen}


def hash_images(sample: Row) -> Row:
    """Return the sample row with `image_sha256` and `image_stamps` filled in.

    A known hash is kept where size and mtime (or ETag) have not changed. An
    unreadable image gets a hash of its name, so that the unit can be planned
    and fails when it is read.
    """
    known = dict(zip(_json(sample.get("image_stamps")) or [], sample.get("image_sha256") or [], strict=False))
    stamps, hashes = [], []
    for image in _json(sample["images"]):
        unchanged = fingerprint(image["uri"])
        stamp = canonical_json([image["uri"], unchanged])
        found = known.get(stamp, "unreadable:") if unchanged is not None else "unreadable:"
        if found.startswith("unreadable:"):
            try:
                found = sha256(read_bytes(image["uri"]))
            except DataError:
                found = "unreadable:" + digest(image["uri"], 16)
        stamps.append(stamp)
        hashes.append(found)
    return {**sample, "image_sha256": hashes, "image_stamps": canonical_json(stamps)}


def unit_rows(sample: Row, task: Task, model: Row, images: str, repeats: int) -> Iterator[Row]:
    """Yield the units of one sample under one model: every prompt variant, every repeat.

    Args:
        sample: a `samples` row with image hashes.
        model: a planned model: "name", "config", "identity" (content key part),
            "sampling" of this task, "nonce" ("" or what makes a fresh run fresh),
            and "extra", a function from the sample id to more key parts.
        images: "with" or "none".
    """
    refs = [
        {**image, "sha256": sha}
        for image, sha in zip(_json(sample["images"]), sample["image_sha256"], strict=True)
    ]  # fmt: skip
    for variant, template in task.prompts.items():
        messages = _by_hash(task.messages(sample, variant), refs, images)
        for repeat in range(repeats):
            sampling = {**model["sampling"], "seed": model["sampling"]["seed"] + repeat}
            content = {
                "identity": model["identity"], "messages": messages, "preprocessing": PREPROCESSING,
                "sampling": sampling, "repeat": repeat, "nonce": model["nonce"], **model["extra"](sample["sample"]),
            }  # fmt: skip
            yield {
                "key": digest(content),
                **{name: sample[name] for name in _FROM_SAMPLE},
                "model": model["name"], "config": model["config"], "variant": variant, "images": images,
                "repeat": repeat, "prompt": digest(template, 8), "messages": canonical_json(messages),
                "image_refs": canonical_json(refs if images == "with" else []),
                "sampling": canonical_json(sampling), "questions": sample["questions"],
                "choices": sample["choices"], "context": sample["context"],
            }  # fmt: skip


def load_images(row: Row, pixels: bool) -> Row:
    """Return the plan row with "loaded" images read from its references, and "error" ("" unless one failed)."""
    try:
        loaded = [_open(image, pixels) for image in _json(row.get("image_refs")) or []]
    except DataError as error:
        return {**row, "loaded": [], "error": str(error)}
    return {**row, "loaded": loaded, "error": ""}


def _open(image: Row, pixels: bool) -> Row:
    part = [name for name in ("frame", "plane", "slice", "window") if image.get(name) is not None]
    if part:
        raise DataError(f"{image['uri']}: cannot read a {part[0]} of an image; only whole pictures are read")
    return open_image(image["uri"], pixels)


def request(row: Row) -> Row:
    """Return what a backend is sent for one plan or judge row (see `Backend.generate`)."""
    shas = [image["sha256"] for image in _json(row.get("image_refs")) or []]
    messages = _json(row["messages"])
    for message in messages:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for part in message["content"]:
            if part["type"] == "image":
                part["image"] = shas.index(part.pop("sha256"))
    return {
        "id": row["key"], "sample": row["sample"], "messages": messages, "images": row.get("loaded") or [],
        "sampling": _json(row["sampling"]), "labels": _json(row.get("labels")),
    }  # fmt: skip


def response_row(row: Row, response: Response, run: Row) -> Row:
    """Return the `responses` row of one answered unit."""
    fields = dataclasses.asdict(response)
    fields["label_logprobs"] = canonical_json(response.label_logprobs) if response.label_logprobs else None
    fields["notes"] = canonical_json(dict(response.notes))
    unit = {name: row[name] for name in ("key", *CELL, "sample", "repeat")}
    return {**unit, "turn": 0, "messages": row["messages"], **fields, **run}


def verdict_row(row: Row, protocol: JudgeProtocol, response: Response, run: Row) -> Row:
    """Return the `verdicts` row of one judged item."""
    verdict = protocol.parse(response)
    return {
        **_verdict_fields(row, verdict, "judge"),
        "messages": row["messages"], "finish_reason": response.finish_reason, "raw": verdict.raw or response.text,
        "tokens_in": response.tokens_in, "tokens_out": response.tokens_out, "seconds": response.seconds, **run,
    }  # fmt: skip


def attempt_row(row: Row, failure: Failure) -> Row:
    """Return the `attempts` row of a call that failed."""
    given = {name: row.get(name) for name in ("key", *CELL, "sample", "repeat", "judge", "protocol")}
    return {**given, **dataclasses.asdict(failure)}


def judge_rows(records: Sequence[Row], protocol: JudgeProtocol, judge: Row) -> Iterator[Row]:
    """Yield a judge row for each record that can be judged; "decided" ones are whole verdict rows.

    Args:
        judge: a planned judge: "name", "config", "identity".
    """
    labels = list(protocol.labels)
    sampling = {"temperature": 0.0, "top_p": 1.0, "max_tokens": protocol.max_tokens, "seed": 0, "stop": []}
    for record, item in zip(records, protocol.items(records), strict=True):
        if item is None:
            continue
        content = {"identity": judge["identity"], "item": item["item"], "sampling": sampling, "labels": labels}
        row = {
            "key": digest(content), "item": item["item"], "judge": judge["name"], "judge_config": judge["config"],
            "protocol": protocol.name, "template": protocol.template_hash,
            **{name: record[name] for name in ("task", "dataset", "split", "sample", "model")},
            "question": item["question"], "reference": item["reference"], "candidate": item["candidate"],
        }  # fmt: skip
        if item.get("decided") is not None:
            yield {**_verdict_fields(row, item["decided"], "rule"), "decided": True}
        else:
            messages = canonical_json(protocol.messages(item))
            sampled, forced = canonical_json(sampling), canonical_json(labels)
            yield {**row, "messages": messages, "sampling": sampled, "labels": forced, "decided": False}


def _verdict_fields(row: Row, verdict: Verdict, decided_by: str) -> Row:
    kept = ("key", "item", "judge", "judge_config", "protocol", "template", "task", "dataset", "split", "sample",
            "model", "question", "reference", "candidate")  # fmt: skip
    fields = dataclasses.asdict(verdict)
    fields["label_probs"] = canonical_json(verdict.label_probs) if verdict.label_probs else None
    return {**{name: row[name] for name in kept}, **fields, "decided_by": decided_by}


def _by_hash(messages: Sequence[Mapping[str, Any]], refs: Sequence[Row], images: str) -> list[Row]:
    """Messages with images named by hash, as they are stored; without them if `images` is "none"."""
    out: list[Row] = []
    for message in messages:
        parts = []
        for part in message["content"]:
            if part["type"] != "image":
                parts.append(part)
            elif images == "with":
                parts.append({"type": "image", "sha256": refs[part["image"]]["sha256"]})
        out.append({**message, "content": parts})
    return out


def _json(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text
