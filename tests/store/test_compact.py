"""Compaction changes no view, survives a crash at any point, and deletes nothing that a reader may still hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from raybench.schema import CELL, SCORE_KEY, TABLES
from raybench.store import Store
from raybench.store import compact as package
from raybench.store.compact import compact
from raybench.store.writer import OPEN_SUFFIX

KEYS = dict(zip(CELL, ("vqa", "d", "test", "m", "c", "plain", "with"), strict=True))


def fill(store):
    """Two or more parts of every table, with duplicates, an old generation and an older plan."""
    for i in range(3):
        unit = {**KEYS, "sample": f"s{i % 2}", "repeat": 0}
        store.write("samples", [{**KEYS, "sample": f"s{i % 2}", "targets": [f"t{i}"], "questions": ["q"]}])
        store.write("units", [{**unit, "key": f"k{i}"}])
        store.write("responses", [{**unit, "key": f"k{i % 2}", "turn": 0, "text": f"text {i}", "seconds": 0.5}])
        store.write("attempts", [{**unit, "key": "k9", "reason": "timeout", "attempts": i}])
        store.write(
            "verdicts",
            [{"key": f"v{i % 2}", "item": f"i{i % 2}", "judge": "j", "protocol": "p", "score": float(i), "label": "A"}],
        )
        store.write("media", [{"image_sha256": f"h{i % 2}", "thumbnail": bytes([i])}])
        store.write("runs", [{"run_id": "r", "status": f"status {i}"}])
        store.write("records", [{**unit, "generation": f"g{i}", "key": "k", "text": f"generation {i}"}])
        if i < 2:
            row = dict.fromkeys(SCORE_KEY, "x") | KEYS
            store.write("scores", [{**row, "kind": "system", "generation": f"g{i}", "value": i / 4, "flags": ["few"]}])
            base = {**row, "kind": "baseline", "model": "majority", "config": "", "generation": f"g{i}", "value": 0.1}
            store.write("scores", [base])


def contents(store):
    """View -> its rows, in an order of their own."""
    views = (*TABLES, "all_responses", "all_verdicts", "generations")
    with store.connect() as connection:
        return {view: sorted(map(repr, connection.execute(f"SELECT * FROM {view}").fetchall())) for view in views}


@pytest.fixture
def store(tmp_path):
    filled = Store(str(tmp_path / "it's here"))
    fill(filled)
    return filled


def test_an_object_store_is_compacted_alike(tmp_path):
    store = Store(f"memory://compact-{tmp_path.name}")
    fill(store)
    before = contents(store)
    assert set(compact(store)) == set(TABLES)
    assert contents(store) == before
    assert all(len(store.parts(table)) == 1 for table in TABLES)


def test_every_view_is_the_same_before_and_after(store):
    before = contents(store)
    assert all(before.values()), [name for name, rows in before.items() if not rows]
    done = compact(store)
    assert done == {name: (4 if name == "scores" else 3, 1) for name in TABLES}
    assert contents(store) == before
    assert all(len(store.parts(table)) == 1 for table in TABLES)
    assert compact(store) == {}


def test_again_after_more_rows(store):
    compact(store)
    fill(store)
    before = contents(store)
    compact(store)
    assert contents(store) == before


def test_a_crash_before_the_snapshot(store, monkeypatch):
    before = contents(store)
    with monkeypatch.context() as patch:
        patch.setattr(store.files, "create", crash)
        with pytest.raises(KeyboardInterrupt):
            compact(store)
    assert len(store.parts("samples")) == 4  # three old ones and the new one, as duplicates
    assert contents(store) == before
    compact(store)
    assert contents(store) == before
    assert len(store.parts("samples")) == 1


def crash(*_args):
    raise KeyboardInterrupt


def test_a_crash_while_the_part_is_written(store, monkeypatch):
    before = contents(store)
    listing = store.files.names("samples")
    with monkeypatch.context() as patch:
        patch.setattr(
            *((type(store.files.fs), "pipe_file") if store.files.fs else (package.Store, "connect_parts")), crash
        )
        with pytest.raises(KeyboardInterrupt):
            compact(store)
    assert store.files.names("samples") == listing
    assert contents(store) == before


def test_the_loser_of_two_compactions_changes_nothing(store):
    before = contents(store)
    parts = store.parts("samples")
    other = Store(store.name)
    assert package._compact_table(store, "samples", parts)
    real = other.snapshot
    other.snapshot = lambda table, names=None: (0, {}) if names is None else real(table, names)
    assert not package._compact_table(other, "samples", parts)
    assert contents(store) == before
    assert len(store.parts("samples")) == 2  # the loser's part stays: a reader may have listed it
    compact(store)
    assert len(store.parts("samples")) == 1
    assert contents(store) == before


def test_replaced_files_are_deleted_after_an_hour_only(store, monkeypatch):
    old = store.files.names("samples")
    compact(store)
    compact(store)
    assert set(old) < set(store.files.names("samples"))

    class Later(datetime):
        minutes = 59

        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(minutes=cls.minutes)

    monkeypatch.setattr(package, "datetime", Later)
    compact(store)
    assert set(old) < set(store.files.names("samples"))
    before = contents(store)
    Later.minutes = 61
    compact(store)
    assert not set(old) & set(store.files.names("samples"))
    assert contents(store) == before


def test_records_of_a_scoring_at_work_survive(store):
    compact(store)
    row = dict.fromkeys(SCORE_KEY, "x") | KEYS
    store.write("scores", [{**row, "kind": "system", "generation": "g2", "value": 1.0}])
    assert [found["text"] for found in store.query("SELECT text FROM records")] == ["generation 2"]


def test_old_generations_are_dropped_and_nothing_is_doubled(store):
    compact(store)
    found = store.query("SELECT generation FROM raw_records ORDER BY 1")
    assert [row["generation"] for row in found] == ["g1", "g2"]
    assert len(store.query("SELECT * FROM raw_responses")) == 2


def test_a_column_of_a_newer_version_survives(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = Store(str(tmp_path))
    store.write("runs", [{"run_id": "r1", "status": "done"}])
    newer = pa.table({"cost": [1.5], "run_id": ["r2"], "status": ["done"]})
    pq.write_table(newer, f"{store.files.root}/runs/newer.parquet")
    compact(store)
    assert store.query("SELECT run_id, cost FROM runs ORDER BY 1") == [
        {"run_id": "r1", "cost": None},
        {"run_id": "r2", "cost": 1.5},
    ]


def test_the_rows_of_a_living_writer_stay_where_they_are(tmp_path):
    store = Store(str(tmp_path))
    for i in range(2):
        store.write("responses", [{"key": f"k{i}", "turn": 0, "text": "sealed"}])
    appender = store.writer("responses")
    appender.append({"key": "k2", "turn": 0, "text": "open"})
    compact(store)
    assert len([name for name in store.parts("responses") if name.endswith(OPEN_SUFFIX)]) == 1
    assert len(store.query("SELECT * FROM all_responses")) == 3
    appender.close()
    assert len(store.query("SELECT * FROM all_responses")) == 3


def test_a_snapshot_says_when_and_what(tmp_path):
    store = Store(str(tmp_path))
    for _ in range(2):
        store.write("runs", [{"run_id": "r"}])
    old = store.parts("runs")
    compact(store)
    number, snapshot = store.snapshot("runs")
    assert number == 1
    assert snapshot["replaced"] == sorted(old)
    at = datetime.strptime(snapshot["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert json.loads(store.files.read("runs/snapshot-00000001.json")) == snapshot
