"""Facts of the judge suites: what is true of an image that nobody drew, put into words from term tables.

A fact is a *kind* of question ("On which side is ...?") with values drawn for it (finding, side, site, size, ...)
and, for each value, another one that contradicts it. The same values can be worded in every language of the
tables, so that an answer is right or wrong by construction and never by anybody's opinion.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from raybench.schema import Row, digest

__all__ = ["SUITES", "Fact", "Wording", "attacks", "draw", "kinds", "shared_lines", "word"]

#: Suite -> its languages.
SUITES: Mapping[str, tuple[str, ...]] = {"medical": ("en", "zh"), "phantom": ("en",)}
#: How a finding or modality is named: its own name, a synonym, or an abbreviation.
Wording = str

_FIELD = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"^an? ")
_START = re.compile(r"(?:^|(?<=[.!?] ))[a-z]")
_PAIRS = ((2, 1), (3, 1), (1, 2), (1, 3))


@dataclass(frozen=True)
class Fact:
    """One kind of question with its values; `others` contradict `values`, one for one."""

    suite: str
    kind: str
    values: Mapping[str, Any]
    others: Mapping[str, Any]

    def swapped(self, names: Sequence[str]) -> Fact:
        """Return the fact with these values exchanged for the contradicting ones."""
        values, others = dict(self.values), dict(self.others)
        for name in names:
            values[name], others[name] = others[name], values[name]
        return Fact(self.suite, self.kind, values, others)


@lru_cache(maxsize=8)
def _table(name: str) -> Row:
    path = resources.files("raybench.judges") / "suite" / f"{name}.yaml"
    loaded: Row = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def attacks() -> Row:
    """Return the attack strings: {"master_key": [...], "injection": {name: [...]}, "fence_break": {name: [...]}}."""
    return _table("attacks")


def kinds(suite: str, language: str) -> dict[str, Row]:
    """Return kind -> its questions, reference and wordings in one language."""
    found: dict[str, Row] = _table(f"{suite}-{language}")["kinds"]
    return found


def shared_lines(suite: str, language: str, name: str) -> list[str]:
    """Return sentences that fit any question: "vague", "truncated" or "padding"."""
    lines: list[str] = _table(f"{suite}-{language}")[name]
    return lines


def draw(suite: str, kind: str, rng: random.Random) -> Fact:
    """Draw a fact of one kind (the kinds are the same in every language of a suite)."""
    terms, spec = _table(f"{suite}-terms"), kinds(suite, "en")[kind]
    eligible = [each for each in terms["findings"] if _fits(each, spec)]
    finding = rng.choice(eligible)
    region = finding["region"]
    unlike = [each for each in terms["findings"] if each["group"] != finding["group"]]
    near = [each for each in unlike if each["region"] == region] or unlike
    other = rng.choice([each for each in near if _fits(each, spec)] or near)
    third = _near(rng.choice([each for each in unlike if each["group"] != other["group"]]), near, other)
    modality, other_modality = _modalities(terms, finding, rng)
    side = rng.randrange(2)
    site, other_site = rng.sample(terms["sites"][region], 2)
    mm = rng.randrange(4, finding.get("max_mm", 60))
    count, other_count = rng.sample(range(1, 5 if suite == "phantom" else 7), 2)
    pair = rng.choice(_PAIRS)
    values = {"finding": finding, "side": side, "site": site, "size": mm, "count": count, "modality": modality}
    others = {"finding": other, "side": 1 - side, "site": other_site, "size": _other_size(mm, rng),
              "count": other_count, "modality": other_modality}  # fmt: skip
    return Fact(suite, kind, {**values, "third": third, "pair": pair}, {**others, "third": third, "pair": pair})


def _modalities(terms: Row, finding: Row, rng: random.Random) -> tuple[str, str]:
    """Draw a modality that shows the finding, and another one."""
    names = terms["regions"][finding["region"]] or [each["id"] for each in terms["modalities"]]
    if "modalities" in finding:
        own = rng.choice(finding["modalities"])
        return own, rng.choice([name for name in names if name != own])
    first, second = rng.sample(names, 2)
    return first, second


def _near(third: Row, near: Sequence[Row], other: Row) -> Row:
    """Return a third finding of the same region where there is one: a list of alternatives is about one place."""
    own = [each for each in near if each["group"] != other["group"]]
    return third if third in own or not own else own[int(digest(third["en"]["name"], 8), 16) % len(own)]


def _fits(finding: Row, spec: Row) -> bool:
    needs = spec["needs"]
    if spec.get("region", finding["region"]) != finding["region"]:
        return False
    if ("side" in needs or "site" in needs) and not finding.get("sided", True):
        return False
    sited = finding.get("sited", False)
    if ("site" in needs and not sited) or ("size" in needs and not finding.get("measured", sited)):
        return False
    return "plural" not in needs or "plural" in finding["en"]


def _other_size(mm: int, rng: random.Random) -> int:
    """A size at least half as large again, or at most two thirds, so that no rounding makes them equal."""
    larger = mm + max(3, mm // 2) + rng.randrange(0, 25)
    smaller = mm * 2 // 3 - rng.randrange(0, max(1, mm // 4))
    return smaller if smaller >= 3 and rng.random() < 0.5 else larger


def word(
    fact: Fact, template: str, language: str, rng: random.Random, target: str = "", wording: Wording = "name"
) -> str:
    """Fill a template with a fact's values.

    Args:
        target: "finding" or "modality", named by `wording` ("synonym" or "abbreviation").
    """
    own, other = _Words(fact, fact.values, language), _Words(fact, fact.others, language)
    drawn = {name: _named(own.entry(name), wording, rng) for name in (target,) if name}

    def field(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("third_"):
            third = str(fact.values["third"][language]["name"])
            return third if name == "third_a" else _ARTICLE.sub("", third)
        return other.field(name.removeprefix("other_"), {}) if name.startswith("other_") else own.field(name, drawn)

    text = _FIELD.sub(field, template)
    return _START.sub(lambda found: found[0].upper(), text) if language == "en" and text.endswith(".") else text


@dataclass(frozen=True)
class _Words:
    """The words of one set of values in one language."""

    fact: Fact
    values: Mapping[str, Any]
    language: str

    def entry(self, name: str) -> Row:
        """Return the term of a finding, modality, side or site."""
        terms, value = _table(f"{self.fact.suite}-terms"), self.values[name]
        if name == "modality":
            value = next(each for each in terms["modalities"] if each["id"] == value)
        elif name == "side":
            value = terms["sides"][value]
        found: Row = value[self.language]
        return found

    def field(self, name: str, drawn: Mapping[str, str]) -> str:
        """Return what stands in a template's {name}; `drawn` has the finding or modality under another name."""
        if name in ("a", "finding", "plural"):
            return self._finding(name, drawn.get("finding"))
        if name in ("side", "site", "modality"):
            return drawn.get(name) or str(self.entry(name)["name"])
        if name in ("region", "area"):
            return str(self._table[f"{name}s"][self.values["finding"]["region"]])
        if name == "measure":
            return str(self.entry("finding").get("measure") or self._table["measure"])
        if name.startswith("size"):
            return self._size(name)
        return self._number(name)

    @property
    def _table(self) -> Row:
        return _table(f"{self.fact.suite}-{self.language}")

    def _finding(self, form: str, drawn: str | None) -> str:
        entry = self.entry("finding")
        if form == "a":
            return drawn or str(entry["name"])
        bare = _ARTICLE.sub("", drawn) if drawn else str(entry.get("bare") or _ARTICLE.sub("", entry["name"]))
        return str(entry.get("plural") or bare) if form == "plural" else bare

    def _size(self, form: str) -> str:
        unit, mm = self._table["unit"], self.values["size"]
        number = mm if form == "size_small" else f"{mm / 10:g}"
        return f"{number}{unit['space']}{unit['large'] if form == 'size' else unit['small']}"

    def _number(self, name: str) -> str:
        count, (right, left) = self.values["count"], self.values["pair"]
        if name == "word":
            return str(_table(f"{self.fact.suite}-terms")["numbers"][self.language][count - 1])
        numbers = {
            "count": count, "are": "is" if count == 1 else "are", "s": "" if count == 1 else "s", "many": right,
            "few": left, "total": right + left, "more": right + left + 1, "many_more": right + 1,
        }  # fmt: skip
        return str(numbers[name])


def _named(entry: Row, wording: Wording, rng: random.Random) -> str:
    if wording == "synonym":
        return str(rng.choice(entry["synonyms"]))
    return str(entry.get(wording) or entry["name"])
