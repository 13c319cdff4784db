"""Bring your own table: VQA and classification over CSV, JSONL and Parquet, and what is an error."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raybench.errors import DataError
from raybench.tasks.classification import Classification
from raybench.tasks.vqa import Vqa

CSV = """nr,image,q,gold,patient,modality,history
01,a.png,Is it there?,Yes,p1,CT,cough
02,"[""a.png"", ""b.png""]",Where?,left,p1,MR,
"""
OPTIONS = {
    "columns": {"id": "nr", "question": "q", "answer": "gold"}, "cluster": "patient", "slices": ("modality",),
    "context": ("history",),
}  # fmt: skip


def write(folder, name, data):
    path = folder / name
    path.write_text(data)
    return str(path)


def vqa(path, **options):
    return list(Vqa(Vqa.Options(data=path, **options)).samples())


def classify(path, **options):
    return list(Classification(Classification.Options(data=path, **options)).samples())


def test_columns_cluster_slices_and_context(tmp_path):
    first, second = vqa(write(tmp_path, "my.set.csv", CSV), **OPTIONS)
    assert (first.id, first.questions, first.targets) == ("01", ("Is it there?",), ("Yes",))
    assert (first.dataset, first.split, first.cluster, first.context) == ("my.set", "test", "p1", {"history": "cough"})
    assert first.slices == {"modality": "CT", "answer_type": "closed"}
    assert second.slices == {"modality": "MR", "answer_type": "open"}
    assert [image.uri for image in second.images] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


def test_every_format_gives_the_same_samples(tmp_path):
    rows = [
        {"id": "7", "image": "a.png", "question": "Is it?", "answer": "no", "choices": ["yes", "no"]},
        {"id": "8", "image": "b.png", "question": "Where?", "answer": "3", "choices": None},
    ]
    jsonl = write(tmp_path, "t.jsonl", "\n".join(json.dumps(row) for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    text = 'id,image,question,answer,choices\n7,a.png,Is it?,no,"[""yes"", ""no""]"\n8,b.png,Where?,3,\n'
    found = [vqa(path) for path in (jsonl, str(tmp_path / "t.parquet"), write(tmp_path, "t.csv", text))]
    assert found[0] == found[1] == found[2]
    assert found[0][0].choices == ("yes", "no")
    assert [sample.cluster for sample in found[0]] == ["a.png", "b.png"]
    assert vqa(write(tmp_path, "n.jsonl", '{"id": 7, "question": "q", "answer": 3}'))[0].targets == ("3",)


def test_images_elsewhere(tmp_path):
    path = write(tmp_path, "t.csv", "question,answer,image\nq,a,x.png\nq,a,/abs/y.png\nq,a,s3://b/z.png\nq,a,\n")
    found = vqa(path, images_dir="/pictures")
    assert [[image.uri for image in sample.images] for sample in found] == [
        ["/pictures/x.png"], ["/abs/y.png"], ["s3://b/z.png"], [],
    ]  # fmt: skip
    assert [sample.id for sample in found] == ["0", "1", "2", "3"]
    assert found[3].cluster == "3"


def test_closed_is_said_or_seen(tmp_path):
    said = "question,answer,answer_type\nq,MRI,CLOSED \nq,yes,open\nq,No,\n"
    assert [s.slices["answer_type"] for s in vqa(write(tmp_path, "t.csv", said))] == ["closed", "open", "closed"]


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("id,question,answer\n1,q,a\n1,q,b\n", {}, "t.csv, row 2: id '1' stands twice; ids must be unique"),
        ("id,question,answer\n ,q,a\n", {}, "t.csv, row 1: blank id"),
        ("id,question,answer\n1,q, \n", {},
         "t.csv, row 1: blank answer; every row needs the answer it is graded against"),
        ("id,question,anwser\n1,q,a\n", {}, "t.csv, row 1 (role answer): no column 'answer' (did you mean 'anwser'?)"),
        ("id,question,answer\n1,q,a\n", {"columns": {"id": "nr"}}, "t.csv, row 1 (role id): no column 'nr'"),
        ("id,question,answer\n1,q,a\n", {"columns": {"qestion": "x"}}, "columns: unknown role 'qestion'"),
        ("id,question,answer,organ\n1,q,a,x\n", {"slices": ("orgen",)},
         "t.csv, row 1 (slices): no column 'orgen' (did you mean 'organ'?)"),
        ("id,question,answer\n1,q,a\n", {"cluster": "patient"}, "t.csv, row 1 (cluster): no column 'patient'"),
        ("id,question,answer\n1, ,a\n", {}, "t.csv, id 1: blank question"),
        ("id,Image,question,answer\n1,a.png,q,a\n", {},
         "t.csv, row 1: column 'Image' is not 'image'; rename it, or say columns: {image: Image}"),
        ("question,answer,answer_type\nq,a,opne\n", {}, "t.csv, id 0: answer_type 'opne' is neither closed nor open"),
        ("question,answer,choices\nq,yes,yes|no\n", {},
         "t.csv, row 1: choices must be a list of two or more (JSON text in a CSV), not 'yes|no'"),
        ('question,answer,choices\nq,lungs,"[""lung"", ""heart""]"\n', {},
         "t.csv, id 0: answer 'lungs' is none of its choices (did you mean 'lung'?): lung, heart"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path, text, options, sentence):
    with pytest.raises(DataError) as caught:
        vqa(write(tmp_path, "t.csv", text), **options)
    assert sentence in str(caught.value)


def test_null_ids_and_embedded_images_are_mistakes(tmp_path):
    with pytest.raises(DataError, match="row 1: blank id"):
        vqa(write(tmp_path, "t.jsonl", '{"id": null, "question": "q", "answer": "a"}'))
    with pytest.raises(DataError, match="row 1: an image must be a path or a URL, not dict"):
        vqa(write(tmp_path, "t.jsonl", '{"question": "q", "answer": "a", "image": {"bytes": "x"}}'))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('{"id": NaN, "question": "q", "answer": "a"}', "row 1: blank id"),
        ('{"question": "q", "answer": NaN}', "row 1: blank answer"),
        ('{"question": {"text": "q"}, "answer": "a"}', "row 1: the question must be text, not a dict"),
        ('{"question": "q", "answer": ["a", "b"]}', "row 1: the answer must be text, not a list"),
        ('{"id": [1], "question": "q", "answer": "a"}', "row 1: an id must be text, not a list"),
        ('{"question": "q", "answer": "a", "image": [NaN]}', "row 1: an image must be a path or a URL, not float"),
        ('{"question": "q", "answer": "a", "choices": ["a", null]}', "row 1: choice 2 of 2 is blank"),
        ('{"question": "q", "answer": "a", "choices": {"x": "a", "y": "b"}}', "or an object with the keys A, B, ...;"),
    ],
)
def test_cells_that_are_no_text(tmp_path, row, sentence):
    with pytest.raises(DataError) as caught:
        vqa(write(tmp_path, "t.jsonl", row))
    assert sentence in str(caught.value)


def test_choices_by_letter_and_an_image_left_out(tmp_path):
    row = '{"question": "q", "answer": "heart", "choices": {"A": "lung", "B": "heart"}, "image": NaN}'
    found = vqa(write(tmp_path, "t.jsonl", row))[0]
    assert (found.choices, found.images) == (("lung", "heart"), ())


FINDINGS = "id,image,answer\n1,a.png,Normal\n2,b.png,abnormal \n"


def test_classification(tmp_path):
    path = write(tmp_path, "t.csv", FINDINGS)
    first, second = classify(path, labels=("normal", "abnormal"))
    assert (first.targets, first.choices, first.questions) == (
        ("normal",), ("normal", "abnormal"), ("Which of these describes the image?",),
    )  # fmt: skip
    assert second.targets == ("abnormal",)
    assert first.context == {"positive": "abnormal"}
    assert classify(path, labels=("normal", "abnormal"), positive="normal")[0].context == {"positive": "normal"}
    assert classify(path, labels=("normal", "abnormal", "unsure"))[0].context == {}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": ("normal", "abnormel")},
         "t.csv, id 2: label 'abnormal' is none of labels (did you mean 'abnormel'?)"),
        ({"labels": ("normal", "abnormal"), "positive": "abnormel"},
         "positive 'abnormel' is none of labels (did you mean 'abnormal'?): normal, abnormal"),
        ({"labels": ("normal", "abnormal"), "synonyms": {"abnormel": ("sick",)}},
         "synonyms of 'abnormel' is none of labels (did you mean 'abnormal'?)"),
        ({"labels": ("normal", "abnormal", "Normal")},
         "labels stand twice (case does not count): normal, abnormal, Normal"),
        ({"labels": ("normal", " ")}, "labels: label 2 is blank"),
        ({"labels": ("normal", "abnormal"), "synonyms": {"normal": ("ok",), "abnormal": ("OK",)}},
         "synonyms: 'ok' stands for more than one label, or twice"),
    ],
)  # fmt: skip
def test_classification_mistakes(tmp_path, options, sentence):
    with pytest.raises(DataError) as caught:
        classify(write(tmp_path, "t.csv", FINDINGS), **options)
    assert sentence in str(caught.value)


def test_parsing_never_sees_the_truth(tmp_path):
    options = Classification.Options(data="x.csv", labels=("normal", "abnormal"), synonyms={"abnormal": ("diseased",)})
    task = Classification(options)
    sample = {"questions": ["?"], "choices": ["normal", "abnormal"], "context": "{}"}
    read = [task.parse(sample, text) for text in ("Abnormal.", "It is diseased", "normal or abnormal", "")]
    assert [(answer.outcome, answer.value) for answer in read] == [
        ("answered", "abnormal"), ("answered", "abnormal"), ("unparsed", None), ("refused", None),
    ]  # fmt: skip
