"""DICOM rendering against the standard's own formulas and examples, pydicom's real files, and no patient in any error.

Expected greys are worked out by hand from PS3.3 C.11.2.1.2 and C.11.2.1.3 (given beside them), or come from pydicom.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
import zlib

import numpy as np
import pytest

from raybench.data import dicom
from raybench.data.images import box_to_shown, open_image, preprocessing, read_bytes, size_px
from raybench.errors import DataError

pydicom = pytest.importorskip("pydicom")
uids = pydicom.uid
FOLDER = pydicom.data.get_testdata_file("CT_small.dcm", download=False).removesuffix("CT_small.dcm")
PATIENT = "ROENTGEN^WILHELM"


def dataset(values, **tags):
    """An image of one frame (rows, columns), several (frames, rows, columns) or colours (rows, columns, 3)."""
    found = pydicom.Dataset()
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
    found.SOPClassUID = found.file_meta.MediaStorageSOPClassUID = uids.SecondaryCaptureImageStorage
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    found.PatientName, found.PatientID = PATIENT, "PID-1895"
    bits = values.dtype.itemsize * 8
    found.BitsAllocated, found.BitsStored, found.HighBit = bits, bits, bits - 1
    found.PixelRepresentation = int(values.dtype.kind == "i")
    colour = values.shape[-1] == 3 and values.ndim == 3
    found.SamplesPerPixel, found.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        found.PlanarConfiguration = 0
    elif values.ndim == 3:
        found.NumberOfFrames = len(values)
    found.Rows, found.Columns = values.shape[:2] if colour else values.shape[-2:]
    found.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(found, name, value)
    return found


def write(folder, image, name="a.dcm"):
    path = folder / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save_as(path, enforce_file_format=True)
    return str(path)


def decoded(row):
    return np.frombuffer(row["bytes"], np.uint8).reshape(row["height_px"], row["width_px"], 3)


def greys(folder, values, window=None, frame=None, **tags):
    """The shown greys of values."""
    uri = write(folder, dataset(values, **tags))
    picture = decoded(open_image({"uri": uri, "window": window, "frame": frame}, pixels=True))
    assert (picture[:, :, 0] == picture[:, :, 1]).all()
    return picture[:, :, 0].tolist()


def int16(*values):
    return np.array([values], np.int16)


def lut(values, first, bits, name="LUTDescriptor"):
    item = pydicom.Dataset()
    item.add_new(name, "SS" if first < 0 else "US", [len(values), first, bits])
    item.add_new("LUTData", "US", list(values))
    return pydicom.Sequence([item])


# --- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("centre", "width", "function", "values", "expected"),
    [
        # PS3.3 C.11.2.1.2.1: 2048 / 4096 shows 0 as black and 4095 as white; (x - 2047.5) / 4095 + 0.5 between
        (2048, 4096, None, (-5, 0, 1024, 2048, 4095, 5000), (0, 0, 64, 128, 255, 255)),
        # its example 0 / 100: black up to -50, white above 49; (x + 0.5) / 99 + 0.5 between
        (0, 100, "LINEAR", (-51, -50, -49, 0, 48, 49, 50), (0, 0, 3, 129, 252, 255, 255)),
        # its example 0 / 1: black up to -0.5, white above
        (0, 1, "LINEAR", (-2, -1, 0, 1), (0, 0, 255, 255)),
        # C.11.2.1.3.2: 0 / 100 is black up to -50, white above 50; x / 100 + 0.5 between
        (0, 100, "LINEAR_EXACT", (-50, -25, 0, 25, 50), (0, 64, 128, 191, 255)),
        # C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w)): exp(-4) -> .01799, exp(-1) -> .26894
        (0, 100, "SIGMOID", (-100, -25, 0, 25, 100, 32000), (5, 69, 128, 186, 250, 255)),
    ],
)
def test_windows_follow_the_standard(tmp_path, centre, width, function, values, expected):
    tags = {"WindowCenter": centre, "WindowWidth": width} | ({"VOILUTFunction": function} if function else {})
    assert greys(tmp_path, int16(*values), **tags) == [list(expected)]


def test_of_several_windows_the_first_counts(tmp_path):
    two = greys(tmp_path, int16(-50, 0, 49), WindowCenter=[0, 40], WindowWidth=[100, 10])
    assert two == greys(tmp_path, int16(-50, 0, 49), WindowCenter=0, WindowWidth=100) == [[0, 129, 255]]


@pytest.mark.parametrize("window", [(None, None), ("", ""), (0, 0), (0, None), ([], [])])
def test_without_a_window_the_whole_range_is_shown(tmp_path, window):
    assert greys(tmp_path, int16(-100, 0, 300), WindowCenter=window[0], WindowWidth=window[1]) == [[0, 64, 255]]


def test_a_reference_s_window_comes_before_the_file_s(tmp_path):
    tags = {
        "WindowCenter": 0,
        "WindowWidth": 1,
        "VOILUTFunction": "SIGMOID",
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
    }
    assert greys(tmp_path, int16(974, 1024, 1073), window=(0, 100), **tags) == [[0, 129, 255]]
    with pytest.raises(DataError, match="1 or more, not 0"):
        greys(tmp_path, int16(1, 2), window=(0, 0.2))


def test_rescale_comes_before_the_window(tmp_path):
    """Stored 0, 500, 1000 with slope 2 and intercept -1000 are -1000, 0, 1000."""
    tags = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 0.5, "WindowWidth": 2001}
    assert greys(tmp_path, int16(0, 500, 1000), **tags) == [[0, 128, 255]]


def test_a_slope_that_is_a_list_or_missing(tmp_path):
    image = dataset(int16(0, 500, 1000), RescaleIntercept=-1000, WindowCenter=0.5, WindowWidth=2001)
    image["RescaleIntercept"].value = [-1000, 5]
    image.RescaleSlope = [2, 7]
    assert decoded(open_image(write(tmp_path, image), pixels=True))[0, :, 0].tolist() == [0, 128, 255]
    assert greys(tmp_path, int16(-1, 0, 1), RescaleSlope=None, RescaleIntercept="") == [[0, 128, 255]]


def test_lookup_tables(tmp_path):
    """A table of 8 bits from 10 on: below its first value the first entry holds, above its last the last."""
    tags = {"VOILUTSequence": lut([255, 100, 7], 10, 8), "WindowCenter": 0, "WindowWidth": 1}
    assert greys(tmp_path, int16(-3, 10, 11, 12, 90), **tags) == [[255, 255, 100, 7, 7]]
    deep = lut([0, 2047, 4095], 0, 12)  # 12 bits: 2047 / 4095 x 255 = 127.47
    assert greys(tmp_path, int16(0, 1, 2), VOILUTSequence=deep) == [[0, 127, 255]]
    modality = lut([0, 300, 100], 0, 16)
    assert greys(tmp_path, np.array([[0, 1, 2]], np.uint16), ModalityLUTSequence=modality) == [[0, 255, 85]]


def test_monochrome1_is_inverted(tmp_path):
    tags = {"WindowCenter": 0, "WindowWidth": 100}
    plain = np.array(greys(tmp_path, int16(-50, -20, 0, 49), **tags))
    negative = np.array(greys(tmp_path, int16(-50, -20, 0, 49), PhotometricInterpretation="MONOCHROME1", **tags))
    assert np.array_equal(negative, 255 - plain)


def test_padding_is_black_and_outside_the_range(tmp_path):
    values = int16(-2000, 0, 50, 100)
    for colours, expected in (("MONOCHROME2", [0, 0, 128, 255]), ("MONOCHROME1", [0, 255, 127, 0])):
        tags = {"PhotometricInterpretation": colours, "PixelPaddingValue": -2000}
        assert greys(tmp_path, values, **tags) == [expected]
    tags = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1000}
    assert greys(tmp_path, int16(-2000, -1000, 0, 100), **tags) == [[0, 0, 0, 255]]
    assert greys(tmp_path, int16(-2000, -2000), PixelPaddingValue=-2000) == [[0, 0]]


def test_eight_bits_without_a_window_are_shown_as_they_are(tmp_path):
    values = np.array([[20, 90, 180]], np.uint8)
    assert greys(tmp_path, values) == greys(tmp_path, values, RescaleSlope=1, RescaleIntercept=0) == [[20, 90, 180]]
    assert greys(tmp_path, values, RescaleSlope=2) == [[0, 112, 255]]  # 70 / 160 x 255 = 111.56


def test_bits_above_those_stored_are_not_read(tmp_path):
    """An overlay in the upper bits of a 12-bit image."""
    values = np.array([[0, 2048, 4095]], np.uint16)
    marked = values | np.array([[0x8000, 0, 0x4000]], np.uint16)
    assert greys(tmp_path, marked, BitsStored=12, HighBit=11) == greys(tmp_path, values, BitsStored=12, HighBit=11)


def test_non_finite_pixels_fail(tmp_path):
    image = dataset(np.zeros((1, 2), np.int32))
    del image.PixelData
    image.FloatPixelData = np.array([1.0, np.nan], np.float32).tobytes()
    with pytest.raises(DataError, match="non-finite"):
        open_image(write(tmp_path, image), pixels=True)


# --- frames and colours ----------------------------------------------------------------------------------------------


def test_the_middle_frame_unless_one_is_named(tmp_path):
    values = np.zeros((5, 2, 4), np.uint8) + np.arange(5, dtype=np.uint8)[:, None, None] * 50
    assert greys(tmp_path, values)[0][0] == 100
    assert [greys(tmp_path, values, frame=frame)[0][0] for frame in range(5)] == [0, 50, 100, 150, 200]
    with pytest.raises(DataError, match="no frame 5; the file has 5, counted from 0"):
        greys(tmp_path, values, frame=5)
    with pytest.raises(DataError, match="no plane or slice; give a frame"):
        open_image({"uri": write(tmp_path, dataset(values)), "slice": 1}, pixels=True)


def test_functional_groups_hold_for_their_frame(tmp_path):
    """An enhanced multi-frame file: rescale shared, one window a frame."""

    def group(name, **tags):
        item, outer = pydicom.Dataset(), pydicom.Dataset()
        for tag, value in tags.items():
            setattr(item, tag, value)
        setattr(outer, name, pydicom.Sequence([item]))
        return outer

    shared = group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-100)
    frames = [group("FrameVOILUTSequence", WindowCenter=centre, WindowWidth=100) for centre in (0, 50)]
    values = np.array([[[50, 100, 149, 200]]] * 2, np.int16)
    tags = {
        "SharedFunctionalGroupsSequence": pydicom.Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": pydicom.Sequence(frames),
    }
    assert greys(tmp_path, values, frame=0, **tags) == [[0, 129, 255, 255]]
    assert greys(tmp_path, values, frame=1, **tags) == [[0, 0, 126, 255]]  # (49 - 49.5) / 99 + 0.5 = .49495


def test_colours_stay_and_take_no_window(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    uri = write(tmp_path, dataset(values))
    assert np.array_equal(decoded(open_image(uri, pixels=True)), values)
    with pytest.raises(DataError, match="grey values only"):
        open_image({"uri": uri, "window": (1, 2)}, pixels=True)


# --- pydicom's files -------------------------------------------------------------------------------------------------

READABLE = {
    "CT_small.dcm": (128, 128), "MR_small_RLE.dcm": (64, 64), "MR_small_bigendian.dcm": (64, 64),
    "MR_small_jp2klossless.dcm": (64, 64), "JPEG2000.dcm": (256, 1024), "693_J2KI.dcm": (512, 512),
    "J2K_pixelrep_mismatch.dcm": (512, 512), "image_dfl.dcm": (512, 512), "examples_overlay.dcm": (484, 300),
    "rtdose_1frame.dcm": (10, 10), "liver_1frame.dcm": (512, 512),
}  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_real_grey_files_agree_with_pydicom(name):
    """pydicom windows to the range of the stored bits, raybench to 0-255; half a grey apart at most."""
    uri = FOLDER + name
    picture = decoded(open_image(uri, pixels=True))[:, :, 0]
    assert size_px(read_bytes(uri), uri) == READABLE[name] == picture.shape[::-1]
    image = pydicom.dcmread(uri)
    values = pydicom.pixels.apply_rescale(image.pixel_array, image).astype(np.float64)
    if "WindowCenter" in image:
        values = pydicom.pixels.apply_voi_lut(values, image)
        slope, intercept = float(image.get("RescaleSlope", 1)), float(image.get("RescaleIntercept", 0))
        low = -(2 ** (image.BitsStored - 1)) if image.PixelRepresentation else 0
        low, high = low * slope + intercept, (low + 2**image.BitsStored - 1) * slope + intercept
    elif image.BitsStored <= 8:
        low, high = 0, 2**image.BitsStored - 1
    else:
        low, high = values.min(), values.max()
    assert np.abs((values - low) / (high - low) * 255 - picture).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm", "examples_rgb_color.dcm",
     "examples_ybr_color.dcm", "SC_rgb_small_odd_big_endian.dcm"],
)  # fmt: skip
def test_real_colour_files_agree_with_pydicom(name):
    image = pydicom.dcmread(FOLDER + name)
    frames = int(image.get("NumberOfFrames", 1))
    expected = pydicom.pixels.pixel_array(image, index=frames // 2)
    assert np.array_equal(decoded(open_image(FOLDER + name, pixels=True)), expected)


def test_one_picture_stored_at_three_depths():
    """pydicom's red, green, blue bars: 8, 16 and 32 bits a sample."""
    names = ("SC_rgb_rle.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm")
    eight, sixteen, thirty_two = (decoded(open_image(FOLDER + name, pixels=True)) for name in names)
    assert np.array_equal(eight, sixteen)
    assert np.array_equal(eight, thirty_two)


def test_palette_colours():
    image = pydicom.dcmread(FOLDER + "examples_palette.dcm")
    expected = pydicom.pixels.apply_color_lut(image.pixel_array, image) >> 8
    assert np.array_equal(decoded(open_image(FOLDER + "examples_palette.dcm", pixels=True)), expected)


def test_one_scan_in_every_encoding_is_one_picture(tmp_path):
    scans = ["", "_RLE", "_bigendian", "_expb", "_implicit", "_jp2klossless"]
    rows = {open_image(f"{FOLDER}MR_small{scan}.dcm", pixels=False)["bytes"] for scan in scans}
    bare = pydicom.dcmread(FOLDER + "MR_small.dcm")
    buffer = io.BytesIO()
    pydicom.dataset.Dataset(bare).save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert buffer.getvalue()[:2] == b"\x08\x00"
    (tmp_path / "no-preamble-no-suffix").write_bytes(buffer.getvalue())
    rows.add(open_image(str(tmp_path / "no-preamble-no-suffix"), pixels=False)["bytes"])
    assert len(rows) == 1


def test_a_syntax_without_decoder_names_the_package(monkeypatch):
    decoder = pydicom.pixels.get_decoder(uids.JPEGLSLossless)
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(DataError, match=r"JPEG-LS Lossless Image Compression.*pip install 'pylibjpeg\[all\]'"):
        open_image(FOLDER + "MR_small_jpeg_ls_lossless.dcm", pixels=True)


def test_without_pydicom_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom.errors", None)
    with pytest.raises(DataError, match=r"needs the extra: pip install 'raybench\[medical\]'"):
        open_image(FOLDER + "CT_small.dcm", pixels=True)
    assert preprocessing(FOLDER + "CT_small.dcm") == "dicom-v1:frame=middle,window=file"  # planning needs no extra


# --- ids, boxes, failures --------------------------------------------------------------------------------------------


def test_the_id_says_frame_and_window(tmp_path):
    uri = write(tmp_path, dataset(int16(1, 2)))
    assert preprocessing(uri) == "dicom-v1:frame=middle,window=file"
    ref = {"uri": uri, "frame": 0, "window": [40, 400]}
    assert preprocessing(ref) == "dicom-v1:frame=0,window=40.0,400.0"
    assert open_image(ref, pixels=False)["preprocessing"] == preprocessing(ref)
    assert open_image(ref, pixels=False)["media_type"] == "image/png"


def test_a_box_lands_where_it_is_drawn(tmp_path):
    values = np.zeros((20, 40), np.uint8)
    values[5:10, 8:32] = 255
    uri = write(tmp_path, dataset(values))
    x0, y0, x1, y1 = box_to_shown((8, 5, 32, 10), read_bytes(uri), uri)
    picture = decoded(open_image(uri, pixels=True))[:, :, 0]
    assert picture[int(y0 * 20) : int(y1 * 20), int(x0 * 40) : int(x1 * 40)].min() == 255
    assert picture.sum() == 255 * 5 * 24
    with pytest.raises(DataError, match="4 numbers"):
        box_to_shown((1, 2, 3), read_bytes(uri), uri)


@pytest.mark.parametrize("name", ["rtplan.dcm", "reportsi.dcm", "test-SR.dcm", "waveform_ecg.dcm"])
def test_what_holds_no_pixels(name):
    with pytest.raises(DataError, match="holds no pixel data"):
        open_image(FOLDER + name, pixels=True)


def test_broken_files_fail_with_a_reason(tmp_path):
    whole = read_bytes(write(tmp_path, dataset(np.zeros((64, 64), np.int16))))
    rle = read_bytes(FOLDER + "MR_small_RLE.dcm")
    cases = {
        "cut": whole[:-3000],
        "rle": rle[: len(rle) // 2],
        "text": b"no scan" * 99,
        "empty": b"",
        "head": whole[:200],
    }
    for name, data in cases.items():
        (tmp_path / f"{name}.dcm").write_bytes(data)
        with pytest.raises(DataError, match=rf"^cannot decode image .*{name}\.dcm: .{{20}}"):
            open_image(str(tmp_path / f"{name}.dcm"), pixels=False)
    with pytest.raises(DataError, match="corrupt or truncated"):
        open_image(FOLDER + "MR_truncated.dcm", pixels=True)
    rows = b"\x28\x00\x10\x00US"
    odd = whole.replace(rows + b"\x02\x00\x40\x00", rows + b"\x03\x00\x40\x00\x00")  # 3 bytes of 2-byte numbers
    assert odd != whole
    (tmp_path / "odd.dcm").write_bytes(odd)
    with pytest.raises(DataError, match="corrupt or truncated"):
        open_image(str(tmp_path / "odd.dcm"), pixels=True)
    with pytest.raises(DataError, match="no pixels"):
        open_image(write(tmp_path, dataset(int16(1), Rows=0)), pixels=True)
    with pytest.raises(DataError, match="65535 x 65535 pixels exceeds limit"):
        open_image(write(tmp_path, dataset(int16(1), Rows=65535, Columns=65535)), pixels=True)


def test_a_deflated_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    image = dataset(np.zeros((1000, 1000), np.int16))
    image.file_meta.TransferSyntaxUID = uids.DeflatedExplicitVRLittleEndian
    uri = write(tmp_path, image)
    assert len(read_bytes(uri)) < 10_000
    assert decoded(open_image(uri, pixels=True)).shape == (1000, 1000, 3)
    monkeypatch.setattr(dicom, "_INFLATED_LIMIT_BYTES", 1_000_000)
    with pytest.raises(DataError, match="unpacks into more than 1000000 bytes"):
        open_image(uri, pixels=True)
    with pytest.raises(zlib.error):
        zlib.decompress(read_bytes(uri))


@pytest.mark.parametrize(
    "tag", ["WindowCenter", "RescaleSlope", "NumberOfFrames", "BitsStored", "Rows", "PixelPaddingValue",
            "PhotometricInterpretation", "VOILUTFunction", "PixelData", "StudyDate"],
)  # fmt: skip
def test_no_word_about_the_patient_leaves_the_reader(tmp_path, tag, caplog, capfd):
    """A patient's name in every place where a number or a keyword belongs."""
    image = dataset(int16(1, 2))
    image.add(pydicom.DataElement(tag, "LO", PATIENT))
    path = tmp_path / "a.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save_as(path, implicit_vr=False, little_endian=True)
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    said = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            open_image({"uri": str(path), "window": (1, 3)}, pixels=True)
        except DataError as error:
            said = f"{error} {error.__cause__}"
        size_px(path.read_bytes(), str(path))
        preprocessing(str(path))
    out = "".join(capfd.readouterr()) + caplog.text + said + "".join(str(w.message) for w in caught)
    assert "ROENTGEN" not in out.upper()
    assert "PID-1895" not in out
