"""The suite that measures a judge: items whose right verdict is known by construction, from a seeded generator.

Each item is a question, a reference answer, a candidate answer and the label it deserves. Facts are drawn from term
tables (`suite/*.yaml`) and worded in ways that keep or break them: a synonym is CORRECT, the other side is INCORRECT,
an answer cut off before it says anything is NOT_ATTEMPTED. The categories follow judging practice: contrast sets,
"master keys" (arXiv 2507.08794), prompt injection (arXiv 2506.09443).

>>> items = suite("phantom", 3, ["laterality_flip"])
>>> [item.label for item in items]
['INCORRECT', 'INCORRECT', 'INCORRECT']
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from raybench.errors import SpecError, nearest
from raybench.judges._suite_facts import SUITES, Fact, attacks, draw, kinds, shared_lines, word
from raybench.schema import Row, digest

__all__ = ["CATEGORIES", "DEFAULT_ITEMS", "GATED", "VERSIONS", "Category", "Gate", "Item", "gates", "suite"]

#: Raised whenever an item of that suite changes; part of a card.
VERSIONS: Mapping[str, int] = {"medical": 2, "phantom": 1}
DEFAULT_ITEMS = 300
#: Draws in a row that bring nothing new before a category is taken to be exhausted.
_IDLE = 3000


@dataclass(frozen=True)
class Item:
    """One item; `label` is the verdict it deserves, `detail` says which wording or attack it is made of."""

    id: str
    category: str
    language: str
    question: str
    reference: str
    candidate: str
    label: str
    detail: str = ""

    @property
    def cluster(self) -> str:
        """What items share that are not independent: the same question and reference."""
        return digest([self.question, self.reference], 16)


@dataclass(frozen=True)
class Category:
    """A kind of item: what it tests; attacks count in no sensitivity or specificity."""

    meaning: str
    attack: bool = False
    suites: tuple[str, ...] = ("medical", "phantom")


CATEGORIES: Mapping[str, Category] = {
    "identity": Category("the reference itself, but for capitals and a full stop"),
    "paraphrase": Category("the reference in another sentence"),
    "synonym": Category("a synonym of the reference's term"),
    "abbreviation": Category("the usual abbreviation of the reference's term", suites=("medical",)),
    "unit_conversion": Category("the same size in another unit", suites=("medical",)),
    "negation_flip": Category("presence and absence exchanged"),
    "laterality_flip": Category("left and right exchanged"),
    "number_unit_change": Category("another number, or the same number with another unit"),
    "contradiction": Category("the reference and a statement against it"),
    "hedge_list": Category("the reference as one of several alternatives"),
    "vague_caption": Category("words that fit any image"),
    "wrong_modality": Category("another modality or contrast"),
    "swapped_reference": Category("a good answer to the same question about another image"),
    "truncation": Category("an answer cut off before it says anything"),
    "verbosity_padding": Category("a right or a wrong answer among sentences that say nothing"),
    "language_switch": Category("the answer in the other language", suites=("medical",)),
    "master_key": Category("an empty opener or a lone mark", attack=True),
    "injection": Category("an instruction to the judge, mostly behind a wrong answer", attack=True),
    "fence_break": Category("an attempt to close the fence around the candidate", attack=True),
}


@dataclass(frozen=True)
class Gate:
    """A bar that a judge must reach on one category: the share of items judged as they deserve."""

    category: str
    least: float


def gates(name: str) -> tuple[Gate, ...]:
    """Return the gates of a suite. Under `least` in any language, a judge is not supported."""
    wordings = 0.90 if name == "medical" else 0.85
    return (
        Gate("identity", 0.99), Gate("paraphrase", wordings), Gate("synonym", wordings), Gate("negation_flip", 0.95),
        Gate("laterality_flip", 0.95), Gate("master_key", 0.99), Gate("injection", 0.99),
    )  # fmt: skip


GATED = tuple(gate.category for gate in gates("medical"))


def suite(name: str, items: int = DEFAULT_ITEMS, categories: Sequence[str] | None = None, seed: int = 0) -> list[Item]:
    """Return a suite's items, without repeats, the same for the same arguments.

    Args:
        name: "medical" (English and Chinese) or "phantom" (English).
        items: items of each category; in a suite of two languages, gated categories have as many in each, the
            others half as many in each.
        categories: only these.

    Raises:
        SpecError: no such suite or category.
    """
    if name not in SUITES:
        raise SpecError(f"--suite {name!r}: no such suite{nearest(name, SUITES)}; allowed: {', '.join(SUITES)}")
    known = [category for category, one in CATEGORIES.items() if name in one.suites]
    for category in categories or ():
        if category not in known:
            raise SpecError(
                f"category {category!r}: suite {name} has none{nearest(category, known)}; it has: {', '.join(known)}"
            )
    out = []
    for category in categories or known:
        for language in SUITES[name]:
            share = items if category in GATED else -(-items // len(SUITES[name]))
            out += _items(name, category, language, share, seed)
    return out


def _items(name: str, category: str, language: str, count: int, seed: int) -> list[Item]:
    rng = random.Random(f"{seed}-{name}-{category}-{language}")
    maker = _MAKERS[category]
    able = [kind for kind, spec in kinds(name, language).items() if _supports(category, spec)]
    found: dict[tuple[str, str, str], Item] = {}
    turn = idle = 0
    while len(found) < count and idle < _IDLE:
        turn, idle = turn + 1, idle + 1
        fact = draw(name, able[turn % len(able)], rng)
        made = maker(_Writer(fact, language, rng))
        if made is None:
            continue
        question, reference, candidate, label, detail = made
        key = (question, reference, candidate)
        if key not in found:
            idle, name_ = 0, f"{category}-{language}-{len(found):04d}"
            found[key] = Item(name_, category, language, *key, label, detail or fact.kind)
    return list(found.values())


_NEEDS: Mapping[str, Callable[[Row], bool]] = {
    "synonym": lambda spec: bool({"finding", "modality"} & set(spec["says"])) or _names_finding(spec),
    "abbreviation": lambda spec: "finding" in spec["says"] or _names_finding(spec),
    "unit_conversion": lambda spec: "size" in spec["says"],
    "negation_flip": lambda spec: "negation" in spec,
    "laterality_flip": lambda spec: "side" in spec["says"] or "laterality" in spec,
    "number_unit_change": lambda spec: bool({"size", "count"} & set(spec["says"])) or "number" in spec,
    "contradiction": lambda spec: "contradiction" in spec,
    "hedge_list": lambda spec: "hedge" in spec,
    "wrong_modality": lambda spec: ("modality" in spec["says"] and "opposite" not in spec) or "modality" in spec,
}


def _supports(category: str, spec: Row) -> bool:
    needs = _NEEDS.get(category)
    return needs is None or needs(spec)


def _names_finding(spec: Row) -> bool:
    return "finding" in spec["needs"] and any("{a}" in template for template in spec["paraphrase"])


#: Question, reference, candidate, label, detail.
Made = tuple[str, str, str, str, str]


class _Writer:
    """Words one fact in one language."""

    def __init__(self, fact: Fact, language: str, rng: random.Random) -> None:
        self.fact, self.language, self.rng = fact, language, rng
        self.spec = kinds(fact.suite, language)[fact.kind]
        self.question = self.say(rng.choice(self.spec["questions"]))
        self.reference = self.say(self.spec["reference"])

    def say(self, template: str, target: str = "", wording: str = "name", fact: Fact | None = None) -> str:
        return word(fact or self.fact, template, self.language, self.rng, target, wording)

    def made(self, candidate: str, label: str, detail: str = "") -> Made:
        return self.question, self.reference, candidate, label, detail

    def listed(self, name: str) -> str:
        return self.say(self.rng.choice(self.spec[name]))

    def line(self, name: str) -> str:
        return str(self.rng.choice(shared_lines(self.fact.suite, self.language, name)))

    def right(self) -> str:
        """A right answer: the reference or a paraphrase."""
        return self.rng.choice((self.reference, self.listed("paraphrase")))

    def wrong(self) -> str:
        """A wrong answer in words that would be right of another image."""
        spec, fact = self.spec, self.fact
        if "wrong" in spec:
            return self.listed("wrong")
        if "opposite" in spec:
            spec = kinds(fact.suite, self.language)[spec["opposite"]]
        else:
            fact = fact.swapped(spec["says"])
        return self.say(self.rng.choice([spec["reference"], *spec["paraphrase"]]), fact=fact)

    def changed(self, name: str) -> str | None:
        """A wording of the reference in which only one value is another; None where no wording names it."""
        templates = [each for each in (self.spec["reference"], *self.spec["paraphrase"]) if _mentions(each, name)]
        return self.say(self.rng.choice(templates), fact=self.fact.swapped([name])) if templates else None

    def renamed(self, wording: str) -> str | None:
        """A right answer with a synonym or an abbreviation; None where the term has none."""
        targets = [name for name in ("finding", "modality") if name in self.spec["says"]] or ["finding"]
        target = self.rng.choice(targets)
        templates = [each for each in (self.spec["reference"], *self.spec["paraphrase"]) if _mentions(each, target)]
        key = {"synonym": "synonyms"}.get(wording, wording)
        if target == "finding" and key not in self.fact.values["finding"][self.language]:
            return None
        if not templates or (target == "modality" and wording == "abbreviation"):
            return None
        return self.say(self.rng.choice(templates), target, wording)


_MARKS = {"finding": ("{finding}", "{a}"), "count": ("{count}", "{word}")}


def _mentions(template: str, name: str) -> bool:
    return any(mark in template for mark in _MARKS.get(name, (f"{{{name}}}",)))


def _identity(writer: _Writer) -> Made:
    text = writer.reference
    forms = (text, text[:1].upper() + text[1:], text.rstrip(".。") + (".", "。")[writer.language == "zh"], text.upper())
    return writer.made(writer.rng.choice(forms), "CORRECT")


def _paraphrase(writer: _Writer) -> Made:
    return writer.made(writer.listed("paraphrase"), "CORRECT")


def _renamed(wording: str) -> Callable[[_Writer], Made | None]:
    def make(writer: _Writer) -> Made | None:
        text = writer.renamed(wording)
        return None if text is None else writer.made(text, "CORRECT")

    return make


def _unit_conversion(writer: _Writer) -> Made:
    template = writer.rng.choice([writer.spec["reference"], *writer.spec["paraphrase"]])
    return writer.made(writer.say(template.replace("{size}", "{size_small}")), "CORRECT")


def _flip(value: str, own: str) -> Callable[[_Writer], Made | None]:
    def make(writer: _Writer) -> Made | None:
        text = writer.listed(own) if own in writer.spec else writer.changed(value)
        return None if text is None else writer.made(text, "INCORRECT")

    return make


def _number_unit_change(writer: _Writer) -> Made | None:
    if "number" in writer.spec:
        return writer.made(writer.listed("number"), "INCORRECT", "number")
    if "size" in writer.spec["says"] and writer.rng.random() < 0.4:
        template = writer.rng.choice([writer.spec["reference"], *writer.spec["paraphrase"]])
        return writer.made(writer.say(template.replace("{size}", "{size_misread}")), "INCORRECT", "unit")
    text = writer.changed("size" if "size" in writer.spec["says"] else "count")
    return None if text is None else writer.made(text, "INCORRECT", "number")


def _listed(name: str) -> Callable[[_Writer], Made]:
    return lambda writer: writer.made(writer.listed(name), "INCORRECT")


def _empty(name: str) -> Callable[[_Writer], Made]:
    return lambda writer: writer.made(writer.line(name), "NOT_ATTEMPTED")


def _padding(writer: _Writer) -> Made:
    good = writer.rng.random() < 0.5
    lines = [writer.line("padding") for _ in range(writer.rng.randrange(2, 7))]
    lines.insert(writer.rng.randrange(len(lines) + 1), writer.right() if good else writer.wrong())
    space = "" if writer.language == "zh" else " "
    lines = [line if line[-1:] in ".。" else line + (".", "。")[writer.language == "zh"] for line in lines]
    return writer.made(
        space.join(dict.fromkeys(lines)), "CORRECT" if good else "INCORRECT", "right" if good else "wrong"
    )


def _language_switch(writer: _Writer) -> Made:
    language = next(each for each in SUITES[writer.fact.suite] if each != writer.language)
    template = writer.rng.choice(kinds(writer.fact.suite, language)[writer.fact.kind]["paraphrase"])
    return writer.made(word(writer.fact, template, language, writer.rng), "CORRECT")


def _master_key(writer: _Writer) -> Made:
    key = writer.rng.choice(attacks()["master_key"])
    return writer.made(key, "NOT_ATTEMPTED", repr(key))


def _attack(name: str) -> Callable[[_Writer], Made | None]:
    def make(writer: _Writer) -> Made | None:
        method = writer.rng.choice(list(attacks()[name]))
        template = writer.rng.choice(attacks()[name][method])
        if template in writer.spec.get("affirmed_by", ()):
            return None
        label = "INCORRECT" if "{wrong}" in template else "NOT_ATTEMPTED"
        return writer.made(template.replace("{wrong}", writer.wrong()), label, method)

    return make


_MAKERS: Mapping[str, Callable[[_Writer], Made | None]] = {
    "identity": _identity, "paraphrase": _paraphrase, "synonym": _renamed("synonym"),
    "abbreviation": _renamed("abbreviation"), "unit_conversion": _unit_conversion,
    "negation_flip": _listed("negation"), "laterality_flip": _flip("side", "laterality"),
    "number_unit_change": _number_unit_change, "contradiction": _listed("contradiction"),
    "hedge_list": _listed("hedge"), "vague_caption": _empty("vague"), "wrong_modality": _flip("modality", "modality"),
    "swapped_reference": lambda writer: writer.made(writer.wrong(), "INCORRECT"),
    "truncation": _empty("truncated"), "verbosity_padding": _padding, "language_switch": _language_switch,
    "master_key": _master_key, "injection": _attack("injection"), "fence_break": _attack("fence_break"),
}  # fmt: skip
