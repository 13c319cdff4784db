"""Chat completions on the wire: what is sent for a row and what is read from an answer.

Pure functions over plain JSON, so that every server's oddity (null content, no
logprobs, no choices, garbage) can be tested without a server.

>>> read_answer({"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}).text
''
>>> read_answer({"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}).reason
'null_content'
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pybase64 import b64encode_as_string
from pydantic_core import from_json

from raybench.models._reasoning import split_reasoning
from raybench.schema import Failure, Response, Row

__all__ = [
    "BadImage",
    "bad_response",
    "chat_messages",
    "clean",
    "error_message",
    "expected_tokens",
    "parse_body",
    "read_answer",
    "read_labels",
    "retry_after",
    "sampling_fields",
    "shown_url",
    "used_tokens",
]

_DATA_URL = re.compile(r"data:[\w/.+-]+;base64,[A-Za-z0-9+/=_-]*")
#: Tokens of an image for an allowance, before the server says: that of LLaVA-1.5 and of a large OpenAI tile.
_IMAGE_TOKENS = 576
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{80,}")


class BadImage(ValueError):
    """A row's image is no file that a server could read."""


def chat_messages(row: Row, system_prompt: str | None) -> list[Row]:
    """Return a row's messages in the API's form: image files as data URLs, text alone as a string.

    Raises:
        BadImage: the image is decoded pixels, or has no media type.
    """
    turns = list(row["messages"])
    if system_prompt and (not turns or turns[0]["role"] != "system"):
        turns.insert(0, {"role": "system", "content": system_prompt})
    return [{"role": turn["role"], "content": _content(turn["content"], row)} for turn in turns]


def _content(content: str | Sequence[Row], row: Row) -> str | list[Row]:
    if isinstance(content, str):
        return content
    if all(part["type"] == "text" for part in content):
        return "\n".join(part["text"] for part in content)
    return [_part(part, row) for part in content]


def _part(part: Row, row: Row) -> Row:
    if part["type"] != "image":
        return {"type": "text", "text": part["text"]}
    image = row["images"][part["image"]]
    media_type = image["media_type"]
    if not media_type or media_type == "image/x-rgb8":
        raise BadImage(f"an API takes image files, not {media_type or 'unnamed bytes'}")
    url = f"data:{media_type};base64,{b64encode_as_string(image['bytes'])}"
    return {"type": "image_url", "image_url": {"url": url}}


def sampling_fields(row: Row, max_tokens_field: str) -> Row:
    """Return every sampling field of a row, so that none is left to a server's default."""
    sampling = row.get("sampling") or {}
    fields: Row = {
        "temperature": float(sampling.get("temperature") or 0.0),
        "top_p": 1.0 if sampling.get("top_p") is None else float(sampling["top_p"]),
        max_tokens_field: int(sampling.get("max_tokens") or 256),
    }
    if sampling.get("seed") is not None:
        fields["seed"] = int(sampling["seed"])
    if sampling.get("stop"):
        stop = sampling["stop"]
        fields["stop"] = [stop] if isinstance(stop, str) else list(stop)
    return fields


def parse_body(raw: bytes) -> Row | None:
    """Return a response body as an object with at least one choice that has a message, else None."""
    body = _object(raw)
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    return body if isinstance(choices[0].get("message"), dict) else None


def read_answer(body: Row, attempts: int = 1, seconds: float = 0.0) -> Response | Failure:
    """Read a generated answer that came at the given attempt, this many seconds after it was asked for.

    A blank is an answer (counted as refused) where the body says how it came about: the text is
    "" rather than null, the server filtered it (finish reason "content_filter"), the model declined
    (the message's `refusal`, kept in the notes), or only thought. Null for any other reason is the
    server's failure, never a refusal.
    """
    choice = body["choices"][0]
    message, finish = choice["message"], str(choice.get("finish_reason") or "stop")
    inline, text = split_reasoning(_text(message.get("content")))
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or inline
    declined = _text(message.get("refusal"))
    explained = declined or reasoning or finish == "content_filter"
    if message.get("content") is None and not explained:
        detail = f"the server's answer has no content; it finished by {_word(finish)!r}"
        return Failure("null_content", detail, attempts)
    notes = _notes(attempts)
    if declined and not text:
        notes["refusal"] = declined
    return Response(
        text=text, reasoning=reasoning, finish_reason=finish, seconds=seconds, notes=notes, **_usage(body)
    )  # fmt: skip


def _notes(attempts: int) -> Row:
    return {"attempts": attempts} if attempts > 1 else {}


def _word(word: str) -> str:
    """Return a server's own word cut to what a failure's detail may hold."""
    return word if word.isascii() and len(word) <= 32 and word.replace("_", "").isalnum() else "another reason"


def _text(content: Any) -> str:
    """Return the text of a message; half of a surrogate pair (a server's broken escape) is "?"."""
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""


def _usage(body: Row) -> Row:
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    names = {"tokens_in": "prompt_tokens", "tokens_out": "completion_tokens"}
    return {ours: usage[theirs] if isinstance(usage.get(theirs), int) else None for ours, theirs in names.items()}


def read_labels(body: Row, labels: Sequence[str], attempts: int = 1, seconds: float = 0.0) -> Response | None:
    """Read which label the first token was, or None where the server gave no log probabilities.

    A label's log probability is over all returned tokens that read as it once
    white space is stripped ("A", " A"); a label beyond the returned top is absent.
    """
    choice = body["choices"][0]
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content:
        return None
    tokens = content[0].get("top_logprobs") or [content[0]]
    found: dict[str, float] = {}
    for token in tokens:
        label, value = str(token["token"]).strip(), float(token["logprob"])
        if label in labels:
            found[label] = _add(found[label], value) if label in found else value
    best = max(found, key=lambda label: found[label]) if found else _text(choice["message"].get("content"))
    return Response(
        text=best, finish_reason="label", mean_logprob=found.get(best), label_logprobs=found, seconds=seconds,
        notes=_notes(attempts), **_usage(body),
    )  # fmt: skip


def _add(one: float, other: float) -> float:
    """Return log(exp(one) + exp(other))."""
    high, low = max(one, other), min(one, other)
    return high if math.isinf(high) else high + math.log1p(math.exp(low - high))


def expected_tokens(row: Row, request: Row) -> float:
    """Return what a request will cost of a token allowance: four characters a token, its images, its answer's limit."""
    characters = sum(
        len(part.get("text") or "") for turn in row["messages"] for part in _parts_of(turn["content"])
    )  # fmt: skip
    answer = request.get("max_tokens") or request.get("max_completion_tokens") or 0
    return characters / 4 + _IMAGE_TOKENS * len(row["images"]) + float(answer)


def _parts_of(content: str | Sequence[Row]) -> Sequence[Row]:
    return [{"text": content}] if isinstance(content, str) else content


def used_tokens(body: Row, otherwise: float) -> float:
    """Return the tokens that an answer reports, in and out; `otherwise` where it reports none."""
    used = [count for count in _usage(body).values() if count is not None]
    return float(sum(used)) if used else otherwise


def _object(raw: bytes) -> Any:
    """Return what JSON says, bytes that are no UTF-8 and halves of surrogate pairs included; None for no JSON."""
    try:
        return from_json(raw)
    except ValueError:
        pass
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except ValueError:
        return None


def error_message(raw: bytes) -> str:
    """Return what the body of an HTTP error says, "" where it is in no known form."""
    body = _object(raw)
    body = body.get("error", body) if isinstance(body, dict) else {}
    said = (body.get("message") or body.get("detail")) if isinstance(body, dict) else body
    return said if isinstance(said, str) else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait (`Retry-After` in seconds or as an HTTP date), or None.

    None, too, where that is no time at all or over already (clocks differ): who retries then waits as if not asked.
    """
    value = headers.get("retry-after")
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        date = email.utils.parsedate_tz(value)
        seconds = 0.0 if date is None else email.utils.mktime_tz(date) - time.time()
    return seconds if 0.0 < seconds < math.inf else None


def clean(message: str, secrets: Sequence[str], row: Row) -> str:
    """Return a server's error message as one short line without keys, image data or the row's own text."""
    for secret in secrets:
        if secret:
            message = message.replace(secret, "***")
    message = _BLOB.sub("[data]", _DATA_URL.sub("[image]", message))
    for turn in row["messages"]:
        parts = [turn["content"]] if isinstance(turn["content"], str) else [p.get("text") for p in turn["content"]]
        for text in parts:
            if text and len(text) >= 8:
                message = message.replace(text, "[text]").replace(json.dumps(text)[1:-1], "[text]")
    line = " ".join(message.split())
    return line if len(line) <= 200 else line[:199] + "…"


def shown_url(url: str) -> str:
    """Return a URL without the user and password it may carry."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def bad_response(attempts: int) -> Failure:
    """Return the failure of an answer that is no chat completion."""
    return Failure("bad_response", "the server's answer is no chat completion with a choice", attempts)
