"""NIfTI volumes as 8-bit slices, with left kept left.

What "nifti-v1" means: the axes are read from the affine and brought to the closest canonical order (R, A, S growing),
so files stored LAS, RAS or otherwise show the same picture; without an affine the format's own default holds. `slice`
counts in that order: from the patient's left (sagittal), from behind (coronal), from below (axial); the middle
one unless named. A slice is shown as a radiologist sees it: the patient's left on the right, front or head up, and
sagittal slices face left. Greys run from the slice's 0.5th to its 99.5th percentile (minimum to maximum where those
are equal) unless `window` is given. Voxels are made square by linear interpolation to the smaller spacing. `frame` is
the volume of a 4D file, the first unless named. Needs the extra `medical`.
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from raybench.data.pictures import check_size, scale_grey
from raybench.errors import DataError, nearest

__all__ = ["box_to_shown", "canonical_slice", "matches", "preprocessing", "show", "size_px"]

#: Plane -> (axis that is cut, axis across the picture, axis down the picture) of the canonical order R, A, S.
_PLANES = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}
_PERCENTILES = (0.5, 99.5)
_HEAD_BYTES = 560
#: No file is unpacked further than this.
_LIMIT_BYTES = 2**31
_HEADER_LIMIT_BYTES = 2**26
#: Spacings closer than this, relatively, count as equal.
_SQUARE = 0.01
_BROKEN = (
    OSError, ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError, NotImplementedError, RuntimeError,
    ArithmeticError, struct.error, zlib.error, np.linalg.LinAlgError,
)  # fmt: skip


@dataclass(frozen=True)
class _Cut:
    """Which voxels a reference shows and how they become a picture.

    Attributes:
        axes: file axes that are (cut, across, down).
        flipped: for those three, whether the file's axis runs against the canonical one.
        shape: voxels along those three.
        index: slice along the cut axis, canonical order.
        volume: index along the fourth axis.
        size_px: width and height of the picture.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    shape: tuple[int, int, int]
    index: int
    volume: int
    size_px: tuple[int, int]


def matches(head: bytes, name: str) -> bool:
    """Tell a NIfTI file by its magic (unpacked if gzipped) or its name."""
    if name.endswith((".nii", ".nii.gz")):
        return True
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _HEAD_BYTES)
        except zlib.error:
            return False
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def preprocessing(file: IO[bytes], ref: Mapping[str, Any]) -> str:  # noqa: ARG001 - says the same of every file
    """Return the id of what is done to a volume."""
    index, window = ref.get("slice"), ref.get("window")
    greys = "p0.5-99.5" if window is None else f"window={float(window[0])!r},{float(window[1])!r}"
    cut = "middle" if index is None else index
    return f"nifti-v1:{ref.get('plane') or 'axial'},slice={cut},volume={ref.get('frame') or 0},{greys}"


def size_px(data: bytes, ref: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of the shown slice in (square) pixels, from the header.

    Raises:
        DataError: no NIfTI file, or no such plane, slice or volume.
    """
    with _opened(data) as image:
        return _cut(image, ref).size_px


def show(data: bytes, ref: Mapping[str, Any]) -> Image.Image:
    """Render one slice as 8-bit RGB.

    Args:
        data: the file, gzipped or not.
        ref: `plane`, `slice` (canonical order), `frame` (volume) and `window` (centre, width in the file's
            scaled units).

    Raises:
        DataError: no NIfTI file, truncated, too large, non-finite in this slice, or no such plane, slice or volume.
    """
    with _opened(data) as image:
        cut = _cut(image, ref)
        values = _voxels(image, cut)
    grey = _grey(values, ref.get("window"))
    # Rows run from the top (A or S falls), columns from the left (R or A falls): both against the canonical order.
    shown = Image.fromarray(np.ascontiguousarray(np.swapaxes(grey, 0, 1)[::-1, ::-1])).convert("RGB")
    return shown if shown.size == cut.size_px else shown.resize(cut.size_px, Image.Resampling.BILINEAR)


def box_to_shown(box: tuple[float, ...], data: bytes, ref: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return a box of voxels as fractions (x0, y0, x1, y1) of the shown slice.

    Args:
        box: voxel edges (i0, j0, k0, i1, j1, k1) along the file's own axes: voxel n lies
            between n and n + 1. What it spans along the cut axis is not looked at.
        data: the file.
        ref: the image reference.

    Raises:
        DataError: no NIfTI file, or not six numbers.
    """
    if len(box) != 6:
        raise DataError(f"a box in a volume has 6 numbers (i0, j0, k0, i1, j1, k1), not {len(box)}")
    with _opened(data) as image:
        cut = _cut(image, ref)
    spans = []
    for axis, flipped, voxels in zip(cut.axes[1:], cut.flipped[1:], cut.shape[1:], strict=True):
        near, far = sorted((box[axis] / voxels, box[axis + 3] / voxels))
        # The picture runs against the canonical order: an axis that the file flips already does.
        spans.append((near, far) if flipped else (1 - far, 1 - near))
    (x0, x1), (y0, y1) = spans
    return x0, y0, x1, y1


def canonical_slice(index: int, data: bytes, plane: str) -> int:
    """Return the `slice` of a reference that shows the file's own slice `index` along the axis that a plane cuts.

    Raises:
        DataError: no NIfTI file, or no such plane or slice.
    """
    with _opened(data) as image:
        cut = _cut(image, {"plane": plane})
    if not 0 <= index < cut.shape[0]:
        raise DataError(f"no {plane} slice {index}; the file has {cut.shape[0]}, counted from 0")
    return cut.shape[0] - 1 - index if cut.flipped[0] else index


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """nibabel's image over a file, voxels not read yet; every error becomes a DataError."""
    try:
        from nibabel.filebasedimages import ImageFileError
        from nibabel.nifti1 import Nifti1Image
        from nibabel.nifti2 import Nifti2Image
        from nibabel.spatialimages import HeaderDataError
        from nibabel.wrapstruct import WrapStructError
    except ImportError as error:
        raise DataError("reading NIfTI needs the extra: pip install 'raybench[medical]'") from error
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)  # it prints the oddities of a header
    try:
        file: io.IOBase = io.BytesIO(data)
        if data[:2] == b"\x1f\x8b":
            file = gzip.GzipFile(fileobj=file)
        head = bytes(file.read(540))
        file.seek(0)
        second = 540 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
        kind = Nifti2Image if second else Nifti1Image
        start = int(kind.header_class(head[: 540 if second else 348])["vox_offset"])
        if start > _HEADER_LIMIT_BYTES:  # what lies before the voxels is read whole
            raise DataError(f"its header takes {start} bytes; the limit is {_HEADER_LIMIT_BYTES}")
        yield kind.from_stream(file)
    except DataError:
        raise
    except (*_BROKEN, HeaderDataError, ImageFileError, WrapStructError) as error:
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"the NIfTI file is corrupt or truncated ({detail})") from error


def _cut(image: Any, ref: Mapping[str, Any]) -> _Cut:
    from nibabel.affines import voxel_sizes
    from nibabel.orientations import io_orientation

    plane = ref.get("plane") or "axial"
    if plane not in _PLANES:
        raise DataError(f"no plane {plane!r}{nearest(plane, _PLANES)}; known: {', '.join(_PLANES)}")
    if len(image.shape) < 2:
        raise DataError(f"the volume has {len(image.shape)} axes; at least two are needed")
    shape = (*image.shape, 1)[:3]
    affine = np.asarray(image.affine, np.float64)
    order = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if np.isnan(order).any():
        raise DataError("its affine gives no orientation")
    axes = [next(a for a in range(3) if order[a, 0] == canonical) for canonical in _PLANES[plane]]
    spacings = voxel_sizes(affine)
    across, down = axes[1], axes[2]
    size = _square(shape[across], shape[down], float(spacings[across]), float(spacings[down]))
    check_size(*size)
    volumes = math.prod(image.shape[3:])
    return _Cut(
        (axes[0], across, down),
        (bool(order[axes[0], 1] < 0), bool(order[across, 1] < 0), bool(order[down, 1] < 0)),
        (shape[axes[0]], shape[across], shape[down]),
        _chosen("slice", ref.get("slice"), shape[axes[0]], shape[axes[0]] // 2),
        _chosen("volume (frame)", ref.get("frame"), volumes, 0),
        size,
    )


def _chosen(what: str, wanted: int | None, count: int, default: int) -> int:
    if count < 1:
        raise DataError(f"the volume has no {what}")
    index = default if wanted is None else wanted
    if not 0 <= index < count:
        raise DataError(f"no {what} {index}; the file has {count}, counted from 0")
    return index


def _square(across: int, down: int, spacing_across: float, spacing_down: float) -> tuple[int, int]:
    """Width and height in pixels of the smaller spacing."""
    fine = min(spacing_across, spacing_down)
    if not fine > 0:
        raise DataError("its affine gives a voxel no size")
    if max(spacing_across, spacing_down) / fine - 1 < _SQUARE:
        return across, down
    return round(across * spacing_across / fine), round(down * spacing_down / fine)


def _voxels(image: Any, cut: _Cut) -> npt.NDArray[Any]:
    """Scaled values of the slice, (across, down) in canonical order, x 3 for colours; only what it needs is read."""
    volume_bytes = math.prod(image.shape[:3]) * image.header.get_data_dtype().itemsize
    unpacked = int(image.dataobj.offset) + volume_bytes * (cut.volume + 1)
    if unpacked > _LIMIT_BYTES:
        raise DataError(f"the volume takes {unpacked} bytes unpacked; the limit is {_LIMIT_BYTES}")
    index = cut.shape[0] - 1 - cut.index if cut.flipped[0] else cut.index
    block = [slice(index, index + 1) if axis == cut.axes[0] else slice(None) for axis in range(3)]
    volume = np.unravel_index(cut.volume, image.shape[3:], order="F") if image.shape[3:] else ()
    where = (*block[: len(image.shape)], *(int(i) for i in volume))
    values = np.asarray(image.dataobj[where])
    if values.dtype.names:
        values = np.stack([values[name] for name in ("R", "G", "B")], axis=-1)
    if np.iscomplexobj(values):
        raise DataError("the volume holds complex numbers")
    colours = values.shape[len(block[: len(image.shape)]) :]
    shape = [1 if axis == cut.axes[0] else cut.shape[cut.axes.index(axis)] for axis in range(3)]
    values = np.moveaxis(values.reshape(*shape, *colours), cut.axes, (0, 1, 2))[0]
    flips = tuple(axis for axis in (0, 1) if cut.flipped[axis + 1])
    return np.flip(values, flips)


def _grey(values: npt.NDArray[Any], window: tuple[float, float] | None) -> npt.NDArray[np.uint8]:
    if values.ndim == 3:
        if window is not None:
            raise DataError("a window applies to grey values only; this volume has colours")
        return values.astype(np.uint8)
    if not np.isfinite(values).all():
        raise DataError("the slice holds non-finite voxels")
    if window is not None:
        centre, width = (float(number) for number in window)
        if not width > 0:
            raise DataError(f"the width of a window is above 0, not {width:g}")
        return scale_grey(values, centre - width / 2, centre + width / 2)
    low, high = (float(bound) for bound in np.percentile(values, _PERCENTILES))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    return scale_grey(values, low, high)
