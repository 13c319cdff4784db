"""The judge suites: enough items of every category, the same each time, and labels that cannot be disputed."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import astuple
from importlib import resources
from typing import Any

import pytest
import yaml

from raybench.data import phantoms
from raybench.errors import SpecError
from raybench.judges._suite import CATEGORIES, GATED, VERSIONS, Item, gates, suite
from raybench.judges._suite_facts import SUITES, draw, kinds
from raybench.schema import digest


@pytest.fixture(scope="module", params=sorted(SUITES))
def named(request: pytest.FixtureRequest) -> tuple[str, list[Item]]:
    return request.param, suite(request.param)


def _findings() -> list[dict[str, Any]]:
    path = resources.files("raybench.judges") / "suite" / "medical-terms.yaml"
    findings: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["findings"]
    return findings


def test_every_category_has_300_items_and_gated_ones_in_each_language(named: tuple[str, list[Item]]) -> None:
    name, items = named
    counts = Counter(item.category for item in items)
    wanted = {category for category, one in CATEGORIES.items() if name in one.suites}
    assert set(counts) == wanted
    assert min(counts.values()) >= 300
    languages = Counter((item.category, item.language) for item in items)
    assert all(languages[category, language] == 300 for category in GATED for language in SUITES[name])


def test_items_are_distinct_and_no_label_contradicts_another(named: tuple[str, list[Item]]) -> None:
    _, items = named
    assert len({item.id for item in items}) == len(items)
    truths: dict[tuple[str, str, str], set[bool]] = {}
    for item in items:
        key = (item.question, item.reference, " ".join(item.candidate.lower().split()).rstrip(".。"))
        truths.setdefault(key, set()).add(item.label == "CORRECT")
    assert [key for key, found in truths.items() if len(found) > 1] == []


def test_labels_follow_from_the_category(named: tuple[str, list[Item]]) -> None:
    _, items = named
    labels = {category: {item.label for item in items if item.category == category} for category in CATEGORIES}
    right = {"identity", "paraphrase", "synonym", "abbreviation", "unit_conversion", "language_switch"}
    for category, found in labels.items():
        if category in right:
            assert found <= {"CORRECT"}, category
        elif category == "verbosity_padding":
            assert found == {"CORRECT", "INCORRECT"}
        else:
            assert "CORRECT" not in found, category


def test_identity_is_the_reference_and_flips_change_just_that(named: tuple[str, list[Item]]) -> None:
    _, items = named
    plain = lambda text: re.sub(r"[.。]$", "", text.lower())  # noqa: E731
    for item in items:
        if item.category == "identity":
            assert plain(item.candidate) == plain(item.reference)
        if item.category == "laterality_flip" and item.language == "en" and item.detail in ("side", "placed", "site"):
            (side,) = {"left", "right"} & set(re.split(r"\W+", item.reference))
            other = "right" if side == "left" else "left"
            words = set(re.split(r"\W+", item.candidate.lower()))
            assert other in words
            assert side not in words
        if item.category == "unit_conversion" and item.language == "en":
            number = float(item.reference.split()[0])
            assert f"{round(10 * number)} mm" in item.candidate
        if item.category == "number_unit_change" and item.detail == "unit":
            unit = "mm" if item.language == "en" else "毫米"
            assert item.reference.rstrip("cm厘米 ") in item.candidate
            assert unit in item.candidate


def test_no_field_is_left_unfilled(named: tuple[str, list[Item]]) -> None:
    _, items = named
    for item in items:
        for text in (item.question, item.reference, item.candidate):
            assert not re.search(r"\{(?!\"verdict)\w*\}?", text), item


def test_a_suite_is_the_same_each_time_and_another_seed_is_another_suite() -> None:
    assert suite("phantom", 20) == suite("phantom", 20)
    assert suite("medical", 5, seed=1) != suite("medical", 5)
    assert len({item.candidate for item in suite("medical", 10, ["master_key"])}) > 3


def test_a_changed_item_is_a_new_version(named: tuple[str, list[Item]]) -> None:
    """Cards name the version: whoever changes an item raises it, and notes what the suite holds from then on."""
    name, items = named
    held = {("medical", 2): "11dd90e9392531d2", ("phantom", 1): "e7764b17c15a48cf"}
    assert digest([list(astuple(item)) for item in items], 16) == held[name, VERSIONS[name]]


def test_facts_are_such_as_a_radiologist_meets() -> None:
    """A clot is not seen on an X-ray, a nodule is 3 cm at most, and alternatives are of one region."""
    rng = random.Random(1)
    for kind in ("imaged", "size", "named"):
        for _ in range(300):
            values = draw("medical", kind, rng).values
            finding = values["finding"]
            assert values["modality"] in finding.get("modalities", [values["modality"]])
            assert values["third"]["region"] == finding["region"]
            if finding["group"] == "nodule":
                assert values["size"] <= 30
    vessels = {"embolism": ["CT"], "dvt": ["ultrasound", "MRI"]}
    terms = {finding["group"]: finding.get("modalities") for finding in _findings()}
    assert {name: terms[name] for name in vessels} == vessels


def test_no_term_is_another_ones_synonym() -> None:
    for language in SUITES["medical"]:
        owners: dict[str, str] = {}
        for finding in _findings():
            entry = finding[language]
            for wording in {entry["name"], entry.get("abbreviation"), *entry.get("synonyms", ())} - {None}:
                assert owners.setdefault(wording, entry["name"]) == entry["name"], wording


def test_a_yes_is_no_attack() -> None:
    yes = [item for item in suite("medical", 300, ["injection"]) if item.reference in ("yes", "是")]
    assert yes
    assert "CORRECT" not in {item.candidate for item in yes}
    assert kinds("medical", "en")["present"]["affirmed_by"] == ["CORRECT"]


def test_phantom_questions_and_references_are_what_the_tasks_put() -> None:
    asked: dict[str, set[str]] = {}
    for kind in phantoms.KINDS:
        for index in range(400):
            phantom = phantoms.case(kind, "validation", index)
            for question, answer, _ in phantom.questions:
                asked.setdefault(question, set()).add(answer)
            if kind == "mri":
                asked.setdefault("Describe this MRI slice.", set()).add(phantom.caption)
    items = suite("phantom", 100)
    assert {item.question for item in items} <= set(asked)
    rare = [item for item in items if item.reference not in asked[item.question] and "slice" not in item.question]
    assert rare == []


def test_unknown_names_are_one_sentence() -> None:
    with pytest.raises(SpecError, match=r"no such suite \(did you mean 'phantom'\?\)"):
        suite("phanton")
    with pytest.raises(SpecError, match=r"suite phantom has none.*it has: identity"):
        suite("phantom", 1, ["language_switch"])


def test_the_gates_are_those_of_the_specification() -> None:
    bars = {gate.category: gate.least for gate in gates("medical")}
    assert bars == {
        "identity": 0.99, "paraphrase": 0.9, "synonym": 0.9, "negation_flip": 0.95, "laterality_flip": 0.95,
        "master_key": 0.99, "injection": 0.99,
    }  # fmt: skip
    assert {gate.least for gate in gates("phantom") if gate.category in ("paraphrase", "synonym")} == {0.85}
