"""DICOM files as 8-bit pictures: rescale, VOI, inversion, frames, and no word about the patient.

What "dicom-v1" means: one frame (the middle one unless `frame` names another) goes through the modality rescale (or
LUT), then through the first of these that applies: the reference's own `window` (LINEAR); the file's VOI LUT; its
first window under its VOI LUT function; nothing, if at most 8 unsigned bits are stored and none rescaled (such a
picture is made to be shown); the minimum-maximum of the frame without padding. MONOCHROME1 is inverted, padding is
black, colour is RGB. Pixels stay as stored: no resampling, no rotation, no overlays. The formulas are those of DICOM
PS3.3 C.7.6.3, C.11.1 and C.11.2. Needs the extra `medical`.

Errors never carry values of the file, pydicom's own messages and warnings included: they may name a patient.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from raybench.data.pictures import check_size, scale_grey
from raybench.errors import DataError

__all__ = ["box_to_shown", "matches", "preprocessing", "show", "size_px"]

_SUFFIXES = (".dcm", ".dicom", ".ima")
#: First elements of a data set without the 128-byte preamble: (0002,0000-0010) or (0008,0000-0018), little endian.
_BARE = tuple(
    struct.pack("<HH", group, element)
    for group, elements in ((2, (0, 1, 2, 16)), (8, (0, 1, 5, 8, 18, 20, 22, 24)))
    for element in elements
)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_INFLATED_LIMIT_BYTES = 2**30
#: What pydicom raises on broken files; its decoders add RuntimeError.
_BROKEN = (
    OSError, ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError, NotImplementedError, RuntimeError,
    ArithmeticError, struct.error, zlib.error,
)  # fmt: skip
_GREY = ("MONOCHROME1", "MONOCHROME2")
#: What rendering reads, at the top level or in the functional groups of an enhanced multi-frame file.
_RENDERING = (
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PixelPaddingValue", "PixelPaddingRangeLimit", "BitsStored", "PixelRepresentation",
)  # fmt: skip
_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")

Floats = npt.NDArray[np.float64]


def matches(head: bytes, name: str) -> bool:
    """Tell a DICOM file by its magic, its name, or the first element of a bare data set."""
    return head[128:132] == b"DICM" or name.endswith(_SUFFIXES) or head[:4] in _BARE


def preprocessing(file: IO[bytes], ref: Mapping[str, Any]) -> str:  # noqa: ARG001 - says the same of every file
    """Return the id of what is done to a DICOM file."""
    frame, window = ref.get("frame"), ref.get("window")
    shown = "file" if window is None else f"{float(window[0])!r},{float(window[1])!r}"
    return f"dicom-v1:frame={'middle' if frame is None else frame},window={shown}"


def size_px(data: bytes, ref: Mapping[str, Any]) -> tuple[int, int]:  # noqa: ARG001 - every frame has one size
    """Return Columns and Rows.

    Raises:
        DataError: no DICOM image.
    """
    with _reading():
        dataset = _dataset(data, header=True)
        size = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
    check_size(*size)
    return size


def box_to_shown(box: tuple[float, ...], data: bytes, ref: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return a box (x0, y0, x1, y1) in stored columns and rows as fractions of the picture; nothing is turned.

    Raises:
        DataError: no DICOM image, or not four numbers.
    """
    if len(box) != 4:
        raise DataError(f"a box in a DICOM image has 4 numbers (x0, y0, x1, y1), not {len(box)}")
    width, height = size_px(data, ref)
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def show(data: bytes, ref: Mapping[str, Any]) -> Image.Image:
    """Render one frame as 8-bit RGB.

    Args:
        data: the file.
        ref: `frame` (0-based) and `window` (centre, width in rescaled units, such as
            Hounsfield units) override the file's own.

    Raises:
        DataError: no DICOM image, corrupt, no decoder, or no such frame; never with values of the file.
    """
    if ref.get("plane") is not None or ref.get("slice") is not None:
        raise DataError("a DICOM image has no plane or slice; give a frame")
    with _reading():
        dataset = _dataset(data)
        if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
            raise DataError("it is no DICOM file or holds no pixel data")
        check_size(int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0))
        frame = _frame(dataset, ref.get("frame"))
        stored = _decoded(dataset, frame)
        colours = str(dataset.get("PhotometricInterpretation", ""))
        if colours in _GREY:
            grey = _rendered(stored, _rendering(dataset, frame), ref.get("window"), colours == "MONOCHROME1")
            return Image.fromarray(grey).convert("RGB")
        if ref.get("window") is not None:
            raise DataError("a window applies to grey values only; this DICOM image has colours")
        return Image.fromarray(_coloured(stored, dataset, colours))


@contextmanager
def _reading() -> Iterator[None]:
    """Silence pydicom's warnings and turn its errors into a DataError that says nothing of the file's values."""
    try:
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ImportError as error:
        raise DataError("reading DICOM needs the extra: pip install 'raybench[medical]'") from error
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # it logs offending values
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except (*_BROKEN, BytesLengthException, InvalidDicomError) as error:
        raise DataError(f"the DICOM file is corrupt or truncated ({type(error).__name__})") from None


def _dataset(data: bytes, header: bool = False) -> Any:
    import pydicom

    _check_inflated(data)
    dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=header)
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        name = "ImplicitVRLittleEndian" if implicit else f"ExplicitVR{'Little' if little else 'Big'}Endian"
        dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
    return dataset


def _check_inflated(data: bytes) -> None:
    """Refuse a deflated file that unpacks into more than the limit; pydicom itself would unpack it whole."""
    if data[128:132] != b"DICM" or _DEFLATED not in data[:1024]:
        return
    meta_bytes = struct.unpack_from("<I", data, 140)[0]  # (0002,0000) counts the bytes after itself
    inflated = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, total = data[144 + meta_bytes :], 0
    while rest and not inflated.eof and total <= _INFLATED_LIMIT_BYTES:
        total += len(inflated.decompress(rest, 2**24))
        rest = inflated.unconsumed_tail
    if total > _INFLATED_LIMIT_BYTES:
        raise DataError(f"the deflated DICOM file unpacks into more than {_INFLATED_LIMIT_BYTES} bytes")


def _frame(dataset: Any, wanted: int | None) -> int:
    frames = int(_first(dataset.get("NumberOfFrames")) or 1)
    if wanted is None:
        return frames // 2
    if not 0 <= wanted < frames:
        raise DataError(f"no frame {wanted}; the file has {frames}, counted from 0")
    return wanted


def _decoded(dataset: Any, frame: int) -> npt.NDArray[Any]:
    """Stored values of a frame, rows x columns, with x 3 for colours (YBR already RGB)."""
    from pydicom.pixels.utils import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        return np.asarray(pixel_array(dataset, index=frame))
    except (RuntimeError, NotImplementedError):
        if not syntax.is_compressed:
            raise
        raise DataError(
            f"its pixel data ({syntax.name if syntax.is_private is False else 'private'}) cannot be decoded: they are "
            "corrupt or need another decoder: pip install 'pylibjpeg[all]'"
        ) from None


def _rendering(dataset: Any, frame: int) -> Any:
    """The attributes that rendering reads, those of the frame before those shared before the file's."""
    from pydicom import Dataset

    found = Dataset()
    sources = [dataset]
    for sequence, item in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", frame)):
        groups = dataset.get(sequence) or []
        if item < len(groups):
            sources += [groups[item][name][0] for name in _GROUPS if groups[item].get(name)]
    for source in sources:
        for name in _RENDERING:
            if name in source:
                found[name] = source[name]
    return found


def _rendered(
    stored: npt.NDArray[Any], rules: Any, window: tuple[float, float] | None, inverted: bool
) -> npt.NDArray[np.uint8]:
    if stored.ndim != 2:
        raise DataError("the grey image has more than one sample a pixel")
    padding = _padding(stored, rules)
    values = _rescaled(stored, rules)
    if not np.isfinite(values).all():
        raise DataError("the image holds non-finite pixels")
    grey = _voi(values, rules, window, padding)
    if inverted:
        grey = 255 - grey
    grey[padding] = 0
    return grey


def _padding(stored: npt.NDArray[Any], rules: Any) -> npt.NDArray[np.bool_]:
    """Where stored values are padding (PS3.3 C.7.5.1.1.2)."""
    value = _number(rules.get("PixelPaddingValue"))
    if value is None:
        return np.zeros(stored.shape, np.bool_)
    limit = _number(rules.get("PixelPaddingRangeLimit"))
    low, high = sorted((value, value if limit is None else limit))
    return (stored >= low) & (stored <= high)


def _rescaled(stored: npt.NDArray[Any], rules: Any) -> Floats:
    """Values after the modality LUT or the rescale; a slope that is missing or 0 counts as 1."""
    if rules.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, rules), np.float64)
    slope, intercept = _number(rules.get("RescaleSlope")), _number(rules.get("RescaleIntercept"))
    return stored.astype(np.float64) * (slope or 1.0) + (intercept or 0.0)


def _is_unscaled(rules: Any) -> bool:
    slope, intercept = _number(rules.get("RescaleSlope")), _number(rules.get("RescaleIntercept"))
    return not rules.get("ModalityLUTSequence") and (slope or 1) == 1 and not intercept


def _voi(
    values: Floats, rules: Any, window: tuple[float, float] | None, padding: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    if window is not None:
        centre, width = (float(number) for number in window)
        if width < 1:
            raise DataError(f"the width of a DICOM window is 1 or more, not {width:g}")
        return _windowed(values, centre, width, "LINEAR")
    if rules.get("VOILUTSequence"):
        from pydicom.pixels.processing import apply_voi

        bits = int(rules.VOILUTSequence[0].LUTDescriptor[2])
        return scale_grey(apply_voi(np.rint(values).astype(np.int64), rules), 0, 2**bits - 1)
    function = str(rules.get("VOILUTFunction") or "LINEAR").upper()
    own_centre, own_width = _number(rules.get("WindowCenter")), _number(rules.get("WindowWidth"))
    # Widths that the standard forbids do occur; such a window counts as missing.
    if own_centre is not None and own_width is not None and own_width >= (1 if function == "LINEAR" else 1e-9):
        return _windowed(values, own_centre, own_width, function)
    bits = int(rules.get("BitsStored") or 16)
    if bits <= 8 and not rules.get("PixelRepresentation") and _is_unscaled(rules):
        return scale_grey(values, 0, 2**bits - 1)
    shown = values[~padding] if not padding.all() else values
    return scale_grey(values, float(shown.min()), float(shown.max()))


def _windowed(values: Floats, centre: float, width: float, function: str) -> npt.NDArray[np.uint8]:
    """The three VOI LUT functions of PS3.3 C.11.2.1.2 and C.11.2.1.3, output 0-255."""
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - centre) / width, -700, 700)  # beyond, exp overflows
        return scale_grey(1 / (1 + np.exp(exponent)), 0, 1)
    if function == "LINEAR_EXACT":
        return scale_grey(values, centre - width / 2, centre + width / 2)
    if function != "LINEAR":
        raise DataError("its VOI LUT function is none of LINEAR, LINEAR_EXACT, SIGMOID")
    if width == 1:
        return np.where(values <= centre - 0.5, 0, 255).astype(np.uint8)
    return scale_grey(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _coloured(stored: npt.NDArray[Any], dataset: Any, colours: str) -> npt.NDArray[np.uint8]:
    """8-bit RGB of a colour image; deeper samples keep their upper 8 bits."""
    bits = int(dataset.get("BitsStored") or 8)
    if colours == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        stored = apply_color_lut(stored, dataset)
        bits = 8 if stored.max() < 256 else 16  # 8-bit colours are often declared as 16
    elif not colours.startswith(("RGB", "YBR")):
        raise DataError("its photometric interpretation is none of MONOCHROME1/2, RGB, YBR, PALETTE COLOR")
    if stored.ndim != 3 or stored.shape[2] < 3:
        raise DataError("the colour image has fewer than three samples a pixel")
    return np.ascontiguousarray((stored[:, :, :3] >> max(0, bits - 8)).astype(np.uint8))


def _first(value: Any) -> Any:
    """The first of several values, or the value itself; None for an empty one."""
    if value is None or isinstance(value, str):
        return value or None
    try:
        return next(iter(value), None)
    except TypeError:
        return value


def _number(value: Any) -> float | None:
    """A tag's first value as a number; None if it is missing, empty or no number."""
    try:
        number = float(_first(value))
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
