"""Images: original bytes where nothing needs a change, decoded pixels elsewhere, and no corrupt file gets through."""

from __future__ import annotations

import hashlib
import io
import os

import numpy as np
import pytest
from PIL import Image

from raybench.data.images import fingerprint, open_image, read_bytes, sha256
from raybench.errors import DataError

GRADIENT = np.arange(24 * 16, dtype=np.uint8).reshape(16, 24)


def save(folder, name, image, **options):
    path = folder / name
    image.save(path, **options)
    return str(path)


def decoded(row):
    assert row["media_type"] == "image/x-rgb8"
    return np.frombuffer(row["bytes"], np.uint8).reshape(row["height_px"], row["width_px"], 3)


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "image/jpeg"), ("a.png", "image/png"), ("a.webp", "image/webp")])
def test_original_bytes_pass_through(tmp_path, name, kind):
    path = save(tmp_path, name, Image.fromarray(GRADIENT).convert("RGB"))
    row = open_image(path, pixels=False)
    with open(path, "rb") as file:
        assert row == {"bytes": file.read(), "media_type": kind, "width_px": 24, "height_px": 16}
    assert sha256(row["bytes"]) == hashlib.sha256(row["bytes"]).hexdigest()


def test_a_bmp_becomes_a_png_of_the_same_pixels(tmp_path):
    image = Image.fromarray(GRADIENT).convert("RGB")
    row = open_image(save(tmp_path, "a.bmp", image), pixels=False)
    assert row["media_type"] == "image/png"
    again = Image.open(io.BytesIO(row["bytes"]))
    assert (again.format, again.size) == ("PNG", (24, 16))
    assert np.array_equal(np.asarray(again), np.asarray(image))


def test_pixels_are_height_by_width_by_3(tmp_path):
    row = open_image(save(tmp_path, "a.png", Image.fromarray(GRADIENT)), pixels=True)
    assert (row["width_px"], row["height_px"]) == (24, 16)
    assert len(row["bytes"]) == 24 * 16 * 3
    assert np.array_equal(decoded(row), np.repeat(GRADIENT[:, :, None], 3, axis=2))


def test_16_bit_greys_keep_their_upper_8_bits(tmp_path):
    grey = (np.arange(16, dtype=np.uint16) * 4096).reshape(4, 4)
    path = save(tmp_path, "a.png", Image.fromarray(grey))
    assert Image.open(path).mode.startswith("I")
    assert np.array_equal(decoded(open_image(path, pixels=True))[:, :, 0], (grey // 256).astype(np.uint8))
    with open(path, "rb") as file:
        assert open_image(path, pixels=False)["bytes"] == file.read()


def test_exif_orientation_is_applied_to_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to view
    path = save(tmp_path, "a.png", Image.fromarray(GRADIENT), exif=exif)
    row = open_image(path, pixels=True)
    assert (row["width_px"], row["height_px"]) == (16, 24)
    assert np.array_equal(decoded(row)[:, :, 0], np.rot90(GRADIENT, -1))


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "L", "1", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    red = Image.new("RGB", (5, 3), (255, 0, 0)).convert(mode)
    name = "a.jpg" if mode == "CMYK" else "a.png"
    pixels = decoded(open_image(save(tmp_path, name, red), pixels=True))
    assert pixels.shape == (3, 5, 3)
    expected = {"L": (76, 76, 76), "LA": (76, 76, 76)}.get(mode, (255, 0, 0))  # ITU-R 601: .299 x 255 = 76
    if mode == "1":
        assert set(pixels.ravel().tolist()) <= {0, 255}  # dithered
    else:
        assert np.abs(pixels.astype(int) - expected).max() <= 3


def png():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        b"", b"PNG? no, text\n", png()[:-900], jpeg()[: len(jpeg()) // 2], png()[:30],
        png()[:200] + bytes(60) + png()[260:], b"GIF89a" + bytes(9), b"II*\x00" + bytes(12), b"\x89PNG\r\n\x1a\n",
    ],
    ids=["zero bytes", "text", "cut png", "cut jpeg", "png header", "corrupt png", "gif", "tiff", "png signature"],
)  # fmt: skip
def test_what_cannot_be_decoded_is_an_error_for_every_backend(tmp_path, data, pixels):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"^cannot decode image .*/x\.png: ."):
        open_image(str(path), pixels)


def test_a_decompression_bomb_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="exceeds limit"):
        open_image(save(tmp_path, "a.png", Image.fromarray(GRADIENT)), pixels=True)


@pytest.mark.parametrize("uri", ["/nowhere/a.png", "memory://raybench-nowhere/a.png", "nonsense://a.png"])
def test_a_missing_image(uri):
    with pytest.raises(DataError, match=f"^cannot read image {uri}: ."):
        read_bytes(uri)
    assert fingerprint(uri) is None


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(DataError, match=r"Is a directory|IsADirectory"):
        open_image(str(tmp_path), pixels=True)


def test_a_fingerprint_changes_with_the_file(tmp_path):
    path = save(tmp_path, "a.png", Image.fromarray(GRADIENT))
    before = fingerprint(path)
    assert fingerprint(path) == before
    os.utime(path, (1, 1))
    touched = fingerprint(path)
    assert touched != before
    with open(path, "ab") as file:
        file.write(b"x")
    os.utime(path, (1, 1))
    assert fingerprint(path) != touched
