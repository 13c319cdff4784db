"""Boxes in a container: lists of four numbers, corners, objects under any of the keys that models use."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from raybench.parsing._box_conventions import Order
from raybench.parsing._box_labels import says_none
from raybench.parsing._box_scan import Node, numeral, scan
from raybench.parsing._box_written import Found

__all__ = ["by_name", "corners", "is_corner", "walk"]


def is_corner(node: Node) -> bool:
    """Say whether a container is one point: two numbers."""
    return not node.cut and node.kind != "{" and len(node.items) == 2 and len(node.numbers()) == 2


def corners(points: list[tuple[float, ...]], label: Any, found: Found, score: Any = None) -> None:
    """Read points as boxes: two corners each, or the four corners of one upright rectangle."""
    xs, ys = zip(*points, strict=True)
    if len(points) == 4 and len(set(points)) == 4 and len(set(xs)) == 2 and len(set(ys)) == 2:
        found.add((min(xs), min(ys), max(xs), max(ys)), label, "corners", score)
    elif len(points) % 2:
        found.malformed += 1
    else:
        for first, second in zip(points[::2], points[1::2], strict=True):
            found.add((*first, *second), label, "corners", score)


_BOX_KEYS = re.compile(
    r"(?:bbox|box|boundingbox|coordinates?|coords?|position|bndbox|rect(?:angle)?|region|location)"
    r"(?:es|s)?(?:2d|xyxy|xywh|norm|pixels?)?"
)
_LIST_KEYS = re.compile(
    r"(?:objects?|detections?|findings?|abnormalit(?:y|ies)|lesions?|results?|predictions?|annotations?|answer|output)"
)
_LABEL_KEYS = (
    "label", "class", "classname", "labelname", "name", "category", "finding", "abnormality", "disease",
    "pathology", "type", "object", "description", "text", "diagnosis", "condition",
)  # fmt: skip
_SCORE_KEYS = ("score", "confidence", "probability", "conf", "prob")
_NO_LABEL = re.compile(
    r"size|shape|spacing|dim|measure|slice|width|height|resolution|window|scor|confid|prob|logit|weight|date|age$"
    r"|(?:^|_)(?:mm|cm|px)$"
)
_NAMES: tuple[tuple[tuple[str, ...], Order], ...] = (
    (("x0", "y0", "x1", "y1"), "xyxy"),
    (("x1", "y1", "x2", "y2"), "xyxy"),
    (("xmin", "ymin", "xmax", "ymax"), "xyxy"),
    (("minx", "miny", "maxx", "maxy"), "xyxy"),
    (("left", "top", "right", "bottom"), "xyxy"),
    (("x", "y", "w", "h"), "xywh"),
    (("x", "y", "width", "height"), "xywh"),
    (("xmin", "ymin", "width", "height"), "xywh"),
    (("x0", "y0", "width", "height"), "xywh"),
    (("x1", "y1", "width", "height"), "xywh"),
    (("left", "top", "width", "height"), "xywh"),
    (("cx", "cy", "w", "h"), "cxcywh"),
    (("xcenter", "ycenter", "width", "height"), "cxcywh"),
)
_CORNER_NAMES = (("topleft", "bottomright"), ("upperleft", "lowerright"), ("min", "max"), ("start", "end"))


def walk(node: Node, label: str, found: Found) -> None:
    """Read every box in a container."""
    if node.pairs:
        _walk_object(node, label, found)
        return
    numbers = node.numbers()
    if node.cut and node.kind == "[" and any(isinstance(item, float) for item in node.items) and not _inner(node):
        found.truncated += 1
    elif len(numbers) == 4:
        found.add(numbers, label)
    elif not node.items:
        found.empty += not node.cut
    elif not numbers:
        _walk_list(node, label, found)


def _walk_list(node: Node, label: str, found: Found) -> None:
    points = [item.numbers() if isinstance(item, Node) and is_corner(item) else () for item in node.items]
    if all(points) and not node.cut:
        corners(points, label, found)
        return
    numbers = [item for item in node.items if isinstance(item, float)]
    words = [item for item in node.items if isinstance(item, str)]
    if len(numbers) == 4 and len(words) == 1 and len(node.items) == 5:
        if not node.cut and numeral(words[0]) is None:
            found.add(numbers, words[0])
        return
    spoken = label or (words[0] if len(words) == 1 else "")
    for item in node.items:
        if isinstance(item, str):
            spoken = item.strip(" :-") or spoken
        elif isinstance(item, Node):
            inner = item.numbers()
            found.malformed += not item.cut and len(inner) not in (0, 4)
            walk(item, spoken, found)


def _walk_object(node: Node, outer: str, found: Found) -> None:
    pairs = [(re.sub(r"[^a-z0-9]", "", key.lower()), key, value) for key, value in node.pairs]
    fields = {key: value for key, _, value in reversed(pairs)}
    boxes = [value for key, _, value in pairs if _BOX_KEYS.fullmatch(key)]
    named = by_name(fields)
    label = next((fields[key] for key in _LABEL_KEYS if isinstance(fields.get(key, ()), str)), outer)
    score = next((fields[key] for key in _SCORE_KEYS if key in fields), None)
    if node.cut and (named or any(isinstance(value, Node) and not _holds_objects(value) for value in boxes)):
        found.truncated += 1
    elif named is not None:
        numbers, order = named
        found.add(numbers, label, order, score)
        if fields.get("point") is True and found.boxes:
            found.boxes[-1] = replace(found.boxes[-1], point=True)
    elif boxes:
        for value in boxes:
            _walk_value(value, label, score, found)
    else:
        _walk_fields(node, outer, label, found)


def _walk_fields(node: Node, outer: str, label: str, found: Found) -> None:
    """Read an object that has no box of its own: its values may, under keys that name a list or a label."""
    before = found.seen()
    told = any(isinstance(value, str) and not says_none(value) for _, value in node.pairs)
    for key, value in node.pairs:
        if isinstance(value, Node):
            structural = _LIST_KEYS.fullmatch(key.lower()) or key.lower() in _LABEL_KEYS
            if structural or value.pairs or not _NO_LABEL.search(key.lower()):
                walk(value, outer if structural else key, found)
        elif value is None or (isinstance(value, str) and _LIST_KEYS.fullmatch(key.lower()) and says_none(value)):
            found.empty += not told
    if before == found.seen():
        found.empty += bool(label) and says_none(label)
        found.truncated += node.cut


def _inner(node: Node) -> list[Node]:
    return [item for item in node.items if isinstance(item, Node)]


def _holds_objects(node: Node) -> bool:
    return any(item.pairs for item in _inner(node))


def _walk_value(value: Any, label: str, score: Any, found: Found) -> None:
    """Read what stands under a box's key: a list, lists, an object, text, or nothing."""
    if isinstance(value, str):
        inner = scan(value if re.search(r"[\[({]", value) else f"[{value}]")[0]
        value = inner if inner.numbers() or inner.pairs else value
    if value is None or (isinstance(value, str) and says_none(value)):
        found.empty += 1
    elif isinstance(value, Node):
        numbers = value.numbers()
        if len(numbers) == 4 and not value.cut:
            found.add(numbers, label, None, score)
        elif numbers or (value.pairs and value.cut):
            found.truncated += value.cut
            found.malformed += not value.cut
        else:
            walk(value, label, found)


def by_name(fields: dict[str, Any]) -> tuple[tuple[float, ...], Order] | None:
    """Return the four numbers of an object that names its coordinates."""
    values = {key: numeral(value) for key, value in fields.items()}
    for names, order in _NAMES:
        numbers = [values.get(name) for name in names]
        known = tuple(number for number in numbers if number is not None)
        if len(known) == 4:
            return known, order
    for first, second in _CORNER_NAMES:
        nodes = [fields.get(first), fields.get(second)]
        points = [node.numbers() for node in nodes if isinstance(node, Node) and is_corner(node)]
        if len(points) == 2:
            return (*points[0], *points[1]), "corners"
    return None
