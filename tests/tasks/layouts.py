"""Small made-up copies of published data sets, file by file and column by column as they are published."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CHEXPERT_HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


def picture(path: Path, size: tuple[int, int] = (40, 20), grey: int = 90) -> Path:
    """A plain grey image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)
    return path


def table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def slake(folder: Path) -> Path:
    """test.json, validate.json and train.json beside imgs/xmlab<N>/source.jpg; English and Chinese."""
    base = {"img_id": 1, "img_name": "xmlab1/source.jpg", "location": "Abdomen", "modality": "MRI", "base_type": "vqa",
            "triple": ["vhead", "_", "_"], "content_type": "Organ"}  # fmt: skip
    rows = [
        {**base, "qid": 1, "question": "Does the picture contain liver?", "answer": "Yes", "q_lang": "en",
         "answer_type": "CLOSED"},
        {**base, "qid": 2, "question": "What modality is used to take this image?", "answer": "MRI", "q_lang": "en",
         "answer_type": "OPEN", "content_type": "Modality"},
        {**base, "qid": 3, "question": "图片中包含肝脏吗?", "answer": "包含", "q_lang": "zh", "answer_type": "CLOSED"},
        {**base, "qid": 4, "question": "肝脏有什么作用?", "answer": "解毒", "q_lang": "zh", "answer_type": "OPEN",
         "base_type": "kvqa", "content_type": "KG"},
    ]  # fmt: skip
    other = [{**row, "qid": 10 + i, "img_id": 2, "img_name": "xmlab2/source.jpg"} for i, row in enumerate(rows)]
    for name, content in (("test", rows), ("validate", other), ("train", other * 1)):
        text(folder / f"{name}.json", json.dumps(content, ensure_ascii=False))
    picture(folder / "imgs" / "xmlab1" / "source.jpg")
    picture(folder / "imgs" / "xmlab2" / "source.jpg")
    return folder


def path_vqa(folder: Path) -> Path:
    """pvqa/qas/<split>/<split>_qa.pkl beside pvqa/images/<split>/<name>.jpg."""
    rows = {
        "test": [
            {"image": "test_0001", "question": "what is stained blue?", "answer": "the nuclei"},
            {"image": "test_0001", "question": "are the nuclei stained blue?", "answer": "yes"},
        ],
        "val": [{"image": "val_0001", "question": "is this a liver?", "answer": "no"}],
        "train": [{"image": "train_0001", "question": "what organ is this?", "answer": "kidney"}],
    }
    for split, content in rows.items():
        path = folder / "qas" / split / f"{split}_qa.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        picture(folder / "images" / split / f"{content[0]['image']}.jpg")
    return folder


def pmc_vqa(folder: Path) -> Path:
    """Version 2 (letters), version 1 (texts and letters) and the folders of both image archives."""
    header = ["index", "Figure_path", "Caption", "Question", "Choice A", "Choice B", "Choice C", "Choice D", "Answer",
              "split"]  # fmt: skip
    row = [301, "PMC2000002_Fig4.jpg", "CT of the chest.", "What is shown?", "Heart", "Lung", "Liver", "Spleen", "B"]
    table(folder / "test_2.csv", header, [[*row, "test"]])
    table(folder / "train_2.csv", header, [[302, *row[1:8], "A", "train"], [303, *row[1:8], "C", "train"]])
    old = ["Figure_path", "Question", "Answer", "Choice A", "Choice B", "Choice C", "Choice D", "Answer_label"]
    lettered = [" A:Linear ", " B:Round ", " C:None of these ", " D:Cannot tell "]
    table(folder / "test_clean.csv", old, [["PMC1000001_F1.jpg", "What is the pattern?", "Round", *lettered, "B"]])
    picture(folder / "images_2" / "PMC2000002_Fig4.jpg")
    picture(folder / "images" / "PMC1000001_F1.jpg")
    return folder


def qa50(folder: Path) -> Path:
    """llava_med_eval_qa50_qa.jsonl; one of its two figures is gone."""
    domain = dict.fromkeys(("chest_xray", "mri", "ct_scan", "histology", "gross"), False)
    shared = {"fig_caption": "A section.", "fig_label": "Fig. 3",
              "in_text_mention": [{"tokens": "No cells were found ( Fig. 3 ) .", "entities": []}]}  # fmt: skip
    rows = [
        {"question_id": 0, "image": "1_F3.jpg", "pair_id": "1_F3", "text": "What is the organ?\n<image>",
         "gpt4_answer": "The conjunctiva.", "domain": {**domain, "histology": True, "gross": True},
         "type": "conversation", **shared},
        {"question_id": 1, "image": "2_F1.jpg", "pair_id": "2_F1", "text": "<image>\nAnalyze the image in full.",
         "gpt4_answer": "A CT.", "domain": {**domain, "ct_scan": True}, "type": "detailed_description", **shared},
    ]  # fmt: skip
    text(folder / "llava_med_eval_qa50_qa.jsonl", *(json.dumps(row) for row in rows))
    picture(folder / "images" / "1_F3.jpg")
    return folder


def nova(folder: Path) -> Path:
    """data/nova-v1.parquet beside images/: three slices of two cases, one slice healthy, one read by two readers."""

    def drawn(source: str, *sides: float) -> dict[str, Any]:
        return {"source": source, **dict(zip(("x", "y", "width", "height"), sides, strict=True))}

    first = {"clinical_history": "Headache.", "final_diagnosis": "Meningioma"}
    rows = [
        {"image_path": "images/case0001_001.png", "filename": "case0001_001.png", "case_id": "case0001",
         "scan_id": "001", "caption_text": "Axial T2 with a frontal mass.",
         "bboxes": [drawn("gold", 48.0, 96.0, 96.0, 48.0), drawn("rater1", 0.0, 0.0, 48.0, 48.0)], "meta": first},
        {"image_path": "images/case0001_002.png", "filename": "case0001_002.png", "case_id": "case0001",
         "scan_id": "002", "caption_text": "Coronal T1 with enhancement.", "meta": first,
         "bboxes": [drawn("gold", 0.0, 0.0, 480.0, 240.0)]},
        {"image_path": "images/case0002_001.png", "filename": "case0002_001.png", "case_id": "case0002",
         "scan_id": "001", "caption_text": None, "bboxes": None,
         "meta": {"clinical_history": "Seizures.", "final_diagnosis": "Dysplasia"}},
    ]  # fmt: skip
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "nova-v1.parquet")
    for row in rows:
        picture(folder / str(row["image_path"]), (480, 480))
    return folder


def seminar_mri(folder: Path) -> Path:
    """The first study's cases: annotations.json beside images/."""
    found = {"case_1_a.png": {"caption": "A mass.", "bbox_2d_gold": [[4, 5, 20, 10]]},
             "case_1_b.png": {"caption": "Oedema.", "bbox_2d_gold": []}}  # fmt: skip
    entry = {"clinical_history": "Headache.", "final_diagnosis": "Glioma", "image_findings": found}
    text(folder / "annotations.json", json.dumps({"case_1": entry}))
    for name in found:
        picture(folder / "images" / name)
    return folder


def seminar_cxr(folder: Path) -> Path:
    """The first study's chest X-rays: annotations_len_50.json beside images/<id>.png."""
    entries = {
        "aa": {"status": "healthy", "global_disease": [], "bbox_2d": []},
        "bb": {"status": "unhealthy", "global_disease": ["Pneumonia"], "bbox_2d": [[10, 5, 30, 15, "Consolidation"]]},
    }
    text(folder / "annotations_len_50.json", json.dumps(entries))
    for name in entries:
        picture(folder / "images" / f"{name}.png")
    return folder


def nih(folder: Path, lists: bool = True) -> Path:
    """Data_Entry_2017.csv and BBox_List_2017.csv with their broken headers, the lists, images in two of 12 parts."""
    rows = [
        "00000001_000.png,Cardiomegaly|Effusion,0,1,058Y,M,PA,2600,2700,0.143,0.143,",
        "00000002_000.png,No Finding,0,2,012Y,F,AP,2500,2048,0.171,0.171,",
        "00000003_001.png,Infiltration,1,3,414Y,F,PA,2582,2991,0.143,0.143,",
    ]
    text(folder / "Data_Entry_2017.csv", NIH_HEADER, *rows)
    text(
        folder / "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,",
        "00000001_000.png,Cardiomegaly,256.0,512.0,512.0,256.0,,,",
        "00000001_000.png,Effusion,0,0,102.4,204.8,,,",
        "00000003_001.png,Infiltrate,512,512,512,512,,,",
    )
    if lists:
        text(folder / "test_list.txt", "00000001_000.png", "00000002_000.png")
        text(folder / "train_val_list.txt", "00000003_001.png")
    picture(folder / "images_001" / "images" / "00000001_000.png")
    picture(folder / "images_001" / "images" / "00000002_000.png")
    picture(folder / "images_002" / "images" / "00000003_001.png")
    return folder


def rsna(folder: Path, details: bool = True) -> Path:
    """stage_2_train_labels.csv with two boxes on one image, and the detailed classes."""
    text(
        folder / "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target",
        "p1,,,,,0",
        "p2,256.0,128.0,512.0,256.0,1",
        "p2,0,0,1024,512,1",
        "p3,,,,,0",
    )
    if details:
        kinds = ("p1,Normal", "p2,Lung Opacity", "p2,Lung Opacity", "p3,No Lung Opacity / Not Normal")
        text(folder / "stage_2_detailed_class_info.csv", "patientId,class", *kinds)
    for name in ("p1", "p2", "p3"):
        picture(folder / "stage_2_train_images" / f"{name}.png")
    return folder


def vindr_kaggle(folder: Path, sizes: bool = False) -> Path:
    """train.csv of the Kaggle competition: three readers an image, class 14 without a box."""
    extra = ",width,height" if sizes else ""
    end = ",400,200" if sizes else ""
    rows = [
        "i1,No finding,14,R1,,,,", "i1,No finding,14,R2,,,,", "i1,No finding,14,R3,,,,",
        "i2,Cardiomegaly,3,R1,100,50,200,150", "i2,Cardiomegaly,3,R2,110,50,210,150",
        "i2,Nodule/Mass,8,R2,0,0,40,20", "i2,No finding,14,R3,,,,",
        "i3,ILD,5,R8,0,0,100,100", "i3,No finding,14,R9,,,,", "i3,No finding,14,R10,,,,",
    ]  # fmt: skip
    header = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
    text(folder / "train.csv", header + extra, *(row + end for row in rows))
    for name in ("i1", "i2", "i3"):
        picture(folder / "train" / f"{name}.png", (400, 200))
    return folder


def vindr_physionet(folder: Path) -> Path:
    """annotations/ of the PhysioNet release: boxes and image labels, readers in training, consensus in test."""
    text(
        folder / "annotations" / "annotations_test.csv",
        "image_id,class_name,x_min,y_min,x_max,y_max",
        "t1,Cardiomegaly,100,50,200,150",
        "t2,No finding,,,,",
    )
    text(
        folder / "annotations" / "annotations_train.csv",
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
        "i1,R1,Cardiomegaly,0,0,100,100",
        "i1,R2,No finding,,,,",
        "i1,R3,No finding,,,,",
    )
    text(
        folder / "annotations" / "image_labels_test.csv",
        "image_id,Cardiomegaly,Pneumonia,No finding",
        "t1,1,0,0",
        "t2,0,0,1",
    )
    text(
        folder / "annotations" / "image_labels_train.csv",
        "image_id,rad_id,Cardiomegaly,Pneumonia,No finding",
        "i1,R1,1,0,0",
        "i1,R2,1,1,0",
        "i1,R3,0,0,1",
    )
    for name in ("train/i1", "test/t1", "test/t2"):
        picture(folder / f"{name}.png", (400, 200))
    return folder


def chexpert(folder: Path) -> Path:
    """valid.csv and train.csv, paths starting with the release's folder; uncertain marks in training only."""
    release = folder / "CheXpert-v1.0-small"
    valid = [
        "CheXpert-v1.0-small/valid/patient90001/study1/view1_frontal.jpg,Male,64,Frontal,AP,0.0,1.0,1.0,1.0,0.0,0.0,0.0,"
        "0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "CheXpert-v1.0-small/valid/patient90002/study1/view1_frontal.jpg,Female,25,Frontal,PA,1.0,0.0,0.0,0.0,0.0,0.0,"
        "0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0",
    ]
    train = [
        "CheXpert-v1.0-small/train/patient80001/study1/view1_frontal.jpg,Female,61,Frontal,PA,1.0,,,,,,,,,0.0,,,,1.0",
        "CheXpert-v1.0-small/train/patient80002/study1/view1_frontal.jpg,Male,33,Frontal,AP,,,-1.0,1.0,,-1.0,,,,,,,,",
        "CheXpert-v1.0-small/train/patient80003/study1/view1_lateral.jpg,Male,40,Lateral,,,,,,,-1.0,,,,,,,,",
    ]
    text(release / "valid.csv", CHEXPERT_HEADER, *valid)
    text(release / "train.csv", CHEXPERT_HEADER, *train)
    picture(release / "valid" / "patient90001" / "study1" / "view1_frontal.jpg")
    return release


def chestx_det10(folder: Path) -> Path:
    """test.json and train.json; an image may have no box."""
    text(
        folder / "test.json",
        json.dumps([
            {"file_name": "36199.png", "syms": ["Effusion", "Mass"], "boxes": [[0, 0, 512, 256], [256, 256, 768, 768]]},
            {"file_name": "36200.png", "syms": [], "boxes": []},
        ]),
    )  # fmt: skip
    text(folder / "train.json", json.dumps([{"file_name": "1.png", "syms": ["Mass"], "boxes": [[0, 0, 512, 512]]}]))
    picture(folder / "test_data" / "36199.png")
    picture(folder / "test_data" / "36200.png")
    return folder


def coco(folder: Path) -> Path:
    """annotations.json as COCO has it: boxes as x, y, width, height; one image without its size, one healthy."""
    document = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 400, "height": 200},
            {"id": 8, "file_name": "b.png"},
            {"id": 9, "file_name": "c.png", "width": 400, "height": 200},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [100, 50, 100, 100]},
            {"id": 2, "image_id": 8, "category_id": 1, "bbox": [10, 5, 20, 10]},
        ],
        "categories": [{"id": 1, "name": "Effusion"}, {"id": 2, "name": "Edema"}],
    }
    text(folder / "annotations.json", json.dumps(document))
    for name in "abc":
        picture(folder / "images" / f"{name}.png")
    return folder


def openi(folder: Path) -> Path:
    """Kaggle's copy of Open-i: reports, projections, images/images_normalized/."""
    header = ["uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression"]
    rows = [
        [1, "normal", "normal", "Chest PA", "Positive TB test", "None.", "The lungs are clear.", "Normal."],
        [2, "Cardiomegaly/borderline", "Cardiomegaly", "Chest", "Preop", "", "", "Borderline cardiomegaly."],
    ]  # fmt: skip
    table(folder / "indiana_reports.csv", header, rows)
    shown = [[1, "1_IM-0001-4001.dcm.png", "Frontal"], [1, "1_IM-0001-3001.dcm.png", "Lateral"],
             [2, "2_IM-0652-1001.dcm.png", "Frontal"]]  # fmt: skip
    table(folder / "indiana_projections.csv", ["uid", "filename", "projection"], shown)
    for _, name, _ in shown:
        picture(folder / "images" / "images_normalized" / str(name))
    return folder


def mimic(folder: Path) -> Path:
    """MIMIC-CXR: split and metadata tables, reports and JPG images below files/."""
    split = ["d1,50000011,10000011,test", "d2,50000011,10000011,test", "d3,50000001,10000999,train",
             "d4,50000002,11000001,test"]  # fmt: skip
    text(folder / "mimic-cxr-2.0.0-split.csv", "dicom_id,study_id,subject_id,split", *split)
    views = ["d1,10000011,50000011,PA", "d2,10000011,50000011,LATERAL"]
    text(folder / "mimic-cxr-2.0.0-metadata.csv", "dicom_id,subject_id,study_id,ViewPosition", *views)
    report = (
        "                 FINAL REPORT\n INDICATION:  ___F with cough\n\n FINDINGS: \n \n The lungs\n are clear.\n\n"
    )
    text(folder / "files/p10/p10000011/s50000011.txt", report + " IMPRESSION: \n \n No acute process.")
    text(folder / "files/p10/p10000999/s50000001.txt", report)
    text(folder / "files/p11/p11000001/s50000002.txt", " IMPRESSION: Unchanged.")
    picture(folder / "files/p10/p10000011/s50000011/d1.jpg")
    picture(folder / "files/p10/p10000011/s50000011/d2.jpg")
    return folder


def vqa_rad_public(folder: Path) -> Path:
    """The original osf.io file: all questions, the test ones marked, images in `VQA_RAD Image Folder`."""
    base = {"image_name": "synpic54610.jpg", "image_organ": "HEAD", "question_type": "PRES", "answer_type": "CLOSED"}
    rows = [
        {**base, "qid": "0", "phrase_type": "freeform", "question": "Are regions infarcted?", "answer": "Yes"},
        {**base, "qid": "1", "phrase_type": "test_freeform", "question": "Is it an MRI?", "answer": "no"},
        {**base, "qid": "2", "phrase_type": "test_para", "question": "How many lesions?", "answer": 2,
         "answer_type": "OPEN"},
    ]  # fmt: skip
    text(folder / "VQA_RAD Dataset Public.json", json.dumps(rows))
    picture(folder / "VQA_RAD Image Folder" / "synpic54610.jpg")
    return folder
