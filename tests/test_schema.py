"""The nouns: digests that depend on content only, and rows that fit their tables."""

from __future__ import annotations

import dataclasses
import hashlib
import math

import pyarrow as pa
import pytest

from raybench.schema import (
    CELL,
    SCORE_KEY,
    TABLES,
    Box,
    ImageRef,
    Sample,
    Score,
    canonical_json,
    digest,
)

SAMPLE = Sample(
    "7", "d", "test", ("What?",), ("lung",), (ImageRef("a.png"),), boxes=(Box(0, 0, 1, 1, "lesion"),),
    cluster="p1", slices={"organ": "chest"}, context={"history": "cough"},
)  # fmt: skip


def test_canonical_json():
    assert canonical_json({"b": [1, None], "a": "肺"}) == '{"a":"肺","b":[1,null]}'
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json(bad)
    with pytest.raises(TypeError):
        canonical_json({1, 2})


def test_a_digest_is_sha256_of_the_canonical_json():
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()
    assert digest("x", 8) == hashlib.sha256(b'"x"').hexdigest()[:8]


@pytest.mark.parametrize(
    "change",
    [
        {"targets": ("heart",)}, {"questions": ("Where?",)}, {"slices": {"organ": "head"}}, {"context": {}},
        {"images": (ImageRef("a.png", slice=3),)}, {"boxes": ()}, {"choices": ("lung",)}, {"cluster": "p2"},
    ],
)  # fmt: skip
def test_any_change_makes_another_sample(change):
    assert dataclasses.replace(SAMPLE).content_hash == SAMPLE.content_hash
    assert dataclasses.replace(SAMPLE, **change).content_hash != SAMPLE.content_hash


def test_a_sample_fits_its_table():
    row = SAMPLE.to_row("vqa", 3)
    assert set(row) <= set(TABLES["samples"].names)
    (again,) = pa.Table.from_pylist([row], schema=TABLES["samples"]).to_pylist()
    assert {name: again[name] for name in row} == row
    assert (row["ordinal"], row["slices"]) == (3, '{"organ":"chest"}')


def test_a_score_fits_its_table():
    fields = {field.name for field in dataclasses.fields(Score)}
    assert fields | {"committed_at", "inputs"} == set(TABLES["scores"].names)
    assert set(SCORE_KEY) <= fields
    assert set(CELL) <= fields


def test_every_table_says_when_a_row_was_committed():
    for name, schema in TABLES.items():
        assert schema.field("committed_at").type == pa.string(), name
        assert schema.metadata == {b"raybench_schema": b"1"}, name
