"""The catalogue: every entry is one that a spec may start from, and the open models of both studies are in it."""

import re

import pytest

from raybench import registry
from raybench.parsing.boxes import CONVENTIONS
from raybench.spec import JudgeSpec, ModelSpec, open_plugin

ENTRIES = registry.catalogue()

#: Hub id of each open model of the two studies, and of the judge of the first.
STUDIES = {
    "llama-3.2-11b-vision": "meta-llama/Llama-3.2-11B-Vision-Instruct",
    "llama-3-8b": "meta-llama/Meta-Llama-3-8B-Instruct",
    "llava-1.5-7b": "llava-hf/llava-1.5-7b-hf",
    "llava-1.5-13b": "llava-hf/llava-1.5-13b-hf",
    "llava-med-v1-7b": "microsoft/llava-med-7b-delta",
    "llava-med-v1.5-7b": "chaoyinshe/llava-med-v1.5-mistral-7b-hf",
    "pubmedclip": "flaviagiammarino/pubmed-clip-vit-base-patch32",
    "biomedclip": "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_a_valid_start(name):
    kind = JudgeSpec if ENTRIES[name]["kind"] == "judge" else ModelSpec
    spec = kind.model_validate(ENTRIES[name])
    _, options = open_plugin("models", spec.backend, spec)
    assert options.model
    assert spec.boxes is None or spec.boxes in CONVENTIONS
    assert spec.notes.endswith((".", "README.md."))


@pytest.mark.parametrize("name", STUDIES)
def test_the_studies_open_models(name):
    entry = ENTRIES[name]
    assert entry["model"] == STUDIES[name]
    assert "boxes" in entry or entry["kind"] == "judge" or "no boxes" in entry["notes"]
    context = re.search(r"([\d,]+) tokens of context", entry["notes"])
    assert context or "As llava-1.5-7b" in entry["notes"]
