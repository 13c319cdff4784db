"""What writes the judge's training pairs: facts, the words and frames that tell them, and a group being drafted."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tools import judge_attacks as attacks
from tools import judge_phrases as say
from tools import judge_words as words

__all__ = [
    "ASKED",
    "CATEGORIES",
    "FAMILIES",
    "IMAGE",
    "MAIN",
    "PLACES",
    "TAGS",
    "A",
    "B",
    "C",
    "Candidate",
    "Draft",
    "Fact",
    "Group",
    "Maker",
    "Text",
    "Writer",
    "all_normal",
    "bound",
    "cased",
    "coined",
    "denied",
    "either",
    "joined",
    "mixed",
    "negative",
    "normal",
    "placed_concept",
    "positive",
    "some_concept",
    "some_fact",
    "some_field",
    "some_side",
    "some_zones",
]  # fmt: skip

A, B, C = 0, 1, 2
MAIN = {"cxr": ("opacity", "nodule", "effusion", "cardiomegaly"), "mri": ("tumour", "haemorrhage", "lesion")}
ASKED = {
    "opacity": "an opacity", "nodule": "a nodule", "effusion": "an effusion", "cardiomegaly": "an enlarged heart",
    "tumour": "a tumour", "haemorrhage": "a haemorrhage", "lesion": "a lesion",
}  # fmt: skip
IMAGE = {"cxr": "chest x-ray", "mri": "brain mri"}
_ORGANS = {
    "cxr": (("lungs", "are"), ("heart", "is"), ("chest", "is")), "mri": (("brain", "is"), ("ventricles", "are")),
}  # fmt: skip
PLACES = {"cxr": tuple(words.ZONES), "mri": ("frontal", "parietal", "occipital")}
FAMILIES = (
    ("t1", "t2", "flair"), ("xray", "mri", "ct", "us"), ("axial", "coronal", "sagittal"), ("frontal_view",
    "lateral_view"),
    ("chest", "brain", "abdomen", "pelvis", "spine"),
)  # fmt: skip
CATEGORIES = (
    "exact", "paraphrase", "more detail", "negation", "wrong side", "wrong zone", "wrong finding", "wrong count",
    "wrong kind", "extra finding", "missing finding", "contradiction", "hedge", "refusal", "unsure", "vague",
    "off topic",
    "echo", "injection", "blank", "cut off", "padding", "wrong diagnosis", "wrong term", "invented",
)  # fmt: skip
_CONCEPT_NAMES = tuple(name for by in words.CONCEPTS.values() for name in by)
#: What the throw-away heads say of a text.
TAGS = (
    *(f"+{name}" for name in _CONCEPT_NAMES), *(f"-{name}" for name in _CONCEPT_NAMES),
    *("left", "right", "both"), *words.ZONES, *words.REGIONS, *(f"n{number}" for number in range(7)),
    *(f"{name}@{place}" for kind, by in MAIN.items() for name in by for place in ("left", "right", *PLACES[kind])),
    *words.IMAGE_KINDS, *(f"diagnosis {name}" for by in words.DIAGNOSES.values() for name in by),
    "yes", "no", "normal", "abnormal",
)  # fmt: skip


_CHOICE = re.compile(r"\[([^\]]*)\]")
_TAG_SET = frozenset(TAGS)


class Candidate(NamedTuple):
    """A candidate, its verdict (0 CORRECT, 1 INCORRECT, 2 NOT_ATTEMPTED), what it tests, and what it says."""

    text: str
    label: int
    category: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """A question, its reference, what the reference says, and candidates."""

    question: str
    reference: str
    tags: tuple[str, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Fact:
    """A finding with its place; side and zone may be ""."""

    concept: str
    side: str = ""
    zone: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        return (f"+{self.concept}", *(tag for tag in (self.side, self.zone) if tag))


def bound(tags: Sequence[str]) -> tuple[str, ...]:
    """Return tags and, for each place that follows a finding, the two together ("nodule@left")."""
    out, finding = list(tags), ""
    for tag in tags:
        if tag[0] in "+-":
            finding = tag[1:] if tag[0] == "+" else ""
        elif finding and f"{finding}@{tag}" in _TAG_SET:
            out.append(f"{finding}@{tag}")
    return tuple(out)


#: A text and the tags of what it says.
Text = tuple[str, tuple[str, ...]]
Maker = Callable[[], Text]


@dataclass
class Draft:
    """A group being written: makers of (weight, verdict, category, text and tags)."""

    question: str
    reference: str
    tags: tuple[str, ...]
    makers: list[tuple[float, int, str, Maker]] = field(default_factory=list)

    def add(self, label: int, category: str, maker: Maker, weight: float = 1.0) -> None:
        self.makers.append((weight, label, category, maker))


class Writer:
    """Chooses words and frames of one split; the same seed writes the same."""

    def __init__(self, rng: random.Random, split: str, new_words: bool = False) -> None:
        self.rng, self.split, self.new_words = rng, split, new_words

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.random() * len(options))]

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def frame(self, frames: say.Frames, **fields: str) -> str:
        """Return a frame with one of each [choice/of/these] and its fields filled in."""
        text = self.pick(frames[self.split])
        if "[" in text:
            text = " ".join(_CHOICE.sub(lambda found: self.pick(found[1].split("/")).strip(), text).split())
        for name, value in fields.items():
            text = text.replace("{" + name + "}", value)
        return text

    def noun(self, concept: str) -> tuple[str, bool]:
        """Return a noun for a finding and whether it takes an article."""
        field_of = words.CONCEPTS["cxr"] if concept in words.CONCEPTS["cxr"] else words.CONCEPTS["mri"]
        options = field_of[concept]
        if self.new_words and concept in words.NEW_WORDS:
            options = words.NEW_WORDS[concept]
        word = options[0] if not self.new_words and self.chance(0.3) else self.pick(options)
        return word.removeprefix("~"), not word.startswith("~")

    def bare(self, concept: str) -> str:
        return self.noun(concept)[0].removeprefix("an ").removeprefix("a ")

    def article(self, phrase: str, wanted: bool) -> str:
        if not wanted or self.chance(0.25):
            return phrase
        return ("an " if phrase[0] in "aeiou" else "a ") + phrase

    def phrase(self, fact: Fact, detail: float = 0.12) -> str:
        """Return a noun phrase with its place, e.g. "a nodule in the left upper zone"."""
        word, countable = self.noun(fact.concept)
        if self.chance(detail) and countable:
            word = f"{self.pick(words.DETAIL)} {word}"
        if not fact.side and not fact.zone:
            return self.article(word, countable)
        brain = fact.concept in words.CONCEPTS["mri"]
        if self.chance(0.3) and fact.side != "both":
            placed = say.SIDE_PLACED if not fact.zone else say.BRAIN_PLACED if brain else say.LUNG_PLACED
            return self.article(self.frame(placed, n=word, s=fact.side, z=self.zone(fact.zone)), countable)
        comma = ", " if self.chance(0.08) else " "
        return self.article(word, countable) + comma + self.place(fact, bare=False)

    def zone(self, zone: str) -> str:
        options = words.ZONES.get(zone) or words.REGIONS.get(zone) or (zone,)
        return options[0] if self.chance(0.4) else self.pick(options)

    def place(self, fact: Fact, bare: bool) -> str:
        """Return a place, e.g. "in the left upper zone"; `bare` allows "left upper"."""
        brain = fact.concept in words.CONCEPTS["mri"]
        organ = (
            self.pick(("hemisphere", "brain", "hemisphere")) if brain else self.pick(("lung", "chest", "hemithorax"))
        )
        if fact.side == "both":
            plural = {"lung": "lungs", "chest": "sides of the chest", "hemithorax": "hemithoraces"}.get(
                organ, "hemispheres"
            )
            return self.pick(
                ("on both sides", "bilaterally", f"in both {plural}", "both sides", "on the left and right")
            )
        if not fact.zone:
            return self.frame(say.SIDE_PLACE, s=fact.side, organ=organ)
        if not fact.side:
            return self._zone_place(fact.zone, brain, bare)
        if bare and self.chance(0.25):
            return f"{fact.side} {self.zone(fact.zone)}"
        places = say.BRAIN_PLACE if brain else say.LUNG_PLACE
        return self.frame(places, s=fact.side, z=self.zone(fact.zone))

    def _zone_place(self, zone: str, brain: bool, bare: bool) -> str:
        name = self.zone(zone)
        area = self.pick(
            ("region", "lobe", "area") if brain else ("zone", "lung zone", "part", "third", "field", "lung")
        )
        if bare and self.chance(0.3):
            return name
        return self.pick(("in the {} {}", "the {} {}", "{} {}", "within the {} {}")).format(name, area)

    def shuffled(self, items: Sequence[Fact]) -> list[Fact]:
        out = list(items)
        self.rng.shuffle(out)
        return out

    def other(self, value: str, options: Sequence[str]) -> str:
        return self.pick([option for option in options if option != value])


def some_field(writer: Writer) -> str:
    return "cxr" if writer.chance(0.5) else "mri"


def some_concept(writer: Writer, kind: str, main: float = 0.85) -> str:
    return writer.pick(MAIN[kind] if writer.chance(main) else tuple(words.CONCEPTS[kind]))


def placed_concept(writer: Writer, kind: str) -> str:
    return (
        writer.other("cardiomegaly", MAIN[kind])
        if writer.chance(0.85)
        else writer.other("cardiomegaly", tuple(words.CONCEPTS[kind]))
    )


def some_side(writer: Writer) -> str:
    return writer.pick(("left", "right"))


def some_zones(kind: str, writer: Writer) -> tuple[str, ...]:
    return (
        tuple(words.ZONES)
        if kind == "cxr"
        else ("frontal", "parietal", "occipital")
        if writer.chance(0.8)
        else tuple(words.REGIONS)
    )


def normal(writer: Writer, kind: str) -> str:
    organs, verb = writer.pick(_ORGANS[kind])  # type: ignore[arg-type]
    fields = {"w": writer.pick(words.NORMAL), "image": IMAGE[kind], "organs": organs, "is": verb}
    return writer.frame(say.NORMAL_FRAME, **fields)


def positive(writer: Writer, fact: Fact) -> str:
    return writer.frame(say.POSITIVE, x=writer.phrase(fact), n=writer.bare(fact.concept))


def negative(writer: Writer, concept: str) -> str:
    return writer.frame(say.NEGATIVE, n=writer.bare(concept), x=writer.phrase(Fact(concept), 0))


def denied(writer: Writer, fact: Fact) -> str:
    """Deny a finding in its place."""
    place = writer.place(fact, bare=False)
    return writer.frame(attacks.DENIED_PLACE, n=writer.bare(fact.concept), p=place).strip()


def all_normal(writer: Writer) -> str:
    """Say that the whole image is normal."""
    return " ".join(writer.frame(attacks.WHOLE_NORMAL).split())


def mixed(writer: Writer, first: str, second: str) -> str:
    """Say two things that do not go together, in either order."""
    pair = [first, second]
    writer.rng.shuffle(pair)
    return (
        pair[0]
        + writer.pick((". ", ". ", ". ", ", but ", ", ", "; ", ", and ", ". however, ", ", that is, "))
        + pair[1]
    )


def joined(writer: Writer, first: str, second: str) -> str:
    return first + writer.pick((", ", ". ", ", ", "; ", " - ", ": ")) + second


def cased(writer: Writer, text: str) -> str:
    return text if writer.chance(0.75) else text[:1].upper() + text[1:]


def some_fact(writer: Writer, kind: str, main: float = 0.9) -> Fact:
    concept = some_concept(writer, kind, main)
    if concept == "cardiomegaly":
        return Fact(concept)
    if concept == "effusion" and writer.chance(0.8):
        return Fact(concept, some_side(writer))
    return Fact(concept, some_side(writer), writer.pick(some_zones(kind, writer)))


def either(writer: Writer, first: str, second: str) -> dict[str, str]:
    pair = [first, second]
    writer.rng.shuffle(pair)
    return {"x": pair[0], "y": pair[1]}


def coined(writer: Writer) -> str:
    """Return a word that does not exist, so that only its letters can be compared."""
    rng = writer.rng
    return "".join(rng.choice("bcdfglmnprstv") + rng.choice("aeiou") for _ in range(rng.randint(2, 4))) + rng.choice(
        ("", "n", "s", "t", "m")
    )
