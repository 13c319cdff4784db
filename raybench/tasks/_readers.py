"""Several readers' boxes on one image made into one truth.

VinDr-CXR's training images were read by three radiologists each, who seldom draw
the same box. How their boxes become one truth decides every detection score, so
the policy has a name and the name goes into the data set's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raybench.schema import Box

__all__ = ["POLICIES", "fuse", "iou"]

#: `union`: every reader's boxes. `weighted_boxes`: boxes of one label that overlap become their mean
#: (weighted boxes fusion, Solovyev et al. 2021, with equal weights). `consensus`: of those, the ones
#: that more than half of the image's readers drew.
POLICIES = ("union", "weighted_boxes", "consensus")


def fuse(readings: Mapping[str, Sequence[Box]], policy: str, threshold: float = 0.5) -> tuple[Box, ...]:
    """Return one image's boxes, made of its readers'.

    Args:
        readings: reader -> boxes; a reader who saw nothing has an empty list.
        policy: of POLICIES.
        threshold: IoU above which a box joins a group of its label.
    """
    drawn = [(reader, box) for reader, boxes in readings.items() for box in boxes]
    if policy == "union":
        return tuple(box for _, box in drawn)
    # Boxes join groups from the last reader's last to the first: ensemble-boxes 1.0.9 takes equal scores so.
    groups: list[list[int]] = []
    for place in reversed(range(len(drawn))):
        box = drawn[place][1]
        overlaps = [iou(_mean(drawn, group), box) if drawn[group[0]][1].label == box.label else 0.0 for group in groups]
        best = max(range(len(groups)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] > threshold:
            groups[best].append(place)
        else:
            groups.append([place])
    needed = len(readings) // 2 + 1 if policy == "consensus" else 1
    kept = (group for group in sorted(groups, key=min) if len({drawn[place][0] for place in group}) >= needed)
    return tuple(_mean(drawn, group) for group in kept)


def iou(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union, 0-1."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - shared)


def _mean(drawn: Sequence[tuple[str, Box]], group: Sequence[int]) -> Box:
    boxes = [drawn[place][1] for place in group]
    x0, y0, x1, y1 = (sum(getattr(box, name) for box in boxes) / len(boxes) for name in ("x0", "y0", "x1", "y1"))
    return Box(x0, y0, x1, y1, boxes[0].label)
