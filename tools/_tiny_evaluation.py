"""What a tiny LLaVA scores on test phantoms, through `generate()` and the processor of its own folder.

It asks through the `hf` backend, as an evaluation does, and scores with pycocotools
and plain counting rather than with raybench's metrics, so that the two can be compared.

    evaluate(Path("raybench/models/weights/tiny-llava-a"), seed=1, images=300)["yes_no"]
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raybench.data import phantoms
from raybench.data.phantoms import Phantom
from raybench.parsing.refusal import refusal
from raybench.parsing.vqa import read_classification
from raybench.schema import Response
from raybench.tasks._phantom import conversations

__all__ = ["Exchange", "ask", "average_precision", "evaluate", "exchanges", "read_lines"]

_LINE = re.compile(r"([a-z]+) \[([01]\.\d\d), ([01]\.\d\d), ([01]\.\d\d), ([01]\.\d\d)\]")
#: The tasks ask at 256 px.
RENDER_PX = 256
MAX_TOKENS = 96


@dataclass(frozen=True)
class Exchange:
    """One prompt about one phantom; `form` is closed, open or unanswerable in `phantom_vqa`, else ""."""

    phantom: Phantom
    task: str
    variant: str
    prompt: str
    target: str
    form: str


def exchanges(seed: int, images: int) -> Iterator[Exchange]:
    """Yield all exchanges about `images` test phantoms of each kind."""
    for kind in phantoms.KINDS:
        for index in range(images):
            phantom = phantoms.case(kind, "test", index, seed)
            forms = {question: form for question, _, form in phantom.questions}
            for one in conversations(phantom):
                form = forms[one.prompt.removesuffix(" Answer briefly.")] if one.task == "phantom_vqa" else ""
                yield Exchange(phantom, one.task, one.variant, one.prompt, one.target, form)


def ask(folder: Path, asked: Sequence[Exchange], batch_size: int = 64) -> list[str]:
    """Return the text answered to each exchange.

    Raises:
        RuntimeError: an exchange failed.
    """
    from raybench.models.hf import HuggingFace

    backend = HuggingFace(HuggingFace.Options(model=str(folder), device="cpu", batch_size=batch_size))
    drawn: dict[str, dict[str, Any]] = {}

    async def collect() -> dict[str, Any]:
        rows = [_row(str(number), one, drawn) for number, one in enumerate(asked)]
        return {name: result async for name, result in backend.generate(rows)}

    results = asyncio.run(collect())
    texts = []
    for number in range(len(asked)):
        result = results[str(number)]
        if not isinstance(result, Response):
            raise RuntimeError(f"{asked[number].phantom.id}: {result}")
        texts.append(result.text)
    return texts


def _row(name: str, one: Exchange, drawn: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if one.phantom.id not in drawn:
        grey = phantoms.render(one.phantom, RENDER_PX)
        size = {"width_px": RENDER_PX, "height_px": RENDER_PX}
        drawn[one.phantom.id] = {"bytes": grey.repeat(3).tobytes(), "media_type": "image/x-rgb8", **size}
    content = [{"type": "image", "image": 0}, {"type": "text", "text": one.prompt}]
    return {
        "id": name,
        "messages": [{"role": "user", "content": content}],
        "images": [drawn[one.phantom.id]],
        "sampling": {"temperature": 0.0, "top_p": 1.0, "max_tokens": MAX_TOKENS, "seed": 0, "stop": []},
        "labels": None,
    }


def read_lines(text: str) -> list[tuple[str, float, float, float, float]] | None:
    """Return the boxes of an answer in the taught form, None where any line is malformed."""
    if text == phantoms.NO_FINDING:
        return []
    boxes = []
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        if not match:
            return None
        x0, y0, x1, y1 = (float(side) for side in match.groups()[1:])
        if not (x0 < x1 <= 1 and y0 < y1 <= 1):
            return None
        boxes.append((match[1], x0, y0, x1, y1))
    return boxes


def average_precision(truth: Sequence[Sequence[Any]], found: Sequence[Sequence[Any]], iou: float = 0.5) -> float:
    """Return pycocotools' AP at one IoU; each image's boxes are (label, x0, y0, x1, y1), labels play no part."""
    import numpy as np
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        known, given = COCO(), COCO()
        known.dataset = _dataset(truth)
        given.dataset = _dataset(found)
        known.createIndex()
        given.createIndex()
        if not given.anns:
            return 0.0
        judged = COCOeval(known, given, "bbox")
        judged.params.iouThrs = np.array([iou])
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][0, :, 0, 0, -1]
    return float(precision[precision >= 0].mean())


def _dataset(boxes: Sequence[Sequence[Any]]) -> dict[str, Any]:
    annotations = [
        {
            "id": 0, "image_id": number, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": (x1 - x0) * (y1 - y0), "iscrowd": 0, "score": 1.0,
        }
        for number, some in enumerate(boxes) for _, x0, y0, x1, y1 in some
    ]  # fmt: skip
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    images = [{"id": number} for number in range(len(boxes))]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "finding"}]}


def evaluate(folder: Path, seed: int, images: int) -> dict[str, Any]:
    """Return a checkpoint's scores (fractions, 0-1), counts of ill-formed answers, and its speed."""
    asked = list(exchanges(seed, images))
    began = time.perf_counter()
    texts = ask(folder, asked)
    seconds = time.perf_counter() - began
    pairs = list(zip(asked, texts, strict=True))
    vqa = [pair for pair in pairs if pair[0].task == "phantom_vqa"]
    closed = [pair for pair in vqa if pair[0].form == "closed"]
    answerable = [pair for pair in vqa if pair[0].form != "unanswerable"]
    boxes = {
        kind: [(one, read_lines(text)) for one, text in pairs if one.task == f"phantom_{kind}_{what}"]
        for kind, what in (("cxr", "grounding"), ("mri", "detection"))
    }
    return {
        "images_of_each_kind": images,
        "seed": seed,
        "answers": len(pairs),
        "answers_per_second": round(len(pairs) / seconds, 1),
        "cxr_normal_or_abnormal": _exact(pairs, "phantom_cxr_classification", "plain"),
        "cxr_normal_or_abnormal_with_choices": _exact(pairs, "phantom_cxr_classification", "choices"),
        "yes_no": _share(one.target == text for one, text in closed),
        "yes_no_where_yes": _share(text == "yes" for one, text in closed if one.target == "yes"),
        "yes_no_where_no": _share(text == "no" for one, text in closed if one.target == "no"),
        "open": _share(one.target == text for one, text in vqa if one.form == "open"),
        "refused_unanswerable": _share(bool(refusal(text)) for one, text in vqa if one.form == "unanswerable"),
        "refused_answerable": _share(bool(refusal(text)) for _, text in answerable),
        "mri_description_exact": _exact(pairs, "phantom_mri_description", "plain"),
        "mri_diagnosis": _exact(pairs, "phantom_mri_diagnosis", "choices"),
        "unparsed_diagnoses": _unread(pairs),
        "malformed_box_answers": sum(read is None for some in boxes.values() for _, read in some),
        **_detection(boxes),
    }


def _share(hits: Iterator[bool]) -> float:
    values = list(hits)
    return round(sum(values) / len(values), 4) if values else float("nan")


def _exact(pairs: Sequence[tuple[Exchange, str]], task: str, variant: str) -> float:
    return _share(one.target == text for one, text in pairs if (one.task, one.variant) == (task, variant))


def _unread(pairs: Sequence[tuple[Exchange, str]]) -> int:
    asked = [(one, text) for one, text in pairs if one.task == "phantom_mri_diagnosis"]
    return sum(read_classification(text, one.phantom.choices).value is None for one, text in asked)


def _detection(boxes: Mapping[str, Sequence[tuple[Exchange, Any]]]) -> dict[str, Any]:
    """Return AP at IoU 0.5: of all findings whatever their label, and of each finding by its label."""
    scores: dict[str, Any] = {}
    for kind, answers in boxes.items():
        truth = [[(box.label, box.x0, box.y0, box.x1, box.y1) for box in one.phantom.boxes] for one, _ in answers]
        found = [read or [] for _, read in answers]
        scores[f"{kind}_ap50_any_finding"] = round(average_precision(truth, found), 4)
        scores[f"{kind}_ap50"] = {
            name: round(average_precision(_only(truth, name), _only(found, name)), 4)
            for name in phantoms.FINDINGS[kind]
        }
    return scores


def _only(boxes: Sequence[Sequence[Any]], name: str) -> list[list[Any]]:
    return [[box for box in some if box[0] == name] for some in boxes]
