"""Seconds that AP50's interval takes beside pycocotools' own time on the same boxes.

Budget: 1,000 draws over 15,000 images under 20 s.

    python benchmarks/detection_bootstrap.py
"""

from __future__ import annotations

import contextlib
import io
import sys
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from raybench.interfaces import MetricDef
from raybench.metrics.detection import Detection
from raybench.schema import Row
from raybench.stats.intervals import bootstrap_values

IMAGES, DRAWS, LABELS, BUDGET_SECONDS = 15_000, 1_000, 14, 20.0


def images() -> list[Row]:
    """Return records with as many boxes as VinDr-CXR's training set has: a third abnormal, 14 findings."""
    rng = np.random.default_rng(0)
    records = []
    for _ in range(IMAGES):
        true, predicted = [], []
        for _ in range(rng.integers(1, 7) if rng.random() < 0.3 else 0):
            corner, size = rng.random(2) * 0.6, 0.05 + rng.random(2) * 0.3
            label = f"finding {rng.integers(LABELS)}"
            true.append(_box(corner, size, label, None))
            predicted.append(_box(corner + rng.normal(0, 0.03, 2), size, label, float(rng.random())))
        for _ in range(rng.integers(0, 3)):
            label = f"finding {rng.integers(LABELS)}"
            predicted.append(_box(rng.random(2) * 0.6, 0.05 + rng.random(2) * 0.3, label, float(rng.random())))
        records.append({"outcome": "answered", "boxes": true, "value": predicted, "choices": []})
    return records


def _box(corner: np.ndarray, size: np.ndarray, label: str, score: float | None) -> Row:
    (x0, y0), (x1, y1) = map(float, corner), map(float, corner + size)
    return {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "label": label, "score": score}


def official(records: list[Row]) -> tuple[float, float]:
    """Return (AP50, seconds) of COCOeval's evaluate and accumulate."""
    truth: Row = {"images": [], "annotations": [], "categories": [{"id": i} for i in range(LABELS)]}
    found = []
    for i, record in enumerate(records, 1):
        truth["images"].append({"id": i})
        for kind in ("boxes", "value"):
            for box in record[kind]:
                width, height = (box["x1"] - box["x0"]) * 1000, (box["y1"] - box["y0"]) * 1000
                row = {
                    "image_id": i, "category_id": int(box["label"].split()[1]), "area": width * height, "iscrowd": 0,
                    "bbox": [box["x0"] * 1000, box["y0"] * 1000, width, height],
                }  # fmt: skip
                if kind == "boxes":
                    truth["annotations"].append(row | {"id": len(truth["annotations"]) + 1})
                else:
                    found.append(row | {"score": box["score"]})
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = truth
        data.createIndex()
        evaluator = COCOeval(data, data.loadRes(found), "bbox")
        evaluator.params.areaRng, evaluator.params.areaRngLbl, evaluator.params.maxDets = [[0, 1e10]], ["all"], [100]
        began = time.perf_counter()
        evaluator.evaluate()
        evaluator.accumulate()
        seconds = time.perf_counter() - began
    precision = evaluator.eval["precision"][0]
    return float(np.mean(precision[precision > -1])), seconds


def main() -> int:
    """Print both times and their ratio; return 1 if the draws are over the budget."""
    records = images()
    wanted, coco_seconds = official(records)
    profile, ap_50 = Detection(), next(metric for metric in Detection.metrics if metric.name == "ap_50")
    began = time.perf_counter()
    rows = [profile.statistics(record) for record in records]
    matching_seconds = time.perf_counter() - began
    columns = {name: np.empty(len(rows), dtype=object) for name in ("detections", "truths")}
    for name, column in columns.items():
        column[:] = [np.asarray(row[name]) for row in rows]
    value = float(ap_50.values(columns, np.ones((1, IMAGES)))[0])
    draws_seconds = _timed(ap_50, columns)
    print(f"AP50 {value:.6f}, pycocotools {wanted:.6f} in {coco_seconds:.1f} s")
    print(f"statistics of {IMAGES} images in {matching_seconds:.1f} s")
    ratio = draws_seconds / coco_seconds
    print(f"{DRAWS} draws in {draws_seconds:.1f} s (budget {BUDGET_SECONDS:.0f}): {ratio:.2f} times pycocotools")
    return 0 if draws_seconds <= BUDGET_SECONDS and abs(value - wanted) < 1e-12 else 1


def _timed(metric: MetricDef, columns: dict[str, np.ndarray]) -> float:
    began = time.perf_counter()
    bootstrap_values(metric, columns, np.arange(IMAGES), draws=DRAWS)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
