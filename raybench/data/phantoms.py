"""Phantoms: drawn chest X-rays and brain MRI slices whose labels, boxes and texts are known exactly.

They let raybench check itself, offline, from image to leaderboard. They are
drawings: nothing measured on them is a medical claim. A case follows from
(kind, split, index, seed) alone, and its picture from the case and a size:

>>> phantom = case("cxr", "test", 1)
>>> phantom.caption
'Nodule in the right upper zone.'
>>> box_text(phantom.boxes)
'nodule [0.25, 0.16, 0.35, 0.27]'
>>> render(phantom, 96).shape
(96, 96)
>>> image_uri(phantom)
'phantom://cxr/test/1?seed=0&size=256&v=1'
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from raybench.data import _phantom_cxr as cxr
from raybench.data import _phantom_mri as mri
from raybench.data._phantom_pixels import Scene, png
from raybench.data._phantom_texts import (
    DIAGNOSES,
    NO_FINDING,
    NOT_STATED,
    PHRASES,
    REFUSAL,
    UNANSWERABLE,
    AnswerType,
    Question,
    caption,
    draw_patient,
    questions,
)
from raybench.errors import DataError, nearest
from raybench.interfaces import Array
from raybench.schema import Box

__all__ = [
    "CONTRASTS",
    "DIAGNOSES",
    "FINDINGS",
    "KINDS",
    "NOT_STATED",
    "NO_FINDING",
    "PHRASES",
    "REFUSAL",
    "SCHEME",
    "SIDES",
    "SPLITS",
    "UNANSWERABLE",
    "VERSION",
    "ZONES",
    "AnswerType",
    "Phantom",
    "Question",
    "box_text",
    "case",
    "image_bytes",
    "image_uri",
    "render",
]

#: Raised whenever a pixel or a text of any case changes.
VERSION = 1
SCHEME = "phantom://"
#: Split -> the space its seeds are drawn from; no case is in two of them.
SPLITS: Mapping[str, int] = {"train": 0, "validation": 1, "test": 2}

KINDS = ("cxr", "mri")
SIDES = ("right", "left")
FINDINGS: Mapping[str, tuple[str, ...]] = {"cxr": cxr.FINDINGS, "mri": mri.FINDINGS}
ZONES: Mapping[str, tuple[str, ...]] = {"cxr": cxr.ZONES, "mri": mri.ZONES}
CONTRASTS = mri.CONTRASTS

_SIZES_PX = (16, 2048)


@dataclass(frozen=True)
class Phantom:
    """One drawn patient and all that is true of the image.

    Attributes:
        kind: "cxr" or "mri".
        split, index, seed: where the case comes from.
        boxes: one for each finding (for each lesion), labelled with the finding's name.
        findings: names of the findings present, without repeats, in the order of FINDINGS.
        label: "normal" or "abnormal".
        caption: one sentence naming every finding with side and zone.
        history: who the patient is and why the image was taken.
        diagnosis: one of `choices`; follows from history and image together.
        slices: contrast or view, sex, age group, leading finding, side.
        questions: (question, answer, answer type) for all that can be asked.
    """

    kind: str
    split: str
    index: int
    seed: int
    boxes: tuple[Box, ...]
    findings: tuple[str, ...]
    label: str
    caption: str
    history: str
    diagnosis: str
    choices: tuple[str, ...]
    slices: Mapping[str, str]
    questions: tuple[Question, ...]
    scene: Scene = field(repr=False)

    @property
    def id(self) -> str:
        """Return a name unique among phantoms, e.g. "cxr-test-0-17" (kind, split, seed, index)."""
        return f"{self.kind}-{self.split}-{self.seed}-{self.index}"


def case(kind: str, split: str, index: int, seed: int = 0) -> Phantom:
    """Return one case; equal arguments give equal cases on every machine.

    Args:
        kind: one of KINDS.
        split: one of SPLITS.
        index: number of the case, from 0; there is no last one.
        seed: another seed gives another, equally disjoint, series of cases.

    Raises:
        DataError: an unknown kind or split, or a negative index.
    """
    _check("kind", kind, KINDS)
    _check("split", split, tuple(SPLITS))
    if index < 0:
        raise DataError(f"phantom index {index}: must be 0 or more")
    drawn = _stream(kind, "scene", split, seed, index)
    number = int.from_bytes(_seed_bytes(kind, "texture", split, seed, index)[:6], "big")
    scene = (cxr if kind == "cxr" else mri).scene(drawn, number)
    box_of = cxr.box_of if kind == "cxr" else mri.box_of
    marks = scene.marks
    patient = draw_patient(kind, marks, _stream(kind, "patient", split, seed, index))
    findings = tuple(dict.fromkeys(mark.name for mark in marks))
    sides = {mark.side for mark in marks if mark.side}
    slices = {
        "modality": kind,
        **({"contrast": scene.style} if kind == "mri" else {"view": "frontal"}),
        "finding": "several" if len(findings) > 1 else findings[0] if findings else NO_FINDING,
        "side": "both" if len(sides) > 1 else next(iter(sides), NO_FINDING),
        "sex": patient.sex,
        "age": patient.age_group,
    }
    return Phantom(
        kind=kind, split=split, index=index, seed=seed,
        boxes=tuple(Box(*box_of(scene, mark), mark.name) for mark in marks),
        findings=findings,
        label="abnormal" if marks else "normal",
        caption=caption(kind, marks, scene.style),
        history=patient.history,
        diagnosis=patient.diagnosis,
        choices=DIAGNOSES[kind],
        slices=slices,
        questions=questions(kind, marks, scene.style, _stream(kind, "questions", split, seed, index)),
        scene=scene,
    )  # fmt: skip


def _check(what: str, name: str, allowed: Sequence[str]) -> None:
    if name not in allowed:
        raise DataError(f"phantom {what} {name!r} is unknown{nearest(name, allowed)}; allowed: {', '.join(allowed)}")


def _seed_bytes(kind: str, purpose: str, split: str, seed: int, index: int) -> bytes:
    return hashlib.sha256(f"{kind}|{purpose}|{SPLITS[split]}|{seed}|{index}".encode()).digest()


def _stream(kind: str, purpose: str, split: str, seed: int, index: int) -> Callable[[float, float], float]:
    """Return a source of uniform numbers; only `Random.random` is drawn on, whose sequence Python guarantees."""
    chance = random.Random(int.from_bytes(_seed_bytes(kind, purpose, split, seed, index), "big"))
    return lambda low, high: low + (high - low) * chance.random()


def render(phantom: Phantom, size_px: int = 256, findings: bool = True) -> Array:
    """Return the picture, (size_px, size_px) uint8 grey; all geometry is in fractions of the size.

    Args:
        phantom: the case.
        size_px: height and width, 16 to 2048.
        findings: False leaves the findings out and everything else as it is.

    Raises:
        DataError: a size out of range.
    """
    low, high = _SIZES_PX
    if not low <= size_px <= high:
        raise DataError(f"phantom size {size_px}: must be {low} to {high} pixels")
    scene = phantom.scene if findings else replace(phantom.scene, marks=())
    return cxr.compose(scene, size_px) if phantom.kind == "cxr" else mri.compose(scene, size_px)


def box_text(boxes: Sequence[Box]) -> str:
    """Return boxes as a model is taught to write them: "label [x0, y0, x1, y1]", 0-1, one a line, or "none"."""
    lines = [f"{box.label} [{box.x0:.2f}, {box.y0:.2f}, {box.x1:.2f}, {box.y1:.2f}]" for box in boxes]
    return "\n".join(lines) or NO_FINDING


def image_uri(phantom: Phantom, size_px: int = 256) -> str:
    """Return the reference that `image_bytes` reads; it holds the version, so that other pixels have another name."""
    return f"{SCHEME}{phantom.kind}/{phantom.split}/{phantom.index}?seed={phantom.seed}&size={size_px}&v={VERSION}"


def image_bytes(uri: str) -> bytes:
    """Return the PNG that a `phantom://KIND/SPLIT/INDEX?seed=S&size=PX&v=VERSION` reference names.

    Raises:
        DataError: a malformed reference, or one of another version.
    """
    parts = urlsplit(uri)
    fields = {"seed": "0", "size": "256", "v": str(VERSION), **dict(parse_qsl(parts.query))}
    split, _, index = parts.path.strip("/").partition("/")
    numbers = (index, fields["seed"], fields["size"])
    if not uri.startswith(SCHEME) or not all(text.isascii() and text.isdigit() for text in numbers):
        form = f"{SCHEME}KIND/SPLIT/INDEX?seed=S&size=PX&v={VERSION}"
        raise DataError(f"cannot read image {uri}: a phantom is named {form}")
    if fields["v"] != str(VERSION):
        raise DataError(f"cannot read image {uri}: this raybench draws phantoms of version {VERSION} only")
    phantom = case(parts.netloc, split, int(index), int(fields["seed"]))
    return png(render(phantom, int(fields["size"])))
