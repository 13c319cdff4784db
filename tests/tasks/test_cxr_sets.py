"""Chest X-rays: classification, grounding and reports in their published layouts."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from raybench.errors import DataError, SpecError
from raybench.interfaces import render
from raybench.schema import Box
from raybench.tasks._readers import fuse, iou
from raybench.tasks.cxr_classification import CxrClassification
from raybench.tasks.cxr_grounding import CxrGrounding
from raybench.tasks.cxr_report import CxrReport, sections
from tests.tasks import layouts


def task(plugin, **options):
    return plugin(plugin.Options(**options))


def samples(plugin, **options):
    return list(task(plugin, **options).samples())


def targets(**options):
    return [sample.targets[0] for sample in samples(CxrClassification, **options)]


# --- classification --------------------------------------------------------------------------------------------------


def test_nih_test_split(tmp_path):
    data = str(layouts.nih(tmp_path))
    first, second = samples(CxrClassification, data=data)
    assert (first.dataset, first.split, first.targets, first.context) == (
        "nih-cxr14", "test", ("abnormal",), {"positive": "abnormal"},
    )  # fmt: skip
    assert first.slices == {"sex": "male", "age": "40-59", "view": "PA"}
    assert first.images[0].uri == f"{data}/images_001/images/00000001_000.png"
    assert (second.targets, second.cluster) == (("normal",), "2")
    assert task(CxrClassification, data=data).expected_count() == 25596
    (shown,) = task(CxrClassification, data=data).examples(3)
    assert (shown.split, shown.id) == ("train_val", "00000003_001.png")
    assert "age" not in shown.slices, "nobody is 414 years old"


def test_nih_without_lists_takes_all(tmp_path):
    data = str(layouts.nih(tmp_path, lists=False))
    assert {sample.split for sample in samples(CxrClassification, data=data)} == {"all"}
    assert len(targets(data=data)) == 3
    with pytest.raises(DataError, match=r"test_list\.txt: split 'test' needs NIH's list"):
        targets(data=data, split="test")
    with pytest.raises(SpecError, match="no split beside 'all'"):
        task(CxrClassification, data=data).examples(1)


def test_one_finding_and_all_findings(tmp_path):
    data = str(layouts.nih(tmp_path, lists=False))
    first, *_ = samples(CxrClassification, data=data, finding="effusion")
    assert first.questions == ("Does this chest X-ray show effusion?",)
    assert (first.choices, first.context["positive"]) == (("yes", "no"), "yes")
    assert first.dataset == "nih-cxr14-effusion"
    assert targets(data=data, finding="effusion") == ["yes", "no", "no"]
    with pytest.raises(DataError, match=r"'Efusion' is none of .* \(did you mean 'Effusion'\?\)"):
        targets(data=data, finding="Efusion")
    several = task(CxrClassification, data=data, labels="findings")
    first, second, third = several.samples()
    assert first.choices == ("Cardiomegaly", "Effusion", "Infiltration")
    assert [json.loads(sample.targets[0]) for sample in (first, second, third)] == [
        ["Cardiomegaly", "Effusion"], [], ["Infiltration"],
    ]  # fmt: skip
    assert first.dataset == "nih-cxr14-findings"
    assert several.profiles == ("multi-label",)
    assert CxrClassification.profiles == ("classification",)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Effusion, Cardiomegaly", ["Cardiomegaly", "Effusion"]),
        ("There is cardiomegaly without effusion.", ["Cardiomegaly"]),
        ("No cardiomegaly, no effusion.", []),
        ("The lungs are clear.", []),
        ("none", []),
        ("It is a picture of a chest.", None),
        ("I'm sorry, I can't help with medical images.", None),
    ],
)
def test_several_findings_are_read(text, value, tmp_path):
    several = task(CxrClassification, data=str(layouts.nih(tmp_path)), labels="findings")
    row = {"choices": ["Cardiomegaly", "Effusion"], "questions": ["Which?"]}
    answer = several.parse(row, text)
    assert answer.value == value
    assert answer.outcome == ("answered" if value is not None else "refused" if "sorry" in text else "unparsed")


@pytest.mark.parametrize(
    ("text", "value"),
    [("Unhealthy", "abnormal"), ("healthy.", "normal"), ("The chest is normal.", "normal"), ("异常", "abnormal")],
)
def test_healthy_and_unhealthy_are_understood(text, value, tmp_path):
    asked = task(CxrClassification, data=str(layouts.nih(tmp_path)))
    assert asked.parse(next(asked.samples()).to_row("t", 0), text).value == value


def test_rsna_asks_for_pneumonia(tmp_path):
    data = str(layouts.rsna(tmp_path))
    found = samples(CxrClassification, data=data)
    assert [(sample.id, sample.targets[0]) for sample in found] == [("p1", "no"), ("p2", "yes"), ("p3", "no")]
    assert found[0].dataset == "rsna-pneumonia"
    assert found[2].slices == {"class_info": "No Lung Opacity / Not Normal"}
    assert targets(data=data, labels="abnormal") == ["normal", "abnormal", "abnormal"]
    assert task(CxrClassification, data=data).expected_count() == 26684
    (tmp_path / "stage_2_detailed_class_info.csv").unlink()
    assert targets(data=data, labels="abnormal") == ["abnormal"], "without the classes only pneumonia is known"


def test_vindr_by_majority_of_readers(tmp_path):
    data = str(layouts.vindr_kaggle(tmp_path / "kaggle"))
    assert targets(data=data) == ["normal", "abnormal", "normal"]
    held = task(CxrClassification, data=data)
    assert held.options.restricted
    assert (next(held.samples()).dataset, held.expected_count()) == ("vindr-cxr", 15000)
    assert [json.loads(target) for target in targets(data=data, labels="findings")] == [[], ["Cardiomegaly"], []]
    released = str(layouts.vindr_physionet(tmp_path / "physionet"))
    assert [(s.id, s.targets[0], s.split) for s in samples(CxrClassification, data=released)] == [
        ("t1", "abnormal", "test"), ("t2", "normal", "test"),
    ]  # fmt: skip
    assert targets(data=released, split="train", finding="Cardiomegaly") == ["yes"]
    assert targets(data=released, split="train", finding="Pneumonia") == ["no"], "one of three readers"


def test_chexpert_names_its_policy_where_it_decides(tmp_path):
    data = str(layouts.chexpert(tmp_path))
    first, second = samples(CxrClassification, data=data)
    assert (first.dataset, first.split, first.targets) == ("chexpert", "validation", ("abnormal",))
    assert first.slices == {"sex": "male", "age": "60-79", "view": "AP"}
    assert first.images[0].uri == f"{data}/valid/patient90001/study1/view1_frontal.jpg"
    assert (second.targets, second.cluster) == (("normal",), "patient90002"), "support devices are no disease"
    assert task(CxrClassification, data=data).options.restricted
    assert task(CxrClassification, data=data).expected_count() == 234
    for policy, abnormal, oedema in (
        ("ones", ["normal", "abnormal", "abnormal"], ["no", "yes", "yes"]),
        ("zeros", ["normal", "abnormal", "normal"], ["no", "no", "no"]),
        ("ignore", ["normal", "abnormal"], ["no"]),
    ):
        train = {"data": data, "split": "train", "uncertain": policy}
        assert {sample.dataset for sample in samples(CxrClassification, **train)} == {f"chexpert-{policy}"}
        (oedemas,) = {sample.dataset for sample in samples(CxrClassification, **train, finding="Edema")}
        assert oedemas == f"chexpert-edema-{policy}"
        assert targets(**train) == abnormal
        assert targets(**train, finding="Edema") == oedema
    with pytest.raises(SpecError, match=r"split: 'tset' \(did you mean 'test'\?\); chexpert has"):
        targets(data=data, split="tset")


def test_any_csv(tmp_path):
    layouts.text(
        tmp_path / "mine.csv",
        "id,image,label,patient,sex,age,split",
        "1,a.png,normal,p1,F,30,test",
        "2,b.png,Effusion;Mass,p2,M,81,test",
        "3,c.png,No finding,p3,F,30,train",
    )
    data = str(tmp_path / "mine.csv")
    assert targets(data=data) == ["normal", "abnormal", "normal"]
    first, second = samples(CxrClassification, data=data, split="test")
    assert (first.dataset, first.split, first.cluster) == ("mine", "test", "p1")
    assert second.slices == {"sex": "male", "age": "80+"}
    assert [sample.id for sample in task(CxrClassification, data=data, split="test").examples(4)] == ["3"]
    assert not task(CxrClassification, data=data).options.restricted
    assert targets(data=data, columns={"image": "image", "label": "sex"}) == ["abnormal"] * 3
    with pytest.raises(DataError, match=r"no column 'lable' \(did you mean 'label'\?\)"):
        targets(data=data, columns={"label": "lable"})


def test_the_first_studys_chest_x_rays(tmp_path):
    data = str(layouts.seminar_cxr(tmp_path))
    found = samples(CxrClassification, data=data)
    assert [(sample.dataset, sample.targets[0]) for sample in found] == [
        ("vlm-seminar25-cxr", "normal"), ("vlm-seminar25-cxr", "abnormal"),
    ]  # fmt: skip
    _, boxed = samples(CxrGrounding, data=data)
    assert boxed.boxes == (Box(0.25, 0.25, 0.75, 0.75, "Consolidation"),)
    assert task(CxrGrounding, data=data).options.restricted


@pytest.mark.data
def test_real_chest_x_rays(test_data):
    data = str(test_data / "nih-cxr14")
    assert Counter(targets(data=data)) == {"abnormal": 15, "normal": 9}
    boxed = samples(CxrGrounding, data=data)
    assert (len(boxed), sum(len(sample.boxes) for sample in boxed)) == (880, 984)
    assert Counter(box.label for sample in boxed for box in sample.boxes) == {
        "Atelectasis": 180, "Effusion": 153, "Cardiomegaly": 146, "Infiltration": 123, "Pneumonia": 120,
        "Pneumothorax": 98, "Mass": 85, "Nodule": 79,
    }  # fmt: skip


@pytest.mark.parametrize("plugin", [CxrClassification, CxrGrounding, CxrReport])
def test_no_data_says_how_to_get_it(plugin, tmp_path):
    with pytest.raises(DataError, match=r"^no chest X-ray.* at .*\(no .*`data: DIR` \(--data DIR\)"):
        samples(plugin, data=str(tmp_path))
    with pytest.raises(DataError, match=r"^no chest X-ray.*: no `data` folder given; "):
        samples(plugin)


# --- grounding -------------------------------------------------------------------------------------------------------


def test_nih_boxes_despite_their_header(tmp_path):
    first, second = samples(CxrGrounding, data=str(layouts.nih(tmp_path)))
    assert (first.dataset, first.split, first.cluster) == ("nih-cxr14", "all", "00000001")
    assert first.boxes == (Box(0.25, 0.5, 0.75, 0.75, "Cardiomegaly"), Box(0.0, 0.0, 0.1, 0.2, "Effusion"))
    assert second.boxes == (Box(0.5, 0.5, 1.0, 1.0, "Infiltration"),), "spelt Infiltrate in this file alone"
    assert first.choices == ("Cardiomegaly", "Effusion", "Infiltration")
    assert first.targets == ("Cardiomegaly, Effusion",)


def test_each_finding_by_its_name(tmp_path):
    found = samples(CxrGrounding, data=str(layouts.nih(tmp_path)), per="finding")
    assert [sample.id for sample in found] == [
        "00000001_000.png/Cardiomegaly", "00000001_000.png/Effusion", "00000003_001.png/Infiltration",
    ]  # fmt: skip
    assert found[1].questions == ("Where in this chest X-ray is effusion?",)
    assert found[1].boxes == (Box(0.0, 0.0, 0.1, 0.2, "Effusion"),)
    assert found[1].dataset == "nih-cxr14-by-finding"
    assert (found[1].choices, found[1].slices) == (("Effusion",), {"finding": "Effusion"})
    assert found[0].cluster == found[1].cluster


def test_vindrs_three_readers(tmp_path):
    data = str(layouts.vindr_kaggle(tmp_path))

    def boxes(readers, **options):
        found = samples(CxrGrounding, data=data, readers=readers, **options)
        assert {sample.dataset for sample in found} == {f"vindr-cxr-{readers}"}
        return {sample.id: sample.boxes for sample in found}

    heart = [Box(0.25, 0.25, 0.5, 0.75, "Cardiomegaly"), Box(0.275, 0.25, 0.525, 0.75, "Cardiomegaly")]
    nodule, fibrosis = Box(0.0, 0.0, 0.1, 0.1, "Nodule/Mass"), Box(0.0, 0.0, 0.25, 0.5, "ILD")
    mean = Box(0.2625, 0.25, 0.5125, 0.75, "Cardiomegaly")
    assert boxes("union") == {"i1": (), "i2": (*heart, nodule), "i3": (fibrosis,)}
    assert boxes("weighted_boxes") == {"i1": (), "i2": (mean, nodule), "i3": (fibrosis,)}
    assert boxes("consensus") == {"i1": (), "i2": (mean,), "i3": ()}
    assert boxes("weighted_boxes", fusion_iou=0.95)["i2"] == (*heart, nodule)
    assert boxes("R2") == {"i1": (), "i2": (heart[1], nodule)}, "R2 never saw i3"
    assert boxes("R3") == {"i1": (), "i2": ()}
    with pytest.raises(
        DataError, match=r"readers: 'R11' \(did you mean 'R1'\?\): union, weighted_boxes, consensus, R1"
    ):
        boxes("R11")
    assert task(CxrGrounding, data=data).expected_count() == 15000
    assert task(CxrGrounding, data=data, readers="R2").expected_count() is None


def test_vindrs_columns_give_the_size_where_images_are_missing(tmp_path):
    layouts.vindr_kaggle(tmp_path, sizes=True)
    for path in (tmp_path / "train").iterdir():
        path.unlink()
    found = samples(CxrGrounding, data=str(tmp_path), readers="R1")
    assert found[1].boxes == (Box(0.25, 0.25, 0.5, 0.75, "Cardiomegaly"),)
    (tmp_path / "train.csv").unlink()
    layouts.vindr_kaggle(tmp_path)
    (tmp_path / "train" / "i2.png").unlink()
    with pytest.raises(DataError, match=r"train.csv, row 4: its boxes are in pixels of an image that is not there"):
        samples(CxrGrounding, data=str(tmp_path))


def test_vindrs_release_on_physionet(tmp_path):
    data = str(layouts.vindr_physionet(tmp_path))
    first, second = samples(CxrGrounding, data=data)
    assert (first.dataset, first.split) == ("vindr-cxr", "test"), "one consensus needs no policy"
    assert (first.boxes, second.boxes) == ((Box(0.25, 0.25, 0.5, 0.75, "Cardiomegaly"),), ())
    assert second.slices == {"boxes": "none"}
    (alone,) = samples(CxrGrounding, data=data, split="train", readers="consensus")
    assert (alone.dataset, alone.boxes) == ("vindr-cxr-consensus", ())
    assert task(CxrGrounding, data=data).options.restricted
    assert task(CxrGrounding, data=data).expected_count() == 3000


def test_fusion_needs_the_same_label_and_enough_overlap():
    a, b = Box(0, 0, 0.4, 0.4, "Mass"), Box(0.1, 0, 0.5, 0.4, "Mass")
    assert iou(a, b) == pytest.approx(0.6), "0.3 x 0.4 shared of 0.5 x 0.4"
    assert fuse({"1": [a], "2": [b]}, "weighted_boxes", 0.7) == (a, b)
    (mean,) = fuse({"1": [a], "2": [b]}, "consensus")
    assert (mean.x0, mean.y0, mean.x1, mean.y1) == pytest.approx((0.05, 0, 0.45, 0.4))
    other = Box(0, 0, 0.4, 0.4, "Nodule")
    assert fuse({"1": [a], "2": [other]}, "weighted_boxes") == (a, other)
    assert fuse({"1": [a, a], "2": [], "3": []}, "consensus") == (), "two boxes of one reader are no consensus"


def test_fusion_is_weighted_boxes_fusion():
    """Values of ensemble-boxes 1.0.9, `weighted_boxes_fusion` with all scores 1 and iou_thr 0.5."""
    readings = {
        "a": [Box(0.1, 0.1, 0.5, 0.5, "x")],
        "b": [Box(0.2, 0.1, 0.6, 0.5, "x"), Box(0.6, 0.6, 0.9, 0.9, "y")],
        "c": [Box(0.28, 0.1, 0.68, 0.5, "x")],
    }
    expected = [("x", 0.1, 0.1, 0.5, 0.5), ("x", 0.24, 0.1, 0.64, 0.5), ("y", 0.6, 0.6, 0.9, 0.9)]
    found = [(box.label, box.x0, box.y0, box.x1, box.y1) for box in fuse(readings, "weighted_boxes")]
    assert [box[0] for box in found] == [box[0] for box in expected]
    assert [side for box in found for side in box[1:]] == pytest.approx([side for box in expected for side in box[1:]])


def test_chestx_det10(tmp_path):
    data = str(layouts.chestx_det10(tmp_path))
    first, healthy = samples(CxrGrounding, data=data)
    assert (first.dataset, first.split) == ("chestx-det10", "test")
    assert first.boxes == (Box(0.0, 0.0, 0.5, 0.25, "Effusion"), Box(0.25, 0.25, 0.75, 0.75, "Mass"))
    assert (healthy.boxes, healthy.targets) == ((), ("none",))
    assert first.images[0].uri == f"{data}/test_data/36199.png"
    assert [task(CxrGrounding, data=data, split=split).expected_count() for split in ("test", "train")] == [542, 3001]


def test_rsna_boxes(tmp_path):
    found = samples(CxrGrounding, data=str(layouts.rsna(tmp_path)))
    assert [len(sample.boxes) for sample in found] == [0, 2, 0]
    assert found[1].boxes == (Box(0.25, 0.125, 0.75, 0.375, "Pneumonia"), Box(0.0, 0.0, 1.0, 0.5, "Pneumonia"))


def test_any_coco_file(tmp_path):
    data = str(layouts.coco(tmp_path) / "annotations.json")
    first, second, healthy = samples(CxrGrounding, data=data, dataset="mine")
    assert (first.dataset, first.id, first.boxes) == ("mine", "7", (Box(0.25, 0.25, 0.5, 0.75, "Edema"),))
    assert second.boxes == (Box(0.25, 0.25, 0.75, 0.75, "Effusion"),), "its size is read from the image, 40 x 20"
    assert healthy.boxes == ()
    assert first.images[0].uri == str(tmp_path / "images" / "a.png")
    layouts.text(tmp_path / "other.json", '{"a": 1}')
    with pytest.raises(DataError, match="is no box file: neither COCO"):
        samples(CxrGrounding, data=str(tmp_path / "other.json"))


# --- reports ---------------------------------------------------------------------------------------------------------


def test_openi_reports(tmp_path):
    data = str(layouts.openi(tmp_path))
    (findings,) = samples(CxrReport, data=data)
    assert (findings.id, findings.dataset, findings.targets) == ("1", "openi", ("The lungs are clear.",))
    assert findings.slices == {"images": "several", "report": "normal"}
    assert findings.images[0].uri == f"{data}/images/images_normalized/1_IM-0001-4001.dcm.png"
    (frontal,) = samples(CxrReport, data=data, views="frontal")
    assert (len(frontal.images), frontal.dataset) == (1, "openi-frontal")
    impressions = samples(CxrReport, data=data, section="impression")
    assert [sample.targets[0] for sample in impressions] == ["Normal.", "Borderline cardiomegaly."]
    (both,) = samples(CxrReport, data=data, section="both")
    assert both.dataset == "openi-both"
    assert both.targets == ("The lungs are clear.\nNormal.",)
    shown = render(CxrReport.prompts["indication"], both.to_row("t", 0))
    assert shown.startswith("Indication: Positive TB test\nWrite the findings and the impression")
    assert not task(CxrReport, data=data).options.restricted
    with pytest.raises(SpecError, match="no other split"):
        task(CxrReport, data=data).examples(1)


def test_mimic_reports_stay_local(tmp_path):
    data = str(layouts.mimic(tmp_path))
    (sample,) = samples(CxrReport, data=data)
    assert task(CxrReport, data=data).options.restricted
    assert (sample.id, sample.dataset, sample.cluster) == ("50000011", "mimic-cxr", "10000011")
    assert sample.targets == ("The lungs are clear.",)
    assert sample.context == {"indication": "___F with cough"}
    assert sample.images[0].uri == f"{data}/files/p10/p10000011/s50000011/d1.jpg"
    (frontal,) = samples(CxrReport, data=data, views="frontal")
    assert len(frontal.images) == 1
    assert len(samples(CxrReport, data=data, section="impression")) == 2
    assert [shown.id for shown in task(CxrReport, data=data).examples(2)] == ["50000001"]
    with pytest.raises(DataError, match="no report of split 'validation' has the section 'findings'"):
        samples(CxrReport, data=data, split="validate")


def test_sections_of_a_free_text_report():
    found = sections("FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n FINDINGS: \n\n At 10:30, clear.\n")
    assert found == {"examination": "CHEST (PA AND LAT)", "findings": "At 10:30, clear."}
