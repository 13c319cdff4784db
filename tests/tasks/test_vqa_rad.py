"""VQA-RAD: the original layout and the hub's, never pooled."""

from __future__ import annotations

import io
import json
from collections import Counter

import pytest
from PIL import Image

from raybench.data import hub
from raybench.data.images import read_bytes
from raybench.errors import DataError
from raybench.tasks.vqa_rad import VqaRad

ROW = {
    "qid": 11, "image_name": "a.jpg", "image_organ": "CHEST", "answer": "yes", "answer_type": "CLOSED ",
    "question_type": "PRES", "question": "Is it there? ", "phrase_type": "freeform",
}  # fmt: skip


def samples(**options):
    return list(VqaRad(VqaRad.Options(**options)).samples())


def layout(tmp_path, *rows):
    (tmp_path / "testset.json").write_text(json.dumps(rows))
    return str(tmp_path)


@pytest.mark.data
def test_the_real_test_split(test_data):
    found = samples(data=str(test_data / "vqa-rad"))
    assert Counter(sample.slices["answer_type"] for sample in found) == {"closed": 272, "open": 179}
    assert (len(found), len({sample.id for sample in found}), len({sample.cluster for sample in found})) == (
        451,
        451,
        203,
    )
    assert {sample.dataset for sample in found} == {"vqa_rad-osf"}
    assert all(isinstance(sample.targets[0], str) and sample.targets[0] for sample in found)
    for sample in found[:3]:
        assert read_bytes(sample.images[0].uri)[:2] == b"\xff\xd8"


def test_the_original_layout(tmp_path):
    first, second = samples(data=layout(tmp_path, ROW, {**ROW, "qid": "x", "answer": 3, "answer_type": "OPEN"}))
    assert (first.id, first.questions, first.targets, first.cluster) == ("11", ("Is it there?",), ("yes",), "a.jpg")
    assert first.images[0].uri == str(tmp_path / "images" / "a.jpg")
    assert first.slices == {
        "answer_type": "closed", "organ": "CHEST", "question_type": "PRES", "phrase_type": "freeform",
    }  # fmt: skip
    assert (second.id, second.targets, second.slices["answer_type"]) == ("x", ("3",), "open")


def test_no_data_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        samples(data=str(tmp_path))
    assert str(caught.value).startswith(
        f"no VQA-RAD at {tmp_path} (no testset.json): download osf.io/89kps so that DIR"
    )
    with pytest.raises(DataError, match=r"entry 1: no column 'answer_type' \(did you mean 'answertype'\?\)"):
        samples(data=layout(tmp_path, {("answertype" if key == "answer_type" else key): v for key, v in ROW.items()}))


def test_no_hub_and_no_data(monkeypatch):
    def offline(*_args):
        raise DataError("cannot load data set x (split test) from the hub or its cache: offline")
        yield

    monkeypatch.setattr(hub, "read_split", offline)
    with pytest.raises(DataError, match=r"^no VQA-RAD: no `data` folder given and cannot load .*; download osf\.io"):
        samples()


def test_the_hub_layout(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    encoded = []
    for colour in (10, 20):
        buffer = io.BytesIO()
        Image.new("L", (4, 4), colour).save(buffer, "PNG")
        encoded.append({"bytes": buffer.getvalue(), "path": None})
    features = datasets.Features({name: datasets.Value("string") for name in ("question", "answer")})
    features["image"] = datasets.Image()
    columns = {"question": ["Is it?", "Where?", "What?"], "answer": ["No", "left", "x ray"]}
    images = [encoded[0], encoded[1], encoded[0]]
    (tmp_path / "rad").mkdir()
    folder = tmp_path / "rad" / "test.parquet"
    datasets.Dataset.from_dict({**columns, "image": images}, features=features).to_parquet(str(folder))
    found = samples(hub=str(tmp_path / "rad"))
    assert [(sample.id, sample.dataset) for sample in found] == [(f"test-{i}", "vqa_rad-hf") for i in range(3)]
    assert [sample.slices["answer_type"] for sample in found] == ["closed", "open", "open"]
    assert found[0].cluster == found[2].cluster != found[1].cluster
    assert read_bytes(found[1].images[0].uri) == encoded[1]["bytes"]
