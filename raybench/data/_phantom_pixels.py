"""What both kinds of phantom are drawn with: pixel grids, soft edges, textures, extents and a PNG writer.

One case gives the same bytes on every machine: chance comes from raw generator
bits, whose streams numpy keeps stable; pictures are painted in single precision
with nothing but correctly rounded operations; the two steps that are not (sums
of products, powers) are rounded far above their error; and the PNG holds stored
blocks, since compressors differ from build to build.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from raybench.interfaces import Array

__all__ = ["Canvas", "Mark", "Scene", "canvases", "developed", "ellipse", "extent", "png", "ramp"]

#: A box reaches as far as a finding adds at least this part of its full strength.
_VISIBLE = 0.12
#: A band's float32 arrays stay below what the C library hands back to the system each time (128 KiB).
_BAND_PIXELS = 16384
_LOW_BYTES, _FOUR_ONES = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0001000100010001)
_EIGHT, _FORTY_EIGHT = np.uint64(8), np.uint64(48)


@dataclass(frozen=True)
class Mark:
    """One finding as it is drawn; lengths are fractions of the image.

    Attributes:
        name: the finding.
        side: the patient's side, or "" where the finding has none.
        zone: lung zone or brain region, or "".
        x, y: centre in body coordinates (x grows to the image's right from the middle, y downwards from the top).
        radii: half-widths along x and y.
        strength: factor on its brightness.
        seed: of its texture.
    """

    name: str
    side: str = ""
    zone: str = ""
    x: float = 0.0
    y: float = 0.0
    radii: tuple[float, float] = (0.0, 0.0)
    strength: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """One body: its measures, its findings and the seed of its textures."""

    measures: Mapping[str, float]
    marks: tuple[Mark, ...]
    seed: int
    style: str = ""


@dataclass(frozen=True)
class Canvas:
    """A band of whole lines of a picture, with the body coordinates of every pixel in it.

    Pictures are painted band by band: what stays in the processor's cache is painted several times as fast.

    Attributes:
        size: width and height of the whole picture in pixels.
        rows: the band's lines.
        x, y: body coordinates, (lines, size) float32.
    """

    size: int
    rows: slice
    x: Array
    y: Array

    def texture(self, cells: int, seed: int) -> Array:
        """Return a smooth random field, mean 0 and deviation about 1, with `cells` waves across the picture."""
        knots = _bells((cells + 3) ** 2, seed).reshape(cells + 3, cells + 3).astype(float)
        weights = _spline(self.size, cells)
        field = weights[self.rows] @ (knots @ weights.T)
        return np.asarray(np.rint(field * (2.08 * 4096)) * (1 / 4096), np.float32)


def canvases(measures: Mapping[str, float], size: int) -> Iterator[Canvas]:
    """Yield a picture's bands from the top; the body is turned, scaled and shifted as measured."""
    lines = max(1, _BAND_PIXELS // size)
    cosine = math.cos(measures["turn"]) / measures["scale"]
    sine = math.sin(measures["turn"]) / measures["scale"]
    across = _axis(size)[None, :] - 0.5 - measures["shift_x"]
    for first in range(0, size, lines):
        rows = slice(first, min(first + lines, size))
        down = _axis(size)[rows, None] - 0.5 - measures["shift_y"]
        x, y = across * cosine + down * sine, 0.5 + down * cosine - across * sine
        yield Canvas(size, rows, np.asarray(x, np.float32), np.asarray(y, np.float32))


@lru_cache(maxsize=16)
def _axis(size: int) -> Array:
    return (np.arange(size, dtype=float) + 0.5) / size


@lru_cache(maxsize=64)
def _spline(size: int, cells: int) -> Array:
    """Uniform cubic B-spline weights, (size, cells + 3)."""
    place = _axis(size) * cells
    first = np.minimum(place.astype(int), cells - 1)
    t = place - first
    pieces = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((size, cells + 3))
    for offset, piece in enumerate(pieces):
        weights[np.arange(size), first + offset] = piece / 6
    return weights


@lru_cache(maxsize=64)
def _bells(count: int, seed: int) -> Array:
    """Near-normal deviates, mean 0 and deviation 1: sums of the eight bytes of a raw word."""
    words = np.asarray(np.random.PCG64(seed).random_raw(count), dtype=np.uint64)
    pairs = (words & _LOW_BYTES) + ((words >> _EIGHT) & _LOW_BYTES)  # four 16-bit sums of two
    sums = (pairs * _FOUR_ONES) >> _FORTY_EIGHT  # the top 16 bits of the product add all four
    return (sums.astype(np.float32) - np.float32(1020)) * np.float32(1 / 209.02)


def ramp(distance: Array, width: float) -> Array:
    """Return a soft edge: 0 below -width/2, 1 above width/2."""
    soft = distance * (1 / width)
    soft += 0.5
    return np.clip(soft, 0.0, 1.0, out=soft)


def ellipse(x: Array, y: Array, centre: tuple[float, float], radii: tuple[float, float], tilt: float = 0.0) -> Array:
    """Return 1 - r, where r is 1 on the ellipse: 1 at the centre, negative outside."""
    cosine, sine = math.cos(tilt), math.sin(tilt)
    squares = _plane(x, y, cosine / radii[0], sine / radii[0], centre)
    squares *= squares
    down = _plane(x, y, -sine / radii[1], cosine / radii[1], centre)
    down *= down
    squares += down
    np.sqrt(squares, out=squares)
    return np.asarray(np.subtract(1, squares, out=squares))


def _plane(x: Array, y: Array, along_x: float, along_y: float, zero: tuple[float, float]) -> Array:
    """Return along_x * (x - zero's x) + along_y * (y - zero's y)."""
    height = x * along_x
    height -= along_x * zero[0] + along_y * zero[1]
    if along_y:
        height += y * along_y
    return height


def developed(light: Array, gain: float, gamma: float, noise: float, seed: int) -> Array:
    """Return the exposed picture, uint8: a tone curve, then grain of deviation `noise` (of full white)."""
    steps = np.rint(np.clip(light * gain, 0.0, 1.0) * 4095).astype(np.int16)
    grains = _bells(light.size, seed).reshape(light.shape)
    grey = _tones(gamma)[steps] + grains * np.float32(255 * noise)
    return np.asarray(np.clip(np.rint(grey), 0, 255), np.uint8)


def _tones(gamma: float) -> Array:
    """Grey value (0-255) of each of 4096 steps of light."""
    curve = (np.arange(4096) / 4095) ** gamma
    return np.asarray(np.rint(curve * (255 * 1024)) * (1 / 1024), np.float32)


def extent(strength: Array) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1), 0-1, around all that a finding visibly adds."""
    seen = strength > _VISIBLE
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    if not len(columns):
        return 0.0, 0.0, 0.0, 0.0
    size = strength.shape[0]
    edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    x0, y0, x1, y1 = (round(float(edge) / size, 4) for edge in edges)
    return x0, y0, x1, y1


def png(grey: Array) -> bytes:
    """Return an 8-bit grey PNG of a (height, width) uint8 array, the same bytes on every machine."""
    height, width = grey.shape
    lines = np.zeros((height, width + 1), np.uint8)  # each line opens with filter type 0
    lines[:, 1:] = grey
    raw = lines.tobytes()
    blocks = [b"\x78\x01"]
    for start in range(0, len(raw), 65535):
        piece = raw[start : start + 65535]
        last = start + 65535 >= len(raw)
        blocks.append(struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF) + piece)
    blocks.append(struct.pack(">I", zlib.adler32(raw)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", b"".join(blocks)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
