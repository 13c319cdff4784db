"""Images: original bytes where nothing needs a change, decoded pixels elsewhere, and no corrupt file gets through."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from raybench.data.images import box_to_shown, fingerprint, open_image, preprocessing, read_bytes, sha256, size_px
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
        assert row == {
            "bytes": file.read(), "media_type": kind, "width_px": 24, "height_px": 16, "preprocessing": "original-v1",
        }  # fmt: skip
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


def test_deep_greys_are_stretched_from_minimum_to_maximum(tmp_path):
    """A 12-bit X-ray in a 16-bit PNG: its upper 8 bits alone would be nearly black."""
    grey = np.array([[100, 1120], [2140, 4180]], np.uint16)  # 100 + 4080 x (0, 1/4, 1/2, 1)
    path = save(tmp_path, "a.png", Image.fromarray(grey))
    expected = [[0, 64], [128, 255]]
    row = open_image(path, pixels=True)
    assert decoded(row)[:, :, 0].tolist() == expected
    assert row["preprocessing"] == "original-v1:grey=min-max" == preprocessing(path)
    sent = open_image(path, pixels=False)
    assert sent["media_type"] == "image/png"
    assert np.asarray(Image.open(io.BytesIO(sent["bytes"])))[:, :, 0].tolist() == expected


def test_a_window_is_in_the_file_s_own_greys(tmp_path):
    """CT in a 16-bit PNG, 32768 above its Hounsfield units: centre 50, width 400 shows -150 to 250."""
    grey = np.array([[-1000, -150, 50, 250, 3000]]) + 32768
    path = save(tmp_path, "a.png", Image.fromarray(grey.astype(np.uint16)))
    row = open_image({"uri": path, "window": [32768 + 50, 400]}, pixels=True)
    assert decoded(row)[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert row["preprocessing"] == "original-v1:window=32818.0,400.0"
    with pytest.raises(DataError, match="above 0, not 0"):
        open_image({"uri": path, "window": (1, 0)}, pixels=True)
    with pytest.raises(DataError, match="grey values only"):
        open_image({"uri": save(tmp_path, "b.png", Image.new("RGB", (2, 2))), "window": (1, 9)}, pixels=True)


def test_floats_are_stretched_and_must_be_finite(tmp_path):
    values = np.array([[-1.0, 0.0, 1.0]], np.float32)
    assert decoded(open_image(save(tmp_path, "a.tif", Image.fromarray(values)), True))[0, :, 0].tolist() == [
        0,
        128,
        255,
    ]
    values[0, 1] = np.nan
    with pytest.raises(DataError, match="non-finite"):
        open_image(save(tmp_path, "b.tif", Image.fromarray(values)), pixels=True)


@pytest.mark.parametrize(("photometric", "expected"), [(1, [0, 255]), (0, [255, 0])])
def test_a_deep_tiff_may_say_that_white_is_zero(tmp_path, photometric, expected):
    path = save(tmp_path, "a.tif", Image.fromarray(np.array([[1000, 40000]], np.uint16)), tiffinfo={262: photometric})
    assert Image.open(path).tag_v2[262] == photometric
    assert decoded(open_image(path, pixels=True))[0, :, 0].tolist() == expected


#: EXIF orientation -> how numpy brings the stored array upright (EXIF 2.32, 4.6.4: where row 0 and column 0 are).
UPRIGHT = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
    6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_turns_pixels_size_and_boxes(tmp_path, orientation, kind):
    marked = np.zeros((16, 24), np.uint8)
    marked[2:5, 6:14] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, f"a.{kind}", Image.fromarray(marked), exif=exif)
    with open(path, "rb") as file:
        data = file.read()
    upright = UPRIGHT[orientation](marked)
    shown = decoded(open_image(path, pixels=True))[:, :, 0]
    assert np.array_equal(shown, upright)
    assert size_px(data, path) == upright.shape[::-1]
    rows, columns = np.nonzero(upright)
    height, width = upright.shape
    drawn = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
    assert box_to_shown((6, 2, 14, 5), data, path) == pytest.approx(drawn)
    sent = open_image(path, pixels=False)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(sent["bytes"])).convert("L")), upright)
    assert (sent["bytes"] == data) == (orientation == 1 and kind == "png")
    assert sent["preprocessing"] == "original-v1"


def test_what_servers_misread_is_sent_as_png(tmp_path):
    """Many drop the palette, the alpha or the K of CMYK; Adobe's CMYK JPEGs come out negative."""
    red = Image.new("RGB", (5, 3), (255, 0, 0))
    for name, image in {"a.png": red.convert("P"), "a.jpg": red.convert("CMYK"), "a.gif": red, "a.tif": red}.items():
        row = open_image(save(tmp_path, name, image), pixels=False)
        assert (row["media_type"], row["preprocessing"]) == ("image/png", "original-v1")
        again = Image.open(io.BytesIO(row["bytes"]))
        assert again.mode == "RGB"
        assert np.abs(np.asarray(again).astype(int) - (255, 0, 0)).max() <= 3


def test_transparency_lies_over_white(tmp_path):
    half = Image.new("RGBA", (1, 1), (100, 0, 0, 51))  # one fifth opaque: 0.2 x 100 + 0.8 x 255 = 224, 0.8 x 255 = 204
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9])
    for name, image, options, expected in [
        ("a.png", half, {}, (224, 204, 204)),
        ("a.webp", half, {"lossless": True, "exact": True}, (224, 204, 204)),
        ("b.png", palette, {"transparency": 0}, (255, 255, 255)),
    ]:
        path = save(tmp_path, name, image, **options)
        row = open_image(path, pixels=True)
        assert tuple(row["bytes"]) == expected
        assert row["preprocessing"] == preprocessing(path) == "original-v1:alpha=white"
        sent = open_image(path, pixels=False)
        assert np.asarray(Image.open(io.BytesIO(sent["bytes"]))).ravel().tolist() == list(expected)


def test_a_page_of_a_tiff_is_its_frame(tmp_path):
    pages = [Image.new("RGB", (4 + i, 3), (80 * i, 0, 0)) for i in range(3)]
    path = save(tmp_path, "a.tif", pages[0], save_all=True, append_images=pages[1:])
    for frame, page in enumerate(pages):
        row = open_image({"uri": path, "frame": frame}, pixels=True)
        assert np.array_equal(decoded(row), np.asarray(page))
        assert row["preprocessing"] == (f"original-v1:frame={frame}" if frame else "original-v1")
        with open(path, "rb") as file:
            assert size_px(file.read(), {"uri": path, "frame": frame}) == page.size
    with pytest.raises(DataError, match="no frame 3; the file has 3, counted from 0"):
        open_image({"uri": path, "frame": 3}, pixels=False)
    with pytest.raises(DataError, match="no plane or slice"):
        open_image({"uri": path, "plane": "axial"}, pixels=False)


def test_the_size_comes_from_the_header_alone():
    whole = png()
    assert size_px(whole[:60], "a.png") == (64, 64)
    assert size_px(jpeg()[:1000], {"uri": "a.jpg"}) == (64, 64)
    assert size_px(b"no picture", "a.png") is None
    assert size_px(b"", "a.dcm") is None
    assert size_px(b"", "a.nii.gz") is None


@pytest.mark.parametrize("uri", ["/nowhere/a.png", "nonsense://a.png", "hub://x?split=test", "phantom://x"])
def test_what_cannot_be_read_still_has_an_id(uri):
    assert preprocessing(uri) == "original-v1"


def test_a_number_that_json_made_a_list_gives_the_same_id(tmp_path):
    path = save(tmp_path, "a.png", Image.fromarray(GRADIENT))
    assert preprocessing({"uri": path, "window": (40, 400)}) == preprocessing({"uri": path, "window": [40.0, 400.0]})


@pytest.mark.data
def test_real_x_rays_pass_through(test_data):
    for path in sorted((test_data / "nih-cxr14" / "images").glob("*.png")):
        row = open_image(str(path), pixels=False)
        assert row["media_type"] == "image/png"
        assert (row["width_px"], row["height_px"]) == (1024, 1024) == size_px(path.read_bytes(), str(path))
        assert (row["bytes"] == path.read_bytes()) == (Image.open(path).mode in ("L", "RGB"))


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


def _png(tmp_path, change):
    """A small PNG with its list of (type, content, checksum) changed."""
    Image.new("RGB", (9, 7), (1, 200, 3)).save(tmp_path / "whole.png")
    data, chunks, at = (tmp_path / "whole.png").read_bytes(), [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]])
        at += 12 + size
    change(chunks)
    path = tmp_path / "changed.png"
    path.write_bytes(data[:8] + b"".join(len(c).to_bytes(4, "big") + kind + c + crc for kind, c, crc in chunks))
    return str(path)


def _no_end(chunks):
    del chunks[-1]


def _wrong_checksum(chunks):
    chunks[1][2] = b"\0\0\0\0"


@pytest.mark.parametrize("change", [_no_end, _wrong_checksum])
def test_a_png_whose_checksums_do_not_hold_is_decoded(tmp_path, change):
    path = _png(tmp_path, change)
    sent, seen = open_image(path, pixels=False), open_image(path, pixels=True)
    assert sent["media_type"] == "image/png"
    assert (sent["width_px"], sent["height_px"]) == (seen["width_px"], seen["height_px"]) == (9, 7)


def _no_pixels(chunks):
    chunks[1][1:] = [chunks[1][1][:4], b"\0\0\0\0"]


@pytest.mark.parametrize("pixels", [True, False])
def test_a_png_with_lost_pixels_is_an_error_for_every_backend(tmp_path, pixels):
    with pytest.raises(DataError):
        open_image(_png(tmp_path, _no_pixels), pixels)


def test_a_whole_png_goes_out_without_being_decoded(tmp_path, monkeypatch):
    path = _png(tmp_path, lambda chunks: None)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    row = open_image(path, pixels=False)
    assert row["bytes"] == Path(path).read_bytes()
    with pytest.raises(pytest.fail.Exception):
        open_image(path, pixels=True)
