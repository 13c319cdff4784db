"""Files as they are found: broken CSV headers, packed folders, ages, splits; and sets that lie on the hub."""

from __future__ import annotations

import gzip
import sys
import types

import pytest

from raybench.errors import DataError
from raybench.schema import Sample
from raybench.tasks._choices import chosen, unlettered
from raybench.tasks._hub import snapshot
from raybench.tasks._layout import age_group, csv_rows, expand, find, image_path, pick, split_name
from tests.tasks import layouts


def test_headers_that_are_broken(tmp_path):
    layouts.text(
        tmp_path / "a.csv", "Image,Bbox [x,y,w,h],,,", "1.png,1,2,3,4,,,", "2.png,5,6", "", "3.png,1,2,3,4,,,,9"
    )
    rows = list(csv_rows(str(tmp_path / "a.csv")))
    assert list(rows[0]) == ["Image", "Bbox [x", "y", "w", "h]", "column 6", "column 7", "column 8"]
    assert [row["h]"] for row in rows] == ["4", "", "4"]
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress("a,a\nä,2\n".encode()))
    assert list(csv_rows(str(tmp_path / "b.csv.gz"))) == [{"a": "ä", "column 2": "2"}]


@pytest.mark.parametrize(
    ("content", "message"), [(b"a,b\n", "holds no rows"), (b"a\n\xff\n", "is malformed"), (b"", "holds no rows")]
)
def test_csv_files_that_say_nothing(content, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(csv_rows(str(tmp_path / "a.csv")))
    with pytest.raises(DataError, match="no file"):
        list(csv_rows(str(tmp_path / "none.csv")))


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    layouts.text(tmp_path / "set" / "a.csv", "x")
    assert find("~/set", ("a.csv",), "set", "get it") == str(tmp_path / "set" / "a.csv")
    assert expand("s3://bucket/x/") == "s3://bucket/x"
    with pytest.raises(DataError, match=r"^no set at .*/set \(no b\.csv or c\.csv\): get it$"):
        find("~/set", ("b.csv", "c.csv"), "set", "get it")
    with pytest.raises(DataError, match=r"no set at .*b\.csv \(no such file\)"):
        find("~/set/b.csv", ("a.csv",), "set", "get it")


def test_a_missing_image_keeps_its_expected_place(tmp_path):
    layouts.picture(tmp_path / "part_1" / "images" / "a.png")
    folders = ("images", "part_*/images", "")
    assert image_path(str(tmp_path), "a", folders, (".jpg", ".png")) == str(tmp_path / "part_1" / "images" / "a.png")
    assert image_path(str(tmp_path), "b.png", folders) == str(tmp_path / "part_1" / "images" / "b.png")
    assert image_path(str(tmp_path / "x"), "b.png", folders) == str(tmp_path / "x" / "images" / "b.png")
    assert image_path("s3://set", "b.png", folders) == "s3://set/images/b.png"
    assert image_path(str(tmp_path), "https://host/a.png", folders) == "https://host/a.png"


def test_small_readings():
    assert [age_group(age) for age in ("17", "018Y", "59.0", "60", "85", "3M", "", "n/a", "148")] == [
        "0-17", "18-39", "40-59", "60-79", "80+", "0-17", "", "", "",
    ]  # fmt: skip
    assert [split_name(name) for name in ("val", "Validate", "test", "train_val")] == [
        "validation", "validation", "test", "train_val",
    ]  # fmt: skip
    assert [unlettered(text, "A") for text in ("A: x", "(A) x", "A. x", "A x", "Aorta: x")] == [
        "x", "x", "x", "A x", "Aorta: x",
    ]  # fmt: skip
    assert chosen("b", ("left", "right"), "") == "right"
    assert chosen("B", ("b", "x"), "") == "b", "the text of a choice comes before a letter"
    with pytest.raises(DataError, match="a choice stands twice"):
        chosen("a", ("Left", "left"), "row 1")
    with pytest.raises(DataError, match="row 1: 1 choices; from 2 to 26"):
        chosen("a", ("left",), "row 1")


def test_examples_never_change():
    rows = [Sample(str(i), "d", "train", ("q",), ("a",)) for i in range(50)]
    drawn = pick(rows, 4)
    assert drawn == pick(iter(rows), 4)
    assert [int(sample.id) for sample in drawn] == sorted(int(sample.id) for sample in drawn)
    assert len(pick(rows[:2], 4)) == 2


def test_a_snapshot_of_the_hub(tmp_path, monkeypatch):
    assert snapshot(str(tmp_path), None, ["*"], "set", "get it") == str(tmp_path)

    def download(name, **options):
        asked.append((name, options["revision"], options["allow_patterns"]))
        raise OSError("offline")

    asked: list = []
    errors = types.SimpleNamespace(HfHubHTTPError=OSError)
    monkeypatch.setitem(
        sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=download, errors=errors)
    )
    with pytest.raises(
        DataError, match=r"^no set: no `data` folder given and o/n cannot be had \(OSError: offline\); get"
    ):
        snapshot("o/n", "main", ["*.json"], "set", "get it")
    assert asked == [("o/n", "main", ["*.json"])]
