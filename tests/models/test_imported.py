"""Answers made elsewhere: which column is the id, which the text, and what is an error."""

from __future__ import annotations

import json
import os

import pytest

from raybench.errors import DataError
from raybench.models.imported import TEXT_FIELDS, Imported, read_answers
from raybench.schema import Failure


@pytest.fixture
def file(tmp_path):
    def write(*rows):
        path = tmp_path / "answers.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


@pytest.mark.parametrize("name", ["id", "qid", "question_id"])
@pytest.mark.parametrize("text", TEXT_FIELDS)
def test_every_id_and_text_column(file, name, text):
    assert read_answers(file({name: 7, text: "yes"}, {name: " 08 ", text: 3})) == {"7": "yes", "08": "3"}


def test_id_goes_before_qid(file):
    assert read_answers(file({"question_id": "b", "id": "a", "text": "x"})) == {"a": "x"}
    assert read_answers(file({"question_id": "b", "id": "a", "text": "x"}), id_field="question_id") == {"b": "x"}


def test_two_text_columns_need_a_choice(file):
    path = file({"id": 1, "prediction": "said", "answer": "gold"})
    with pytest.raises(DataError) as caught:
        read_answers(path)
    assert str(caught.value) == (
        f"{path}, row 1: several columns may be an answer (prediction, answer); "
        "say which with --text-field, e.g. --text-field prediction"
    )
    assert read_answers(path, "prediction") == {"1": "said"}
    assert read_answers(path, "answer") == {"1": "gold"}


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ([{"id": 1, "said": "x"}], {},
         "row 1: no column for an answer (one of prediction, response, text, answer); columns: id, said"),
        ([{"nr": 1, "text": "x"}], {}, "row 1: no column for an id (one of id, qid, question_id); columns: nr, text"),
        ([{"id": 1, "output": "x"}], {"text_field": "outputs"},
         "row 1: no column 'outputs' (did you mean 'output'?); columns: id, output"),
        ([{"id": 1, "text": "x"}, {"id": " ", "text": "x"}], {}, "row 2: blank id"),
        ([{"id": 1, "text": "x"}, {"id": None, "text": "x"}], {}, "row 2: blank id"),
        ([{"id": 1, "text": "x"}, {"id": float("nan"), "text": "x"}], {}, "row 2: blank id"),
        ([{"id": [1], "text": "x"}], {}, "row 1: an id must be text or a number, not [1]"),
        ([{"id": True, "text": "x"}], {}, "row 1: an id must be text or a number, not True"),
        ([{"id": i, "text": "x"} for i in (5, "5", 3, 3, 3, 1)], {},
         "2 ids stand more than once, e.g. '3'; each needs exactly one"),
        ([], {}, "holds no rows"),
    ],
)  # fmt: skip
def test_mistakes(file, rows, options, sentence):
    with pytest.raises(DataError) as caught:
        read_answers(file(*rows), **options)
    assert sentence in str(caught.value)


def test_a_changed_file_is_read_again(file):
    assert read_answers(file({"id": 1, "text": "old"})) == {"1": "old"}
    path = file({"id": 1, "text": "new"})
    os.utime(path, (1, 1))
    assert read_answers(path) == {"1": "new"}


async def test_answers_come_by_sample_and_blank_is_no_failure(file):
    path = file({"id": "a", "text": "yes"}, {"id": "b", "text": None})
    backend = Imported(Imported.Options(answers=path))
    rows = [{"id": f"k{name}", "sample": name} for name in "cab"]
    found = {key: result async for key, result in backend.generate(rows)}
    assert found["ka"].text == "yes"
    assert found["kb"].text == ""
    assert found["kc"] == Failure("missing", f"{path} has no answer with id c")


def test_the_text_is_part_of_the_key(file):
    options = Imported.Options(answers=file({"id": "a", "text": "yes"}))
    first = Imported.key_extra(options, "a")
    assert Imported.key_extra(options, "z") == {"sample": "z", "text": None}
    os.utime(file({"id": "a", "text": "no, really"}), (1, 1))
    assert Imported.key_extra(options, "a") != first
    assert Imported.identity(options) == {"model": "imported", "revision": "", "pinned": True}


def test_a_gold_column_never_passes_for_the_answer_beside_an_unusual_name(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "answer": "yes", "pred": "no"}\n', "utf-8")
    with pytest.raises(DataError, match=r"several columns may be an answer \(answer, pred\)"):
        read_answers(str(path))
    assert read_answers(str(path), "pred") == {"1": "no"}


def test_nan_is_missing_half_a_surrogate_is_replaced_and_a_list_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "text": NaN}\n{"id": 2, "text": "\\ud83d yes"}\n', "utf-8")
    assert read_answers(str(path)) == {"2": "? yes"}
    path.write_text('{"id": 1, "text": ["yes", "no"]}\n', "utf-8")
    with pytest.raises(DataError, match="must be text, not a list"):
        read_answers(str(path))
