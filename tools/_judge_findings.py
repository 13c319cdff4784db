"""Groups about findings: whether there is one, which, on which side, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tools import judge_phrases as say
from tools import judge_words as words
from tools._judge_writer import (
    ASKED,
    IMAGE,
    MAIN,
    A,
    B,
    Draft,
    Fact,
    Text,
    Writer,
    all_normal,
    cased,
    denied,
    either,
    joined,
    mixed,
    negative,
    normal,
    placed_concept,
    positive,
    some_concept,
    some_fact,
    some_field,
    some_side,
    some_zones,
)

__all__ = ["finding", "normality", "presence", "sided", "where"]


def presence(writer: Writer) -> Draft:
    """Is there a finding?"""
    kind = some_field(writer)
    concept, truth = some_concept(writer, kind), writer.chance(0.5)
    fact = Fact(concept)
    asked = ASKED.get(concept) or writer.phrase(fact, 0)
    question = writer.pick((
        f"Is there {asked}?", f"Is there {asked}?", f"Is there {asked}?", f"Do you see {asked}?",
        f"Does the image show {asked}?", f"Is there evidence of {writer.bare(concept)}?",
    ))  # fmt: skip
    draft = Draft(question, cased(writer, "yes" if truth else "no"), ("yes" if truth else "no",))
    yes, no = A if truth else B, B if truth else A
    wrong = "negation"
    kind_of = lambda label: "paraphrase" if label == A else wrong  # noqa: E731
    placed = lambda: replace(fact, side=some_side(writer)) if writer.chance(0.4) and concept != "cardiomegaly" else fact  # noqa: E731
    said, denied = (f"+{concept}",), (f"-{concept}",)
    draft.add(yes, kind_of(yes), lambda: (writer.frame(say.YES), ("yes",)), 1.2)
    draft.add(yes, kind_of(yes), lambda: (positive(writer, placed()), said), 1.2)
    draft.add(
        yes, kind_of(yes), lambda: (joined(writer, writer.frame(say.YES), positive(writer, placed())), ("yes", *said))
    )
    draft.add(no, kind_of(no), lambda: (writer.frame(say.NO), ("no",)), 1.2)
    draft.add(no, kind_of(no), lambda: (negative(writer, concept), denied), 1.2)
    draft.add(
        no, kind_of(no), lambda: (joined(writer, writer.frame(say.NO), negative(writer, concept)), ("no", *denied))
    )
    draft.add(no, kind_of(no), lambda: (normal(writer, kind), ("normal",)), 0.5)
    draft.add(
        B,
        "contradiction",
        lambda: (joined(writer, writer.frame(say.YES), negative(writer, concept)), ("yes", *denied)),
        0.3,
    )
    draft.add(
        B, "contradiction", lambda: (joined(writer, writer.frame(say.NO), positive(writer, fact)), ("no", *said)), 0.3
    )
    both = lambda: (positive(writer, placed()), negative(writer, concept))  # noqa: E731
    draft.add(B, "contradiction", lambda: (mixed(writer, *both()), (*said, *denied)), 0.4)
    draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, *both())), (*said, *denied)), 0.25)
    draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, "yes", "no")), ("yes", "no")), 0.3)
    _add_other(writer, draft, kind, concept, truth)
    return draft


def _add_other(writer: Writer, draft: Draft, kind: str, concept: str, truth: bool) -> None:
    """Add answers that name another finding than the one asked for."""

    def other(opener: say.Frames | None) -> Text:
        name = writer.other(concept, MAIN[kind])
        text = positive(writer, Fact(name))
        return (joined(writer, writer.frame(opener), text), ("no", f"+{name}")) if opener else (text, (f"+{name}",))

    if truth:
        draft.add(B, "wrong finding", lambda: other(None), 0.7)
        draft.add(B, "wrong finding", lambda: other(say.NO), 0.4)
    else:
        draft.add(A, "more detail", lambda: other(say.NO), 0.6)


def sided(writer: Writer) -> Draft:
    """Is there a finding on this side?"""
    kind = some_field(writer)
    concept = placed_concept(writer, kind)
    asked, truth = some_side(writer), writer.chance(0.5)
    real = asked if truth else "right" if asked == "left" else "left"
    fact, against = Fact(concept, real), Fact(concept, "right" if real == "left" else "left")
    name = ASKED.get(concept) or writer.phrase(Fact(concept), 0)
    draft = Draft(f"Is there {name} on the {asked}?", "yes" if truth else "no", ("yes" if truth else "no", asked))
    right, wrong = (say.YES, say.NO) if truth else (say.NO, say.YES)
    yes, no = ("yes", "no") if truth else ("no", "yes")
    here, there = Fact(concept, asked), fact if not truth else against
    draft.add(A, "paraphrase", lambda: (writer.frame(right), (yes,)))
    draft.add(B, "negation", lambda: (writer.frame(wrong), (no,)))
    draft.add(
        A, "paraphrase", lambda: (joined(writer, writer.frame(right), _sided_text(writer, fact)), (yes, *fact.tags))
    )
    draft.add(
        B,
        "contradiction",
        lambda: (joined(writer, writer.frame(say.YES), _sided_text(writer, there)), ("yes", *there.tags)),
        0.6,
    )
    draft.add(
        A if truth else B, "paraphrase" if truth else "wrong side", lambda: (_sided_text(writer, here), here.tags)
    )
    draft.add(
        B if truth else A, "wrong side" if truth else "paraphrase", lambda: (_sided_text(writer, there), there.tags)
    )
    draft.add(
        B if truth else A,
        "negation" if truth else "paraphrase",
        lambda: (negative(writer, concept), (f"-{concept}",)),
        0.7,
    )
    _add_denials(writer, draft, here, truth)
    return draft


def _add_denials(writer: Writer, draft: Draft, here: Fact, truth: bool) -> None:
    """Add what denies the finding on the side asked for, says both, or leaves it open."""
    tags = (f"-{here.concept}", here.side)
    label, category = (B, "negation") if truth else (A, "paraphrase")
    told = lambda: _sided_text(writer, here)  # noqa: E731
    not_here = lambda: denied(writer, here)  # noqa: E731
    draft.add(label, category, lambda: (not_here(), tags), 1.5)
    draft.add(label, category, lambda: (joined(writer, writer.frame(say.NO), not_here()), ("no", *tags)), 0.5)
    draft.add(B, "contradiction", lambda: (joined(writer, writer.frame(say.YES), not_here()), ("yes", *tags)), 0.3)
    draft.add(B, "contradiction", lambda: (joined(writer, writer.frame(say.NO), told()), ("no", *here.tags)), 0.3)
    draft.add(B, "contradiction", lambda: (mixed(writer, told(), not_here()), tags), 0.3)
    open_pairs = (("yes", "no"), ("left", "right"), ("on the left", "on the right"))
    draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, *writer.rng.choice(open_pairs))), ()), 0.4)


def _sided_text(writer: Writer, fact: Fact) -> str:
    if writer.chance(0.5):
        return positive(writer, fact)
    return writer.frame(say.WHERE, x=writer.place(fact, bare=True), n=writer.bare(fact.concept))


def normality(writer: Writer) -> Draft:
    """Is the image normal?"""
    kind, truth = some_field(writer), writer.chance(0.5)
    named = writer.chance(0.5)
    reference = ("normal" if truth else "abnormal") if named else ("yes" if truth else "no")
    asked = ("Is this image normal or abnormal?", "Is this chest X-ray normal or abnormal?", "Classify this image.",
             "Is the image normal or abnormal?",
             "Which of these labels fits the image: normal, abnormal?") if named else (
        "Is this image normal?", "Is this image normal?", "Is the image normal?",
        "Does the image look normal?")  # fmt: skip
    draft = Draft(
        writer.pick(asked),
        cased(writer, reference),
        ("normal" if truth else "abnormal", *(() if named else (reference,))),
    )
    good, bad = (A, B) if truth else (B, A)
    kinds = {A: "paraphrase", B: "negation"}

    def found() -> Text:
        fact = some_fact(writer, kind)
        return positive(writer, fact), ("abnormal", *fact.tags)

    def abnormal() -> Text:
        word = writer.pick(("abnormal", "not normal", "pathological", "abnormal", "not healthy", "diseased"))
        frames = ("the image is {}", "there is an abnormality", "it looks {}", "this {image} is {}")
        text = (
            writer.frame(say.ANSWER, x=word)
            if writer.chance(0.7)
            else writer.pick(frames).format(word, image=IMAGE[kind])
        )
        return text, ("abnormal",)

    draft.add(good, kinds[good], lambda: (normal(writer, kind), ("normal",)), 1.5)
    draft.add(bad, kinds[bad], abnormal, 1.2)
    draft.add(bad, kinds[bad], found)
    if not named:
        draft.add(good, kinds[good], lambda: (writer.frame(say.YES), ("yes",)), 1.2)
        draft.add(bad, kinds[bad], lambda: (writer.frame(say.NO), ("no",)), 1.2)
        draft.add(bad, kinds[bad], lambda: (joined(writer, writer.frame(say.NO), found()[0]), ("no", "abnormal")), 0.8)
        draft.add(
            good,
            kinds[good],
            lambda: (joined(writer, writer.frame(say.YES), normal(writer, kind)), ("yes", "normal")),
            0.5,
        )
        draft.add(
            B, "contradiction", lambda: (joined(writer, writer.frame(say.YES), found()[0]), ("yes", "abnormal")), 0.2
        )
        draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **either(writer, "yes", "no")), ("yes", "no")), 0.2)
    else:
        draft.add(
            B,
            "hedge",
            lambda: (writer.frame(say.EITHER, **either(writer, "normal", "abnormal")), ("normal", "abnormal")),
            0.2,
        )
    draft.add(B, "contradiction", lambda: (mixed(writer, all_normal(writer), found()[0]), ("normal", "abnormal")), 0.5)
    return draft


def finding(writer: Writer) -> Draft:
    """What finding is seen?"""
    kind = some_field(writer)
    fact = Fact(some_concept(writer, kind, 0.75))
    questions = ("What finding is seen?", "What finding is seen?", "What abnormality does the image show?",
                 "Which finding does the image show?", "What is wrong in this image?")  # fmt: skip
    if writer.chance(0.12):
        draft = Draft(writer.pick(questions), "none", ("normal",))
        draft.add(A, "paraphrase", lambda: (normal(writer, kind), ("normal",)))
        draft.add(B, "wrong finding", lambda: (positive(writer, fact), fact.tags))
        both = lambda: (all_normal(writer), positive(writer, fact))  # noqa: E731
        draft.add(B, "contradiction", lambda: (mixed(writer, *both()), ("normal", *fact.tags)), 0.4)
        nothing = lambda: writer.pick(("none", "nothing", "no finding", "normal"))  # noqa: E731
        open_ = lambda: either(writer, nothing(), writer.phrase(fact))  # noqa: E731
        draft.add(B, "hedge", lambda: (writer.frame(say.EITHER, **open_()), ("normal", *fact.tags)), 0.4)
        return draft
    word = next(iter(words.CONCEPTS["cxr" if fact.concept in words.CONCEPTS["cxr"] else "mri"][fact.concept]))
    reference = word.removeprefix("~") if writer.chance(0.7) else writer.bare(fact.concept)
    draft = Draft(writer.pick(questions), cased(writer, reference), fact.tags)

    def other() -> Fact:
        pool = MAIN[kind] if writer.chance(0.75) else tuple(words.CONCEPTS[kind])
        return Fact(writer.other(fact.concept, pool))

    def extra() -> Text:
        more = other()
        pair = [writer.phrase(one) for one in writer.shuffled((fact, more))]
        return writer.frame(say.POSITIVE, x=writer.pick((" and ", " with ", ", ")).join(pair)), (*fact.tags, *more.tags)

    def detailed() -> Text:
        placed = replace(
            fact, side=some_side(writer), zone=writer.pick(some_zones(kind, writer)) if writer.chance(0.6) else ""
        )
        return positive(writer, fact if fact.concept == "cardiomegaly" else placed), placed.tags

    def swapped() -> Text:
        more = other()
        return joined(writer, negative(writer, fact.concept), positive(writer, more)), (f"-{fact.concept}", *more.tags)

    def denied() -> Text:
        more = other()
        return joined(writer, positive(writer, fact), negative(writer, more.concept)), (*fact.tags, f"-{more.concept}")

    def wrong() -> Text:
        more = other()
        return positive(writer, more), more.tags

    draft.add(A, "paraphrase", lambda: (positive(writer, fact), fact.tags), 3)
    draft.add(A, "more detail", detailed)
    draft.add(A, "more detail", denied, 0.5)
    draft.add(B, "wrong finding", wrong, 3)
    draft.add(B, "negation", lambda: (negative(writer, fact.concept), (f"-{fact.concept}",)), 1.2)
    draft.add(B, "negation", lambda: (normal(writer, kind), ("normal",)), 0.7)
    against = lambda: negative(writer, fact.concept) if writer.chance(0.6) else all_normal(writer)  # noqa: E731
    draft.add(B, "contradiction", lambda: (mixed(writer, positive(writer, fact), against()), fact.tags), 0.8)
    draft.add(B, "extra finding", extra)
    draft.add(B, "wrong finding", swapped, 0.5)
    draft.add(
        B,
        "hedge",
        lambda: (writer.frame(say.EITHER, **either(writer, writer.phrase(fact), writer.phrase(other()))), fact.tags),
        0.5,
    )
    return draft


@dataclass
class _Place:
    """A finding's place as the answer: how it is told, and mistold."""

    writer: Writer
    fact: Fact
    concept: str
    asks: str
    zones: tuple[str, ...]

    def told(self, **changed: str) -> Text:
        place, form = replace(self.fact, **changed), self.writer.rng.random()
        if form < 0.25 and not (self.asks == "zone" and not place.side):
            return positive(self.writer, place), place.tags
        text = self.writer.frame(say.WHERE, x=self.writer.place(place, bare=True), n=self.writer.bare(self.concept))
        return text, tuple(tag for tag in (place.side, place.zone) if tag)

    def other_side(self) -> str:
        return self.writer.other(self.fact.side, ("left", "right"))

    def other_zone(self) -> str:
        return self.writer.other(self.fact.zone, self.zones)

    def two(self) -> tuple[str, str]:
        """Return the right answer and a wrong one."""
        return (self.fact.side, self.other_side()) if self.fact.side else (self.fact.zone, self.other_zone())

    def contrasted(self, right: bool) -> Text:
        first, second = self.two() if right else reversed(self.two())
        forms = ("{}, not {}", "{} and not {}", "not {1} but {0}", "{} rather than {}", "the {}, not the {}")
        return self.writer.pick(forms).format(first, second), (first,)

    def contradicted(self) -> Text:
        """Tell the right place and another one."""
        first, second = self.two()
        if self.writer.chance(0.25):
            forms = ("{0}, not {0} but {1}", "{0}, which is {1}", "{0}; no, {1}", "{0}, or rather {1}", "{0} and {1}")
            return self.writer.pick(forms).format(first, second), (first, second)
        change = {"side": second} if self.fact.side else {"zone": second}
        return mixed(self.writer, self.told()[0], self.told(**change)[0]), (first, second)

    def hedged(self) -> Text:
        names = self.two()
        return self.writer.frame(say.EITHER, **either(self.writer, *names)), names


def where(writer: Writer) -> Draft:
    """On which side, in which zone, or both."""
    kind = some_field(writer)
    asks = writer.pick(("side", "side", "zone", "zone", "both"))
    concept = placed_concept(writer, kind)
    zones = some_zones(kind, writer)
    sides = ("left", "right", "both") if asks == "side" and writer.chance(0.25) else ("left", "right")
    fact = Fact(concept, writer.pick(sides) if asks != "zone" else "", writer.pick(zones) if asks != "side" else "")
    name = (ASKED.get(concept) or writer.bare(concept)).removeprefix("an ").removeprefix("a ")
    area = "zone" if kind == "cxr" else "region"
    asked = {
        "side": (f"On which side is the {name}?", f"On which side is the {name}?", f"On which side are the {name}s?",
                 f"Which side is the {name} on?"),
        "zone": (f"In which {area} is the {name}?", f"In which {area} is the {name}?", f"Where is the {name}?"),
        "both": (f"Where is the {name}?", f"Where is the {name} located?"),
    }  # fmt: skip
    # Each is drawn, whichever is asked.
    question = {form: writer.pick(wordings) for form, wordings in asked.items()}[asks]
    reference = {"side": fact.side, "zone": fact.zone, "both": f"{fact.side} {fact.zone} {area}"}[asks]
    draft = Draft(question, cased(writer, reference), tuple(tag for tag in (fact.side, fact.zone) if tag))
    _add_places(draft, _Place(writer, fact, concept, asks, zones))
    return draft


def _add_places(draft: Draft, place: _Place) -> None:
    writer, fact, asks = place.writer, place.fact, place.asks
    some = ("left", "right", "both") if asks == "side" else ("left", "right")
    draft.add(A, "paraphrase", place.told, 3)
    if asks != "zone":
        draft.add(B, "wrong side", lambda: place.told(side=writer.other(fact.side, some)), 3)
    if asks != "side":
        draft.add(B, "wrong zone", lambda: place.told(zone=place.other_zone()), 3)
    if asks == "side" and fact.side != "both":
        draft.add(A, "more detail", lambda: place.told(zone=writer.pick(place.zones)), 0.8)
        draft.add(B, "wrong side", lambda: place.told(side=place.other_side(), zone=writer.pick(place.zones)), 0.8)
    if asks == "zone":
        draft.add(A, "more detail", lambda: place.told(side=some_side(writer)), 0.8)
        draft.add(B, "wrong zone", lambda: place.told(side=some_side(writer), zone=place.other_zone()), 0.8)
    if fact.side != "both" and writer.split == "train":
        draft.add(A, "paraphrase", lambda: place.contrasted(True), 0.4)
        draft.add(B, "wrong side" if fact.side else "wrong zone", lambda: place.contrasted(False), 0.4)
    if fact.side != "both":
        draft.add(B, "hedge", place.hedged, 0.5)
        draft.add(B, "contradiction", place.contradicted, 0.7)
    draft.add(B, "negation", lambda: (denied(writer, fact), (f"-{fact.concept}",)), 0.3)
