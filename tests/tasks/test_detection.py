"""Boxes of your own: tables of boxes, tables of images, COCO JSON, and what is an error."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from raybench.errors import DataError
from raybench.metrics.detection import Detection as Profile
from raybench.tasks.detection import Detection

ROWS = """id,image,label,x0,y0,x1,y1,patient,sex
1,a.png,nodule,20,10,60,30,p1,F
1,a.png,Effusion,100,50,200,100,p1,F
2,b.png,,,,,,p2,M
"""


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    Image.new("L", (200, 100)).save(tmp_path / "a.png")
    return tmp_path


def read(path, **options):
    return list(Detection(Detection.Options(data=path, **options)).samples())


def corners(sample):
    return [(box.x0, box.y0, box.x1, box.y1, box.label) for box in sample.boxes]


EXPECTED = [(0.1, 0.1, 0.3, 0.3, "nodule"), (0.5, 0.5, 1.0, 1.0, "Effusion")]


def test_one_row_a_box_with_the_size_from_the_image(folder):
    first, healthy = read(write(folder, "t.csv", ROWS), cluster="patient", slices=("sex",))
    assert corners(first) == EXPECTED
    assert (first.id, first.cluster, first.choices) == ("1", "p1", ("Effusion", "nodule"))
    assert first.slices == {"boxes": "several", "sex": "F"}
    assert [image.uri for image in first.images] == [str(folder / "a.png")]
    assert healthy.boxes == ()
    assert healthy.slices == {"boxes": "none", "sex": "M"}
    assert healthy.targets == ("0 boxes",)


@pytest.mark.parametrize(
    ("form", "header", "cells"),
    [
        ("xyxy-pixel", "x0,y0,x1,y1", "20,10,60,30"),
        ("xywh-pixel", "x,y,w,h", "20,10,40,20"),
        ("xyxy-norm", "x0,y0,x1,y1", "0.1,0.1,0.3,0.3"),
        ("xywh-norm", "x,y,w,h", "0.1,0.1,0.2,0.2"),
    ],
)
def test_every_format_gives_the_same_box(tmp_path, form, header, cells):
    path = write(tmp_path, "t.csv", f"image,label,width,height,{header}\nnowhere.png,nodule,200,100,{cells}\n")
    (sample,) = read(path, format=form)
    assert corners(sample)[0] == pytest.approx((*EXPECTED[0][:4], "nodule"))
    assert sample.id == "nowhere.png"


@pytest.mark.parametrize(
    "boxes",
    [
        [[20, 10, 60, 30, "nodule"], [100, 50, 200, 100, "Effusion"]],
        [
            {"bbox": [20, 10, 60, 30], "label": "nodule"},
            {"x0": 100, "y0": 50, "x1": 200, "y1": 100, "label": "Effusion"},
        ],
    ],
)
def test_one_row_an_image(folder, boxes):
    rows = [{"id": 1, "image": "a.png", "boxes": boxes}, {"id": 2, "image": "b.png", "boxes": []}]
    in_json = read(write(folder, "t.jsonl", "\n".join(map(json.dumps, rows))))
    assert [corners(sample) for sample in in_json] == [EXPECTED, []]
    text = 'id,image,boxes\n1,a.png,"' + json.dumps(boxes).replace('"', '""') + '"\n2,b.png,\n'
    assert [corners(sample) for sample in read(write(folder, "t.csv", text))] == [EXPECTED, []]


def coco(**changes):
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 200, "height": 100}, {"id": 8, "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "nodule"}, {"id": 2, "name": "Effusion"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [20, 10, 40, 20]},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [100, 50, 100, 50], "iscrowd": 0},
            {"id": 3, "image_id": 8, "category_id": 2, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
        **changes,
    }


def test_coco_json_keeps_images_without_boxes(tmp_path):
    first, healthy = read(write(tmp_path, "instances.json", json.dumps(coco())))
    assert corners(first) == EXPECTED
    assert (first.id, healthy.id, healthy.boxes) == ("7", "8", ())


def test_a_json_table_is_no_coco_document(folder):
    rows = [{"image": "a.png", "boxes": [[20, 10, 60, 30, "nodule"]]}]
    assert corners(read(write(folder, "t.json", json.dumps(rows)))[0]) == EXPECTED[:1]


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("id,image,label,x0,y0,x1,y1\n1,,n,0,0,1,1\n", {}, "t.csv, row 1: blank image"),
        ("image,label,x0,y0,x1\na.png,n,0,0,1\n", {}, "t.csv, row 1 (role y1): no column 'y1'"),
        ("image,label,x0,y0,x1,y1\na.png,n,0,0,1,one\n", {}, "t.csv, row 1: a box needs four numbers"),
        ("image,label,x0,y0,x1,y1\na.png,n,300,0,400,9\n", {}, "has no area inside an image of 200 x 100 px"),
        ("image,label,x0,y0,x1,y1\na.png,nodul,1,1,9,9\n", {"labels": ("nodule",)},
         "label 'nodul' is none of labels (did you mean 'nodule'?): nodule"),
        ("image,label,x0,y0,x1,y1\ngone.png,n,1,1,9,9\n", {}, "gone.png"),
        ("image,width,height,x0,y0,x1,y1\na.png,0,5,1,1,9,9\n", {}, "width and height must be positive, not 0 and 5"),
        ("id,image,x0,y0,x1,y1\n1,a.png,1,1,9,9\n1,b.png,1,1,9,9\n", {}, "row 2: id '1' has the image 'b.png' here"),
        ("id,image,width,height,x0,y0,x1,y1\n1,a.png,200,100,1,1,9,9\n1,a.png,100,200,1,1,9,9\n", {},
         "row 2: id '1' is 100 x 200 here, 200 x 100 above"),
        ("image,width,height,x0,y0,x1,y1\na.png,inf,9,1,1,9,9\n", {}, "width and height must be numbers, not 'inf'"),
        ("image,x0,y0,x1,y1\na.png,9,9,1,1\n", {}, "box [9.0, 9.0, 1.0, 1.0] has no area"),
        ("image,x0,y0,x1,y1\na.png,1,1,nan,9\n", {}, "a box needs four finite numbers, not ['1', '1', 'nan', '9']"),
        ("image,x0,y0,x1,y1\na.png,0,0,60,30\n", {"format": "xyxy-norm"},
         "box [0.0, 0.0, 60.0, 30.0] reaches far beyond its image; are its numbers fractions?"),
        ("image,x0,y0,x1,y1\na.png,50,50,900,900\n", {},
         "reaches far beyond its image; are its numbers pixels of an image of 200 x 100?"),
        ("image,x0,y0,x1,y1\na.png,0.1,0.2,0.5,0.6\n", {},
         "lies within one pixel; are its numbers fractions?"),
        ("image,label,x0,y0,x1,y1\na.png,No finding,1,1,9,9\n", {},
         "a box labelled 'No finding'; leave the box of an image without findings blank"),
        ('image,boxes\na.png,"[{""bbox"": 5}]"\n', {}, "a box needs four numbers, not 5"),
        ('image,boxes\na.png,"[{""bbox"": ""1,2,3,4""}]"\n', {}, "a box needs four numbers, not '1,2,3,4'"),
        ("image,boxes\na.png,[1;2]\n", {}, "t.csv, row 1: no valid JSON list"),
        ("image,boxes\na.png,\"[[1,2,3]]\"\n", {}, "a box is [a, b, c, d, label]"),
        ("image,x0,y0,x1,y1\na.png,1,1,9,9\n", {"columns": {"img": "image"}}, "columns: unknown role 'img'"),
    ],
)  # fmt: skip
def test_mistakes(folder, text, options, sentence):
    with pytest.raises(DataError) as caught:
        read(write(folder, "t.csv", text), **options)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": [{"id": 7, "file_name": "a.png"}] * 2}, "image 2: id 7 stands twice"),
        ({"annotations": [{"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "no such image_id 9"),
        ({"annotations": [{"image_id": 7, "category_id": 5, "bbox": [0, 0, 1, 1]}]}, "no such category_id 5"),
        ({"annotations": [{"image_id": 7, "category_id": 1}]}, "annotation 1: no column 'bbox'"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": None}]}, "annotation 1: a box needs four numbers"),
        ({"annotations": [{"image_id": [7], "category_id": 1}]}, "image_id must be a number or text, not [7]"),
        ({"annotations": {"a": 1}}, "annotations must be a list, not a dict"),
        ({"images": ["a.png"]}, "image 1: must be an object, not 'a.png'"),
        ({"images": [{"id": 7, "file_name": "a.png", "width": None, "height": 9}]}, "width and height must be numbers"),
        ({"categories": [{"name": "nodule"}]}, "category 1: no column 'id'"),
    ],
)
def test_coco_mistakes(folder, changes, sentence):
    with pytest.raises(DataError) as caught:
        read(write(folder, "instances.json", json.dumps(coco(**changes))))
    assert sentence in str(caught.value)


def test_an_annotators_overshoot_is_cut_and_null_annotations_are_none(folder):
    text = "image,x0,y0,x1,y1\na.png,-3,-2,100,103\n"
    assert [(b.x0, b.y0, b.x1, b.y1) for b in read(write(folder, "t.csv", text))[0].boxes] == [(0, 0, 0.5, 1)]
    assert all(not sample.boxes for sample in read(write(folder, "i.json", json.dumps(coco(annotations=None)))))


def test_from_table_to_score(folder):
    path = write(folder, "t.csv", ROWS)
    task = Detection(Detection.Options(data=path))
    sample, healthy = task.samples()
    row = {"choices": list(sample.choices), "box_convention": "", "image_sizes": [[200, 100]], "context": "{}"}
    answer = task.parse(row, "nodule [0.1, 0.1, 0.3, 0.3]\neffusion [0.5, 0.5, 1.0, 1.0]")
    assert [entry["label"] for entry in answer.value] == ["nodule", "Effusion"]
    record = {
        "outcome": answer.outcome, "value": answer.value, "choices": list(sample.choices),
        "boxes": [vars(box) for box in sample.boxes],
    }  # fmt: skip
    assert Profile().statistics(record)["tp_50"] == 2.0
    none = task.parse(row, "none")
    assert Profile().statistics(record | {"value": none.value, "boxes": []})["healthy_empty"] == 1.0
    assert healthy.boxes == ()
