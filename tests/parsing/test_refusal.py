"""Refusals, and the radiology prose that must not be taken for one."""

import time

import pytest

from raybench.parsing.refusal import refusal

SEED = "I cant help you with that. Is there anything else I can help you with?"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SEED, "policy"),
        (SEED.replace("cant", "can’t"), "policy"),
        (SEED.replace("cant", "can't"), "policy"),
        ("I'm sorry, but I can't assist with that request.", "policy"),
        ("Im sorry I cant assist with that", "policy"),
        ("As an AI language model, I cannot provide medical advice.", "policy"),
        ("I'm just an AI and can't provide medical diagnoses.", "policy"),
        ("I am sorry, but I am not a doctor and cannot provide a diagnosis", "policy"),
        ("I must respectfully decline to answer.", "policy"),
        ("It would be inappropriate for me to diagnose from images.", "policy"),
        ("I won't answer that.", "policy"),
        ("**I cannot comply.**", "policy"),
        ("很抱歉，我无法提供医疗诊断。", "policy"),
        ("我拒绝回答这个问题。", "policy"),
        ("I’m sorry, I’m not able to interpret medical images.", "inability"),
        ("Unfortunately, I cannot analyze X-rays.", "inability"),
        ("I'm sorry, but I cannot determine the diagnosis.", "inability"),
        ("作为一个AI语言模型，我不能诊断疾病。", "inability"),
        ("I cannot see the image.", "missing_image"),
        ("I don't see any image attached. Please upload it.", "missing_image"),
        ("No image was provided.", "missing_image"),
        ("我无法看到图片", "missing_image"),
        ("Please consult a qualified healthcare professional for a diagnosis.", "deferral"),
        ("请咨询专业医生。", "deferral"),
        ("", "empty"),
        (" \n\t", "empty"),
        ("...", "empty"),
        ("—", "empty"),
        ("\u200b。", "empty"),
        ("the the the the the the the the the the the the the the", "degenerate"),
        ("the image shows " * 200, "degenerate"),
    ],
)
def test_refusals(text, kind):
    found = refusal(text)
    assert found is not None
    assert found.type == kind


@pytest.mark.parametrize(
    "text",
    [
        "No",
        "无",
        "0",
        "CT",
        "No.",
        "I cannot exclude a small pneumothorax.",
        "Cannot exclude pneumothorax",
        "Unable to assess due to rotation",
        "Pneumonia cannot be excluded.",
        "I cannot rule out malignancy.",
        "No acute finding can be determined on this view.",
        "I cannot see a fracture in the image.",
        "I don't see any evidence of pneumonia in the image.",
        "There is no image evidence of fracture.",
        "As an AI, I see pneumonia.",
        "I'm not a doctor, but this looks like pneumonia.",
        "Sorry, the answer is yes",
        "The image shows a normal chest. Please consult a doctor.",
        "无法排除气胸",
        "没有看到异常",
        "没有影像学异常",
        "The patient said: I can't help you with that.",
    ],
)
def test_answers(text):
    assert refusal(text) is None


def test_an_answer_after_a_disclaimer_is_an_answer():
    opening = "I'm sorry, but I can't give a diagnosis. However, "
    finding = "the image shows a large right pleural effusion with compressive atelectasis of the lower lobe."
    assert refusal(opening + finding) is None
    assert refusal("I cannot provide a diagnosis. The image shows " + finding) is None
    assert refusal(opening + "good luck.") is not None, "80 characters are the bar"


def test_an_offer_to_help_otherwise_is_no_answer():
    text = (
        "I can't interpret medical images. However, I'd be happy to explain " + "general principles of radiology " * 4
    )
    assert refusal(text) is not None


@pytest.mark.parametrize("text", ["I'm sorry " * 5000, "sorry, " * 8000 + "x", "ab" * 20000 + "c", "as an a-b " * 9000])
def test_long_texts_take_no_time(text):
    start = time.perf_counter()
    refusal(text)
    assert time.perf_counter() - start < 2
