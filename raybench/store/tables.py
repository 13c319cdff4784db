"""A result folder read as tables: one listing, one explicit list of parts, one set of views.

    store = Store("results/seed")
    store.query("SELECT outcome, count(*) FROM records GROUP BY 1")

Readers list each table's folder once, leave out temp files and what the newest
snapshot replaced, and read parts by column name. The views in `views.sql` say
which of several rows counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files as package_files
from typing import Any

import duckdb
import pyarrow as pa

from raybench.errors import StoreError, UnreadableError
from raybench.schema import TABLES, Row
from raybench.store.files import Files, new_id, now
from raybench.store.writer import OPEN_SUFFIX, Writer, open_rows, seal_orphans, write_part

__all__ = ["SNAPSHOT", "Store", "quoted", "stream"]

SNAPSHOT = "snapshot-"
_SQL_TYPES = {
    pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN",
    pa.list_(pa.string()): "VARCHAR[]", pa.binary(): "BLOB",
}  # fmt: skip


class Store:
    """A result folder.

    Args:
        root: local path or fsspec URL.
        must_exist: raise if there are no results yet.

    Raises:
        StoreError: the folder must exist and does not, or holds no results.
    """

    def __init__(self, root: str, must_exist: bool = False) -> None:
        self.name = root
        self.files = Files(root)
        if must_exist:
            if not self.files.exists():
                raise StoreError(f"no result folder {root}")
            if not self.parts("units"):
                raise StoreError(f"{root} holds no raybench results (no units table); run or import into it first")

    def writer(self, table: str, **stamp: Any) -> Writer:
        """Return an appender for a table; `stamp` is added to every row."""
        return Writer(self.files, table, stamp)

    def write(self, table: str, rows: Sequence[Row], **stamp: Any) -> None:
        """Commit rows as one part."""
        at = now()
        if rows:
            write_part(self.files, table, [{**row, **stamp, "committed_at": at} for row in rows], new_id())

    def seal_orphans(self) -> int:
        """Seal what dead writers left open, in every table; return the rows rescued."""
        return sum(seal_orphans(self.files, table) for table in TABLES)

    def snapshot(self, table: str, names: Sequence[str] | None = None) -> tuple[int, Row]:
        """Return the newest snapshot's number and content; (0, {}) without one."""
        names = self.files.names(table) if names is None else names
        numbers = [name for name in names if name.startswith(SNAPSHOT)]
        if not numbers:
            return 0, {}
        newest = max(numbers)
        return int(newest.removeprefix(SNAPSHOT).removesuffix(".json")), json.loads(
            self.files.read(f"{table}/{newest}")
        )

    def parts(self, table: str) -> list[str]:
        """Return the names of the table's parts and open files that count, from one listing."""
        names = self.files.names(table)
        replaced = set(self.snapshot(table, names)[1].get("replaced", ()))
        return [name for name in names if name.endswith((".parquet", OPEN_SUFFIX)) and name not in replaced]

    def connect(self, tables: Sequence[str] = tuple(TABLES)) -> duckdb.DuckDBPyConnection:
        """Return an in-memory DuckDB with `raw_<table>` and the views over the parts committed now.

        Raises:
            UnreadableError: a part is damaged; names it.
        """
        try:
            return self.connect_parts({table: self.parts(table) for table in tables})
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            raise UnreadableError(f"{self.name}: {_unreadable(error)}") from error

    def connect_parts(self, parts: Mapping[str, Sequence[str]]) -> duckdb.DuckDBPyConnection:
        """Return a connection as `connect` does, over the given parts only."""
        connection = duckdb.connect()
        connection.execute("SET enable_progress_bar = false")
        if not self.files.is_local:
            connection.register_filesystem(self.files.fs)
        for table in TABLES:
            self._register(connection, table, parts.get(table, ()))
        connection.execute(package_files("raybench.store").joinpath("views.sql").read_text("utf-8"))
        return connection

    def query(self, sql: str, parameters: Sequence[Any] = (), tables: Sequence[str] = tuple(TABLES)) -> list[Row]:
        """Return a query's rows as dicts."""
        with self.connect(tables) as connection:
            return list(stream(connection, sql, parameters))

    def frame(self, table: str) -> Any:
        """Return a view as a pandas DataFrame."""
        with self.connect() as connection:
            return connection.execute(f"SELECT * FROM {table}").df()

    def _register(self, connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]) -> None:
        """Create `raw_<table>`: parts by column name, lines of open files, and a `part` column."""
        schema = TABLES[table]
        sealed = {name for name in names if name.endswith(".parquet")}
        rows: list[Row] = []
        for name in set(names) - sealed:
            part = name.removesuffix(OPEN_SUFFIX) + ".parquet"
            try:
                found = open_rows(self.files, table, name)
            except FileNotFoundError:
                if self.files.exists(f"{table}/{part}"):  # else it was an empty orphan
                    sealed.add(part)
            else:
                rows += [{**{key: row.get(key) for key in schema.names}, "part": part} for row in found]
        columns = [*schema, pa.field("part", pa.string())]
        declared = ", ".join(f'"{column.name}" {_SQL_TYPES[column.type]}' for column in columns)
        connection.execute(f"CREATE TABLE open_{table} ({declared})")
        if rows:  # registering imports pandas: half a second and 50 MB that most readers do without
            connection.register("opened", pa.Table.from_pylist(rows, schema=pa.schema(columns)))
            connection.execute(f"INSERT INTO open_{table} SELECT * FROM opened")
            connection.unregister("opened")
        source = f"SELECT * FROM open_{table}"
        if sealed:
            urls = [self.files.url(f"{table}/{name}") for name in sorted(sealed)]
            listed = ", ".join(map(quoted, urls))
            source += (
                " UNION ALL BY NAME SELECT * EXCLUDE (filename), parse_filename(filename) AS part"
                f" FROM read_parquet([{listed}], union_by_name = true, filename = true)"
            )
        connection.execute(f"CREATE VIEW raw_{table} AS {source}")


def quoted(text: str) -> str:
    """Return text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def stream(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = (), batch_rows: int = 4096
) -> Iterator[Row]:
    """Yield a query's rows as dicts without holding all of them.

    Each stream has a cursor of its own, so that queries may run while others are read.
    """
    try:
        reader = connection.cursor().sql(sql, params=list(parameters)).to_arrow_reader(batch_rows)
        for batch in reader:
            yield from batch.to_pylist()
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        raise UnreadableError(_unreadable(error)) from error


def _unreadable(error: duckdb.Error) -> str:
    return f"a stored part cannot be read: {str(error).splitlines()[0]}"
