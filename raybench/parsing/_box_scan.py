"""Brackets and braces out of any text: JSON, Python literals, truncated or sloppy, without ever failing.

One pass from left to right builds a tree of containers. Commas and quotes may be
missing, brackets may be unbalanced; what the text's end cuts off is marked `cut`,
so that its half-written numbers are never read. Linear in the text's length.

>>> [node.items for node in scan("nodule at [0.1, 0.2, 0.3, 0.4], effusion at [0.5, 0.")]
[[0.1, 0.2, 0.3, 0.4], [0.5, '0.']]
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NUMBER", "Node", "numeral", "scan"]

NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"

#: Containers nested deeper than this are read as if they were not there.
_DEPTH = 32
_CLOSES = {"]": "[", "}": "{", ")": "("}
_CONSTANTS: dict[str, Any] = {
    "null": None, "none": None, "true": True, "false": False,
    "nan": float("nan"), "infinity": float("inf"), "-infinity": float("-inf"), "inf": float("inf"),
    "-inf": float("-inf"),
}  # fmt: skip
_TOKEN = re.compile(
    rf"""(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<mark>[\[\]{{}}(),:;=])|(?P<number>{NUMBER})(?![\w%.]|'s)|(?P<quote>')"""
    r"""|(?P<word>[^\s\[\]{}(),:;='"]+|")"""
)
_SINGLE = re.compile(r"'((?:[^'\\\n]|\\.)*)'")
_OPENER = re.compile(r"[\[{(]")


@dataclass
class Node:
    """One container of the text.

    Attributes:
        kind: the opening bracket.
        start, end: where it stands in the text.
        items: what a list holds: float, str, None, bool or Node.
        pairs: what a dict holds, in order, repeated keys kept.
        cut: the text ended before it was closed.
    """

    kind: str
    start: int
    end: int = -1
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[str, Any]] = field(default_factory=list)
    cut: bool = False

    def numbers(self) -> tuple[float, ...]:
        """Return the list's numbers if it holds nothing else, else ()."""
        found = [numeral(item) for item in self.items]
        return tuple(value for value in found if value is not None) if None not in found else ()


class _Mark(str):
    """A comma, colon or equals sign between the parts of a container."""

    __slots__ = ()


class _Word(str):
    """Text without quotes."""

    __slots__ = ()


def numeral(item: Any) -> float | None:
    """Return an item as a number: itself, or a string that is nothing but a number."""
    if isinstance(item, float):
        return item
    if isinstance(item, str) and re.fullmatch(NUMBER, item.strip()):
        return float(item)
    return None


def scan(text: str) -> list[Node]:
    """Return the text's outermost containers in order."""
    tops: list[Node] = []
    position = 0
    while opener := _OPENER.search(text, position):
        node, position = _container(text, opener.start())
        tops.append(node)
    return tops


def _container(text: str, start: int) -> tuple[Node, int]:
    """Read one outermost container; return it with the position after it."""
    top = Node(text[start], start)
    stack: list[tuple[Node, list[Any]]] = [(top, [])]
    position, too_deep = start + 1, 0
    while stack and (token := _TOKEN.search(text, position)):
        parts, position = stack[-1][1], token.end()
        mark = token["mark"]
        if mark is None:
            position = _append(parts, token, text)
        elif mark in "[{(":
            if len(stack) < _DEPTH:
                stack.append((Node(mark, token.start()), []))
            else:
                too_deep += 1
        elif mark not in _CLOSES:
            parts.append(_Mark(mark))
        elif too_deep:
            too_deep -= 1
        elif any(node.kind == _CLOSES[mark] for node, _ in stack):
            while _close(stack, position).kind != _CLOSES[mark]:
                pass
    position = position if not stack else len(text)
    while stack:
        _close(stack, len(text), cut=True)
    return top, position


def _append(parts: list[Any], token: re.Match[str], text: str) -> int:
    """Put a string, number or word on a container's parts; return the position after it."""
    kind, written = token.lastgroup, token[0]
    if kind == "number":
        parts.append(float(written))
    elif kind == "string":
        parts.append(_decoded(written))
    elif kind == "quote":
        opens = not parts or isinstance(parts[-1], _Mark)
        string = _SINGLE.match(text, token.start()) if opens else None
        if string:
            parts.append(string[1])
            return string.end()
    else:
        known = written.lower() in _CONSTANTS
        parts.append(_CONSTANTS[written.lower()] if known else _Word(written))
    return token.end()


def _decoded(string: str) -> str:
    """Return a JSON string's text; halves of surrogate pairs are replaced, as no file can hold them."""
    try:
        text = str(json.loads(string))
    except ValueError:
        return string[1:-1]
    return text.encode("utf-8", "replace").decode()


def _close(stack: list[tuple[Node, list[Any]]], end: int, cut: bool = False) -> Node:
    """Take the innermost container off the stack, fill it, and hang it into its parent."""
    node, parts = stack.pop()
    node.end, node.cut = end, cut
    if node.kind == "{" and any(_is(part, ":=") for part in parts):
        node.pairs = _pairs(parts)
    else:
        node.items = _items(parts)
    if stack:
        stack[-1][1].append(node)
    return node


def _items(parts: list[Any]) -> list[Any]:
    """Return a list's items: words that stand together are one string, marks go."""
    items: list[Any] = []
    words: list[str] = []
    for part in [*parts, _Mark(",")]:
        if isinstance(part, _Word):
            words.append(part)
            continue
        if words:
            items.append(" ".join(words))
            words = []
        if not isinstance(part, _Mark):
            items.append(part)
    return items


def _pairs(parts: list[Any]) -> list[tuple[str, Any]]:
    """Return a dict's pairs; a key is whatever stands before a colon, so that commas may be missing."""
    pairs: list[tuple[str, Any]] = []
    keys = [i for i in range(len(parts) - 1) if not isinstance(parts[i], _Mark | Node) and _is(parts[i + 1], ":=")]
    for i, following in zip(keys, [*keys, len(parts)][1:], strict=True):
        comma = next((j for j in range(i + 2, following) if _is(parts[j], ",;")), following)
        values = _items(parts[i + 2 : comma])
        pairs.append((str(parts[i]), values[0] if len(values) == 1 else values or None))
    return pairs


def _is(part: Any, marks: str) -> bool:
    return isinstance(part, _Mark) and part in marks
