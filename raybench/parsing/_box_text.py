"""Four numbers that were written as a box, with their label, wherever they stand in a text.

Only forms that mean a box are read: lists and pairs of four numbers, JSON objects,
named coordinates, and a model's own tokens where its convention declares them.
Three numbers, or four without a bracket in a sentence, are never a box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from raybench.parsing._box_conventions import Convention
from raybench.parsing._box_forms import bare, named, tokens
from raybench.parsing._box_labels import prose_label
from raybench.parsing._box_scan import Node, scan
from raybench.parsing._box_walk import corners, is_corner, walk
from raybench.parsing._box_written import Found

__all__ = ["find_written"]


def find_written(text: str, reading: Convention, labels: Sequence[str] = ()) -> Found:
    """Return the boxes of a text in the convention's form, in the order they stand there."""
    if reading.form != "numbers":
        return tokens(text, reading.form, labels)
    found = _brackets(text, reading, labels)
    if found.boxes or found.none_labelled:
        return found
    for rule, read in (("named", named), ("bare", bare)):
        boxes = list(read(text, labels))
        if boxes:
            return Found(boxes, rule, found.truncated)
    return found


_TAG = re.compile(r"<[^<>\n]{1,40}>")
_REF = re.compile(r"<\|?(?:ref|object_ref_start)\|?>[^<]{0,200}<\|?(?:/ref|object_ref_end)\|?>")
#: What four numbers may be called that are no box.
_NO_BOX = re.compile(
    r"\b(?:scores?|confidences?|probabilit(?:y|ies)|measur\w+|dimensions?|size|shape|spacing|weights?|logits?|ages?)"
    r"(?: is| are| of)?[\s:=]*$",
    re.IGNORECASE,
)
_JOINT = re.compile(
    r"(?:[\s,.:=\-–—]|\b(?:and|to|the|with|at|is|top|bottom|upper|lower|left|right|corners?|coordinates?|point|its|a)\b"
    r"|\(?\b[xy][12]\b\)?|\(?[xy]_?(?:min|max)\)?)*",
    re.IGNORECASE,
)
_JOINT_CHARS = 60


def _brackets(text: str, reading: Convention, labels: Sequence[str]) -> Found:
    """Read every container of a text; corners that stand together are one box."""
    found = Found()
    groups = list(_groups(text, [node for node in scan(text) if _may_hold(text, node)]))
    last, label = 0, ""
    for nodes in groups:
        first, end = nodes[0], nodes[-1].end
        label = prose_label(text, (last, first.start, end), labels, label)
        if is_corner(first):
            rule = "pairs"
            if len(nodes) > 1:
                corners([node.numbers() for node in nodes], label, found)
        else:
            rule = "json" if _is_json(first) else "list"
            walk(first, "" if first.kind == "{" else label, found)
            found.open_end |= first.cut
        found.rule = found.rule or (rule if found.boxes else "")
        last = end
    found.exact = _is_exact(text, [(nodes[0].start, nodes[-1].end) for nodes in groups], reading, labels)
    return found


def _groups(text: str, nodes: list[Node]) -> Iterator[list[Node]]:
    """Yield containers one by one, but the corners of one box together."""
    group: list[Node] = []
    for node in nodes:
        if group and is_corner(group[-1]) and is_corner(node) and _joined(text, group[-1], node):
            group.append(node)
            continue
        if group:
            yield group
        group = [node]
    if group:
        yield group


def _may_hold(text: str, node: Node) -> bool:
    """Leave out parentheses without a number or box in them, and lists that are called something else than a box."""
    if node.kind == "(" and not node.pairs and not any(isinstance(item, float | Node) for item in node.items):
        return False
    return node.kind == "{" or not _NO_BOX.search(text[max(0, node.start - 40) : node.start])


def _is_json(node: Node) -> bool:
    return node.kind == "{" or any(isinstance(item, Node) and _is_json(item) for item in node.items)


def _joined(text: str, first: Node, second: Node) -> bool:
    """Say whether two corners belong to one box: nothing but words for corners stands between them."""
    gap = text[first.end : second.start]
    if len(gap) > _JOINT_CHARS or "\n\n" in gap or not _JOINT.fullmatch(gap):
        return False
    return "\n" not in gap or bool(re.search(r"[a-z]", gap, re.IGNORECASE))


def _is_exact(text: str, spans: list[tuple[int, int]], reading: Convention, labels: Sequence[str]) -> bool:
    """Say whether the boxes, with known labels on their lines or in the convention's own tags, are all of the text."""
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(text)]
    rest = "".join(text[start:end] for start, end in zip(starts, ends, strict=True)).strip()
    if reading.fenced and rest.startswith("```"):
        rest = re.sub(r"^```\w*", "", rest).removesuffix("```")
    if reading.tagged:
        rest = _TAG.sub("", _REF.sub("", rest))
    known = {label.casefold() for label in labels}
    lines = (line.strip(" \t,;:-") for line in rest.splitlines())
    return all(not line or line.casefold() in known for line in lines)
