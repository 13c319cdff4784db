"""A run's working files: Parquet in row groups, written as a stream and read a group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from raybench.schema import Row
from raybench.store import Store

__all__ = ["CHUNK_ROWS", "read_columns", "read_group", "write_groups"]

CHUNK_ROWS = 1024


def write_groups(store: Store, name: str, rows: Iterable[Row], schema: pa.Schema, group_rows: int) -> int:
    """Write rows as one Parquet file of row groups of `group_rows` (the last smaller); return the count."""
    count, source = 0, iter(rows)
    with store.files.staged(name) as path, pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(source, group_rows)):
            table = pa.Table.from_pylist([{key: row.get(key) for key in schema.names} for row in batch], schema=schema)
            writer.write_table(table, row_group_size=group_rows)
            count += len(batch)
    return count


def read_group(store: Store, name: str, group: int) -> list[Row]:
    """Return one row group of a file as rows."""
    with _opened(store, name) as file:
        return list(pq.ParquetFile(file).read_row_group(group).to_pylist())


def read_columns(store: Store, name: str, columns: Sequence[str]) -> list[Row]:
    """Return some columns of a whole file as rows."""
    with _opened(store, name) as file:
        return list(pq.read_table(file, columns=list(columns)).to_pylist())


def _opened(store: Store, name: str) -> IO[bytes]:
    if store.files.is_local:
        return open(store.files.url(name), "rb")
    opened: IO[bytes] = store.files.fs.open(f"{store.files.root}/{name}", "rb")
    return opened
