"""The hub reader on a local folder in the hub's layout: rows in order, image bytes untouched."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from raybench.data import hub
from raybench.data.images import fingerprint, open_image, read_bytes
from raybench.errors import DataError

datasets = pytest.importorskip("datasets")

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def encoded(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with data/test-*.parquet, as the hub holds it."""
    root = tmp_path_factory.mktemp("hub") / "set with space"
    (root / "data").mkdir(parents=True)
    features = datasets.Features({"image": datasets.Image(), "question": datasets.Value("string")})
    images = [{"bytes": encoded(colour), "path": None} for colour in COLOURS]
    table = datasets.Dataset.from_dict({"image": images, "question": ["q0", "q1", "q2"]}, features=features)
    table.to_parquet(str(root / "data" / "test-00000-of-00001.parquet"))
    return str(root)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    hub._loaded_split.cache_clear()


def test_rows_in_order_with_undecoded_images(folder):
    rows = list(hub.read_split(folder, "test"))
    assert [row["question"] for row in rows] == ["q0", "q1", "q2"]
    assert [row["image"]["bytes"] for row in rows] == [encoded(colour) for colour in COLOURS]


def test_an_image_is_found_by_its_reference(folder):
    uri = hub.image_uri(folder, "test", 2)
    assert uri.startswith("hub://")
    assert read_bytes(uri) == encoded(COLOURS[2])
    assert open_image(uri, pixels=True)["bytes"] == bytes(COLOURS[2]) * 32
    assert fingerprint(uri) == [uri]


def test_what_is_not_there_is_one_sentence(folder, tmp_path):
    with pytest.raises(DataError, match=r"^cannot load data set .* \(split train\)"):
        list(hub.read_split(folder, "train"))
    with pytest.raises(DataError, match=r"^cannot load data set .*/nothing "):
        list(hub.read_split(str(tmp_path / "nothing"), "test"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "test.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"^cannot load data set .*/broken ") as caught:
        list(hub.read_split(str(tmp_path / "broken"), "test"))
    assert "\n" not in str(caught.value)


def test_an_image_column_may_hold_bytes_or_paths(tmp_path):
    """Paths are absolute or below the data set's folder."""
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    for name in ("images/a.png", "b.png"):
        (root / name).write_bytes(encoded(COLOURS[0]))
    rows = {
        "image": ["images/a.png", str(root / "b.png"), "images/none.png", ""],
        "raw": [encoded(COLOURS[1]), b"", None, b"x"],
        "boxed": [{"bytes": None, "path": "b.png"}, {"bytes": encoded(COLOURS[2]), "path": "gone.png"}, None, None],
    }
    datasets.Dataset.from_dict(rows).to_parquet(str(root / "test.parquet"))

    def image(row, column="image"):
        return read_bytes(hub.image_uri(str(root), "test", row, column))

    assert image(0) == image(1) == image(0, "boxed") == encoded(COLOURS[0])
    assert (image(0, "raw"), image(1, "boxed")) == (encoded(COLOURS[1]), encoded(COLOURS[2]))
    for row, column in [(3, "image"), (1, "raw"), (2, "raw"), (2, "boxed")]:
        with pytest.raises(DataError, match=f"^no image at hub://.*row={row}&column={column}$"):
            image(row, column)
    with pytest.raises(DataError, match=r"^cannot read the image of hub://.*: FileNotFoundError$"):
        image(2)
    for row, column in [(4, "image"), (-1, "image"), (0, "picture")]:
        with pytest.raises(DataError, match=r"the split has 4 rows and the columns image, raw, boxed$"):
            image(row, column)
    with pytest.raises(DataError, match="a hub image is named hub://NAME"):
        read_bytes("hub://name?split=test")
