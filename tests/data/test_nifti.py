"""NIfTI slices: left stays left whatever the file's axes, boxes land where voxels are drawn, broken files fail.

What is right, in front or above is told by world coordinates and the affine alone (NIfTI: +x right, +y front, +z up).
"""

from __future__ import annotations

import gzip
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from raybench.data.images import box_to_shown, open_image, preprocessing, size_px
from raybench.data.nifti import canonical_slice
from raybench.errors import DataError

nib = pytest.importorskip("nibabel")
orientations = pytest.importorskip("nibabel.orientations")

FILES = Path(nib.__file__).parent / "tests" / "data"
SPACING = (1.0, 1.5, 3.0)
SHAPE = (20, 16, 8)
PLANES = ("axial", "coronal", "sagittal")
#: Every way to store a volume: an order of the axes and a direction of each.
CODES = [
    "".join(letters) for axes in itertools.permutations(["LR", "PA", "IS"]) for letters in itertools.product(*axes)
]


def ras(values):
    """An image stored R, A, S with its centre at the origin of the world."""
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -np.array(SPACING) * (np.array(values.shape[:3]) - 1) / 2
    return nib.Nifti1Image(values, affine)


def stored(image, codes):
    """The same image with its axes in another order and direction."""
    start = orientations.io_orientation(image.affine)
    return image.as_reoriented(orientations.ornt_transform(start, orientations.axcodes2ornt(tuple(codes))))


def write(folder, image, name="a.nii"):
    path = folder / name
    nib.save(image, path)
    return str(path)


def decoded(row):
    return np.frombuffer(row["bytes"], np.uint8).reshape(row["height_px"], row["width_px"], 3)[:, :, 0]


def shown(uri, **ref):
    return decoded(open_image({"uri": uri, **ref}, pixels=True))


def noise(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)


def where_bright(picture):
    rows, columns = np.nonzero(picture > 127)
    height, width = picture.shape
    return columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "SAL"])
def test_the_patient_s_left_front_and_top_are_where_a_radiologist_expects_them(tmp_path, codes):
    """One bright voxel at world (-8, +6, +9) mm: left, front, top. Sagittal slices face left."""
    image = stored(ras(np.zeros(SHAPE, np.int16)), codes)
    world = np.array([-7.5, 6.75, 7.5, 1])
    voxel = tuple(np.rint(np.linalg.solve(image.affine, world)[:3]).astype(int))
    values = np.zeros(image.shape, np.int16)
    values[voxel] = 100
    uri = write(tmp_path, nib.Nifti1Image(values, image.affine))
    expected = {"axial": ("right", "top"), "coronal": ("right", "top"), "sagittal": ("left", "top")}
    found_in = {"axial": 6, "coronal": 12, "sagittal": 2}  # voxels from below, from behind, from the left
    for plane, sides in expected.items():
        x0, y0, x1, y1 = where_bright(shown(uri, plane=plane, slice=found_in[plane]))
        assert ("right" if x0 + x1 > 1 else "left", "top" if y0 + y1 < 1 else "bottom") == sides


@pytest.mark.parametrize("plane", PLANES)
def test_every_storage_order_gives_one_picture(tmp_path, plane):
    image = ras(noise())
    pictures = {}
    for codes in CODES:
        turned = stored(image, codes)
        assert "".join(nib.aff2axcodes(turned.affine)) == codes
        row = open_image({"uri": write(tmp_path, turned, f"{codes}.nii"), "plane": plane, "slice": 5}, pixels=False)
        pictures[codes] = row["bytes"]
    assert len(CODES) == 48
    assert len(set(pictures.values())) == 1


@pytest.mark.parametrize("name", ["anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz"])
@pytest.mark.parametrize("plane", PLANES)
def test_real_las_files_show_what_their_canonical_copies_show(tmp_path, name, plane):
    image = nib.load(FILES / name)
    assert "".join(nib.aff2axcodes(image.affine)) == "LAS"
    copy = write(tmp_path, nib.as_closest_canonical(image), "ras.nii.gz")
    ref = {"plane": plane, "slice": 1}
    assert np.array_equal(shown(str(FILES / name), **ref), shown(copy, **ref))
    mirrored = nib.Nifti1Image(np.asarray(image.dataobj)[::-1], image.affine)
    assert plane == "sagittal" or not np.array_equal(
        shown(copy, **ref), shown(write(tmp_path, mirrored, "m.nii"), **ref)
    )


def test_an_axial_slice_is_the_array_turned_by_hand(tmp_path):
    """RAS: column 0 of the picture is the highest i (the patient's right is on the left), row 0 the highest j."""
    values = np.zeros((3, 2, 1), np.int16)
    values[:, :, 0] = [[0, 51], [102, 153], [204, 255]]
    affine = np.eye(4)
    expected = [[255, 153, 51], [204, 102, 0]]
    row_of = shown(write(tmp_path, nib.Nifti1Image(values, affine)), window=(127.5, 255))
    assert row_of.tolist() == expected


@pytest.mark.parametrize("plane", PLANES)
def test_a_box_lands_where_its_voxels_are_drawn(tmp_path, plane):
    rng = np.random.default_rng(3)
    for codes in CODES:
        empty = stored(ras(np.zeros(SHAPE, np.int16)), codes)
        low = [int(rng.integers(0, n - 3)) for n in empty.shape]
        high = [int(rng.integers(start + 2, n + 1)) for start, n in zip(low, empty.shape, strict=True)]
        values = np.zeros(empty.shape, np.int16)
        values[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = 100
        uri = write(tmp_path, nib.Nifti1Image(values, empty.affine))
        data = Path(uri).read_bytes()
        axis = [letter in {"axial": "IS", "coronal": "PA", "sagittal": "LR"}[plane] for letter in codes].index(True)
        ref = {"plane": plane, "slice": canonical_slice(low[axis], data, plane)}
        picture = shown(uri, **ref, window=(50, 100))
        box = box_to_shown((*low, *high), data, {"uri": uri, **ref})
        assert box == pytest.approx(where_bright(picture), abs=0.6 / min(picture.shape))
        assert size_px(data, {"uri": uri, **ref}) == picture.shape[::-1]


def test_slices_count_from_left_behind_and_below(tmp_path):
    i, j, k = np.indices(SHAPE)
    for plane, index in (("sagittal", i), ("coronal", j), ("axial", k)):
        count = index.max() + 1
        for codes in ("RAS", "LPI", "ASR"):
            uri = write(tmp_path, stored(ras(index.astype(np.int16)), codes))
            for number in (0, 3, count - 1):
                picture = shown(uri, plane=plane, slice=number, window=(count / 2, count))
                assert (picture == round(255 * number / count)).all()
            assert np.array_equal(
                shown(uri, plane=plane, window=(count / 2, count)),
                shown(uri, plane=plane, slice=int(count // 2), window=(count / 2, count)),
            )


def test_voxels_are_made_square(tmp_path):
    """20 x 16 x 8 voxels of 1 x 1.5 x 3 mm: 20 x 24 x 24 mm."""
    uri = write(tmp_path, ras(noise()))
    assert [shown(uri, plane=plane).shape for plane in PLANES] == [(24, 20), (24, 20), (16, 16)]


def test_greys_run_between_percentiles(tmp_path):
    """0.5th and 99.5th percentiles of 0..999 by linear interpolation: 4.995 and 994.005."""
    values = np.arange(1000, dtype=np.float32).reshape(40, 25, 1)
    picture = np.sort(shown(write(tmp_path, nib.Nifti1Image(values, np.eye(4)))).ravel())
    expected = np.rint(255 * np.clip((np.arange(1000) - 4.995) / (994.005 - 4.995), 0, 1))
    assert np.abs(picture - expected).max() <= 1
    assert np.count_nonzero(picture == 0) == np.count_nonzero(expected == 0)


def test_a_small_mask_is_seen(tmp_path):
    values = np.zeros((50, 50, 1), np.uint8)
    values[3, 4, 0] = 1  # both percentiles are 0
    assert shown(write(tmp_path, nib.Nifti1Image(values, np.eye(4)))).max() == 255


def test_scaling_in_the_header_comes_before_the_window(tmp_path):
    image = nib.Nifti1Image(np.array([[[10]], [[20]], [[30]]], np.int16), np.eye(4))
    image.header.set_slope_inter(2, -40)  # -20, 0, 20
    nib.save(image, tmp_path / "a.nii")
    raw = nib.load(tmp_path / "a.nii")
    values = np.asarray(raw.dataobj).ravel()
    picture = shown(str(tmp_path / "a.nii"), window=(0, 40))
    assert picture[0, ::-1].tolist() == np.rint(255 * np.clip((values + 20) / 40, 0, 1)).tolist()


def test_a_frame_is_a_volume(tmp_path):
    values = np.stack([noise(seed) for seed in range(3)], axis=-1)
    uri = write(tmp_path, ras(values), "a.nii.gz")
    for frame in range(3):
        alone = write(tmp_path, ras(values[..., frame]), "b.nii")
        assert np.array_equal(shown(uri, frame=frame), shown(alone))
    assert np.array_equal(shown(uri), shown(uri, frame=0))
    with pytest.raises(DataError, match=r"no volume \(frame\) 3; the file has 3"):
        shown(uri, frame=3)


def test_the_other_byte_order(tmp_path):
    image = ras(noise())
    big = nib.Nifti1Image(noise(), image.affine, nib.Nifti1Header(endianness=">"))
    uri = write(tmp_path, big, "big.nii")
    assert Path(uri).read_bytes()[:4] == b"\0\0\x01\x5c"
    assert np.array_equal(shown(uri), shown(write(tmp_path, image)))


def test_without_nibabel_the_extra_is_named(tmp_path, monkeypatch):
    uri = write(tmp_path, ras(noise()))
    monkeypatch.setitem(sys.modules, "nibabel.nifti1", None)
    with pytest.raises(DataError, match=r"needs the extra: pip install 'raybench\[medical\]'"):
        shown(uri)
    assert preprocessing(uri).startswith("nifti-v1:")  # planning needs no extra


def test_colours_are_kept(tmp_path):
    values = np.zeros((2, 1, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    values["R"][0], values["B"][1] = 200, 100
    row = open_image(write(tmp_path, nib.Nifti1Image(values, np.eye(4))), pixels=True)
    assert list(row["bytes"]) == [0, 0, 100, 200, 0, 0]


def test_the_id_says_plane_slice_volume_and_window(tmp_path):
    uri = write(tmp_path, ras(noise()), "a.nii.gz")
    assert preprocessing(uri) == "nifti-v1:axial,slice=middle,volume=0,p0.5-99.5"
    ref = {"uri": uri, "plane": "coronal", "slice": 7, "window": [40, 80]}
    assert preprocessing(ref) == "nifti-v1:coronal,slice=7,volume=0,window=40.0,80.0"
    assert open_image(ref, pixels=True)["preprocessing"] == preprocessing(ref)


def test_a_volume_is_known_without_its_name(tmp_path):
    path = Path(write(tmp_path, ras(noise()), "a.nii.gz"))
    bare = path.with_name("bare")
    bare.write_bytes(path.read_bytes())
    assert np.array_equal(shown(str(bare)), shown(str(path)))
    assert preprocessing(str(bare)).startswith("nifti-v1:")


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ({"plane": "axal"}, r"no plane 'axal' \(did you mean 'axial'\?\); known: axial, coronal, sagittal"),
        ({"slice": 8}, "no slice 8; the file has 8, counted from 0"),
        ({"slice": -1}, "no slice -1"),
        ({"frame": 1}, r"no volume \(frame\) 1; the file has 1"),
        ({"window": (0, 0)}, "above 0"),
    ],
)
def test_what_is_not_there(tmp_path, ref, reason):
    with pytest.raises(DataError, match=rf"^cannot decode image .*a\.nii: .*{reason}"):
        shown(write(tmp_path, ras(noise())), **ref)


def test_broken_files_fail_with_a_reason(tmp_path):
    whole = Path(write(tmp_path, ras(noise()))).read_bytes()
    packed = gzip.compress(whole)
    broken = {
        "cut.nii": whole[:-2000], "header.nii": whole[:100], "empty.nii": b"", "text.nii": b"no volume" * 100,
        "cut.nii.gz": packed[: len(packed) // 2], "flip.nii.gz": packed[:500] + bytes(200) + packed[700:],
        "plain.nii.gz": b"\x1f\x8b" + bytes(50),
    }  # fmt: skip
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        reason = "the file is empty" if not data else "the NIfTI file is corrupt or truncated"
        with pytest.raises(DataError, match=rf"^cannot decode image .*{name}: {reason}"):
            shown(str(tmp_path / name), slice=7)


def test_non_finite_voxels_fail_where_they_are_shown(tmp_path):
    values = noise().astype(np.float32)
    values[2, 3, 4] = np.nan
    uri = write(tmp_path, ras(values))
    with pytest.raises(DataError, match="the slice holds non-finite voxels"):
        shown(uri, slice=4)
    assert shown(uri, slice=5).shape == (24, 20)
    with pytest.raises(DataError, match="non-finite"):
        shown(str(FILES / "resampled_anat_moved.nii"))


def test_bombs_are_refused_before_they_unpack(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_shape((2000, 2000, 2000))
    header.set_data_dtype(np.float64)
    header.set_qform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(10_000_000)))
    with pytest.raises(DataError, match="64000000352 bytes unpacked; the limit is 2147483648"):
        shown(str(tmp_path / "a.nii.gz"))
    header["vox_offset"] = 2e9
    (tmp_path / "b.nii").write_bytes(header.binaryblock + bytes([1, 0, 0, 0]))
    with pytest.raises(DataError, match="its header takes 2000000000 bytes"):
        shown(str(tmp_path / "b.nii"))
    thin = nib.Nifti1Image(np.zeros((200, 200, 1), np.int16), np.diag([1e-5, 1, 1, 1]))
    with pytest.raises(DataError, match="exceeds limit"):
        shown(write(tmp_path, thin))


@pytest.mark.parametrize("axes", [0, 1])
def test_too_few_axes_are_an_error(tmp_path, axes):
    raw = bytearray(Path(write(tmp_path, ras(noise()))).read_bytes())
    raw[40:42] = axes.to_bytes(2, "little")  # dim[0]
    (tmp_path / "b.nii").write_bytes(raw)
    with pytest.raises(DataError, match="axes; at least two are needed"):
        shown(str(tmp_path / "b.nii"))


def test_a_flat_file_is_one_axial_slice(tmp_path):
    values = noise()[:, :, 0]
    flat = write(tmp_path, nib.Nifti1Image(values, np.eye(4)), "flat.nii")
    assert nib.load(flat).shape == values.shape
    assert np.array_equal(shown(flat), shown(write(tmp_path, nib.Nifti1Image(values[:, :, None], np.eye(4)))))


def test_an_affine_without_orientation_is_an_error(tmp_path):
    image = ras(noise())
    image.header.set_sform(np.zeros((4, 4)), 1)
    raw = bytearray(Path(write(tmp_path, image)).read_bytes())
    raw[254:256] = (1).to_bytes(2, "little")  # sform_code
    raw[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    (tmp_path / "b.nii").write_bytes(raw)
    with pytest.raises(DataError, match="gives no orientation"):
        shown(str(tmp_path / "b.nii"))
