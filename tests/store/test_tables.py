"""One set of views decides which of several rows counts, whatever the parts look like."""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raybench.errors import StoreError
from raybench.schema import CELL, TABLES
from raybench.store import Store, tables, writer
from raybench.store.writer import OPEN_SUFFIX, write_part

KEYS = dict(zip(CELL, ("vqa", "d", "test", "m", "c", "plain", "with"), strict=True))


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "it's results"))


def response(key="k", text="a", at="2026-01-01T00:00:00.000000Z"):
    return {"key": key, **KEYS, "sample": "s", "repeat": 0, "turn": 0, "text": text, "committed_at": at}


def unit(key="k", at="2026-01-01T00:00:00.000000Z", sample="s"):
    return {"key": key, **KEYS, "sample": sample, "repeat": 0, "prompt": "p", "committed_at": at}


def record(generation, text="a", sample="s"):
    return {**KEYS, "generation": generation, "key": "k", "sample": sample, "repeat": 0, "text": text}


def score(generation, value, **more):
    fields = {"metric": "overall_accuracy", "profile": "raybench-strict", "slice": "all", "sample_set": "x"}
    return {**KEYS, **fields, "kind": "system", "value": value, "generation": generation, **more}


def test_of_two_responses_the_first_committed_wins(store):
    late, early = response(text="late", at="2026-01-02T00:00:00.000000Z"), response(text="early")
    write_part(store.files, "responses", [late], "a")
    write_part(store.files, "responses", [early], "b")
    assert [row["text"] for row in store.query("SELECT text FROM all_responses")] == ["early"]


def test_then_the_smaller_part_name_wins_open_or_sealed(store):
    write_part(store.files, "responses", [response(text="second")], "b")
    write_part(store.files, "responses", [response(text="third")], "c")
    assert [row["text"] for row in store.query("SELECT text FROM all_responses")] == ["second"]
    with open(f"{store.files.root}/responses/a{OPEN_SUFFIX}", "w") as file:
        file.write(writer.json.dumps(response(text="first")) + "\n")
    assert [row["text"] for row in store.query("SELECT text FROM all_responses")] == ["first"]
    store.seal_orphans()
    assert [row["text"] for row in store.query("SELECT text FROM all_responses")] == ["first"]


def test_the_newest_unit_and_sample_win(store):
    write_part(store.files, "units", [unit("new", "2026-01-02T00:00:00.000000Z")], "a")
    write_part(store.files, "units", [unit("old")], "b")
    assert [row["key"] for row in store.query("SELECT key FROM units")] == ["new"]
    sample = {**{name: KEYS[name] for name in ("task", "dataset", "split")}, "sample": "s"}
    for name, label, day in (("a", "corrected", 2), ("b", "wrong", 1)):
        found = {**sample, "targets": [label], "committed_at": f"2026-01-0{day}T00:00:00.000000Z"}
        write_part(store.files, "samples", [found], name)
    assert [row["targets"] for row in store.query("SELECT targets FROM samples")] == [["corrected"]]


def test_records_without_their_scores_part_do_not_count(store):
    store.write("records", [record("g1", "old")])
    store.write("scores", [score("g1", 0.5)])
    store.write("records", [record("g2", "new")])
    assert [row["text"] for row in store.query("SELECT text FROM records")] == ["old"]
    store.write("scores", [score("g2", 0.75)])
    assert [row["text"] for row in store.query("SELECT text FROM records")] == ["new"]
    assert [row["value"] for row in store.query("SELECT value FROM scores")] == [0.75]


def test_baselines_stand_only_beside_systems_on_their_sample_set(store):
    beside = {"kind": "baseline", "model": "majority", "config": "", "variant": ""}
    store.write("scores", [score("g1", 0.5), score("g1", 0.3, **beside), score("g1", 0.2, **beside, sample_set="y")])
    found = store.query("SELECT kind, value FROM scores ORDER BY kind")
    assert found == [{"kind": "baseline", "value": 0.3}, {"kind": "system", "value": 0.5}]


def test_an_older_part_with_fewer_columns_in_another_order(store):
    """By position, `value` would take another column's numbers: 0.5 silently became 0."""
    store.write("scores", [score("g1", 0.5, low=0.25, high=0.75, n=7)])
    older = pa.table({
        "high": [0.9], "value": [0.5], "generation": ["g1"], "kind": ["system"], "metric": ["older"],
        "slice": ["all"], **{name: [KEYS[name]] for name in reversed(CELL)},
    })  # fmt: skip
    pq.write_table(older, f"{store.files.root}/scores/0lder.parquet")
    rows = store.query("SELECT metric, value, low, high, n FROM scores ORDER BY metric")
    assert rows == [
        {"metric": "older", "value": 0.5, "low": None, "high": 0.9, "n": None},
        {"metric": "overall_accuracy", "value": 0.5, "low": 0.25, "high": 0.75, "n": 7},
    ]


def test_a_newer_part_with_another_column_can_be_read(store):
    store.write("runs", [{"run_id": "r1", "status": "done"}])
    newer = pa.table({"cost": [1.5], "run_id": ["r2"], "status": ["done"]})
    pq.write_table(newer, f"{store.files.root}/runs/newer.parquet")
    assert [row["run_id"] for row in store.query("SELECT run_id FROM runs ORDER BY 1")] == ["r1", "r2"]


def test_an_open_file_sealed_between_listing_and_reading(store, monkeypatch):
    appender = store.writer("responses")
    appender.append(response())
    real = tables.open_rows

    def seal_first(*args):
        appender.close()
        return real(*args)

    monkeypatch.setattr(tables, "open_rows", seal_first)
    assert [row["text"] for row in store.query("SELECT text FROM all_responses")] == ["a"]


def test_an_empty_orphan_removed_between_listing_and_reading(store, monkeypatch):
    store.write("responses", [response()])
    empty = f"{store.files.root}/responses/empty{OPEN_SUFFIX}"
    open(empty, "w").close()
    real = tables.open_rows

    def remove_first(*args):
        store.seal_orphans()
        return real(*args)

    monkeypatch.setattr(tables, "open_rows", remove_first)
    assert len(store.query("SELECT * FROM all_responses")) == 1
    assert len(store.files.names("responses")) == 1


def test_temp_files_are_not_read(store):
    store.write("responses", [response()])
    with open(f"{store.files.root}/responses/.x.parquet.ab12.tmp", "w") as file:
        file.write("half a part")
    assert len(store.query("SELECT * FROM all_responses")) == 1


def test_equal_calls_share_a_response(store):
    store.write("units", [unit(sample="s1"), unit(sample="s2")])
    store.write("responses", [response()])
    found = store.query("SELECT sample, text FROM responses ORDER BY sample")
    assert found == [{"sample": "s1", "text": "a"}, {"sample": "s2", "text": "a"}]


def test_another_configuration_of_a_judge_replaces_its_verdicts_but_keeps_the_calls(store):
    for key, label, day in (("k1", "CORRECT", 1), ("k1", "INCORRECT", 2), ("k2", "INCORRECT", 3)):
        verdict = {"key": key, "item": "i", "judge": "j", "protocol": "p", "label": label}
        write_part(
            store.files, "verdicts", [{**verdict, "committed_at": f"2026-01-0{day}T00:00:00.000000Z"}], f"p{day}"
        )
    assert store.query("SELECT key, label FROM verdicts") == [{"key": "k2", "label": "INCORRECT"}]
    kept = store.query("SELECT key, label FROM all_verdicts ORDER BY key")
    assert kept == [{"key": "k1", "label": "CORRECT"}, {"key": "k2", "label": "INCORRECT"}]


def test_every_table_is_readable_before_anything_was_written(store):
    with store.connect() as connection:
        counts = [connection.execute(f"SELECT count(*) FROM {name}").fetchall() for name in TABLES]
    assert counts == [[(0,)]] * len(TABLES)
    assert {"task", "text", "started_at"} < set(store.frame("responses").columns)


def test_a_folder_without_results(tmp_path):
    with pytest.raises(StoreError, match=r"^no result folder .*/nowhere$"):
        Store(str(tmp_path / "nowhere"), must_exist=True)
    with pytest.raises(StoreError, match="holds no raybench results"):
        Store(str(tmp_path), must_exist=True)


def test_an_unknown_kind_of_store_is_one_sentence():
    with pytest.raises(StoreError, match="cannot open nonsense://x"):
        Store("nonsense://x")


def test_duckdb_reads_an_object_store():
    store = Store("memory://raybench-tables")
    store.write("scores", [score("g1", 0.5)])
    with closing(store.writer("responses")) as appender:
        appender.append(response(text="one"))
    assert store.query("SELECT value FROM scores") == [{"value": 0.5}]
    assert store.query("SELECT text, part IS NOT NULL AS named FROM raw_responses") == [{"text": "one", "named": True}]
