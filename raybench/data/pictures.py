"""Plain pictures (PNG, JPEG, TIFF, WebP, GIF, BMP, JPEG 2000): header, upright 8-bit RGB, boxes under EXIF rotation.

What "original-v1" means: the picture as any viewer shows it, upright and 8-bit RGB. Colour models and palettes are
resolved; no grey value is chosen by us. Where one must be, the id says so: grey values deeper than 8 bits are
stretched from the file's own minimum-maximum to 0-255 (a 12-bit X-ray in a 16-bit PNG would be nearly black if its
upper bits were taken), transparency is laid over white (the page that figures were drawn for).
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from raybench.errors import DataError

__all__ = [
    "PREPROCESSING", "as_is", "box_to_shown", "check_size", "matches", "preprocessing", "scale_grey", "show", "size_px",
]  # fmt: skip

#: Names what happens to a plain picture between file and model; part of every content key.
PREPROCESSING = "original-v1"

#: What PIL's readers raise on broken files.
_UNDECODABLE = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
#: Nothing else is tried: some of PIL's readers start other programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM")
_PASS_THROUGH = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_ORIENTATION, _PHOTOMETRIC = 0x0112, 0x0106
_WHITE = (255, 255, 255, 255)
#: EXIF orientation -> where a point (x, y) as fractions of the stored array is shown (EXIF 2.32, 4.6.4).
_UPRIGHT: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y), 2: lambda x, y: (1 - x, y), 3: lambda x, y: (1 - x, 1 - y), 4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x), 6: lambda x, y: (1 - y, x), 7: lambda x, y: (1 - y, 1 - x), 8: lambda x, y: (y, 1 - x),
}  # fmt: skip


def matches(head: bytes, name: str) -> bool:  # noqa: ARG001 - the same question is put to every reader
    """Return True: whatever is no volume and no DICOM is tried as a picture."""
    return True


def preprocessing(file: IO[bytes], ref: Mapping[str, Any]) -> str:
    """Return the id of what is done to a picture, from its header; unreadable files have the plain id."""
    try:
        with _opened(file) as image:
            grey = _is_deep(image) or ref.get("window") is not None
            alpha = not grey and image.has_transparency_data
    except DataError:
        grey = alpha = False
    steps = [f"frame={ref['frame']}"] if ref.get("frame") else []
    if grey:
        window = ref.get("window")
        steps.append("grey=min-max" if window is None else f"window={float(window[0])!r},{float(window[1])!r}")
    if alpha:
        steps.append("alpha=white")
    return ":".join([PREPROCESSING, ",".join(steps)]) if steps else PREPROCESSING


def size_px(data: bytes, ref: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of the upright picture in pixels, from the header.

    Raises:
        DataError: no picture, or no such frame.
    """
    with _opened(io.BytesIO(data), ref.get("frame")) as image:
        swapped = _orientation(image, data) >= 5 and image.format != "TIFF"  # PIL turns TIFFs itself
        return image.size[::-1] if swapped else image.size


def as_is(data: bytes, ref: Mapping[str, Any]) -> tuple[str, tuple[int, int]] | None:
    """Say whether a picture's own bytes show the same to every reader, and that they are whole.

    A PNG's checksums say so without decoding it (PNG, third edition, 5.3), so that one whose pixels were stored wrongly
    from the start is not found; a PNG whose checksums do not hold, and other formats, are decoded.

    Args:
        data: the file.
        ref: as `show` takes it.

    Returns:
        The media type, and width and height in pixels; None where some reader would misread the file (EXIF rotation,
        CMYK, palette, transparency, deep greys, several pages, formats few can read) or the reference asks
        for a window of its greys.

    Raises:
        DataError: corrupt, truncated or too large.
    """
    if any(ref.get(name) is not None for name in ("plane", "slice", "window")):
        return None
    with _opened(io.BytesIO(data), ref.get("frame")) as image:
        media_type, size = _PASS_THROUGH.get(image.format or ""), image.size
        one_page = image.format == "MPO" or getattr(image, "n_frames", 1) == 1
        plain = one_page and image.mode in ("L", "RGB") and not image.has_transparency_data
        if not (media_type and plain and _orientation(image, data) == 1):
            return None
    if not _has_checksums(data):
        with _opened(io.BytesIO(data)) as image:  # anew: to look at its metadata may have decoded it
            image.load()
    return media_type, size


def show(data: bytes, ref: Mapping[str, Any]) -> Image.Image:
    """Decode a picture wholly (a truncated file fails here); return it upright and RGB.

    Args:
        data: the file.
        ref: `frame` picks a page; `window` (centre, width) is in the file's grey values.

    Raises:
        DataError: corrupt, truncated, too large, non-finite, or no such frame.
    """
    if ref.get("plane") is not None or ref.get("slice") is not None:
        raise DataError("a picture has no plane or slice; those are for NIfTI volumes")
    with _opened(io.BytesIO(data), ref.get("frame")) as image:
        image.load()
        window = ref.get("window")
        if _is_deep(image) or window is not None:
            return _grey(image, window)
        shown = ImageOps.exif_transpose(image)
        if shown.has_transparency_data:
            shown = shown.convert("RGBA")
            shown = Image.alpha_composite(Image.new("RGBA", shown.size, _WHITE), shown)
        return shown.convert("RGB")


def box_to_shown(box: tuple[float, ...], data: bytes, ref: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return a box (x0, y0, x1, y1) in pixels of the stored array as fractions of the upright picture.

    Raises:
        DataError: no picture, or not four numbers.
    """
    if len(box) != 4:
        raise DataError(f"a box in a picture has 4 numbers (x0, y0, x1, y1), not {len(box)}")
    with _opened(io.BytesIO(data), ref.get("frame")) as image:
        orientation = _orientation(image, data)
        width, height = image.size[::-1] if orientation >= 5 and image.format == "TIFF" else image.size
    turn = _UPRIGHT[orientation]
    (x0, y0), (x1, y1) = turn(box[0] / width, box[1] / height), turn(box[2] / width, box[3] / height)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def check_size(width: int, height: int) -> None:
    """Raise DataError for an empty picture, or one above PIL's limit against decompression bombs."""
    if width < 1 or height < 1:
        raise DataError(f"the image has no pixels ({width} x {height})")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise DataError(f"image of {width} x {height} pixels exceeds limit of {Image.MAX_IMAGE_PIXELS} pixels")


def scale_grey(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Map low-high linearly to 0-255 (rounded), clipping outside; all black where high is not above low.

    Raises:
        DataError: a value is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise DataError("the image holds non-finite pixels")
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    scaled: npt.NDArray[np.float64] = (values.astype(np.float64) - low) / (high - low)
    grey: npt.NDArray[np.uint8] = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    return grey


@contextmanager
def _opened(file: IO[bytes], frame: int | None = None) -> Iterator[Image.Image]:
    """PIL's picture at a frame, pixels not decoded yet; every error of PIL's becomes a DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                pages = getattr(image, "n_frames", 1)
                if frame is not None and not 0 <= frame < pages:
                    raise DataError(f"no frame {frame}; the file has {pages}, counted from 0")
                if frame:
                    image.seek(frame)
                check_size(*image.size)
                yield image
    except UnidentifiedImageError as error:
        raise DataError("no picture of a known format (PNG, JPEG, TIFF, WebP, GIF, BMP, JPEG 2000)") from error
    except _UNDECODABLE as error:
        raise DataError(str(error) or type(error).__name__) from error


def _is_deep(image: Image.Image) -> bool:
    """Grey values of 16 or 32 bits, or floats."""
    return image.mode.startswith("I") or image.mode == "F"


def _orientation(image: Image.Image, data: bytes) -> int:
    """EXIF orientation 1-8; PIL would decode a PNG to look for one, so its chunks beside the pixels are searched."""
    if image.format == "PNG":
        beside = b"".join(_png_chunks_beside_pixels(data))
        if not any(name in beside for name in (b"eXIf", b"rientation", b"Raw profile type")):
            return 1
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in _UPRIGHT else 1


def _has_checksums(data: bytes) -> bool:
    """Say whether it is a PNG all of whose chunks have the right checksum, to the last."""
    try:
        with _opened(io.BytesIO(data)) as image:
            if image.format != "PNG":
                return False
            image.verify()
    except DataError:
        return False
    return True


def _png_chunks_beside_pixels(data: bytes) -> Iterator[bytes]:
    """Types and contents of a PNG's chunks but IDAT (PNG, third edition, 5.3)."""
    at = 8  # the signature
    while len(head := data[at : at + 8]) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind != b"IDAT":
            yield data[at + 4 : at + 8 + size]
        at += 12 + size


def _grey(image: Image.Image, window: tuple[float, float] | None) -> Image.Image:
    if not _is_deep(image) and image.mode != "L":
        raise DataError(f"a window applies to grey values only; the picture is {image.mode}")
    values = np.asarray(ImageOps.exif_transpose(image))
    if window is None:
        finite = np.isfinite(values).all()
        low, high = (float(values.min()), float(values.max())) if finite else (0.0, 0.0)
    else:
        centre, width = (float(number) for number in window)
        if not width > 0:
            raise DataError(f"the width of a window is above 0, not {width:g}")
        low, high = centre - width / 2, centre + width / 2
    grey = scale_grey(values, low, high)
    if _is_deep(image) and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # TIFF's white-is-zero
        grey = 255 - grey
    return Image.fromarray(grey).convert("RGB")
