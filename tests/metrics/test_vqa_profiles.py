"""VQA profiles: what five projects' own code printed for the same answers, and what each rule credits."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybench import registry
from raybench.metrics.raybench_strict import PLUGIN as Strict
from raybench.metrics.vqa_v2_exact import PLUGIN as Exact
from raybench.parsing.closed_vocabulary import NEAREST, nearest_answer
from raybench.parsing.vqa import read_vqa
from raybench.tasks.slake import PLUGIN as Slake
from raybench.tasks.vqa_rad import PLUGIN as VqaRad

PEERS = ("llava-med-v1-batch", "llava-med-v1-gate", "medevalkit-9b12e3b", "vqa-v2-exact", "lmms-slake")


def record(text, target, question="Is there a nodule?", kind="closed", **more):
    answer = read_vqa(text, question)
    return {
        "outcome": answer.outcome, "value": answer.value, "format": answer.format, "text": text, "target": target,
        "targets": [target], "choices": [], "slices": {"answer_type": kind}, "question": question,
        "extractor": answer.extractor, "notes": {}, "context": {}, "task": "vqa", "dataset": "d", **more,
    }  # fmt: skip


def open_record(text, target, **more):
    return record(text, target, "Which organ?", "open", **more)


def profile(name):
    return registry.load("metrics", name)()


def scores(profile, records):
    rows = [profile.statistics(record) for record in records]
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    weights = np.ones((1, len(rows)))
    return {
        metric.name: (metric.values(columns, weights)[0], int(columns[metric.over].sum()))
        for metric in profile.metrics
        if columns[metric.over].sum()
    }


def value(name, metric, *records):
    return scores(profile(name), records)[metric][0]


def records_of(task, said):
    """The task's samples with answers by id, as scoring hands them to a profile."""
    for sample in task.samples():
        text = said(sample)
        row = {"questions": list(sample.questions), "choices": [], "context": "{}"}
        notes = dict(task.parse(row, text).notes)
        yield record(
            text, sample.targets[0], sample.questions[0], sample.slices["answer_type"],
            task=type(task).__name__.lower(), dataset=sample.dataset, notes=notes,
        )  # fmt: skip


# --- other projects' own numbers -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mumc(test_data):
    """A real model's answers to VQA-RAD, and what the five projects' own code printed for them."""
    folder = Path(test_data)
    said = {str(p["qid"]): str(p["answer"]) for p in json.loads((folder / "mumc-vqarad/final_pred.json").read_text())}
    task = VqaRad(VqaRad.Options(data=str(folder / "vqa-rad")))
    return list(records_of(task, lambda sample: said[sample.id]))


@pytest.mark.data
@pytest.mark.parametrize("name", PEERS)
def test_what_the_peers_print(name, mumc, test_data):
    expected = json.loads((test_data / "mumc-vqarad/expected_profiles.json").read_text())[name]
    found = scores(profile(name), mumc)
    for key in ("closed", "open"):
        count = expected.pop(f"n_{key}", {"closed": 272, "open": 179}[key])
        assert {n for metric, (_, n) in found.items() if metric.startswith(key)} == {count}
    for metric, printed in expected.items():
        assert float(f"{found[metric][0]:.{len(str(printed)) - 2}f}") == printed, metric


@pytest.mark.data
def test_the_row_of_many_scorers(mumc):
    """metrics.md 1.6, row MUMC: nine numbers from one file of answers."""
    asked = [
        ("llava-med-v1-gate", "closed_accuracy", 81.62), ("llava-med-v1-batch", "closed_accuracy", 84.93),
        ("medevalkit-9b12e3b", "closed_accuracy", 88.45), ("vqa-v2-exact", "closed_accuracy", 84.56),
        ("llava-med-v1-batch", "open_recall", 60.75), ("llava-med-v1-batch", "open_accuracy", 58.66),
        ("vqa-v2-exact", "open_accuracy", 58.10), ("lmms-slake", "open_accuracy", 55.87),
        ("medevalkit-9b12e3b", "open_exact", 52.00),
    ]  # fmt: skip
    found = [round(100 * scores(profile(name), mumc)[metric][0], 2) for name, metric, _ in asked]
    assert found == [printed for *_, printed in asked]


@pytest.mark.data
def test_mumc_as_published(mumc, test_data):
    found = scores(Exact(), mumc)
    published = json.loads((test_data / "mumc-vqarad" / "final_acc.json").read_text())
    assert found["closed_accuracy"] == (pytest.approx(published["perAnswerType"]["CLOSED"] / 100, abs=5e-5), 272)
    assert found["open_accuracy"] == (pytest.approx(published["perAnswerType"]["OPEN"] / 100, abs=5e-5), 179)
    assert found["overall_accuracy"] == (pytest.approx(published["overall"] / 100, abs=5e-5), 451)


@pytest.mark.data
@pytest.mark.parametrize("name", ["raybench-strict", *PEERS])
@pytest.mark.parametrize(("language", "count"), [("en", 1061), ("zh", 1033)])
def test_slake_answered_right(name, language, count, test_data):
    task = Slake(Slake.Options(data=str(test_data / "slake"), language=language))
    records = list(records_of(task, lambda sample: sample.targets[0]))
    found = scores(profile(name), records)
    assert len(records) == count
    accuracies = {metric: number for metric, (number, _) in found.items() if metric.endswith("accuracy")}
    if name == "llava-med-v1-gate":  # a closed answer without yes or no is beyond it
        assert accuracies == {"closed_accuracy": pytest.approx(355 / 416 if language == "en" else 0, abs=3e-3)}
    else:
        assert set(accuracies.values()) == {1.0}


@pytest.mark.data
def test_always_no(test_data):
    """metrics.md 1.6: the baselines to print beside."""
    slake = Slake(Slake.Options(data=str(test_data / "slake"), language="en"))
    rad = VqaRad(VqaRad.Options(data=str(test_data / "vqa-rad")))
    no = {task: list(records_of(task, lambda _: "no")) for task in (slake, rad)}
    for name in ("raybench-strict", "llava-med-v1-batch", "vqa-v2-exact", "lmms-slake", "medevalkit-9b12e3b"):
        assert round(100 * value(name, "closed_accuracy", *no[slake]), 1) == 43.3
    assert round(100 * value("vqa-v2-exact", "closed_accuracy", *no[rad]), 1) == 48.9
    assert round(100 * value("medevalkit-9b12e3b", "closed_accuracy", *no[rad]), 1) == 53.0


# --- what each rule credits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target", "question", "exact", "strict"),
    [
        ("No", "no", "Is there a nodule?", 1, 1),
        ("Yes, a nodule is present", "Yes", "Is there a nodule?", 0, 1),
        ("I'm sorry, I cannot help", "no", "Is there a nodule?", 0, 0),
        ("Unknown", "no", "Is there a nodule?", 0, 0),
        ("", "no", "Is there a nodule?", 0, 0),
        ("不是", "否", "这是肝脏吗？", 0, 1),
        ("3.4 cm", "34 cm", "How large is it?", 1, 0),
        ("none", "0", "How many nodules?", 1, 0),
        ("the right side", "Right side.", "Where is it?", 1, 1),
        ("left side", "right side", "Where is it?", 0, 0),
    ],
)
def test_what_each_profile_credits(text, target, question, exact, strict):
    asked = record(text, target, question)
    assert Exact().statistics(asked)["hit"] == exact
    assert Strict().statistics(asked)["hit"] == strict


CLOSED = [
    # text, target, batch, gate, medevalkit, medevalkit on slake, lmms
    ("Yes", "yes", 1, 1, 1, 1, 1),
    ("Yes, a nodule is present", "yes", 1, 1, 0, 0, 0),
    ("Yes, there is no effusion", "yes", 1, 1, 0, 0, 0),
    ("Unknown", "no", 1, 1, 1, 1, 0),
    ("I cannot tell", "no", 1, 1, 1, 1, 0),
    ("none", "no", 0, 0, 1, 1, 0),
    ("The answer is: no.", "no", 1, 1, 1, 1, 0),
    ("**Answer**: yes", "yes", 1, 1, 1, 1, 0),
    ("no, \\boxed{yes}", "yes", 1, 1, 1, 1, 0),
    ("the area is boxed, no doubt", "no", 1, 1, 0, 0, 0),
    ("nope", "no", 1, 1, 1, 1, 1),
    ("", "no", 0, 0, 0, 0, 0),
]


@pytest.mark.parametrize(("text", "target", "batch", "gate", "kit", "slake", "lmms"), CLOSED)
def test_closed_rules(text, target, batch, gate, kit, slake, lmms):
    asked, on_slake = record(text, target), record(text, target, task="slake", dataset="slake-en")
    found = [value(name, "closed_accuracy", asked) for name in PEERS if name != "vqa-v2-exact"]
    assert found == [batch, gate, kit, lmms]
    assert value("medevalkit-9b12e3b", "closed_accuracy", on_slake) == slake


@pytest.mark.parametrize(
    ("text", "target", "kit", "lmms"),
    [
        ("No", "No", 1, 1), ("No.", "No", 1, 1), ("No, none", "No", 0, 0), ("不是", "不是", 1, 1), ("否", "不是", 0, 1),
        ("不包含。", "不包含", 0, 1), ("没有", "无", 0, 1), ("异常", "不正常", 0, 1), ("MRI", "mri", 1, 1),
        ("X-ray (chest)", "x ray", 0, 1), ("左侧", "右侧", 0, 0),
    ],
)  # fmt: skip
def test_slake_wants_the_exact_word_of_one_and_folds_for_the_other(text, target, kit, lmms):
    asked = record(text, target, task="slake", dataset="slake-en+zh")
    assert value("medevalkit-9b12e3b", "closed_accuracy", asked) == kit
    assert value("lmms-slake", "closed_accuracy", asked) == lmms


def test_which_rows_are_closed():
    """VQA-RAD's 21 closed questions that are not answered yes or no: open for MedEvalKit alone."""
    records = [record("MRI", "MRI"), record("yes", "yes"), open_record("yes", "yes"), open_record("lung", "liver")]
    counts = {name: scores(profile(name), records)["closed_accuracy"][1] for name in PEERS}
    assert counts == dict.fromkeys(PEERS, 2)
    found = scores(profile("medevalkit-9b12e3b"), records)
    assert (found["closed_accuracy"], found["open_accuracy"]) == ((1.0, 2), (0.5, 2))
    on_slake = scores(profile("medevalkit-9b12e3b"), [{**each, "task": "slake"} for each in records])
    assert (on_slake["closed_accuracy"], on_slake["open_accuracy"]) == ((1.0, 2), (0.5, 2))
    assert value("llava-med-v1-gate", "closed_accuracy", record("MRI", "MRI")) == 0
    assert value("llava-med-v1-gate", "closed_accuracy", record("MRI, not CT", "MRI")) == 1


def test_repetition_inflates_recall():
    """metrics.md 1.1: "lung lung lung" for "lung heart" has recall .75, truly .5."""
    asked = open_record("lung lung lung", "lung heart")
    for name in ("llava-med-v1-batch", "llava-med-v1-gate"):
        found = {metric: number for metric, (number, _) in scores(profile(name), [asked]).items()}
        assert found["open_recall"] == 0.75
        assert found["open_precision"] == 1.0
        assert found["open_exact"] == pytest.approx(1 / 3)
    strict = scores(Strict(), [asked])
    assert (strict["open_recall"][0], strict["open_precision"][0]) == (0.5, pytest.approx(1 / 3))
    zh = scores(Strict(), [open_record("左肺上叶", "左肺")])
    assert (zh["open_recall"][0], zh["open_precision"][0]) == (1.0, 0.5)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_unigram_bleu_agrees_with_nltk():
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    pairs = [
        ("right lung", "the right lung"), ("lung lung lung", "lung heart"), ("left", "right"), ("", "right"),
        ("a mass in the left upper lobe", "left upper lobe mass"), ("liver. spleen", "liver"), ("x", "x y z w v"),
    ]  # fmt: skip
    for said, target in pairs:
        words = [[word for word in text.split() if word not in ("a", "the")] for text in (said, target)]
        expected = bleu.sentence_bleu([words[1]], words[0], weights=(1, 0, 0, 0)) if words[0] else 0
        asked = open_record(said.replace(".", ""), target)
        if "." not in said:
            assert value("llava-med-v1-batch", "open_bleu_1", asked) == pytest.approx(expected, abs=1e-12)
        if said:
            tokens = [text.replace(".", " .").split(" ") for text in (said, target)]
            expected = bleu.sentence_bleu([tokens[1]], tokens[0], weights=[1])
            found = value("medevalkit-9b12e3b", "open_bleu_1", open_record(said, target))
            assert found == pytest.approx(expected, abs=1e-12)


def test_rotated_columns():
    """metrics.md 1.4: "the right lung" for "right lung" prints precision .8, recall .667, F1 1.0."""
    found = scores(profile("medevalkit-9b12e3b"), [open_record("the right lung", "right lung")])
    assert [round(found[f"open_{name}"][0], 3) for name in ("precision", "recall", "f1")] == [0.8, 0.667, 1.0]


@pytest.mark.parametrize("blank", ["", "  ", "...", "The answer is", "<answer> </answer> Answer:"])
def test_a_row_that_ends_the_peers_run(blank):
    found = scores(profile("medevalkit-9b12e3b"), [open_record(blank, "lung"), open_record("lung", "lung")])
    assert found["peer_crashes"] == (1.0, 2)
    assert found["open_exact"] == (0.5, 2), "out of the sum, not of the denominator"
    assert profile("medevalkit-9b12e3b").metrics[-1].unit == "rows"


@pytest.mark.parametrize(
    ("text", "target", "hit"),
    [
        ("B", "Heart", 1), ("b.", "Heart", 1), ("Answer: B", "Heart", 1), ("heart", "B", 1),
        ("The hearts", "Heart", 1), ("", "Lung", 1), ("", "Heart", 0), ("A\n\nsince ...", "Lung", 1), ("C", "Heart", 0),
    ],
)  # fmt: skip
def test_multiple_choice_takes_the_most_similar_choice(text, target, hit):
    asked = record(text, target, choices=["Lung", "Heart", "Liver"])
    assert scores(profile("medevalkit-9b12e3b"), [asked])["overall_accuracy"] == (hit, 1)


def test_the_closed_vocabulary_of_run_eval():
    candidates = ("right lung", "Left lung", "the lung", "2")
    asked = {
        "It is in the left lung": "left lung", "lung": "lung", "two": "2", "spleen": "right lung", "": "right lung",
    }  # fmt: skip
    assert {text: nearest_answer(text, candidates) for text in asked} == asked
    known = open_record("the lung, left", "Left lung.", notes={NEAREST: "left lung"})
    found = scores(profile("llava-med-v1-gate"), [known, {**known, "notes": {NEAREST: "lung"}}])
    assert found["open_accuracy"] == (0.5, 2)
    assert "open_accuracy" not in scores(profile("llava-med-v1-gate"), [open_record("lung", "lung")])


def test_a_refusal_is_wrong_for_us_and_words_for_others():
    asked = open_record("I cannot help with that.", "help")
    assert scores(Strict(), [asked])["open_recall"] == (0.0, 1)
    assert value("llava-med-v1-batch", "open_accuracy", asked) == 1


def test_closed_and_open_add_up():
    records = [record("yes", "yes", kind="CLOSED"), record("left", "right", "Where?", "open"), record("no", "yes")]
    found = scores(Strict(), records)
    assert {name: found[name] for name in ("closed_accuracy", "open_accuracy", "overall_accuracy")} == {
        "closed_accuracy": (0.5, 2), "open_accuracy": (0.0, 1), "overall_accuracy": (pytest.approx(1 / 3), 3),
    }  # fmt: skip
    assert all(metric.binary == metric.name.endswith("accuracy") for metric in Strict.metrics)


TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(["yes", "no", "a", ".", ",", "-", "answer:", "<answer>", "\\boxed{", "}", "\n", "不", "3.5"])
    ).map("".join),
)


@settings(deadline=None)
@given(text=TEXTS, target=TEXTS, kind=st.sampled_from(["open", "closed", ""]), task=st.sampled_from(["vqa", "slake"]))
def test_any_text_is_scored(text, target, kind, task):
    asked = record(text, target, kind=kind, task=task)
    for name in ("raybench-strict", *PEERS):
        columns = profile(name).statistics(asked)
        assert all(0 <= number <= 1 for number in columns.values())
        assert profile(name).statistics(asked) == columns


def test_a_hundred_thousand_rows_are_quick():
    answers = ["right lung", "yes", "The image shows a mass in the left upper lobe, about 3.5 cm (x-ray)."]
    records = [open_record(answers[i % 3], answers[(i + i // 7) % 3]) for i in range(99)]
    for name in ("raybench-strict", *PEERS):
        scorer = profile(name)
        start = time.perf_counter()
        for _ in range(20):
            for each in records:
                scorer.statistics(each)
        assert (time.perf_counter() - start) / 1980 < 1e-3, "100,000 rows within 100 s a profile, on any machine"
