"""Yes/no, labels and choices under any text: never an exception, only listed values, reading a value gives it back."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raybench.parsing.choice import read_choice
from raybench.parsing.labels import read_label
from raybench.parsing.vqa import read_classification, read_free_text, read_vqa
from raybench.parsing.yes_no import fold_yes_no, read_yes_no

CHOICES = ["Pneumonia", "Pleural effusion", "Lung mass", "mass"]
WORDS = ["yes", "no", "No.", "not", "cannot", "nodule", "The answer is", "Answer:", "A", "B", "(C)", "D.", "option",
         "no evidence of", "cannot exclude", "pneumonia", "pleural effusion", "lung mass", "mass", "but", "\n", ".",
         ",", "**", "\\boxed{", "}", "是", "没有", "答案：", "，", "I", "can't", "²", "\u200b", "(", ")"]  # fmt: skip

texts = st.one_of(st.text(max_size=120), st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join))
lists = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=26, unique=True)


@settings(deadline=None, max_examples=120)
@given(texts, texts)
def test_yes_no(text, question):
    found = read_yes_no(text, question)
    assert found.value in ("yes", "no", None)
    assert bool(found.extractor) == (found.value is not None)
    if found.value is not None:
        again = read_yes_no(found.value, question)
        assert (again.value, again.format) == (found.value, "exact_contract")
        assert fold_yes_no(found.value) == found.value


@settings(deadline=None, max_examples=80)
@given(st.text(alphabet="bcdfghjklmpqrtuvwxz 0123456789", max_size=100))
def test_no_yes_or_no_without_the_word(text):
    assert read_yes_no(text).value is None


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(["cannot", "normal", "nodule", "note", "known", "eyes", "yesterday", "nonetheless", "no-one"]))
def test_no_yes_or_no_inside_a_word(word):
    assert read_yes_no(f"The {word} here").value is None


@settings(deadline=None, max_examples=120)
@given(texts, st.one_of(st.just(CHOICES), lists))
def test_labels(text, labels):
    found = read_label(text, labels)
    assert found.value is None or found.value in labels
    assert bool(found.extractor) == (found.value is not None)


@settings(deadline=None, max_examples=120)
@given(texts, st.sampled_from(CHOICES))
def test_a_label_read_is_read_again(text, extra):
    for value in (read_label(text, CHOICES).value, extra):
        if value is not None:
            again = read_label(value, CHOICES)
            assert (again.value, again.format) == (value, "exact_contract")


@settings(deadline=None, max_examples=120)
@given(texts, st.one_of(st.just(CHOICES), lists))
def test_choices(text, choices):
    answer = read_choice(text, choices)
    assert answer.outcome in ("answered", "refused", "unparsed")
    assert (answer.value in choices) if answer.outcome == "answered" else (answer.value is None)


@settings(deadline=None, max_examples=120)
@given(texts)
def test_a_choice_read_is_read_again(text):
    answer = read_choice(text, CHOICES)
    for value in (answer.value, *CHOICES):
        if value is not None:
            again = read_choice(value, CHOICES)
            assert (again.value, again.format) == (value, "exact_contract")


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 3), st.sampled_from(["{}", "({})", "{}.", "{})", "The answer is {}.", "Answer: {}", "**{}**"]))
def test_every_letter_is_its_choice(index, form):
    assert read_choice(form.format("ABCD"[index]), CHOICES).value == CHOICES[index]


@settings(deadline=None, max_examples=120)
@given(texts, texts, st.sampled_from([(), CHOICES]))
def test_whole_responses(text, question, choices):
    for answer in (read_vqa(text, question, choices), read_free_text(text), read_classification(text, CHOICES)):
        assert answer.outcome in ("answered", "refused", "unparsed")
        assert (answer.value is None) == (answer.outcome != "answered")


@settings(deadline=None, max_examples=80)
@given(texts)
def test_free_text_read_is_read_again(text):
    answer = read_free_text(text)
    assume(answer.value is not None)
    assume(answer.extractor == "free_text:whole")
    assert read_free_text(answer.value).value == answer.value
