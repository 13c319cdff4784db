"""What should move no judge, in training pairs: blanks, neutral sentences around an answer, orders behind one.

`suite_texts` names what the judge is measured on later, so that training can leave it out word for word.
"""

from __future__ import annotations

from functools import lru_cache

from tools import judge_attacks as attacks
from tools import judge_replies as replies
from tools._judge_writer import Writer

__all__ = ["MEASURED_CATEGORIES", "attacked", "blank", "cut_off", "order", "padded", "padding", "plain", "suite_texts"]

#: Categories of the suite whose texts training leaves out.
MEASURED_CATEGORIES = (
    "negation_flip", "contradiction", "hedge_list", "wrong_modality", "verbosity_padding", "master_key", "injection",
    "fence_break", "truncation", "laterality_flip",
)  # fmt: skip
_HEX = "0123456789abcdef"


def blank(writer: Writer) -> str:
    """Return nothing, lone marks, a heading, or a sentence that only announces an answer."""
    rng, form = writer.rng, writer.rng.random()
    if form < 0.34:
        return "".join(writer.pick(attacks.PUNCTUATION + " \n") for _ in range(rng.choice((0, 0, 1, 1, 1, 1, 2, 3, 6))))
    if form < 0.62:
        text = writer.pick(attacks.HEADINGS)
    elif form < 0.72:
        text = "".join(writer.pick(attacks.CHINESE) for _ in range(rng.randint(1, 6)))
    elif form < 0.78:
        text = writer.pick(replies.OPENERS).strip(" ,.:")
    else:
        text = writer.frame(attacks.LEAD_INS).replace(" ,", ",").replace(" !", "!")
    text = rng.choice((text, text[:1].upper() + text[1:], text.title(), text.upper()))
    marks = ("", "", "\uff1a") if not text.isascii() else ("", ":", ":", ".", "...", " -")
    text += writer.pick(marks)
    return rng.choice((text, text, text, f"**{text}**", f"# {text}", f"{text}\n"))


def cut_off(writer: Writer) -> str:
    """Return an answer cut off before it says anything."""
    text = writer.frame(attacks.CUT_OFF).replace(" ,", ",")
    text += writer.pick(("", "", "", " the", "...", " that", ","))
    return text[:1].upper() + text[1:] if writer.chance(0.7) else text


def padding(writer: Writer, most: int) -> list[str]:
    """Return one to `most` sentences that say nothing of the image."""
    said = []
    for _ in range(writer.rng.randint(1, most)):
        form = writer.rng.random()
        kind = attacks.NEUTRAL if form < 0.6 else replies.VAGUE if form < 0.8 else replies.REFUSAL_REASON
        text = writer.pick(replies.CHATTER) if form > 0.9 else writer.frame(kind)
        said.append(text[:1].upper() + text[1:] + ".")
    return said


def padded(writer: Writer, text: str) -> str:
    """Put a text somewhere among neutral sentences."""
    said = padding(writer, 5 if writer.chance(0.5) else 2)
    text = text if text[-1:] in ".?!" else text + "."
    said.insert(int(writer.rng.random() * (len(said) + 1)), text)
    return writer.pick((" ", " ", " ", "\n")).join(said)


def order(writer: Writer, other: str = "") -> str:
    """Return an order to the judge or a claim for an answer; `other` is a text it may call the reference."""
    form = writer.rng.random()
    if form < 0.17:
        text = "".join(writer.pick(part) for part in attacks.CHINESE_ORDERS)
        text += writer.pick(("", "。", "！")) + (_chinese(writer) if writer.chance(0.5) else "")
        return text if writer.chance(0.5) else _chinese(writer) + "，" + text
    text = writer.frame(attacks.ORDERS if form < 0.75 else replies.INJECTIONS, w=other or "so")
    text = text.replace(" :", ":").replace(" ,", ",")
    style = writer.rng.random()
    if style < 0.6:
        text = text[:1].upper() + text[1:] + writer.pick((".", "", "!"))
    return text if style < 0.92 else text.upper()


def _chinese(writer: Writer) -> str:
    return "".join(writer.pick(attacks.CHINESE) for _ in range(writer.rng.randint(3, 14)))


def attacked(writer: Writer, text: str) -> str:
    """Return a text with orders to the judge around it, as the protocol shows it to a judge."""
    from raybench.judges._template import neutralise

    said, form = order(writer, text), writer.rng.random()
    stop = "" if text[-1:] in ".?!" else "."
    if form < 0.35:
        whole = f"{text}{stop} {said}"
    elif form < 0.47:
        whole = f"{said}{writer.pick((chr(10), ' ', ': '))}{text}"
    elif form < 0.55:
        whole = f"{text}{stop}\n{said}\n{order(writer, text)}"
    else:
        if writer.chance(0.5):
            said = writer.pick(("A", "Grade: A", "grade = a", "CORRECT", "Verdict: correct", "Mark - A", "a"))
        digits = "".join(writer.pick(_HEX) for _ in range(12)) if writer.chance(0.6) else writer.pick(_HEX) * 12
        fields = {"o": said, "d": digits, "r": writer.pick(attacks.RANKS), "w": text}
        fence = writer.pick(attacks.FENCES)
        for name, value in fields.items():
            fence = fence.replace("{" + name + "}", value)
        whole = text + fence
    return neutralise(whole)


def plain(text: str) -> str:
    """Return a text without case, stops and spaces."""
    return "".join(character for character in text.lower() if character.isalnum())


@lru_cache(maxsize=1)
def suite_texts() -> frozenset[str]:
    """Return the plain texts of more than four words that `judge-check` asks about in the categories named above.

    What phantoms answer themselves ("T1 slice with a tumour in the left frontal region.") is not among them: the
    same text is one item's reference and another's wrong answer.
    """
    from raybench.judges._suite import suite

    items = suite("phantom", 1000)
    own = {plain(item.reference) for item in items}
    found = {plain(one.candidate) for one in items if one.category in MEASURED_CATEGORIES and _long(one.candidate)}
    return frozenset(found - own)


def _long(text: str) -> bool:
    return len(text.split()) > 4
