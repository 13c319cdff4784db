"""A sample's images for a browser: opened by the stored reference, shown as PNG or JPEG, small ones kept for lists."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import fsspec
import numpy as np
from PIL import Image

from raybench.data.images import open_image, read_bytes
from raybench.errors import DataError
from raybench.schema import Row

__all__ = ["LIST_PX", "THUMB_PX", "describe", "picture", "reference"]

THUMB_PX = 512
LIST_PX = 96
_DICOM, _VOLUME = (".dcm", ".dicom", ".ima"), (".nii", ".nii.gz")
#: Media types that every browser shows and that cannot hold a script.
_SHOWN = ("image/png", "image/jpeg")
_MAX_SLICE = 100_000


def reference(stored: Row, asked: Mapping[str, str]) -> Row:
    """Return a stored image reference with the slice and window that a reader asked for.

    Args:
        asked: `slice` (a frame of a DICOM file or picture, a slice of a volume), `window` as "centre,width".

    Raises:
        DataError: a slice or window that is no number.
    """
    found = dict(stored)
    if "slice" in asked:
        if not asked["slice"].isdigit() or int(asked["slice"]) > _MAX_SLICE:
            raise DataError(f"slice: a number from 0, not {asked['slice']!r}")
        found["slice" if _kind(str(stored["uri"])) == "volume" else "frame"] = int(asked["slice"])
    if "window" in asked:
        try:
            centre, width = (float(part) for part in asked["window"].split(","))
        except ValueError as error:
            raise DataError(f"window: centre,width, not {asked['window']!r}") from error
        if not (np.isfinite(centre) and np.isfinite(width) and width > 0):
            raise DataError("window: two finite numbers, the width above 0")
        found["window"] = (centre, width)
    return found


def picture(ref: Row, thumb_px: int = 0) -> tuple[bytes, str]:
    """Return an image's bytes and media type, at most `thumb_px` wide and high if that is given.

    Raises:
        DataError: it cannot be opened; the sentence names no path.
    """
    try:
        found = open_image(ref, pixels=bool(thumb_px))
    except DataError as error:
        raise DataError("the image cannot be opened: its file has moved, is damaged, or has no such slice") from error
    if not thumb_px and found["media_type"] in _SHOWN:
        return found["bytes"], found["media_type"]
    if not thumb_px:
        found = open_image(ref, pixels=True)
    image = Image.frombytes("RGB", (found["width_px"], found["height_px"]), found["bytes"])
    buffer = io.BytesIO()
    if not thumb_px:
        image.save(buffer, "PNG")
        return buffer.getvalue(), "image/png"
    image.thumbnail((thumb_px, thumb_px))
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), "image/jpeg"


def describe(ref: Row, n: int, size: list[int] | None) -> Row:
    """Return what the viewer needs of image `n`: its size, how many slices, and the window it starts with."""
    width, height = size or (None, None)
    found: Row = {"n": n, "width_px": width, "height_px": height, "slices": 1, "slice": 0}
    found |= {"window": None, "range": None}
    if _kind(str(ref["uri"])) != "picture":
        found |= _header(str(ref["uri"]), ref.get("plane") or "axial")
        chosen = ref.get("slice") if found["slices"] == found.get("depth") else ref.get("frame")
        found["slice"] = found["slices"] // 2 if chosen is None else chosen
        found["window"] = ref.get("window") or found["window"]
        found.pop("depth", None)
    return found


def _kind(uri: str) -> str:
    name = uri.split("?")[0].lower()
    return "volume" if name.endswith(_VOLUME) else "dicom" if name.endswith(_DICOM) else "picture"


@lru_cache(maxsize=512)
def _header(uri: str, plane: str) -> dict[str, Any]:
    """Slices, window and range of a DICOM file or a volume; nothing where it cannot be read."""
    try:
        return _dicom_header(uri) if _kind(uri) == "dicom" else _volume_header(uri, plane)
    except (ImportError, OSError, ValueError, DataError, AttributeError, TypeError):
        return {}


def _dicom_header(uri: str) -> dict[str, Any]:
    import pydicom

    with fsspec.open(uri, "rb") as file:
        data = pydicom.dcmread(file, stop_before_pixels=True, force=True)
    frames = int(data.get("NumberOfFrames") or 1)
    slope, shift = float(data.get("RescaleSlope") or 1), float(data.get("RescaleIntercept") or 0)
    bits = int(data.get("BitsStored") or 8)
    low = -(2 ** (bits - 1)) if data.get("PixelRepresentation") else 0
    found: dict[str, Any] = {"slices": frames, "range": [low * slope + shift, (low + 2**bits - 1) * slope + shift]}
    centre, width = (_first(data.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is not None and width:
        found["window"] = [centre, width]
    return found if str(data.get("PhotometricInterpretation", "")).startswith("MONOCHROME") else {"slices": frames}


def _first(value: Any) -> float | None:
    if value in (None, ""):
        return None
    return float(value if isinstance(value, int | float | str) else value[0])


def _volume_header(uri: str, plane: str) -> dict[str, Any]:
    from raybench.data import nifti

    data = read_bytes(uri)
    low, high = 0, _MAX_SLICE
    while low < high:  # the reader says whether a slice is there, and nothing else needs its axes
        middle = (low + high + 1) // 2
        try:
            nifti.canonical_slice(middle, data, plane)
            low = middle
        except DataError:
            high = middle - 1
    return {"slices": low + 1, "depth": low + 1}
