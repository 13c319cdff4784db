"""Brain MRI: NOVA's layout, the first study's, and plain rows, through the three tasks that read them."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raybench.errors import DataError
from raybench.interfaces import render
from raybench.schema import Box
from raybench.tasks._prompts import BRIEF, DETAILED
from raybench.tasks.mri_description import MriDescription
from raybench.tasks.mri_detection import MriDetection
from raybench.tasks.mri_diagnosis import MriDiagnosis
from tests.tasks import layouts


def task(plugin, **options):
    return plugin(plugin.Options(**options))


def samples(plugin, **options):
    return list(task(plugin, **options).samples())


def test_nova_boxes_are_fractions_of_480_pixels(tmp_path):
    data = str(layouts.nova(tmp_path))
    first, second, third = samples(MriDetection, data=data)
    assert (first.id, first.dataset, first.cluster) == ("case0001_001.png", "nova", "case0001")
    assert first.boxes == (Box(0.1, 0.2, 0.3, 0.3, "abnormality"),), "x 48, y 96, width 96, height 48 of 480"
    assert second.boxes == (Box(0.0, 0.0, 1.0, 0.5, "abnormality"),)
    assert third.boxes == ()
    assert [sample.slices["boxes"] for sample in (first, second, third)] == ["one", "one", "none"]
    assert first.images[0].uri == f"{data}/images/case0001_001.png"
    (seen, *_) = samples(MriDetection, data=data, boxes="rater1")
    assert (seen.dataset, seen.boxes) == ("nova-rater1", (Box(0.0, 0.0, 0.1, 0.1, "abnormality"),))
    with pytest.raises(DataError, match=r"'rater2' drew no box \(did you mean 'rater1'\?\); readers: gold, rater1"):
        samples(MriDetection, data=data, boxes="rater2")


def test_nova_in_its_earlier_release(tmp_path):
    """JSON text in cells, other names, boxes of the readers in a column of their own."""
    rows = [
        {
            "filename": "a.png", "case_id": "c", "caption": "Axial.",
            "bbox_gold": json.dumps([{"x": 0.0, "y": 0.0, "width": 240.0, "height": 120.0}]),
            "bbox_raters": json.dumps([{"rater": "r1", "x": 0.0, "y": 0.0, "width": 24.0, "height": 24.0}]),
            "case_metadata": json.dumps({"history": "Pain.", "findings": "A mass.", "diagnosis": "Cyst"}),
        }
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "nova-v1.parquet")
    layouts.picture(tmp_path / "images" / "a.png", (480, 480))
    (found,) = samples(MriDetection, data=str(tmp_path))
    assert found.boxes == (Box(0.0, 0.0, 0.5, 0.25, "abnormality"),)
    (read,) = samples(MriDetection, data=str(tmp_path), boxes="r1")
    assert read.boxes == (Box(0.0, 0.0, 0.05, 0.05, "abnormality"),)
    (case,) = samples(MriDiagnosis, data=str(tmp_path / "nova-v1.parquet"))
    assert (case.targets, case.context["history"], case.context["findings"]) == (("Cyst",), "Pain.", "A mass.")
    assert case.images[0].uri == str(tmp_path / "images" / "a.png")


def test_descriptions_keep_the_reference_out_of_sight(tmp_path):
    first, second = samples(MriDescription, data=str(layouts.nova(tmp_path)))
    assert first.targets == ("Axial T2 with a frontal mass.",)
    assert second.cluster == "case0001"
    assert "frontal mass" not in str(first.context)
    assert task(MriDescription).expected_count() == 906
    assert task(MriDescription, data=str(tmp_path)).expected_count() is None


def test_diagnoses_are_one_a_case(tmp_path):
    first, second = samples(MriDiagnosis, data=str(layouts.nova(tmp_path)))
    assert (first.id, first.targets, len(first.images)) == ("case0001", ("Meningioma",), 2)
    assert first.context["findings"] == (
        "Image 1: Axial T2 with a frontal mass.\nImage 2: Coronal T1 with enhancement."
    )
    assert first.context["caption"] == first.context["findings"]
    assert (second.id, second.context) == ("case0002", {"history": "Seizures.", "findings": "not given"})
    shown = {name: render(text, first.to_row("t", 0)) for name, text in MriDiagnosis.prompts.items()}
    assert shown["short"].startswith("Clinical history: Headache.\nImage findings: Image 1: Axial")
    assert "Axial" not in shown["history-only"]
    assert "Headache" not in shown["images-only"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Meningioma", "Meningioma"),
        ("It enhances.\nDiagnosis: glioma\nNo.\n**Final diagnosis:** Meningioma.", "Meningioma"),
        ("I'm sorry, but I can't help with that.", None),
    ],
)
def test_a_diagnosis_is_read_from_the_line_that_names_it(text, value, tmp_path):
    diagnosis = task(MriDiagnosis, data=str(layouts.nova(tmp_path)))
    assert diagnosis.parse(next(diagnosis.samples()).to_row("t", 0), text).value == value


def test_the_first_studys_cases(tmp_path):
    data = str(layouts.seminar_mri(tmp_path / "nova_brain"))
    first, second = samples(MriDetection, data=data)
    assert (first.id, first.dataset) == ("case_1_a.png", "vlm-seminar25-mri")
    assert first.boxes == (Box(0.1, 0.25, 0.5, 0.5, "abnormality"),), "corners 4, 5, 20, 10 of 40 x 20"
    assert second.boxes == ()
    assert [sample.targets for sample in samples(MriDescription, data=data)] == [("A mass.",), ("Oedema.",)]
    (case,) = samples(MriDiagnosis, data=data)
    assert (case.targets, case.context["findings"]) == (("Glioma",), "Image 1: A mass.\nImage 2: Oedema.")


def test_plain_rows(tmp_path):
    rows = ['{"image": "a.png", "caption": "One.", "boxes": [[10, 5, 20, 10]], "width": 40, "height": 20}',
            '{"image": "b.png", "caption": "Two.", "boxes": [10, 5, 20, 10], "width": 40, "height": 20}']  # fmt: skip
    layouts.text(tmp_path / "mine.jsonl", *rows)
    found = samples(MriDetection, data=str(tmp_path / "mine.jsonl"))
    assert [sample.boxes for sample in found] == [(Box(0.25, 0.25, 0.75, 0.75, "abnormality"),)] * 2
    assert {sample.dataset for sample in found} == {"mine"}
    assert found[0].images[0].uri == str(tmp_path / "a.png")
    with pytest.raises(DataError, match="no case has a diagnosis"):
        samples(MriDiagnosis, data=str(tmp_path / "mine.jsonl"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"image": "a.png", "boxes": [[50, 0, 10, 10]], "width": 40, "height": 20}', "no area inside an image of 40"),
        ('{"image": "a.png", "boxes": [[1, 2, 3]], "width": 40, "height": 20}', "needs four numbers"),
        ('{"image": "a.png", "boxes": [[1, 2, 3, 4]]}', "in pixels of an image that is not there"),
        ('{"file_path": "a.png"}', "no column image_path, image or filename"),
    ],
)
def test_what_is_wrong_with_a_row(row, message, tmp_path):
    layouts.text(tmp_path / "mine.jsonl", row)
    with pytest.raises(DataError, match=message):
        samples(MriDetection, data=str(tmp_path / "mine.jsonl"))


@pytest.mark.data
def test_real_slices_with_boxes(test_data):
    found = samples(MriDetection, data=str(test_data / "brain-mri-tumor"))
    assert len(found) == 25
    assert sum(not sample.boxes for sample in found) == 9
    assert {sample.dataset for sample in found} == {"brain-mri-tumor"}


def test_boxes_are_read_under_the_models_convention(tmp_path):
    detection = task(MriDetection, data=str(layouts.nova(tmp_path)))
    row = {**next(detection.samples()).to_row("t", 0), "image_sizes": [[480, 480]]}
    said = "[48, 96, 144, 144]"
    (pixels,) = detection.parse({**row, "box_convention": "xyxy-pixel"}, said).value
    (thousandths,) = detection.parse({**row, "box_convention": "xyxy-1000"}, said).value
    assert (pixels["x0"], pixels["y1"]) == pytest.approx((0.1, 0.3))
    assert (thousandths["x0"], thousandths["y1"]) == pytest.approx((0.048, 0.144))
    assert detection.parse({**row, "box_convention": ""}, "none").value == []


def test_two_prompt_families_in_words_of_their_own():
    names = list(MriDescription.prompts)
    assert names[0] == "brief-01"
    assert sum(name.startswith("brief-") for name in names) == len(BRIEF) == 11
    assert sum(name.startswith("detailed-") for name in names) == len(DETAILED) == 16
    texts = list(MriDescription.prompts.values())
    assert len(set(texts)) == 27
    assert all("brain MRI slice" in text and "{" not in text for text in texts)
