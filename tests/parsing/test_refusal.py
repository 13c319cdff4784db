"""Refusals, and the radiology prose that must not be taken for one."""

import time
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybench.parsing.refusal import RefusalType, refusal
from raybench.parsing.vqa import read_vqa
from tests.parsing.sentences import ANSWERS, REFUSALS

SEED = "I cant help you with that. Is there anything else I can help you with?"


def kind_of(text):
    found = refusal(text)
    return found and found.type


def test_there_is_a_list_for_every_type():
    assert set(REFUSALS) == set(get_args(RefusalType))
    assert sum(map(len, REFUSALS.values())) > 150
    assert len(ANSWERS) > 150


@pytest.mark.parametrize("kind", REFUSALS)
def test_refusals(kind):
    assert {text: kind_of(text) for text in REFUSALS[kind]} == dict.fromkeys(REFUSALS[kind], kind)


def test_answers():
    assert {text: kind for text in ANSWERS if (kind := kind_of(text))} == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SEED, "policy"),
        (SEED.replace("cant", "can’t"), "policy"),
        (SEED.upper(), "policy"),
        ("As an AI language model, I cannot provide medical advice.", "policy"),
        ("作为一个AI语言模型，我不能诊断疾病。", "policy"),
        ("很抱歉，我无法提供医疗诊断。", "policy"),
        ("I’m sorry, I’m not able to interpret medical images.", "inability"),
        ("I cannot answer that from the image.", "inability"),
        ("I cannot see the image.", "no_image"),
        ("我无法看到图片", "no_image"),
        ("请咨询专业医生。", "deferral"),
        ("\u200b。", "degenerate"),
        ("the image shows " * 200, "degenerate"),
        ("A mass. " + "the lung and " * 100, "degenerate"),
        ("The patient has no known illness and comes for a check. " + "no, " * 60 + "n", "degenerate"),
    ],
)
def test_type(text, kind):
    assert kind_of(text) == kind


def test_the_type_is_in_the_extractor():
    answer = read_vqa(SEED, "Is there a nodule?")
    assert (answer.outcome, answer.value, answer.extractor) == ("refused", None, "refusal:policy:cannot_help")
    assert read_vqa("我看不到图片。", "有结节吗？").extractor == "refusal:no_image:image_unseen"
    assert read_vqa(" ", "Where?").extractor == "refusal:empty:no_content"


# --- a refusal that goes on ------------------------------------------------------------------------------------------


def test_an_answer_after_a_disclaimer_is_an_answer():
    opening = "I'm sorry, but I can't give a diagnosis. However, "
    finding = "the image shows a large right pleural effusion with compressive atelectasis of the lower lobe."
    assert refusal(opening + finding) is None
    assert refusal("I cannot provide a diagnosis. The image shows " + finding) is None
    vague = "opacities of this kind, in the lower zones of both lungs, are most often those of pulmonary edema."
    assert refusal(opening + vague) is None, "more than 80 characters after the turn"
    assert refusal(opening + "good luck.") is not None, "less, and no answer by its words"


@pytest.mark.parametrize("answer", ["the answer is: yes", "yes.", "there is an effusion", "it looks like pneumonia"])
def test_a_short_answer_after_a_disclaimer_is_an_answer(answer):
    assert refusal(f"I can't diagnose, but {answer}") is None


@pytest.mark.parametrize(
    "offer",
    [
        "However, I'd be happy to explain " + "general principles of radiology " * 4,
        "However, if you have a report, I can explain the words in it to you, one after another, as far as you like.",
        "But please consult a radiologist, who has the training and the tools to look at this properly and in full.",
        "但是我可以" + "为您介绍一般的影像学知识，" * 10,
    ],
)
def test_an_offer_to_help_otherwise_is_no_answer(offer):
    assert refusal("I can't interpret medical images. " + offer) is not None


# --- any text at all -------------------------------------------------------------------------------------------------

WORDS = st.sampled_from((
    "i", "I'm", "sorry", "cannot", "can't", "as an ai", "the image", "provide", "see", ",", ".", "but", "a", "not",
    "the ",
    "我", "无法", "图片", "抱歉", "，", "不能", "请", "咨询", "医生", " ", "\n", "**", "\\boxed{", "\ud800", "\u200b",
))  # fmt: skip


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(WORDS, max_size=60).map(" ".join), st.lists(WORDS, max_size=60).map("".join)))
def test_any_text_is_read_without_an_error(text):
    found = refusal(text)
    assert found is None or (found.type in get_args(RefusalType) and ":" not in found.rule)
    assert refusal(text) == found
    assert read_vqa(text, "Is it?").outcome in ("answered", "refused", "unparsed")


@settings(deadline=None)
@given(st.text(alphabet=" \n\t\u200b\ufeff*_"))
def test_what_shows_nothing_is_empty(text):
    assert kind_of(text) in ("empty", "degenerate")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry " * 5000, "sorry, " * 8000 + "x", "ab" * 20000 + "c", "as an a-b " * 9000, "i understand " * 5000,
        "for a " * 9000, "a " * 9000 + "radiologist", "建议请" * 9000, "a-b " * 9000 + "doctor should",
        "without seeing " * 5000, "x" * 50000 + "y" * 700,
    ],
)  # fmt: skip
def test_long_texts_take_no_time(text):
    start = time.perf_counter()
    refusal(text)
    assert time.perf_counter() - start < 2
