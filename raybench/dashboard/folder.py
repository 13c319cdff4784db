"""A result folder as the pages read it: pinned parts, two connections, and what is wrong with it in words.

A `View` holds the parts that were there when it was taken, so that all numbers of one answer are of one state; a new
view is taken when the listing has changed. Parts that cannot be read are left out and named among the problems: a
half-copied folder shows what it has.
"""

from __future__ import annotations

import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from raybench.errors import StoreError, UnreadableError
from raybench.schema import CELL, TABLES, Row, digest
from raybench.store import Store, stream

__all__ = ["LIVE_RECORDS", "Folder", "View"]

#: Seconds for which a listing is believed: local disk, object store.
_FRESH_SECONDS = (2.0, 15.0)
_MEMORY_MB = 128
_THREADS = 2
#: Errors of a query rather than of what it reads.
_OURS = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.SyntaxException)
_SCORE_TABLES = ("scores", "runs")
_ROW_TABLES = ("records", "samples", "responses", "verdicts", "attempts", "runs")

#: Records of each cell's newest generation, without the deduplication that only wide reads need.
LIVE_RECORDS = f"raw_records r SEMI JOIN newest USING ({', '.join(CELL)}, generation)"

#: The rows of the view `scores` without its deduplication of whole rows, which takes seconds on a large folder:
#: first which (cell, sample set, generation) count, then their rows of one slice. A row may come twice.
_SCORES_SQL = f"""
CREATE TABLE counted AS
WITH stored AS (SELECT DISTINCT {", ".join(CELL)}, kind, sample_set, generation FROM raw_scores),
newest AS (
    SELECT * FROM stored WHERE kind <> 'baseline'
    QUALIFY generation = max(generation) OVER (PARTITION BY {", ".join(CELL)}, kind)
),
baselines AS (
    SELECT * FROM stored WHERE kind = 'baseline'
    QUALIFY generation = max(generation) OVER (PARTITION BY task, dataset, split, sample_set, model)
)
SELECT * FROM newest
UNION ALL SELECT b.* FROM baselines b SEMI JOIN newest USING (task, dataset, split, sample_set);
CREATE VIEW any_score AS
SELECT s.* EXCLUDE (committed_at, inputs, part) FROM raw_scores s
SEMI JOIN counted USING ({", ".join(CELL)}, kind, sample_set, generation);
CREATE TABLE score AS SELECT * FROM any_score WHERE slice = 'all';
"""


class _Pinned(Store):
    """A store that reads the given parts and no others.

    Args:
        view: answers what the tables `scores` and `runs` suffice for, over a connection that stays open.
    """

    def __init__(self, root: str, pinned: dict[str, list[str]], view: View) -> None:
        super().__init__(root)
        self.pinned = pinned
        self._view = weakref.ref(view)

    def parts(self, table: str) -> list[str]:
        return self.pinned.get(table, [])

    def query(self, sql: str, parameters: Sequence[Any] = (), tables: Sequence[str] = tuple(TABLES)) -> list[Row]:
        view = self._view()
        if view is None or not set(tables) <= set(_SCORE_TABLES):
            return super().query(sql, parameters, tables)
        return view.scores(sql, parameters)


class View:
    """One state of a result folder.

    Attributes:
        store: a store pinned to it.
        version: digest of its listing.
        problems: sentences for the reader, each with what to do.
    """

    def __init__(self, root: str, parts: dict[str, list[str]], problems: Sequence[str] = ()) -> None:
        self.store = _Pinned(root, parts, self)
        self.version = digest(parts, 16)
        self.problems = list(problems)
        self._known: dict[Any, Any] = {}
        self._locks: dict[Any, threading.Lock] = {}
        self._lock = threading.RLock()

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` returned for this key; made once, whoever asks first."""
        if key not in self._known:
            with self._lock:
                lock = self._locks.setdefault(key, threading.Lock())
            with lock:
                if key not in self._known:
                    self._known[key] = make()
        return self._known[key]

    def peek(self, key: Any) -> Any:
        """Return what `once` has made for this key, or None."""
        return self._known.get(key)

    def scores(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return rows of a query over the table `score` (slice "all") and the views `any_score` (any slice), `runs`."""
        return self._query("scores", sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return rows of a query over every table but `units`, and `newest`: the generation of each cell."""
        return self._query("rows", sql, parameters)

    def numbers(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return an Arrow table of a query over the same tables as `rows`."""
        cursor = self._connection("rows").cursor()
        try:
            return cursor.sql(sql, params=list(parameters)).to_arrow_table()
        except duckdb.Error as error:
            raise _unreadable(error) from error

    @cached_property
    def temporary(self) -> tempfile.TemporaryDirectory[str]:
        """Where DuckDB may spill: the result folder and the working directory may be read-only."""
        return tempfile.TemporaryDirectory(prefix="raybench-")

    def _query(self, group: str, sql: str, parameters: Sequence[Any]) -> list[Row]:
        try:
            return list(stream(self._connection(group), sql, parameters))
        except duckdb.Error as error:
            raise _unreadable(error) from error

    def _connection(self, group: str) -> duckdb.DuckDBPyConnection:
        found: duckdb.DuckDBPyConnection = self.once(("connection", group), lambda: self._connect(group))
        return found

    def _connect(self, group: str) -> duckdb.DuckDBPyConnection:
        tables = _SCORE_TABLES if group == "scores" else (*_ROW_TABLES, "scores")
        try:
            connection = self._opened(tables)
        except duckdb.Error:
            self._leave_out_damaged(tables)
            connection = self._opened(tables)
        if group == "scores":
            connection.execute(_SCORES_SQL)
        else:
            names = ", ".join(CELL)
            sql = f"SELECT {names}, generation FROM generations WHERE kind = 'system'"
            connection.execute(f"CREATE TABLE newest AS {sql}")
        return connection

    def _opened(self, tables: Sequence[str]) -> duckdb.DuckDBPyConnection:
        connection = self.store.connect_parts({table: self.store.parts(table) for table in tables})
        connection.execute(f"SET memory_limit = '{_MEMORY_MB}MB'; SET threads = {_THREADS}")
        # Global: queries have cursors of their own, and a footer read anew costs more than the rows of one sample.
        connection.execute("SET preserve_insertion_order = false; SET GLOBAL parquet_metadata_cache = true")
        connection.execute("SET temp_directory = ?", [self.temporary.name])
        return connection

    def _leave_out_damaged(self, tables: Sequence[str]) -> None:
        for table in tables:
            bad = [
                name for name in self.store.parts(table) if name.endswith(".parquet") and not self._reads(table, name)
            ]
            self.store.pinned[table] = [name for name in self.store.parts(table) if name not in bad]
            self.problems += [
                f"{table}/{name} is damaged and left out: copy it again if this folder was copied, else delete it;"
                " `raybench score` or the same `raybench run` command makes its rows again"
                for name in bad
            ]

    def _reads(self, table: str, name: str) -> bool:
        files = self.store.files
        try:
            if files.is_local:
                pq.read_metadata(files.url(f"{table}/{name}"))
            else:
                with files.fs.open(f"{files.root}/{table}/{name}") as file:
                    pq.read_metadata(file)
        except (OSError, pa.ArrowException):
            return False
        return True


def _unreadable(error: duckdb.Error) -> Exception:
    if isinstance(error, _OURS):
        return error
    if isinstance(error, duckdb.OutOfMemoryException):
        return UnreadableError("too much is asked of this server at once: try again in a moment")
    return UnreadableError(
        "a stored part cannot be read: if the folder is being copied or compacted, try again; else copy it again"
        f" ({type(error).__name__})"
    )


class Folder:
    """A result folder that may grow while it is looked at.

    Args:
        root: local path or fsspec URL.

    Raises:
        StoreError: there is no such folder, or its address cannot be opened.
    """

    def __init__(self, root: str) -> None:
        self.store = Store(root)
        self.root = root
        if not self.store.files.exists():
            raise StoreError(f"no result folder {root}")
        self._lock = threading.Lock()
        self._view: View | None = None
        self._listed = 0.0

    @property
    def is_local(self) -> bool:
        """Whether the folder is on local disk."""
        return self.store.files.is_local

    def view(self) -> View:
        """Return the newest state, at most a few seconds old."""
        with self._lock:
            age = time.monotonic() - self._listed
            if self._view is None or age > _FRESH_SECONDS[not self.is_local]:
                parts, problems = self._parts()
                if self._view is None or self._view.version != digest(parts, 16):
                    self._view = View(self.root, parts, problems)
                self._listed = time.monotonic()
            return self._view

    def _parts(self) -> tuple[dict[str, list[str]], list[str]]:
        parts, problems = {}, []
        for table in TABLES:
            try:
                parts[table] = self.store.parts(table)
            except ValueError:
                names = self.store.files.names(table)
                parts[table] = [name for name in names if name.endswith(".parquet")]
                problems.append(
                    f"the newest {table}/snapshot-*.json is damaged, so that rows may count twice: copy it again"
                )
        return parts, problems
