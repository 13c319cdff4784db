"""What the four numbers of a box mean, one named convention per family of models (metrics.md 4.1).

A convention says how a model writes a box (order, divisor, text form) and which
picture it is written in: the original, the original padded to a square, its
centre crop, or the resized input. It belongs to the model's catalogue entry and
is never guessed from the numbers: the same text means other places under other
conventions.

>>> to_original((0.25, 0.5, 0.75, 0.75), "llava-pad", (200, 100))
(0.25, 0.5, 0.75, 1.0)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from raybench.errors import SpecError, nearest

__all__ = ["CONVENTIONS", "DEFAULT", "Convention", "find_convention", "smart_resize", "to_original"]

#: "corners" are two points, each in the convention's order of x and y.
Order = Literal["xyxy", "yxyx", "xywh", "cxcywh", "corners"]
#: The picture that coordinates are written in.
Frame = Literal["original", "padded_square", "centre_crop", "centre_crop_pixels", "resized"]
#: How a box is written; "numbers" covers JSON, lists, pairs, tags and named coordinates.
Form = Literal["numbers", "loc", "loc_", "patch_index", "maira", "points"]
Size = tuple[int, int]
Corners = tuple[float, float, float, float]

#: What a plain "" means.
DEFAULT = "xyxy-norm"


@dataclass(frozen=True)
class Convention:
    """One reading of four numbers.

    Attributes:
        source: where the reading comes from.
        verified: the source was read; False until someone checks the model card.
        order: of the four numbers.
        divisor: what a full side is written as; None for pixels of the frame.
        frame: the picture that coordinates are written in.
        form: how a box is written.
        offset: added to a number before dividing (centres of bins).
        fenced: the model's own form is JSON in a code fence.
        tagged: the model's own form has tags around boxes and labels.
        min_pixels, max_pixels: limits of the resized input, for `frame` "resized".
    """

    name: str
    source: str
    verified: bool = True
    order: Order = "xyxy"
    divisor: float | None = 1.0
    frame: Frame = "original"
    form: Form = "numbers"
    offset: float = 0.0
    fenced: bool = False
    tagged: bool = False
    min_pixels: int = 4 * 28 * 28
    max_pixels: int = 16384 * 28 * 28

    @property
    def needs_size(self) -> bool:
        """Whether a reading needs the original's width and height in pixels."""
        return self.divisor is None or self.frame not in ("original", "resized")


_TABLE = (
    Convention("xyxy-norm", "plain reading: corners as fractions of width and height"),
    Convention("xyxy-1000", "plain reading: corners in thousandths", divisor=1000),
    Convention("xyxy-pixel", "plain reading: corners in pixels of the original", divisor=None),
    Convention("xywh-norm", "plain reading: corner, width, height as fractions", order="xywh"),
    Convention("xywh-pixel", "plain reading: corner, width, height in pixels", order="xywh", divisor=None),
    Convention("llava-pad", "haotian-liu/LLaVA issues 606, 623, 822; TRI-ML/vlm-evaluation issue 16",
               frame="padded_square"),
    Convention("llava-crop", "llava-hf/llava-1.5-7b-hf, discussion 18", frame="centre_crop"),
    Convention("qwen-vl", "Qwen-VL, from general knowledge", verified=False, divisor=1000, tagged=True),
    Convention("qwen2-vl", "Qwen2-VL, from general knowledge", verified=False, divisor=1000, tagged=True),
    Convention("qwen2.5-vl", "roboflow/supervision; QwenLM/Qwen3-VL issue 830", divisor=None, frame="resized",
               fenced=True),
    Convention("norm1000-json", "roboflow/supervision pull request 2015 (Qwen3-VL, GLM-V)", divisor=1000, fenced=True),
    Convention("gemini", "roboflow/supervision", order="yxyx", divisor=1000, fenced=True),
    Convention("medgemma-pad", "MedGemma 1.5, from general knowledge", verified=False, order="yxyx", divisor=1000,
               frame="padded_square", fenced=True),
    Convention("paligemma", "roboflow/supervision", order="yxyx", divisor=1024, form="loc"),
    Convention("florence-2", "roboflow/supervision (the dequantiser of transformers takes bin centres)", divisor=1000,
               form="loc_"),
    Convention("kosmos-2", "transformers processing_kosmos2", form="patch_index"),
    Convention("deepseek-vl2", "roboflow/supervision; deepseek-ai/DeepSeek-VL2 issue 60", divisor=999, tagged=True),
    Convention("internvl", "VLMEvalKit internvl/utils.py", divisor=1000, tagged=True),
    Convention("all-seeing", "OpenGVLab/all-seeing issue 10", divisor=999, frame="padded_square", tagged=True),
    Convention("molmo-point", "Molmo, from general knowledge", verified=False, divisor=100, form="points"),
    Convention("moondream", "roboflow/supervision"),
    Convention("maira-2", "microsoft/maira-2 processing_maira2.py", divisor=100, offset=0.5, form="maira",
               frame="centre_crop_pixels"),
    Convention("chexagent", "CheXagent-2, from general knowledge", verified=False, divisor=100, tagged=True),
    Convention("pixel-prose", "Llama 3.2 Vision as the first study used it: no box training", divisor=None),
)  # fmt: skip

CONVENTIONS: Mapping[str, Convention] = {convention.name: convention for convention in _TABLE}


def find_convention(name: str) -> Convention:
    """Return the convention of that name; "" is `xyxy-norm`.

    Pixel limits of a resized input are written behind a colon, as the model's
    processor was given them: `qwen2.5-vl:max_pixels=1003520,min_pixels=3136`.

    Raises:
        SpecError: no such convention or option, with the nearest name.
    """
    name, _, options = name.partition(":")
    convention = CONVENTIONS.get(name or DEFAULT)
    if convention is None:
        raise SpecError(f"unknown box convention {name!r}{nearest(name, CONVENTIONS)}; known: {', '.join(CONVENTIONS)}")
    limits = {key: _pixels(convention, key, value) for key, value in _options(options)}
    lowest, highest = (limits.get(key, getattr(convention, key)) for key in ("min_pixels", "max_pixels"))
    if lowest > highest:
        raise SpecError(f"box convention {convention.name}: min_pixels {lowest} is above max_pixels {highest}")
    return replace(convention, min_pixels=lowest, max_pixels=highest)


def _options(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return [(key.strip(), value) for key, _, value in pairs]


def _pixels(convention: Convention, key: str, value: str) -> int:
    allowed = ("min_pixels", "max_pixels") if convention.frame == "resized" else ()
    if key not in allowed:
        listed = ", ".join(allowed) or "none"
        raise SpecError(
            f"box convention {convention.name}: no option {key!r}{nearest(key, allowed)}; allowed: {listed}"
        )
    if not value.strip().isdecimal() or not int(value):
        raise SpecError(f"box convention {convention.name}: {key} must be a whole number above 0, not {value!r}")
    return int(value)


def smart_resize(size: Size, min_pixels: int, max_pixels: int, factor: int = 28) -> Size:
    """Return the (width, height) that Qwen2-VL and Qwen2.5-VL processors resize an image to.

    Both sides become multiples of `factor`, as near to the original as may be;
    an image outside the pixel limits is scaled by one ratio first (rounded down
    from above, up from below). Source: smart_resize of transformers'
    image_processing_qwen2_vl; default limits from the model's preprocessor_config.

    Raises:
        ValueError: one side is more than 200 times the other, which the processor refuses.
    """
    width, height = size
    if max(size) > 200 * min(size):
        raise ValueError("sides differ more than 200 times")
    wide, high = (round(side / factor) * factor for side in (width, height))
    if wide * high > max_pixels:
        ratio = math.sqrt(width * height / max_pixels)
        wide, high = (max(factor, math.floor(side / ratio / factor) * factor) for side in (width, height))
    elif wide * high < min_pixels:
        ratio = math.sqrt(min_pixels / (width * height))
        wide, high = (math.ceil(side * ratio / factor) * factor for side in (width, height))
    return wide, high


def to_original(
    box: Sequence[float], convention: str | Convention, size: Size | None = None, order: Order | None = None
) -> Corners:
    """Return a box as the model wrote it as (x0, y0, x1, y1), fractions of the original, neither clipped nor sorted.

    Args:
        box: four numbers in the convention's order and unit (for `kosmos-2` and
            `molmo-point` fractions and percents, for `maira-2` token numbers).
        size: (width_px, height_px) of the original; needed where `Convention.needs_size`.
        order: what the text itself says the numbers are ("x", "width"), in place of the convention's.

    Raises:
        SpecError: unknown convention.
        ValueError: the size is needed and missing, or one that the model's processor refuses.
    """
    reading = find_convention(convention) if isinstance(convention, str) else convention
    return frame_to_original(to_frame(box, reading, size, order), reading, size)


def to_frame(box: Sequence[float], reading: Convention, size: Size | None, order: Order | None = None) -> Corners:
    """Return a box as (x0, y0, x1, y1) in fractions of the picture it is written in."""
    a, b, c, d = (value + reading.offset for value in box)
    order = order or reading.order
    if order == "corners":
        order = "yxyx" if reading.order == "yxyx" else "xyxy"
    if order == "yxyx":
        a, b, c, d = b, a, d, c
    elif order == "xywh":
        c, d = a + c, b + d
    elif order == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    if reading.divisor is not None:
        wide = high = reading.divisor
    else:
        wide, high = _frame_pixels(reading, _known(size))
    return a / wide, b / high, c / wide, d / high


def frame_to_original(corners: Corners, reading: Convention, size: Size | None) -> Corners:
    """Return corners given in fractions of the frame in fractions of the original."""
    if reading.frame in ("original", "resized"):
        return corners
    width, height = _known(size)
    side = max(width, height) if reading.frame == "padded_square" else min(width, height)
    x0, y0, x1, y1 = corners
    xs = (_shifted(x, side, width, reading.frame) for x in (x0, x1))
    ys = (_shifted(y, side, height, reading.frame) for y in (y0, y1))
    (left, right), (top, bottom) = xs, ys
    return left, top, right, bottom


def _shifted(value: float, side: int, length: int, frame: Frame) -> float:
    if frame == "padded_square":
        # Padding is split by whole pixels, the odd one behind.
        return (value * side - (side - length) // 2) / length
    if frame == "centre_crop":
        return (value * side + (length - side) / 2) / length
    # The processor of MAIRA-2 cuts to whole pixels; what is beyond a float's range is no place anyway.
    pixel = value * side + (length - side) // 2
    return (math.trunc(pixel) if math.isfinite(pixel) else pixel) / length


def _frame_pixels(reading: Convention, size: Size) -> Size:
    return smart_resize(size, reading.min_pixels, reading.max_pixels) if reading.frame == "resized" else size


def _known(size: Size | None) -> Size:
    if size is None or min(size) < 1:
        raise ValueError("the image's size in pixels is not known")
    return size
