"""Files in a published layout that hold something else: one sentence that names the place, never a traceback."""

import json

import pytest

from raybench.errors import DataError
from raybench.spec import TaskSpec, task_of

CSV = b"image_id,rad_id,class_name,x_min,y_min,x_max,y_max,width,height\na,R1,Mass,1,2,3,4,"
IMAGE = {"id": 1, "file_name": "a.png"}
SLICE = {"image": "a.png", "case_id": "c", "boxes": [[1, 2, 3, 4]]}

CASES = [
    ("cxr_classification", "Data_Entry_2017.csv", b"", {}, "columns of no known layout"),
    ("cxr_classification", "Data_Entry_2017.csv", b"Image Index,Findings\na,b\n", {}, "no column 'Finding Labels'"),
    ("cxr_classification", "annotations_len_50.json", [1], {}, "must hold a JSON object, not a list"),
    ("cxr_classification", "annotations_len_50.json", {"a": 1}, {}, "a: must be an object, not a int"),
    ("cxr_classification", "annotations_len_50.json", {"a": {}}, {}, "a: no column 'status'"),
    ("cxr_classification", "annotations_len_50.json", {"a": {"status": "ill"}}, {}, "healthy or unhealthy, not 'ill'"),
    ("cxr_classification", "annotations_len_50.json", {"a": {"status": "unhealthy", "global_disease": 3}}, {},
     "global_disease must be a list, not 3"),
    ("cxr_grounding", "annotations_len_50.json", {"a": {"bbox_2d": 3}}, {}, "a: must be a list, not int"),
    ("cxr_grounding", "annotations.json", {"images": []}, {"source": "coco"}, "is no COCO file"),
    ("cxr_grounding", "annotations.json", {"images": 3, "annotations": []}, {}, "images must be a list, not a int"),
    ("cxr_grounding", "annotations.json", {"images": [1], "annotations": []}, {}, "image 1: must be an object, not 1"),
    ("cxr_grounding", "annotations.json", {"images": [IMAGE, IMAGE], "annotations": []}, {}, "image 2: id 1 stands tw"),
    ("cxr_grounding", "annotations.json", {"images": [{**IMAGE, "width": "x", "height": 3}], "annotations": []}, {},
     "width and height must be numbers, not 'x' and '3'"),
    ("cxr_grounding", "annotations.json", {"images": [IMAGE], "annotations": [{"image_id": [1], "bbox": [1, 2, 3, 4]}]},
     {}, "image_id must be a number or text"),
    ("cxr_grounding", "test.json", [{"syms": 3, "boxes": [], "file_name": "a"}], {}, "entry 1, syms: must be a list"),
    ("cxr_grounding", "test.json", [{"syms": [], "boxes": [], "file_name": "a"}, 5], {}, "entry 2: must be an object"),
    ("cxr_grounding", "train.csv", CSV + b"x,y\n", {}, "row 1: width and height must be numbers, not 'x' and 'y'"),
    ("cxr_grounding", "train.csv", CSV + b"0,9\n", {}, "row 1: width and height must be positive, not 0 and 9"),
    ("cxr_grounding", "BBox_List_2017.csv", b"Image Index\na\n", {}, "row 1: 1 columns; image, label, x"),
    ("mri_detection", "data.jsonl", {**SLICE, "width": "x", "height": 5}, {}, "row 1: width and height must be num"),
    ("mri_detection", "data.jsonl", {**SLICE, "width": float("nan"), "height": 5}, {}, "be numbers, not nan and 5"),
    ("mri_detection", "annotations.json", {"c": {"image_findings": {"a.png": 3}}}, {}, "case c, a.png: must be an obj"),
]  # fmt: skip


def _samples(folder, task, files, **options):
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return list(task_of(TaskSpec.model_validate({"task": task, "data": str(folder), **options})).samples())


@pytest.mark.parametrize(("task", "name", "content", "options", "sentence"), CASES)
def test_a_file_of_another_shape(tmp_path, task, name, content, options, sentence):
    with pytest.raises(DataError) as caught:
        _samples(tmp_path, task, {name: content}, **options)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "files", "sentence"),
    [
        ("cxr_classification", {"Data_Entry_2017.csv": b"Image Index,Finding Labels\na,b\n", "test_list.txt": b"\xe9"},
         "test_list.txt is not UTF-8 text"),
        ("cxr_classification", {"stage_2_train_labels.csv": b"patientId,Target\na,1\n",
                                "stage_2_detailed_class_info.csv": b"x,y\n1,2\n"}, "class_info.csv: no column"),
        ("cxr_report", {"mimic-cxr-2.0.0-split.csv": b"dicom_id,study_id,subject_id,split\na,1,10,test\n",
                        "mimic-cxr-2.0.0-metadata.csv": b"foo\n1\n"}, "metadata.csv: no column 'dicom_id'"),
    ],
)  # fmt: skip
def test_a_file_beside_it_of_another_shape(tmp_path, task, files, sentence):
    with pytest.raises(DataError) as caught:
        _samples(tmp_path, task, files)
    assert sentence in str(caught.value)
