"""Groups about captions: an image described, and one with several lesions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tools import judge_attacks as attacks
from tools import judge_phrases as say
from tools import judge_words as words
from tools._judge_writer import (
    ASKED,
    PLACES,
    A,
    B,
    Draft,
    Fact,
    Text,
    Writer,
    all_normal,
    denied,
    either,
    joined,
    mixed,
    negative,
    normal,
    positive,
    some_fact,
    some_field,
    some_side,
)

__all__ = ["description", "lesions"]


def _caption(facts: Sequence[Fact], contrast: str) -> str:
    """Write facts as the phantoms' captions do."""
    if not facts:
        return f"Normal {contrast.upper()} slice." if contrast else "Normal chest X-ray."
    if contrast:
        fact = facts[0]
        name = ASKED.get(fact.concept, fact.concept)
        return " ".join(f"{contrast.upper()} slice with {name} in the {fact.side} {fact.zone} region.".split())
    parts = []
    for fact in facts:
        name = "enlarged heart" if fact.concept == "cardiomegaly" else fact.concept
        parts.append(f"{name} in the {fact.side} {fact.zone} zone" if fact.zone else f"{fact.side} {name}".strip())
    text = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return text[0].upper() + text[1:] + "."


def _told(writer: Writer, facts: Sequence[Fact], kind: str, contrast: str, share: float = 0.4) -> str:
    """Write facts in other words."""
    facts = writer.shuffled(facts)
    if not facts:
        text = normal(writer, kind)
    elif len(facts) > 1 and writer.chance(0.4):
        text = writer.pick((". ", ". ", "; ")).join(positive(writer, fact) for fact in facts)
    else:
        parts = [writer.phrase(fact) for fact in facts]
        listed = (
            parts[0]
            if len(parts) == 1
            else ", ".join(parts[:-1]) + writer.pick((" and ", " and ", ", ", " with ", ", and ")) + parts[-1]
        )
        text = writer.frame(say.POSITIVE, x=listed) if not contrast or writer.chance(0.6) else listed
    if contrast and writer.chance(share):
        name = writer.pick(words.IMAGE_KINDS[contrast])
        text = writer.frame(attacks.ON_IMAGE, x=name, t=text)
    return text


@dataclass
class _Image:
    """What a caption is about: how it is told, and mistold."""

    writer: Writer
    facts: list[Fact]
    kind: str
    contrast: str

    def told(self, facts: Sequence[Fact], share: float = 0.4, contrast: str | None = None) -> Text:
        which = self.contrast if contrast is None else contrast
        tags = tuple(tag for fact in facts for tag in fact.tags) or ("normal",)
        placed = all(fact.side or fact.concept == "cardiomegaly" for fact in facts)
        if self.writer.split == "train" and self.writer.chance(0.3) and placed:
            return _caption(facts, which), tags
        return _told(self.writer, facts, self.kind, which, share), tags

    def changed(self, field: str, to: Callable[[Fact], str]) -> Text:
        """Tell the image with one fact's field changed; an empty side or zone is not for changing."""
        fitting = [number for number, fact in enumerate(self.facts) if getattr(fact, field)]
        at = fitting[int(self.writer.rng.random() * len(fitting))]
        facts = list(self.facts)
        facts[at] = replace(facts[at], **{field: to(facts[at])})
        return self.told(facts)

    def another(self) -> Fact:
        """Return a finding that the image does not show."""
        while True:
            fact = some_fact(self.writer, self.kind, 0.8)
            if fact.concept not in {each.concept for each in self.facts}:
                return fact

    def with_denial(self) -> Text:
        text, tags = self.told(self.facts)
        absent = self.another().concept
        return joined(self.writer, text, negative(self.writer, absent)), (*tags, f"-{absent}")

    def against(self, fact: Fact) -> str:
        return (
            denied(self.writer, fact) if self.writer.chance(0.5) and fact.side else negative(self.writer, fact.concept)
        )

    def on_image(self, text: str, share: float = 0.5) -> str:
        """Name the contrast too, now and then."""
        if not self.contrast or not self.writer.chance(share):
            return text
        return self.writer.frame(attacks.ON_IMAGE, x=self.writer.pick(words.IMAGE_KINDS[self.contrast]), t=text)

    def denied(self) -> Text:
        text = self.on_image(". ".join(self.against(fact) for fact in self.facts))
        return text, tuple(f"-{fact.concept}" for fact in self.facts)

    def abnormal(self) -> Text:
        """Say no more than that the image is not normal."""
        names = words.IMAGE_KINDS[self.contrast] if self.contrast else ("", "chest", "x-ray", "lung")
        return " ".join(self.writer.frame(attacks.ABNORMAL, x=self.writer.pick(names)).split()), ("abnormal",)

    def contradicted(self) -> Text:
        """Tell the image, and that it is normal or lacks what was told; or normal, and a finding."""
        writer = self.writer
        if not self.facts:
            return mixed(writer, self.on_image(all_normal(writer)), self.told([self.another()])[0]), ("normal",)
        text, tags = self.told(self.facts)
        text = text.removesuffix(".")
        end = self.on_image(all_normal(writer)) if writer.chance(0.5) else self.against(self.facts[0])
        return (mixed(writer, text, end) if writer.chance(0.7) else f"{text}. {end}"), tags

    def hedged(self) -> Text:
        """Leave open which finding it is, where it is, or whether there is one."""
        writer = self.writer
        fact = self.facts[0] if self.facts else self.another()
        form = writer.rng.random() if self.facts else 1.0
        if form < 0.4:
            pair = either(writer, writer.bare(fact.concept), writer.bare(self.another().concept))
            text = writer.frame(say.EITHER, **pair) + (f" {writer.place(fact, bare=False)}" if fact.side else "")
        elif form < 0.75 and fact.side:
            pair = either(writer, "left", "right")
            text = f"{writer.phrase(Fact(fact.concept))} {writer.frame(say.EITHER, **pair)} {fact.zone}"
        else:
            text = writer.frame(say.EITHER, **either(writer, normal(writer, self.kind), writer.phrase(fact)))
        return self.on_image(text), fact.tags


def description(writer: Writer) -> Draft:
    """Describe the image; references are captions."""
    kind = some_field(writer)
    contrast = writer.pick(("t1", "t2", "flair")) if kind == "mri" else ""
    facts = _some_facts(writer, kind)
    area = "slice" if kind == "mri" else "image"
    area = writer.pick((area, "MRI slice" if kind == "mri" else "chest X-ray"))
    question = writer.pick((
        f"Describe this {area}.", "Describe the image.", "Describe the findings.", f"Write a caption for this {area}.",
        "What does the image show?", "Report the findings.",
    ))  # fmt: skip
    reference = _caption(facts, contrast) if writer.chance(0.85) else _plainly(writer, facts, kind, contrast)
    draft = Draft(question, reference, tuple(tag for fact in facts for tag in fact.tags) or ("normal",))
    image = _Image(writer, facts, kind, contrast)
    draft.add(A, "paraphrase", lambda: image.told(facts), 4)
    draft.add(A, "more detail", image.with_denial, 1)
    draft.add(B, "extra finding", lambda: image.told([*facts, image.another()]), 1.0 if facts else 3.0)
    if contrast:
        others = ("t1", "t2", "flair")
        draft.add(B, "wrong kind", lambda: image.told(facts, 1.0, writer.other(contrast, others)), 1.6)
    draft.add(B, "contradiction", image.contradicted, 0.8)
    draft.add(B, "hedge", image.hedged, 0.5)
    draft.add(B, "missing finding" if facts else "negation", image.abnormal, 0.2 if facts else 1.6)
    if facts:
        _add_changes(draft, image)
    return draft


def _some_facts(writer: Writer, kind: str) -> list[Fact]:
    """Draw up to three findings of a chest X-ray, or at most one of an MRI slice."""
    number = writer.rng.choices((0, 1, 2, 3), (0.2, 0.45, 0.28, 0.07) if kind == "cxr" else (0.2, 0.8, 0, 0))[0]
    facts: list[Fact] = []
    while len(facts) < number:
        fact = some_fact(writer, kind, 1.0)
        if kind == "mri":
            fact = Fact(fact.concept, fact.side, writer.pick(PLACES["mri"]))
        if fact.concept not in {one.concept for one in facts}:
            facts.append(fact)
    return facts


def _add_changes(draft: Draft, image: _Image) -> None:
    writer, facts = image.writer, image.facts
    if any(fact.side for fact in facts):
        turned = {"left": "right", "right": "left"}
        draft.add(B, "wrong side", lambda: image.changed("side", lambda fact: turned[fact.side]), 1.6)
        draft.add(B, "missing finding", lambda: image.changed("side", lambda _: ""), 0.35)
    if any(fact.zone for fact in facts):
        zones = PLACES[image.kind]
        draft.add(B, "wrong zone", lambda: image.changed("zone", lambda fact: writer.other(fact.zone, zones)), 2.2)
        draft.add(B, "missing finding", lambda: image.changed("zone", lambda _: ""), 0.35)
    draft.add(B, "wrong finding", lambda: image.changed("concept", lambda _: image.another().concept), 1.2)
    draft.add(B, "negation", lambda: image.told([]), 0.5)
    draft.add(B, "negation", image.denied, 1.4)
    if len(facts) > 1:
        draft.add(B, "missing finding", lambda: image.told(writer.shuffled(facts)[1:]), 1.3)


def _plainly(writer: Writer, facts: Sequence[Fact], kind: str, contrast: str) -> str:
    """Write a reference in training frames, whatever split the candidates are of."""
    text = _told(Writer(writer.rng, "train"), facts, kind, contrast, 1.0)
    return text[:1].upper() + text[1:] + "."


def lesions(writer: Writer) -> Draft:
    """Describe a slice with several lesions, by number and side."""
    contrast = writer.pick(("t1", "t2", "flair"))
    right, left = int(writer.rng.random() * 4), int(writer.rng.random() * 4)
    if right + left < 2:
        right, left = right + 1, left + 1
    question = writer.pick((
        "Describe this MRI slice.", "Describe this slice.", "Describe the image.", "Describe the findings.",
        "What does the image show?",
    ))  # fmt: skip
    draft = Draft(question, _counted_caption(contrast, right, left), (f"n{right + left}", "+lesion"))
    told = lambda *numbers: _counted(writer, contrast, *numbers)  # noqa: E731

    def wrong_count() -> Text:
        while True:
            numbers = int(writer.rng.random() * 4), int(writer.rng.random() * 4)
            if sum(numbers) not in (0, right + left) and sum(numbers) < 6:
                return told(*numbers)

    def wrong_finding() -> Text:
        fact = Fact(writer.pick(("tumour", "haemorrhage")), some_side(writer), "frontal")
        return positive(writer, fact), fact.tags

    draft.add(A, "paraphrase", lambda: told(right, left), 4)
    draft.add(B, "wrong count", wrong_count, 2)
    if right != left:
        draft.add(B, "wrong side", lambda: told(left, right), 2)
    draft.add(B, "negation", lambda: (normal(writer, "mri"), ("normal",)), 0.5)
    draft.add(B, "wrong finding", wrong_finding, 0.7)

    def denied_all() -> str:
        noun = writer.pick(("lesions", "lesions", "lesion", "plaques", "white matter lesions", "spots"))
        text = writer.frame(say.NEGATIVE, n=noun, x=noun) if writer.chance(0.6) else all_normal(writer)
        names = words.IMAGE_KINDS[contrast]
        return writer.frame(attacks.ON_IMAGE, x=writer.pick(names), t=text) if writer.chance(0.5) else text

    draft.add(B, "negation", lambda: (denied_all(), ("-lesion",)), 1.2)
    draft.add(B, "contradiction", lambda: (mixed(writer, told(right, left)[0], denied_all()), ("+lesion",)), 0.6)
    total = str(right + left)
    hedge = lambda: either(writer, total, writer.other(total, tuple("123456")))  # noqa: E731
    draft.add(B, "hedge", lambda: (f"{writer.frame(say.EITHER, **hedge())} lesions", ("+lesion",)), 0.4)
    return draft


def _counted_caption(contrast: str, right: int, left: int) -> str:
    sides = " and ".join(f"{number} {side}" for number, side in ((right, "right"), (left, "left")) if number)
    return f"{contrast.upper()} slice with {right + left} lesions, {sides}."


def _counted(writer: Writer, contrast: str, right: int, left: int) -> Text:
    digits, total = writer.chance(0.5), right + left
    name = lambda number: str(number) if digits else words.NUMBERS[number][1]  # noqa: E731
    noun = writer.pick(("lesion", "lesion", "white matter lesion", "spot", "plaque"))
    on = writer.pick(("{n} {s}", "{n} on the {s}", "{n} {s}-sided", "{n} on the {s} side"))
    parts = [on.replace("{n}", name(n)).replace("{s}", s) for n, s in ((right, "right"), (left, "left")) if n]
    writer.rng.shuffle(parts)
    both, many = " and ".join(parts), f"{name(total)} {noun}s"
    text = writer.pick((f"{many}, {both}", f"{many}: {both}", f"{many} ({both})", f"{both} {noun}s"))
    if len(parts) == 1 and writer.chance(0.5):
        side = "right" if right else "left"
        text = writer.pick((f"{many} on the {side}", f"{name(total)} {side} {noun}s", f"{many}, all {side}"))
    if writer.split == "train" and writer.chance(0.35):
        return _counted_caption(contrast, right, left), (f"n{total}", "+lesion")
    if writer.chance(0.3):
        text = f"{contrast} slice with {text}"
    return writer.frame(say.POSITIVE, x=text), (f"n{total}", "+lesion")
