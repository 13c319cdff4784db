"""The steps of a run as pure functions on plain rows, testable without Ray.

sample row -> unit rows (with content keys) -> row with images -> response row
record rows -> judge item rows (with content keys) -> verdict row
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from raybench.data.images import PREPROCESSING, fingerprint, open_image, preprocessing, read_bytes, sha256, size_px
from raybench.errors import DataError, SpecError, nearest
from raybench.interfaces import JudgeProtocol, Task, judge_calls
from raybench.schema import CELL, Failure, Response, Row, Sample, Verdict, canonical_json, digest

__all__ = [
    "REPEATED_SHARE",
    "attempt_row",
    "hash_images",
    "judge_rows",
    "load_images",
    "next_turn",
    "prompt_variants",
    "request",
    "response_row",
    "second_attempt",
    "unit_rows",
    "verdict_row",
    "with_examples",
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


def with_examples(prompts: Mapping[str, str], examples: Sequence[Sample]) -> dict[str, str]:
    """Return prompt variants that open with worked examples (text only), named "<variant>+<n>shot"."""
    shown = "".join(f"Question: {item.questions[0]}\nAnswer: {item.targets[0]}\n\n" for item in examples)
    return {f"{name}+{len(examples)}shot": f"Examples:\n{shown}{prompt}" for name, prompt in prompts.items()}


def hash_images(sample: Row) -> Row:
    """Return the sample row with its `image_*` columns filled in: hashes, stamps, sizes, preprocessing.

    A known hash is kept where size and mtime (or ETag) have not changed. An
    unreadable image gets a hash of its name, so that the unit can be planned
    and fails when it is read.
    """
    before = (sample.get("image_sha256"), _json(sample.get("image_sizes")), sample.get("image_preprocessing"))
    facts = zip(*(column or [] for column in before), strict=False)
    known = dict(zip(_json(sample.get("image_stamps")) or [], facts, strict=False))
    stamps, found = [], []
    for image in _json(sample["images"]):
        unchanged = fingerprint(image["uri"])
        stamp = canonical_json([image, unchanged])
        fact = known.get(stamp) if unchanged is not None else None
        stamps.append(stamp)
        found.append(fact if fact and not fact[0].startswith("unreadable:") else _hashed(image))
    return {
        **sample, "image_stamps": canonical_json(stamps), "image_sha256": [sha for sha, _, _ in found],
        "image_sizes": canonical_json([size for _, size, _ in found]),
        "image_preprocessing": [steps for _, _, steps in found],
    }  # fmt: skip


def _hashed(image: Row) -> tuple[str, list[int] | None, str]:
    """Return (hash of the file, [width_px, height_px] or None, what will be done to it)."""
    try:
        data = read_bytes(image["uri"])
    except DataError:
        return "unreadable:" + digest(image["uri"], 16), None, PREPROCESSING
    size = size_px(data, image)
    return sha256(data), list(size) if size else None, preprocessing(image, data)


def unit_rows(sample: Row, task: Task, model: Row, images: str, repeats: int) -> Iterator[Row]:
    """Yield the units of one sample under one model: every prompt variant, every repeat.

    Args:
        sample: a `samples` row with image hashes.
        model: a planned model: "name", "config", "identity" (content key part),
            "sampling" of this task, "nonce" ("" or what makes a fresh run fresh),
            and "extra", a function from the sample id to more key parts.
        images: "with" (or "shuffled": the sample's images are another's already), "none", or
            "caption": the caption in place of the image.

    Raises:
        DataError: the caption is wanted and there is none.
    """
    refs = [
        {**image, "sha256": sha}
        for image, sha in zip(_json(sample["images"]), sample["image_sha256"], strict=True)
    ]  # fmt: skip
    shown = refs if images in ("with", "shuffled") else []
    steps = sorted({*(sample["image_preprocessing"] if shown else []), PREPROCESSING})
    for variant, template in task.prompts.items():
        asked = _by_hash(task.messages(sample, variant), refs if shown else [])
        messages = _with_caption(asked, sample) if images == "caption" else asked
        turns = _turns(sample, task, variant)
        labels = task.labels(sample)
        for repeat in range(repeats):
            sampling = {**model["sampling"], "seed": model["sampling"]["seed"] + repeat}
            content = {
                "identity": model["identity"], "messages": messages,
                "preprocessing": steps if len(steps) > 1 else PREPROCESSING,
                "sampling": sampling, "repeat": repeat, "nonce": model["nonce"], **model["extra"](sample["sample"]),
                **({"turns": turns} if turns else {}), **({"labels": labels} if labels else {}),
            }  # fmt: skip
            yield {
                "key": digest(content),
                **{name: sample[name] for name in _FROM_SAMPLE},
                "model": model["name"], "config": model["config"], "variant": variant, "images": images,
                "repeat": repeat, "prompt": digest(template, 8), "messages": canonical_json(messages),
                "image_refs": canonical_json(shown), "turns": len(turns) + 1, "later_turns": canonical_json(turns),
                "sampling": canonical_json(sampling), "questions": sample["questions"],
                "labels": canonical_json(labels) if labels else None,
                "choices": sample["choices"], "context": sample["context"],
            }  # fmt: skip


def _turns(sample: Row, task: Task, variant: str) -> list[Row]:
    """Return the later user turns: {"text", "before": the earlier answer to show, None for the model's own}."""
    texts = task.turns(sample, variant)
    before = sample["targets"] if task.history == "reference" else [None] * len(texts)
    return [{"text": text, "before": shown} for text, shown in zip(texts, before, strict=False)]


def next_turn(row: Row, answers: Sequence[Response]) -> Row | None:
    """Return the row that asks a conversation's next turn, given the answers so far; None after the last."""
    later = _json(row.get("later_turns")) or []
    if len(answers) > len(later):
        return None
    turn = later[len(answers) - 1]
    said = turn["before"] if turn["before"] is not None else answers[-1].text
    messages = [
        *_json(row["messages"]),
        {"role": "assistant", "content": [{"type": "text", "text": said}]},
        {"role": "user", "content": [{"type": "text", "text": turn["text"]}]},
    ]
    return {**row, "messages": canonical_json(messages)}


def load_images(row: Row, pixels: bool) -> Row:
    """Return the plan row with "loaded" images read from its references, and "error" ("" unless one failed)."""
    try:
        loaded = [open_image(image, pixels) for image in _json(row.get("image_refs")) or []]
    except DataError as error:
        return {**row, "loaded": [], "error": str(error)}
    return {**row, "loaded": loaded, "error": ""}


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
        "labels_else_text": bool(row.get("labels_else_text")),
        "choices": list(row.get("choices") or []),
        "question": row.get("question") or (row.get("questions") or [""])[0],
    }  # fmt: skip


def response_row(row: Row, response: Response, run: Row, turn: int = 0) -> Row:
    """Return the `responses` row of one answered turn."""
    fields = dict(vars(response))
    fields["label_logprobs"] = canonical_json(response.label_logprobs) if response.label_logprobs else None
    fields["notes"] = canonical_json(dict(response.notes)) if response.notes else "{}"
    unit = {name: row[name] for name in ("key", *CELL, "sample", "repeat")}
    return {**unit, "turn": turn, "messages": row["messages"], **fields, **run}


def verdict_row(row: Row, protocol: JudgeProtocol, response: Response, run: Row) -> Row:
    """Return the `verdicts` row of one judged item."""
    verdict = protocol.parse(response)
    return {
        **_verdict_fields(row, verdict, "judge"), "attempt": row.get("attempt") or 1,
        "messages": row["messages"], "finish_reason": response.finish_reason, "raw": verdict.raw or response.text,
        "tokens_in": response.tokens_in, "tokens_out": response.tokens_out, "seconds": response.seconds, **run,
    }  # fmt: skip


def attempt_row(row: Row, failure: Failure) -> Row:
    """Return the `attempts` row of a call that failed."""
    given = {name: row.get(name) for name in ("key", *CELL, "sample", "repeat", "judge", "protocol")}
    return {**given, **vars(failure)}


def second_attempt(row: Row, protocol: JudgeProtocol, response: Response, status: str) -> Row | None:
    """Return the row that asks a judge once more, with a format reminder, where its text could not be read.

    The sampling stays the same. Forced labels, refusals and second attempts are final: None.
    """
    unread = status in ("parse_failed", "truncated") and response.label_logprobs is None
    if not unread or not protocol.reminder or (row.get("attempt") or 1) > 1:
        return None
    messages = _json(row["messages"])
    content = messages[-1]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    messages[-1] = {**messages[-1], "content": [*parts, {"type": "text", "text": protocol.reminder}]}
    return {**row, "messages": canonical_json(messages), "attempt": 2}


#: Share of the items, chosen by content, that are judged again where repeats are asked for.
REPEATED_SHARE = 0.1


def judge_rows(records: Sequence[Row], protocol: JudgeProtocol, judge: Row) -> Iterator[Row]:
    """Yield a judge row for each call that records take, and whole verdict rows of what is "decided" without one.

    Args:
        records: those to be judged; others that a protocol needs beside them follow and have "beside" true.
        judge: a planned judge: "name", "config", "identity", "repeats" (1 where absent).
    """
    for record, item in zip(records, protocol.items(records), strict=True):
        if item is None or record.get("beside"):
            continue
        for call in judge_calls(item):
            row = _judge_row(record, {**item, **call}, protocol, judge)
            yield row
            if not row["decided"] and _is_repeated(row["item"]):
                for repeat in range(1, judge.get("repeats", 1)):
                    again = {"item": digest([row["item"], "repeat", repeat]), "decided": None}
                    aspect = {"repeat": repeat, "of": row["item"]}
                    yield _judge_row(record, {**item, **call, **again, "aspect": aspect}, protocol, judge)


def _is_repeated(item: str) -> bool:
    return int(digest([item, "repeated"], 12), 16) < REPEATED_SHARE * 16**12


def _judge_row(record: Row, item: Row, protocol: JudgeProtocol, judge: Row) -> Row:
    """Return one call as a row of the to-do file, or its whole verdict row where a rule decides it."""
    labels = list(protocol.labels)
    sampling = {"temperature": 0.0, "top_p": 1.0, "max_tokens": protocol.max_tokens, "seed": 0, "stop": []}
    content = {"identity": judge["identity"], "item": item["item"], "sampling": sampling, "labels": labels}
    row = {
        "key": digest(content), "item": item["item"], "judge": judge["name"], "judge_config": judge["config"],
        "protocol": protocol.name, "template": protocol.template_hash,
        **{name: record[name] for name in ("task", "dataset", "split", "sample", "model")},
        "question": item["question"], "reference": item["reference"], "candidate": item["candidate"],
        "other": item.get("other"), "aspect": canonical_json(item["aspect"]) if item.get("aspect") else None,
        "injection_flags": list(item.get("flags") or []),
    }  # fmt: skip
    if item.get("decided") is not None:
        return {**_verdict_fields(row, item["decided"], protocol.decided_by), "decided": True}
    return {
        **row, "messages": canonical_json(protocol.messages(item)), "sampling": canonical_json(sampling),
        "labels": canonical_json(labels) if labels else None, "labels_else_text": protocol.labels_else_text,
        "decided": False,
    }  # fmt: skip


_VERDICT_COLUMNS = (
    "key", "item", "judge", "judge_config", "protocol", "template", "task", "dataset", "split", "sample", "model",
    "question", "reference", "candidate", "other", "aspect", "injection_flags",
)  # fmt: skip


def _verdict_fields(row: Row, verdict: Verdict, decided_by: str) -> Row:
    fields = dict(vars(verdict))
    fields["label_probs"] = canonical_json(verdict.label_probs) if verdict.label_probs else None
    sent = {name: row.get(name) for name in ("labels", "sampling", "fanout")}
    return {**{name: row.get(name) for name in _VERDICT_COLUMNS}, **fields, **sent, "decided_by": decided_by}


def _by_hash(messages: Sequence[Mapping[str, Any]], refs: Sequence[Row]) -> list[Row]:
    """Messages with images named by hash, as they are stored; without them where there are no refs."""
    out: list[Row] = []
    for message in messages:
        parts = []
        for part in message["content"]:
            if part["type"] != "image":
                parts.append(part)
            elif refs:
                parts.append({"type": "image", "sha256": refs[part["image"]]["sha256"]})
        out.append({**message, "content": parts})
    return out


def _with_caption(messages: Sequence[Row], sample: Row) -> list[Row]:
    """Messages whose first turn opens with the image's caption."""
    caption = str(_json(sample["context"] or "{}").get("caption") or "").strip()
    if not caption:
        raise DataError(f"images: caption: sample {sample['sample']!r} of {sample['dataset']} has no caption")
    part = {"type": "text", "text": f"Description of the image: {caption}\n"}
    return [{**messages[0], "content": [part, *messages[0]["content"]]}, *messages[1:]]


def _json(text: Any) -> Any:
    return from_json(text) if isinstance(text, str) else text
