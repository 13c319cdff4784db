"""Phantoms: the same everywhere, disjoint by split, and true to what is said of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from raybench.data import phantoms
from raybench.data.phantoms import CONTRASTS, FINDINGS, KINDS, SIDES, SPLITS, ZONES, case, render
from raybench.errors import DataError
from raybench.parsing.boxes import read_boxes
from raybench.parsing.refusal import refusal
from raybench.parsing.vqa import question_form, read_vqa

SERIES = {kind: [case(kind, "validation", index, seed=5) for index in range(120)] for kind in KINDS}
EVERY = [phantom for series in SERIES.values() for phantom in series]

#: Mean grey of the 16 quarter-by-quarter tiles of case(kind, "test", 0) at 256 px, as first drawn.
TILES = {
    "cxr": [
        79.79,
        126.98,
        118.22,
        80.16,
        134.76,
        123.90,
        113.06,
        138.40,
        112.48,
        139.07,
        128.88,
        106.42,
        171.46,
        219.36,
        213.07,
        149.38,
    ],
    "mri": [
        12.26,
        71.97,
        63.18,
        6.74,
        46.71,
        90.22,
        98.79,
        31.49,
        51.07,
        92.81,
        95.84,
        34.78,
        12.38,
        61.85,
        59.15,
        8.55,
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_the_same_twice_and_from_its_reference(kind):
    first, second = case(kind, "test", 3, seed=2), case(kind, "test", 3, seed=2)
    assert first == second
    assert np.array_equal(render(first), render(second))
    png = phantoms.image_bytes(phantoms.image_uri(first, 128))
    assert png == phantoms.image_bytes(phantoms.image_uri(second, 128))
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("PNG", "L", (128, 128))
        assert np.array_equal(np.asarray(image), render(first, 128))


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_this_version(kind):
    assert phantoms.VERSION == 1, "a new version has new tiles"
    tiles = render(case(kind, "test", 0)).reshape(4, 64, 4, 64).mean(axis=(1, 3))
    assert np.allclose(tiles.ravel(), TILES[kind], atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_splits_and_seeds_share_no_picture(kind):
    series = [(split, seed) for split in SPLITS for seed in (0, 1)]
    pictures = {render(case(kind, split, index, seed), 32).tobytes() for split, seed in series for index in range(12)}
    assert len(pictures) == 12 * len(series)
    assert len({case(kind, split, index, seed).id for split, seed in series for index in range(12)}) == len(pictures)


@pytest.mark.parametrize("phantom", [phantom for phantom in EVERY if phantom.boxes][::4], ids=lambda each: each.id)
def test_a_finding_lies_in_its_box_and_fills_it(phantom):
    size = 256
    shown, without = (render(phantom, size, findings).astype(int) for findings in (True, False))
    change = np.abs(shown - without)
    inside = np.zeros((size, size), bool)
    for box in phantom.boxes:
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        rows, columns = (
            slice(round(low * size), round(high * size)) for low, high in ((box.y0, box.y1), (box.x0, box.x1))
        )
        inside[rows, columns] = True
        seen = change[rows, columns] > 12
        assert seen.mean() > 0.08, f"{box.label} is hardly seen"
        if box.label in ("nodule", "tumour", "haemorrhage", "lesion"):
            assert min(box.x1 - box.x0, box.y1 - box.y0) > 0.05
            edges = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
            for found, length in zip(edges, (seen.shape[1], seen.shape[0]), strict=True):
                assert found[-1] - found[0] >= 0.72 * length, f"the box of {box.label} is loose"
    assert change[inside].sum() >= 0.95 * change.sum()


def test_normal_pictures_show_nothing_and_say_so():
    for phantom in EVERY:
        assert (phantom.label == "normal") == (not phantom.boxes) == (not phantom.findings)
        assert (phantom.diagnosis == "normal") == (phantom.label == "normal")
        assert phantom.caption.startswith("Normal") == (phantom.label == "normal")
        assert phantom.diagnosis in phantom.choices
        if not phantom.boxes:
            assert np.array_equal(render(phantom, 64), render(phantom, 64, findings=False))


def test_shares_of_normal_pictures_and_findings():
    normal = {kind: np.mean([case(kind, "train", index).label == "normal" for index in range(400)]) for kind in KINDS}
    assert abs(normal["cxr"] - 0.45) < 0.08
    assert abs(normal["mri"] - 0.35) < 0.08
    for kind, series in SERIES.items():
        assert {finding for phantom in series for finding in phantom.findings} == set(FINDINGS[kind])
        assert {diagnosis for phantom in series for diagnosis in (phantom.diagnosis,)} == set(phantoms.DIAGNOSES[kind])
    assert {phantom.slices["contrast"] for phantom in SERIES["mri"]} == set(CONTRASTS)


def test_captions_name_findings_with_the_patients_side_and_the_zone():
    heart = {"cardiomegaly": "enlarged heart"}
    for phantom in EVERY:
        caption = phantom.caption.lower()
        for finding in phantom.findings:
            assert heart.get(finding, finding) in caption
        for finding in set(FINDINGS[phantom.kind]) - set(phantom.findings):
            assert heart.get(finding, finding) not in caption
        sides = {mark.side for mark in phantom.scene.marks if mark.side}
        assert {side for side in SIDES if side in caption} == sides
        assert sum(zone in caption for zone in ZONES[phantom.kind]) <= len(phantom.boxes)


def test_the_patients_left_is_on_the_images_right():
    for phantom in EVERY:
        for mark, box in zip(phantom.scene.marks, phantom.boxes, strict=True):
            if mark.side:
                assert ((box.x0 + box.x1) / 2 > 0.5) == (mark.side == "left"), phantom.caption


def test_questions_agree_with_the_picture():
    for phantom in EVERY:
        answers = {question: answer for question, answer, _ in phantom.questions}
        assert len(answers) == len(phantom.questions), "a question stands twice"
        assert answers["Is this image normal?"] == ("no" if phantom.boxes else "yes")
        assert answers["How many findings are there?"] == str(len(phantom.boxes))
        for finding in FINDINGS[phantom.kind]:
            present = finding in phantom.findings
            assert answers[f"Is there {phantoms.PHRASES[finding]}?"] == ("yes" if present else "no")
            sides = {mark.side for mark in phantom.scene.marks if mark.name == finding}
            for side in SIDES:
                asked = f"Is there {phantoms.PHRASES[finding]} on the {side}?"
                assert answers.get(asked, "yes" if side in sides else "no") == ("yes" if side in sides else "no")
        if phantom.kind == "mri":
            assert answers["Which contrast is this?"] == phantom.slices["contrast"]
        assert sum(kind == "unanswerable" for _, _, kind in phantom.questions) == 2


def test_every_question_is_read_in_the_form_its_type_says():
    for phantom in EVERY:
        for question, answer, kind in phantom.questions:
            assert (question_form(question) == "yes_no") == (kind == "closed")
            read = read_vqa(answer, question)
            assert (read.outcome, read.value) == ("answered", answer)
    assert refusal(phantoms.REFUSAL) is not None
    assert refusal(phantoms.NOT_STATED) is None


def test_a_finding_means_different_things_in_different_patients():
    meanings: dict[str, set[str]] = {}
    histories: dict[str, set[str]] = {}
    for phantom in SERIES["mri"]:
        meanings.setdefault(phantom.slices["finding"], set()).add(phantom.diagnosis)
        histories.setdefault(phantom.history.split(" with ")[1], set()).add(phantom.diagnosis)
    assert meanings["lesion"] == {"multiple sclerosis", "small vessel disease"}
    assert all(len(meanings[finding]) > 1 for finding in FINDINGS["mri"])
    assert all("normal" in diagnoses and len(diagnoses) > 1 for diagnoses in histories.values())


def test_box_text_is_read_back_as_written():
    for phantom in EVERY:
        read = read_boxes(phantoms.box_text(phantom.boxes), labels=FINDINGS[phantom.kind])
        assert read.outcome == "answered"
        assert [entry["label"] for entry in read.value] == [box.label for box in phantom.boxes]
        for entry, box in zip(read.value, phantom.boxes, strict=True):
            assert all(abs(entry[corner] - getattr(box, corner)) <= 0.0051 for corner in ("x0", "y0", "x1", "y1"))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("phantom://ct/test/1?seed=0&size=64&v=1", "phantom kind 'ct' is unknown"),
        ("phantom://cxr/tset/1?seed=0&size=64&v=1", "did you mean"),
        ("phantom://cxr/test/x?seed=0&size=64&v=1", "a phantom is named"),
        ("phantom://cxr/test/1?seed=0&size=64&v=0", "version 1 only"),
        ("phantom://cxr/test/1?seed=0&size=4&v=1", "16 to 2048 pixels"),
    ],
)
def test_a_wrong_reference_is_one_clear_sentence(uri, said):
    with pytest.raises(DataError, match=said.replace("?", r"\?")):
        phantoms.image_bytes(uri)
