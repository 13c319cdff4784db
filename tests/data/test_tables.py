"""Rows out of files: what is read, and the one sentence for what cannot be."""

from __future__ import annotations

import json

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raybench.data.tables import column, read_rows
from raybench.errors import DataError

ROWS = [{"id": "007", "label": "yes"}, {"id": "8", "label": "nein, \"später\"\nZeile 2"}]  # fmt: skip


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


@pytest.fixture
def tables(tmp_path):
    """The same rows in every format."""
    quoted = 'id,label\n007,yes\n8,"nein, ""später""\nZeile 2"\n'
    found = {
        "csv": write(tmp_path, "a.csv", quoted),
        "csv with BOM and CRLF": write(tmp_path, "b.CSV", b"\xef\xbb\xbf" + quoted.replace("\n8", "\r\n8").encode()),
        "tsv": write(tmp_path, "c.tsv", quoted.replace("id,", "id\t").replace("007,", "007\t").replace("8,", "8\t")),
        "jsonl": write(tmp_path, "d.jsonl", "\n".join(json.dumps(row) for row in ROWS) + "\n\n"),
        "jsonl with BOM": write(tmp_path, "e.ndjson", "\ufeff" + "\n".join(json.dumps(row) for row in ROWS)),
        "json": write(tmp_path, "f.json", json.dumps(ROWS)),
        "parquet": str(tmp_path / "g.parquet"),
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist(ROWS), found["parquet"])
    return found


def test_every_format_gives_the_same_rows(tables):
    read = {kind: list(read_rows(path)) for kind, path in tables.items()}
    assert read == dict.fromkeys(tables, ROWS)


def test_values_keep_their_types_except_in_csv(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 7, "x": null, "boxes": [1.5]}')
    assert list(read_rows(path)) == [{"id": 7, "x": None, "boxes": [1.5]}]
    assert list(read_rows(write(tmp_path, "a.csv", "id,x\n7,\n"))) == [{"id": "7", "x": ""}]


def test_a_spreadsheets_header_is_tidied(tmp_path):
    path = write(tmp_path, "a.csv", "id, label ,,\r\n1,yes,,\r\n")
    assert list(read_rows(path)) == [{"id": "1", "label": "yes"}]


def test_half_an_emoji_becomes_a_question_mark(tmp_path):
    row = r'{"id": "\ud83d", "a": ["x\uDE00", "\ud83d\ude00", "\ue000"]}'
    expected = [{"id": "?", "a": ["x?", "\U0001f600", "\ue000"]}]
    assert list(read_rows(write(tmp_path, "a.jsonl", row))) == expected
    assert list(read_rows(write(tmp_path, "a.json", f"[{row}]"))) == expected


def test_behind_fsspec():
    with fsspec.open("memory://raybench-rows/a.csv", "w") as file:
        file.write("id\n1\n")
    assert list(read_rows("memory://raybench-rows/a.csv")) == [{"id": "1"}]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.csv", "id,label\n1,yes\n2\n", "a.csv, line 3: not as many fields as the header has"),
        ("a.csv", "id,label\n1,yes,more\n", "a.csv, line 2: not as many fields as the header has"),
        ("a.tsv", "id\tlabel\n1,yes\n", "a.tsv, line 2: not as many fields as the header has"),
        ("a.csv", "id,id\n1,2\n", "a.csv: column 'id' stands twice in the header"),
        (
            "a.csv",
            "id;label\n1;yes\n",
            "a.csv: commas should part its fields, but its header has semicolons; write it with commas",
        ),
        ("a.csv", "id\tlabel\n1\tyes\n", "a.csv: commas should part its fields, but its header has tabs; name it .tsv"),
        ("a.tsv", "id,label\n1,yes\n", "a.tsv: tabs should part its fields, but its header has commas; name it .csv"),
        ("a.jsonl", '{"id": ' + 99_999 * "[", "a.jsonl, line 1: its JSON is nested too deeply"),
        ("a.json", 99_999 * "[", "a.json is malformed: its JSON is nested too deeply"),
        ("a.csv", "", "a.csv holds no rows"),
        ("a.csv", "id,label\n", "a.csv holds no rows"),
        ("a.csv", b"id\n\xff\xfe\n", "a.csv is not UTF-8 text"),
        ("a.jsonl", "", "a.jsonl holds no rows"),
        ("a.jsonl", '{"id": 1}\n\n{"id": 2,}\n', "a.jsonl, line 3: no valid JSON ("),
        ("a.jsonl", "[1]\n", "a.jsonl, line 1: a row must be a JSON object"),
        ("a.json", "", "a.json is no valid JSON"),
        ("a.json", "[]", "a.json holds no rows"),
        ("a.json", '{"id": 1}', "a.json must hold a JSON list of objects"),
        ("a.json", "[1]", "a.json must hold a JSON list of objects"),
        ("a.parquet", "id,label", "a.parquet is malformed: "),
        ("a.parquet", "", "a.parquet is malformed: "),
        ("a.txt", "x", "a.txt: cannot read .txt files; allowed: csv, json, jsonl, ndjson, parquet, tsv"),
        ("a.csv.gz", "x", "a.csv.gz: cannot read .gz files; allowed: csv"),
        ("answers", "x", "answers: cannot read a file without a suffix; allowed: csv"),
    ],
)
def test_one_sentence_says_where(tmp_path, name, data, sentence):
    path = write(tmp_path, name, data)
    with pytest.raises(DataError) as caught:
        list(read_rows(path))
    assert str(caught.value).startswith(f"{tmp_path}/{sentence}")
    assert "\n" not in str(caught.value)


def test_no_such_file_or_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"^no file .*/a\.csv$"):
        list(read_rows(str(tmp_path / "a.csv")))
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(DataError, match=r"b\.csv is a folder; give the file"):
        list(read_rows(str(tmp_path / "b.csv")))
    with pytest.raises(DataError, match=r"^cannot read nonsense://x/a\.csv: "):
        list(read_rows("nonsense://x/a.csv"))


def test_rows_come_one_at_a_time(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1}\nbroken\n')
    rows = read_rows(path)
    assert next(rows) == {"id": 1}
    with pytest.raises(DataError, match="line 2"):
        next(rows)


def test_a_missing_column_names_the_nearest():
    assert column({"answer": 0}, "answer", "x") == 0
    with pytest.raises(DataError) as caught:
        column({"id": 1, "answer": 2}, "anwser", "t.csv, row 1")
    assert str(caught.value) == "t.csv, row 1: no column 'anwser' (did you mean 'answer'?); columns: id, answer"
