"""Image files of every kind: bytes, hashes, sizes, and what a model is shown.

Backends that call a server get the file's own bytes where every reader understands them, backends that compute get
decoded pixels; both see the same picture. A file that cannot be decoded is an error in both cases, so that a corrupt
image never becomes a wrong answer; of a PNG that goes out as it is, right checksums are taken as proof. Which reader
a file needs is told by its first bytes (`pictures`, `dicom`, `nifti`); where a file is read from, by the scheme of
its address:

    open_image({"uri": "scans/7.nii.gz", "plane": "axial", "slice": 90}, pixels=True)["preprocessing"]
    # 'nifti-v1:axial,slice=90,volume=0,p0.5-99.5'
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import IO, Any, Protocol

import fsspec
import numpy as np
from PIL import Image

from raybench.data import dicom, hub, nifti, pictures
from raybench.data.pictures import PREPROCESSING
from raybench.errors import DataError
from raybench.schema import Row

__all__ = [
    "PREPROCESSING", "box_to_shown", "fingerprint", "open_image", "preprocessing", "read_bytes", "sha256", "size_px",
]  # fmt: skip

_HEAD_BYTES = 1024


class _Reader(Protocol):
    """What `pictures`, `dicom` and `nifti` offer; a ref holds `frame`, `plane`, `slice` and `window`, None if unset."""

    def matches(self, head: bytes, name: str) -> bool: ...
    def preprocessing(self, file: IO[bytes], ref: Mapping[str, Any]) -> str: ...
    def size_px(self, data: bytes, ref: Mapping[str, Any]) -> tuple[int, int]: ...
    def show(self, data: bytes, ref: Mapping[str, Any]) -> Image.Image: ...
    def box_to_shown(
        self, box: tuple[float, ...], data: bytes, ref: Mapping[str, Any]
    ) -> tuple[float, float, float, float]: ...


#: The first that knows a file reads it; pictures take whatever is left.
_READERS: tuple[_Reader, ...] = (dicom, nifti, pictures)


def _phantom_bytes(uri: str) -> bytes:
    from raybench.data import phantoms

    return phantoms.image_bytes(uri)


#: Scheme -> the bytes behind an address; every other scheme is fsspec's.
_SCHEMES: dict[str, Callable[[str], bytes]] = {hub.SCHEME: hub.image_bytes, "phantom://": _phantom_bytes}


def read_bytes(uri: str) -> bytes:
    """Return a file's bytes from a path, an fsspec URL, a `hub://` or a `phantom://` reference.

    Raises:
        DataError: the file is missing or unreadable.
    """
    own = _own_scheme(uri)
    if own:
        return own(uri)
    try:
        with fsspec.open(uri, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise DataError(f"cannot read image {_short(uri)}: {error.strerror or type(error).__name__}") from error
    except (ImportError, ValueError) as error:  # no filesystem for this kind of URL
        raise DataError(f"cannot read image {_short(uri)}: {error}") from error


def sha256(data: bytes) -> str:
    """Return the hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(uri: str) -> list[Any] | None:
    """Return what tells that a file is unchanged: size and mtime or ETag; None where nothing does."""
    if _own_scheme(uri):
        return [uri]
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
        info = filesystem.info(path)
    except (OSError, ImportError, ValueError):
        return None
    changed = info.get("mtime") or info.get("ETag") or info.get("LastModified")
    return None if changed is None else [info.get("size"), str(changed)]


def preprocessing(ref: Mapping[str, Any] | str, data: bytes | None = None) -> str:
    """Return the short id of what is done to an image between file and model; it enters the content key.

    Args:
        ref: the image reference, {"uri", "frame", "plane", "slice", "window"}, or a bare uri.
        data: the file's bytes, if they are at hand; else its header is read.

    Returns:
        "original-v1" for plain pictures; ids with a colon name choices, such as
        "dicom-v1:frame=middle,window=file". No pixels are decoded. A file that cannot
        be read has the plain id: its unit fails when it is opened.
    """
    ref = _full(ref)
    uri = str(ref["uri"])
    if data is None and _own_scheme(uri):
        try:
            data = read_bytes(uri)
        except DataError:
            return PREPROCESSING
    try:
        if data is not None:
            return _identified(io.BytesIO(data), ref)
        with fsspec.open(uri, "rb") as file:
            return _identified(file, ref)
    except (OSError, ImportError, ValueError):
        return PREPROCESSING


def size_px(data: bytes, ref: Mapping[str, Any] | str) -> tuple[int, int] | None:
    """Return width and height in pixels of what is shown of a file, from its header; None if it cannot be read."""
    ref = _full(ref)
    try:
        return _reader(data[:_HEAD_BYTES], str(ref["uri"])).size_px(data, ref)
    except DataError:
        return None


def open_image(ref: Mapping[str, Any] | str, pixels: bool) -> Row:
    """Return an image as a backend wants it.

    Args:
        ref: the image reference, {"uri", "frame", "plane", "slice", "window"}, or a bare uri.
        pixels: decode to RGB; otherwise the file's own bytes pass through where every
            server reads them alike, and what they would misread is sent as PNG.

    Returns:
        {"bytes", "media_type", "width_px", "height_px", "preprocessing"}; decoded pixels
        are height x width x 3 uint8 with media type "image/x-rgb8".

    Raises:
        DataError: missing, unreadable, corrupt, truncated, too large, or without such a frame or slice.
    """
    ref = _full(ref)
    uri = str(ref["uri"])
    data = read_bytes(uri)
    if not data:
        raise DataError(f"cannot decode image {_short(uri)}: the file is empty (0 bytes)")
    reader = _reader(data[:_HEAD_BYTES], uri)
    try:
        whole = pictures.as_is(data, ref) if reader is pictures and not pixels else None
        media_type, (width, height), sent = (*whole, data) if whole else _drawn(reader.show(data, ref), pixels)
    except DataError as error:
        raise DataError(f"cannot decode image {_short(uri)}: {error}") from error.__cause__
    done = preprocessing(ref, data)
    return {"bytes": sent, "media_type": media_type, "width_px": width, "height_px": height, "preprocessing": done}


def _drawn(shown: Image.Image, pixels: bool) -> tuple[str, tuple[int, int], bytes]:
    """Return media type, size and bytes of a decoded image."""
    if pixels:
        return "image/x-rgb8", shown.size, np.asarray(shown).tobytes()
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    return "image/png", shown.size, buffer.getvalue()


def box_to_shown(
    box: tuple[float, ...], data: bytes, ref: Mapping[str, Any] | str
) -> tuple[float, float, float, float]:
    """Return a box given in the file's own array as fractions (x0, y0, x1, y1) of the image that is shown.

    Args:
        box: pixel edges (x0, y0, x1, y1) for pictures and DICOM; voxel edges
            (i0, j0, k0, i1, j1, k1) along the file's own axes for NIfTI.
        data: the file's bytes.
        ref: the image reference.

    Raises:
        DataError: the file cannot be read, or the box has another number of values.
    """
    ref = _full(ref)
    return _reader(data[:_HEAD_BYTES], str(ref["uri"])).box_to_shown(box, data, ref)


def _full(ref: Mapping[str, Any] | str) -> dict[str, Any]:
    given = {"uri": ref} if isinstance(ref, str) else dict(ref)
    return {"frame": None, "plane": None, "slice": None, "window": None} | given


def _own_scheme(uri: str) -> Callable[[str], bytes] | None:
    return next((read for scheme, read in _SCHEMES.items() if uri.startswith(scheme)), None)


def _short(uri: str) -> str:
    """An address without its query, which may hold a signature."""
    return uri.split("?")[0]


def _identified(file: IO[bytes], ref: Mapping[str, Any]) -> str:
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return _reader(head, str(ref["uri"])).preprocessing(file, ref)


def _reader(head: bytes, uri: str) -> _Reader:
    name = _short(uri).lower()
    return next(reader for reader in _READERS if reader.matches(head, name))
