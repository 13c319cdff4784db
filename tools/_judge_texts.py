"""Groups about the rest: numbers, kinds of image, diagnoses, what no image tells, and words of any kind."""

from __future__ import annotations

from collections.abc import Callable

from tools import judge_attacks as attacks
from tools import judge_phrases as say
from tools import judge_replies as replies
from tools import judge_words as words
from tools._judge_writer import (
    FAMILIES,
    MAIN,
    A,
    B,
    C,
    Draft,
    Text,
    Writer,
    cased,
    coined,
    either,
    joined,
    mixed,
    normal,
    some_field,
)

__all__ = ["count", "diagnosis", "image_kind", "plain_yes_no", "term", "unanswerable"]


def count(writer: Writer) -> Draft:
    """How many?"""
    kind = some_field(writer)
    number = int(writer.rng.random() * 5)
    concept = writer.pick(MAIN[kind]) if writer.chance(0.4) else ""
    noun = writer.bare(concept) if concept else writer.pick(("finding", "finding", "abnormality"))
    plural = {"finding": "findings", "abnormality": "abnormalities"}.get(
        noun, noun if noun.endswith("s") else f"{noun}s"
    )
    asked = "findings" if not concept else f"{concept}s"
    question = writer.pick(
        (f"How many {asked} are there?", f"How many {asked} are there?", f"How many {asked} does the image show?")
    )
    draft = Draft(
        question,
        str(number) if writer.chance(0.8) else ("zero", "one", "two", "three", "four")[number],
        (f"n{number}",),
    )

    def counted(value: int) -> Text:
        if value == 0:
            zero = (
                "0",
                "zero",
                "none",
                "no " + plural,
                "there are no " + plural,
                "there are none",
                "i see no " + plural,
                "not a single one",
            )
            return (normal(writer, kind) if writer.chance(0.2) else writer.pick(zero)), ("n0",)
        word = writer.pick(words.NUMBERS[value][:2]) if writer.chance(0.7) else writer.pick(words.NUMBERS[value])
        text = writer.frame(say.COUNT, x=word, n="" if " " in word else noun if value == 1 else plural)
        return " ".join(text.split()), (f"n{value}",)

    def wrong() -> Text:
        return counted(int(writer.other(str(number), tuple("0123456"))))

    draft.add(A, "paraphrase", lambda: counted(number), 3)
    draft.add(B, "wrong count", wrong, 3)
    draft.add(B, "contradiction", lambda: (mixed(writer, counted(number)[0], wrong()[0]), (f"n{number}",)), 0.8)
    open_ = lambda: either(writer, counted(number)[0], wrong()[0])  # noqa: E731
    draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **open_()), (f"n{number}",)), 0.5)
    several = ("several", "a few", "many", "some", "multiple", f"there are several {plural}", f"more than one {noun}")
    if number > 1:
        draft.add(C, "vague", lambda: (writer.pick(several), ()), 1)
    return draft


def image_kind(writer: Writer) -> Draft:
    """Contrast, modality, plane, view and body part, open or as a yes-or-no question."""
    family = writer.rng.choices(FAMILIES, (5, 2, 1, 1, 1))[0]
    real = writer.pick(family)
    name = words.IMAGE_KINDS[real][0]
    shown = name.upper() if real in ("t1", "t2", "flair", "mri", "ct") else name
    say_kind = lambda which: writer.frame(say.KIND, x=writer.pick(words.IMAGE_KINDS[which]))  # noqa: E731
    deny = lambda which: _denied_kind(writer, writer.pick(words.IMAGE_KINDS[which]))  # noqa: E731
    say_plain = lambda text: text if writer.chance(0.5) else f"it is {text}"  # noqa: E731
    if writer.chance(0.5):
        asked = writer.pick(family)
        shown_asked = (
            words.IMAGE_KINDS[asked][0].upper() if asked in ("t1", "t2", "flair") else words.IMAGE_KINDS[asked][0]
        )
        truth = asked == real if writer.chance(0.6) else writer.chance(0.5)
        real = asked if truth else writer.other(asked, family)
        draft = Draft(f"Is this a {shown_asked} image?", "yes" if truth else "no", ("yes" if truth else "no",))
        right, wrong = (say.YES, say.NO) if truth else (say.NO, say.YES)
        yes, no = ("yes", "no") if truth else ("no", "yes")
        draft.add(A, "paraphrase", lambda: (writer.frame(right), (yes,)))
        draft.add(B, "negation", lambda: (writer.frame(wrong), (no,)))
        draft.add(A, "paraphrase", lambda: (joined(writer, writer.frame(right), say_kind(real)), (yes, real)))
        draft.add(A, "paraphrase", lambda: (say_kind(real), (real,)), 0.7)
        draft.add(B, "wrong kind", lambda: _tagged(say_kind, asked if not truth else writer.other(asked, family)), 0.7)
        label, category = (B, "negation") if truth else (A, "paraphrase")
        draft.add(label, category, lambda: (deny(asked), ()), 1.3)
        draft.add(label, category, lambda: (joined(writer, writer.frame(say.NO), deny(asked)), ("no",)), 0.5)
        draft.add(B, "contradiction", lambda: (joined(writer, writer.frame(say.YES), deny(asked)), ("yes",)), 0.3)
        draft.add(B, "contradiction", lambda: (joined(writer, writer.frame(say.NO), say_kind(asked)), ("no",)), 0.4)
        draft.add(B, "contradiction", lambda: (mixed(writer, say_kind(asked), deny(asked)), ()), 0.2)
        draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, "yes", "no")), ("yes", "no")), 0.2)
        another = lambda: words.IMAGE_KINDS[writer.other(asked, family)][0]  # noqa: E731
        two = lambda: either(writer, words.IMAGE_KINDS[asked][0], another())  # noqa: E731
        draft.add(B, "hedge", lambda: (say_plain(writer.frame(say.EITHER, **two())), ()), 0.5)
        return draft
    question = {
        "t1": ("Which contrast is this?", "Which contrast is this?", "Which MRI sequence is this?"),
        "xray": ("What modality is this?", "How was this image acquired?"),
        "axial": ("Which plane is this?", "What plane is the image in?"),
        "frontal_view": ("Which view is this?",), "chest": ("Which body part is shown?", "What organ is this?"),
    }[family[0]]  # fmt: skip
    draft = Draft(writer.pick(question), shown, (real,))
    draft.add(A, "paraphrase", lambda: (say_kind(real), (real,)), 3)
    draft.add(B, "wrong kind", lambda: _tagged(say_kind, writer.other(real, family)), 3)
    other = lambda: writer.pick(words.IMAGE_KINDS[writer.other(real, family)])  # noqa: E731
    draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, name, other())), (real,)), 0.5)
    draft.add(B, "negation", lambda: (deny(real), ()), 0.7)
    against = lambda: deny(real) if writer.chance(0.5) else say_kind(writer.other(real, family))  # noqa: E731
    draft.add(B, "contradiction", lambda: (mixed(writer, say_kind(real), against()), (real,)), 0.7)
    return draft


def _denied_kind(writer: Writer, name: str) -> str:
    return " ".join(writer.frame(attacks.KIND_NOT, x=name).split())


def _tagged(text: Callable[[str], str], tag: str) -> Text:
    return text(tag), (tag,)


def diagnosis(writer: Writer) -> Draft:
    """What is the diagnosis? Questions carry a history, and sometimes the choices."""
    kind = some_field(writer)
    known = words.DIAGNOSES[kind]
    real = writer.pick((*known, "normal"))
    age, sex = writer.rng.randint(19, 90), writer.pick(("woman", "man"))
    history = f"A {age}-year-old {sex} with {writer.pick(words.COMPLAINTS)}. "
    asked = writer.pick(
        (
            "What is the diagnosis?",
            "What is the most likely diagnosis?",
            "Which diagnosis fits best?",
            "Give the diagnosis.",
        )
    )
    draft = Draft(
        (history if writer.chance(0.6) else "") + asked,
        cased(writer, real),
        ("normal",) if real == "normal" else (f"diagnosis {real}",),
    )

    def told(name: str) -> Text:
        if name == "normal":
            return normal(writer, kind), ("normal",)
        word = writer.pick(known[name])
        if writer.chance(0.2):
            word = f"{word}, {writer.pick(words.REASONS)}"
        return writer.frame(say.ANSWER if writer.chance(0.5) else say.POSITIVE, x=word, n=word), (f"diagnosis {name}",)

    other = lambda: writer.other(real, (*known, "normal"))  # noqa: E731
    draft.add(A, "paraphrase", lambda: told(real), 4)
    draft.add(B, "wrong diagnosis", lambda: told(other()), 4)
    if real != "normal":
        draft.add(
            B,
            "negation",
            lambda: (writer.frame(say.NEGATIVE, n=writer.pick(known[real]), x=writer.pick(known[real])), ()),
            0.8,
        )
        draft.add(
            B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, writer.pick(known[real]), other())), ()), 0.6
        )
    return draft


def unanswerable(writer: Writer) -> Draft:
    """What no image tells."""
    question = writer.pick(tuple(words.UNANSWERABLE))
    draft = Draft(question, "not stated in the image", ())
    draft.add(A, "paraphrase", lambda: (writer.frame(replies.NOT_STATED), ()))

    def invented() -> Text:
        word = writer.pick(words.UNANSWERABLE[question])
        return (writer.frame(say.ANSWER, x=word) if " is " not in word and writer.chance(0.6) else word), ()

    draft.add(B, "invented", invented, 3)
    draft.add(
        B,
        "invented",
        lambda: (
            writer.pick(("yes", "no", "left", "right", "none", "normal", "1", "2", "opacity", "effusion", "lesion")),
            (),
        ),
        0.7,
    )
    return draft


def term(writer: Writer) -> Draft:
    """Answers of any words: the same or others; teaches comparing what has no other meaning."""
    pool = words.TERMS
    invented = writer.chance(0.4)
    make = (lambda: coined(writer)) if invented else (lambda: writer.pick(pool))
    real = make() if writer.chance(0.7) else f"{make()} {make()}"
    question = writer.pick(("What is this?", "What is shown?", f"What is the {writer.pick(pool)}?",
                            f"Which {writer.pick(pool)} is seen?", "Name the structure.",
                            f"What is next to the {writer.pick(pool)}?", "What is the cause?"))  # fmt: skip
    draft = Draft(question, cased(writer, real), ())

    def wrong() -> Text:
        parts = real.split(" ")
        if len(parts) > 1 and writer.chance(0.5):
            parts[int(writer.rng.random() * len(parts))] = make().split(" ")[0]
            text = " ".join(parts)
        else:
            text = make()
        return (writer.frame(say.ANSWER, x=text), ()) if text != real else (writer.frame(say.NO), ())

    draft.add(
        A,
        "paraphrase",
        lambda: (writer.frame(say.ANSWER if writer.chance(0.7) else say.POSITIVE, x=real, n=real), ()),
        3,
    )
    draft.add(B, "wrong term", wrong, 3)
    draft.add(B, "negation", lambda: (writer.frame(say.NEGATIVE, n=real, x=real), ()), 0.7)
    draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, real, make())), ()), 0.4)
    return draft


def plain_yes_no(writer: Writer) -> Draft:
    """Any question with yes or no."""
    truth = writer.chance(0.5)
    thing, what = writer.pick(words.TERMS), writer.pick(words.TERMS)
    question = writer.pick(
        (
            f"Is the {thing} {what}?",
            f"Is there a {thing}?",
            f"Is {thing} present?",
            f"Does the {thing} look {what}?",
            f"Can the {thing} be seen?",
        )
    )
    draft = Draft(question, cased(writer, "yes" if truth else "no"), ("yes" if truth else "no",))
    right, wrong = (say.YES, say.NO) if truth else (say.NO, say.YES)
    yes, no = ("yes", "no") if truth else ("no", "yes")
    draft.add(A, "paraphrase", lambda: (writer.frame(right), (yes,)))
    draft.add(B, "negation", lambda: (writer.frame(wrong), (no,)))
    positive = lambda: writer.frame(say.POSITIVE, x=thing, n=thing)  # noqa: E731
    negative = lambda: writer.frame(say.NEGATIVE, x=thing, n=thing)  # noqa: E731
    if "Is there" in question or "present" in question or "seen" in question:
        draft.add(A, "paraphrase", lambda: (positive() if truth else negative(), ()), 0.5)
        draft.add(B, "negation", lambda: (negative() if truth else positive(), ()), 0.5)
    return draft
