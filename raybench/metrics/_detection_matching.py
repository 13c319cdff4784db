"""One image's predicted boxes against its true boxes: which match at which IoU, as flat lists of numbers.

Matching is pycocotools' own (`COCOeval.evaluateImg`, area range "all", at most
100 boxes an image and category), run once class by class and once with labels
ignored. Boxes are fractions of the image; IoU does not depend on the scale, so
they are handed over times 1000, with IoUs rounded to 10 decimals: a box that
covers exactly half of another is at IoU 0.5 whatever size of image it came from.

A box without a score gets score 1.0 and keeps its place in the output: ties are
matched in order of output within an image, and ranked in order of samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raybench.errors import DataError
from raybench.interfaces import Array

__all__ = ["MAX_BOXES", "THRESHOLDS", "ImageBoxes", "cocoeval", "label_code", "matches", "optimal_iou"]

#: IoUs at which matches are kept: bit i of a detection's number says that it matched at THRESHOLDS[i].
THRESHOLDS = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
#: Boxes of one image and category that may match; COCO's limit. Later ones still count as predictions.
MAX_BOXES = 100
_SCALE = 1000.0
_ANY = -1


def cocoeval() -> Any:
    """Return an empty `pycocotools.cocoeval.COCOeval` for boxes.

    Raises:
        DataError: pycocotools is not installed.
    """
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise DataError("detection metrics need pycocotools: pip install 'raybench[medical]'") from error
    return COCOeval(iouType="bbox")


def label_code(label: str) -> int:
    """Return a whole number below 2**40 for a label; case, spacing and underscores do not count."""
    folded = " ".join(label.replace("_", " ").split()).casefold()
    return int.from_bytes(hashlib.sha256(folded.encode()).digest()[:5], "big")


@dataclass(frozen=True)
class ImageBoxes:
    """Boxes of one image, in order of output.

    Attributes:
        corners: (n, 4) x0, y0, x1, y1 as fractions of the image.
        codes: n label codes.
        scores: (n,), 1.0 where a box has none.
    """

    corners: Array
    codes: list[int]
    scores: Array

    @classmethod
    def of(cls, boxes: Sequence[Mapping[str, Any]], only_label: str | None = None) -> ImageBoxes:
        """Read box dicts ("x0", "y0", "x1", "y1", "label", "score"); `only_label` takes the place of every label."""
        corners = np.array([[float(box[side]) for side in ("x0", "y0", "x1", "y1")] for box in boxes])
        labels = [str(only_label or box.get("label") or "") for box in boxes]
        scores = np.array([1.0 if box.get("score") is None else float(box["score"]) for box in boxes])
        return cls(corners.reshape(-1, 4), [label_code(label) for label in labels], scores)

    def __len__(self) -> int:
        return len(self.codes)

    def iou(self, other: ImageBoxes) -> Array:
        """Return IoUs (len(self), len(other)); 0 where both boxes are empty."""
        a, b = self.corners[:, None], other.corners[None]
        sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
        shared = np.prod(np.maximum(sides, 0), axis=-1)
        area_a, area_b = (np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1) for boxes in (a, b))
        union = area_a + area_b - shared
        return np.asarray(np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0))


def matches(predicted: ImageBoxes, true: ImageBoxes) -> tuple[list[int], list[int]]:
    """Return what each predicted box matched, class by class and with labels ignored.

    A number's bit i is set where the box is a true positive at THRESHOLDS[i];
    -1 marks a box past the first MAX_BOXES of its image (and category) by score.
    """
    if not len(predicted):
        return [], []
    if not len(true):
        return _unmatched(predicted, predicted.codes), _unmatched(predicted, [_ANY] * len(predicted))
    evaluator = cocoeval()
    evaluator.params.iouThrs, evaluator.params.maxDets = np.array(THRESHOLDS), [MAX_BOXES]
    area = evaluator.params.areaRng[0]
    boxes = _annotations(predicted)
    for box, code in zip(boxes, predicted.codes, strict=True):
        evaluator._dts[0, code].append(box)
        evaluator._dts[0, _ANY].append(box)
    for box, code in zip(_annotations(true), true.codes, strict=True):
        evaluator._gts[0, code].append(box)
        evaluator._gts[0, _ANY].append(box)

    def bits(codes: Sequence[int]) -> list[int]:
        out = [-1] * len(predicted)
        for code in set(codes):
            ious = evaluator.computeIoU(0, code)
            evaluator.ious[0, code] = np.nan_to_num(np.round(ious, 10)) if len(ious) else ious
            found = evaluator.evaluateImg(0, code, area, MAX_BOXES)
            hit = (found["dtMatches"] > 0) & ~found["dtIgnore"]
            for box_id, column in zip(found["dtIds"], hit.T, strict=True):
                out[box_id - 1] = int(sum(1 << i for i in np.flatnonzero(column)))
        return out

    return bits(predicted.codes), bits([_ANY])


def _unmatched(predicted: ImageBoxes, codes: Sequence[int]) -> list[int]:
    """What `matches` gives where nothing is true: 0, or -1 past MAX_BOXES."""
    out, seen = [-1] * len(codes), dict.fromkeys(codes, 0)
    for i in np.argsort(-predicted.scores, kind="stable"):
        if seen[codes[i]] < MAX_BOXES:
            out[i] = 0
        seen[codes[i]] += 1
    return out


def _annotations(boxes: ImageBoxes) -> list[dict[str, Any]]:
    corners = boxes.corners * _SCALE
    sizes = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    return [
        {
            "id": i + 1, "bbox": [*map(float, corner[:2]), *map(float, size)], "area": float(size[0] * size[1]),
            "score": float(score), "iscrowd": 0, "ignore": 0,
        }
        for i, (corner, size, score) in enumerate(zip(corners, sizes, boxes.scores, strict=True))
    ]  # fmt: skip


def optimal_iou(predicted: ImageBoxes, true: ImageBoxes) -> tuple[float, float]:
    """Return the largest sum of IoUs of one-to-one pairs: of equal labels, and with labels ignored.

    The assignment is Hungarian (`scipy.optimize.linear_sum_assignment`), whatever the scores.
    """
    if not len(predicted) or not len(true):
        return 0.0, 0.0
    iou = predicted.iou(true)
    same = np.array(predicted.codes)[:, None] == np.array(true.codes)[None]
    from scipy.optimize import linear_sum_assignment  # a third of a second, which readers of results do without

    labelled, ignored = (float(values[linear_sum_assignment(-values)].sum()) for values in (iou * same, iou))
    return labelled, ignored
