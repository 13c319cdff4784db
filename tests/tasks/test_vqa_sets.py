"""SLAKE, PathVQA, PMC-VQA and LLaVA-Med qa50 in their published layouts."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter

import pytest

from raybench.data.images import read_bytes
from raybench.errors import DataError, SpecError
from raybench.interfaces import render
from raybench.tasks.medical_chat import MedicalChat
from raybench.tasks.multiple_choice import MultipleChoice
from raybench.tasks.path_vqa import PathVqa
from raybench.tasks.pmc_vqa import PmcVqa
from raybench.tasks.slake import Slake
from tests.tasks import layouts


def task(plugin, **options):
    return plugin(plugin.Options(**options))


def samples(plugin, **options):
    return list(task(plugin, **options).samples())


def row(sample, name="t"):
    return {**sample.to_row(name, 0), "image_sha256": ["x"] * len(sample.images)}


def test_slake_in_each_language(tmp_path):
    data = str(layouts.slake(tmp_path))
    english, chinese = samples(Slake, data=data), samples(Slake, data=data, language="zh")
    assert [sample.id for sample in english] == ["1", "2"]
    assert [sample.id for sample in chinese] == ["3", "4"]
    assert {sample.dataset for sample in english} == {"slake-en"}
    both = samples(Slake, data=data, language=["zh", "en"])
    assert ([sample.id for sample in both], both[0].dataset) == (["1", "2", "3", "4"], "slake-en+zh")
    assert both == samples(Slake, data=data, language="both")
    first, *_, last = both
    assert first.slices == {
        "answer_type": "closed", "language": "en", "modality": "MRI", "content_type": "Organ", "base_type": "vqa",
        "location": "Abdomen",
    }  # fmt: skip
    assert (last.slices["base_type"], last.targets) == ("kvqa", ("解毒",))
    assert first.images[0].uri == str(tmp_path / "imgs" / "xmlab1" / "source.jpg")
    prompts = Slake.prompts["short"]
    assert render(prompts, row(first)).endswith("liver?\nAnswer with a single word or phrase.")
    assert render(prompts, row(last)) == "肝脏有什么作用?\n请用一个词或短语回答。"
    assert task(Slake, data=data).parse(row(chinese[0]), "是的。").value == "yes"


def test_slake_takes_examples_from_training_and_counts_as_published(tmp_path):
    data = str(layouts.slake(tmp_path))
    found = task(Slake, data=data).examples(1)
    assert (len(found), found[0].split) == (1, "train")
    assert found == task(Slake, data=data).examples(1)
    counts = {
        (split, language): task(Slake, split=split, language=language).expected_count()
        for split in ("train", "valid", "test") for language in ("en", "zh", "both")
    }  # fmt: skip
    assert counts["test", "en"] == 1061
    assert counts["test", "both"] == 1061 + 1033
    assert counts["valid", "zh"] == 1046
    assert counts["train", "en"] == 4919


def test_slake_reads_packed_images(tmp_path):
    layouts.slake(tmp_path)
    wanted = (tmp_path / "imgs" / "xmlab1" / "source.jpg").read_bytes()
    shutil.make_archive(str(tmp_path / "imgs"), "zip", tmp_path, "imgs")
    shutil.rmtree(tmp_path / "imgs")
    sample = samples(Slake, data=str(tmp_path))[0]
    assert sample.images[0].uri == f"zip://imgs/xmlab1/source.jpg::{tmp_path}/imgs.zip"
    assert read_bytes(sample.images[0].uri) == wanted


@pytest.mark.data
def test_the_real_slake(test_data):
    folder = str(test_data / "slake")
    found = samples(Slake, data=folder)
    assert Counter(sample.slices["answer_type"] for sample in found) == {"open": 645, "closed": 416}
    assert len({sample.cluster for sample in found}) == 96
    assert len(samples(Slake, data=folder, language="both")) == 2094
    assert len(samples(Slake, data=folder, split="validation")) == 1053


@pytest.mark.parametrize("plugin", [Slake, PathVqa, PmcVqa, MedicalChat])
def test_no_data_says_how_to_get_it(plugin, tmp_path):
    with pytest.raises(DataError, match=r"^no .* at .*\(no .*\): .*`data: DIR` \(--data DIR\)"):
        samples(plugin, data=str(tmp_path))


def test_path_vqa_as_published(tmp_path):
    data = str(layouts.path_vqa(tmp_path / "pvqa"))
    first, second = samples(PathVqa, data=data)
    assert (first.id, first.dataset, first.slices) == ("test-0", "path_vqa-original", {"answer_type": "open"})
    assert second.slices == {"answer_type": "closed"}
    assert first.cluster == second.cluster == "test_0001"
    assert first.images[0].uri == f"{data}/images/test/test_0001.jpg"
    assert [sample.id for sample in samples(PathVqa, data=data, split="val")] == ["validation-0"]
    assert task(PathVqa, data=data).examples(5)[0].targets == ("kidney",)
    assert task(PathVqa, data=data).expected_count() == 6761
    assert task(PathVqa).expected_count() == 6719
    assert samples(PathVqa, data=str(tmp_path)) == [first, second], "the folder above pvqa/ is taken too"


def test_path_vqa_builds_nothing_but_plain_rows(tmp_path):
    path = tmp_path / "qas" / "test" / "test_qa.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps([{"image": layouts.picture}]))
    with pytest.raises(DataError, match="as a pickle of plain rows: it names tests"):
        samples(PathVqa, data=str(tmp_path))


def test_pmc_vqa_in_both_versions(tmp_path):
    data = str(layouts.pmc_vqa(tmp_path))
    (new,) = samples(PmcVqa, data=data)
    assert (new.id, new.dataset, new.split, new.targets) == ("301", "pmc_vqa", "test_2", ("Lung",))
    assert new.choices == ("Heart", "Lung", "Liver", "Spleen")
    assert new.context == {"caption": "CT of the chest."}
    assert new.images[0].uri == f"{data}/images_2/PMC2000002_Fig4.jpg"
    assert new.slices == {"answer_type": "closed", "right_letter": "B"}
    (old,) = samples(PmcVqa, data=data, split="test_clean")
    assert (old.id, old.choices[1], old.targets) == ("test_clean-0", "Round", ("Round",))
    assert old.images[0].uri == f"{data}/images/PMC1000001_F1.jpg"
    assert {sample.split for sample in task(PmcVqa, data=data).examples(9)} == {"train_2"}
    assert [task(PmcVqa, split=split).expected_count() for split in ("test_2", "test_clean")] == [33430, 2000]


def test_choices_are_lettered_and_read_either_way(tmp_path):
    pmc = task(PmcVqa, data=str(layouts.pmc_vqa(tmp_path)))
    sample = row(next(pmc.samples()))
    (message,) = pmc.messages(sample, "letter")
    assert message["content"][-1]["text"] == (
        "What is shown?\nA. Heart\nB. Lung\nC. Liver\nD. Spleen\nAnswer with the letter of the right option only."
    )
    assert [pmc.parse(sample, text).value for text in ("B", "B. Lung", "The answer is (B).", "Lung")] == ["Lung"] * 4
    assert pmc.labels(sample) is None
    forced = task(PmcVqa, data=str(tmp_path), probabilities=True)
    assert forced.labels(sample) == ["A", "B", "C", "D"]


def test_own_multiple_choice(tmp_path):
    layouts.text(
        tmp_path / "q.jsonl",
        '{"question_id": "o1", "image_path": "a.png", "question": "What?", "option_A": "CT", "option_B": "MR", '
        '"option_C": "", "gt_answer": "MR", "modality_type": "MR"}',
        '{"question_id": "o2", "image_path": "a.png", "question": "Where?", "option_A": "Left", "option_B": "Right", '
        '"option_C": "Both", "gt_answer": "c", "modality_type": "CT"}',
    )
    options = {
        "data": str(tmp_path / "q.jsonl"), "choice_columns": ("option_A", "option_B", "option_C"),
        "columns": {"id": "question_id", "image": "image_path", "answer": "gt_answer"}, "slices": ("modality_type",),
    }  # fmt: skip
    first, second = samples(MultipleChoice, **options)
    assert (first.choices, first.targets) == (("CT", "MR"), ("MR",))
    assert (second.choices, second.targets) == (("Left", "Right", "Both"), ("Both",))
    assert first.slices == {"modality_type": "MR", "answer_type": "closed"}
    with pytest.raises(DataError, match=r"no column 'option_1' \(did you mean 'option_\w'\?\) \(choice_columns\)"):
        samples(MultipleChoice, **{**options, "choice_columns": ("option_1",)})
    layouts.text(tmp_path / "c.jsonl", '{"question": "q", "choices": ["A: no", "B: yes"], "answer": "maybe"}')
    with pytest.raises(DataError, match="answer 'maybe' is neither a letter nor one of the choices: no, yes"):
        samples(MultipleChoice, data=str(tmp_path / "c.jsonl"))


def test_qa50_as_published(tmp_path):
    data = str(layouts.qa50(tmp_path))
    first, second = samples(MedicalChat, data=data)
    assert (first.id, first.dataset, first.questions) == ("0", "llava-med-qa50", ("What is the organ?",))
    assert second.questions == ("Analyze the image in full.",)
    assert first.slices == {"type": "conversation", "domain": "histology"}, "histology stands before gross"
    assert second.slices == {"type": "detailed_description", "domain": "ct_scan"}
    assert first.targets == ("The conjunctiva.",)
    assert first.context["figure_caption"] == "A section."
    assert first.context["mentions"] == "No cells were found ( Fig. 3 ) ."
    assert first.context["caption"] == "A section.\nNo cells were found ( Fig. 3 ) ."
    assert second.images[0].uri == f"{data}/images/2_F1.jpg", "a figure that is gone keeps its place"
    assert task(MedicalChat, data=data).expected_count() == 193
    for template in MedicalChat.prompts.values():
        assert "A section" not in render(template, row(first)), "the caption shows only where it is asked for"
    with pytest.raises(SpecError, match="no other split"):
        task(MedicalChat, data=data).examples(1)
