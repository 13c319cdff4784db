"""Image files: bytes, hashes, and decoded RGB pixels.

Backends that call a server get the file's own bytes; backends that compute get
decoded pixels. A file that cannot be decoded is an error in both cases, so that
a corrupt image never becomes a wrong answer.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from typing import Any

import fsspec
import numpy as np
from PIL import Image, ImageOps

from raybench.data import hub
from raybench.errors import DataError
from raybench.schema import Row

__all__ = ["PREPROCESSING", "fingerprint", "open_image", "read_bytes", "sha256"]

#: Names what happens to an image between file and model; part of every content key.
PREPROCESSING = "original-v1"

#: What PIL's readers raise on broken files.
_UNDECODABLE = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
_PASS_THROUGH = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


def read_bytes(uri: str) -> bytes:
    """Return a file's bytes from a path, an fsspec URL or a `hub://` reference.

    Raises:
        DataError: the file is missing or unreadable.
    """
    if uri.startswith(hub.SCHEME):
        return hub.image_bytes(uri)
    try:
        with fsspec.open(uri, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise DataError(f"cannot read image {uri.split('?')[0]}: {error.strerror or type(error).__name__}") from error
    except (ImportError, ValueError) as error:  # no filesystem for this kind of URL
        raise DataError(f"cannot read image {uri.split('?')[0]}: {error}") from error


def sha256(data: bytes) -> str:
    """Return the hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(uri: str) -> list[Any] | None:
    """Return what tells that a file is unchanged: size and mtime or ETag; None where nothing does."""
    if uri.startswith(hub.SCHEME):
        return [uri]
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
        info = filesystem.info(path)
    except (OSError, ImportError, ValueError):
        return None
    changed = info.get("mtime") or info.get("ETag") or info.get("LastModified")
    return None if changed is None else [info.get("size"), str(changed)]


def open_image(uri: str, pixels: bool) -> Row:
    """Return an image as a backend wants it.

    Args:
        uri: where the file is.
        pixels: decode to RGB; otherwise pass the file's own bytes through
            (formats that no server takes are re-encoded as PNG).

    Returns:
        {"bytes", "media_type", "width_px", "height_px"}; decoded pixels are
        height x width x 3 uint8 with media type "image/x-rgb8".

    Raises:
        DataError: missing, unreadable, corrupt or truncated.
    """
    data = read_bytes(uri)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                kind = image.format or ""
                image.load()  # decodes everything: a truncated file fails here
                width, height = image.size
                if not pixels and kind in _PASS_THROUGH:
                    return _row(data, _PASS_THROUGH[kind], width, height)
                decoded = _rgb(image)
    except _UNDECODABLE as error:
        raise DataError(f"cannot decode image {uri.split('?')[0]}: {error}") from error
    if pixels:
        return _row(np.asarray(decoded).tobytes(), "image/x-rgb8", *decoded.size)
    buffer = io.BytesIO()
    decoded.save(buffer, "PNG")
    return _row(buffer.getvalue(), "image/png", *decoded.size)


def _rgb(image: Image.Image) -> Image.Image:
    """Upright 8-bit RGB; 16-bit greys keep their upper 8 bits (PIL alone would clip them)."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _row(data: bytes, media_type: str, width: int, height: int) -> Row:
    return {"bytes": data, "media_type": media_type, "width_px": width, "height_px": height}
