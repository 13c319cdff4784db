"""Append rows so that each is durable before it is counted.

On local disk a row is one line of `TABLE/<uuid>.jsonl.open`, flushed as it is
appended; a thread syncs the file, so that at most 256 rows are not, and seals it
into a Parquet part at 1,024 rows or 10 s. On an object store there is no append:
rows become a part at 256 rows or 10 s. A writer that dies leaves an open file
whose lock the kernel has released; the next run seals it.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq
from pydantic_core import to_json

from raybench.schema import TABLES, Row
from raybench.store.files import Files, new_id, now, unwell

__all__ = [
    "LOCAL_SEAL_ROWS",
    "OPEN_SUFFIX",
    "SEAL_SECONDS",
    "SYNC_ROWS",
    "Writer",
    "open_rows",
    "seal_orphans",
    "write_part",
]

#: Rows that the loss of a machine, or of an object store's connection, may take with it.
SYNC_ROWS = 256
#: Rows of a part on local disk, where they are safe before: a part costs the same whatever it holds.
LOCAL_SEAL_ROWS = 1024
SEAL_SECONDS = 10.0
OPEN_SUFFIX = ".jsonl.open"


def write_part(files: Files, table: str, rows: list[Row], name: str) -> None:
    """Commit rows as the Parquet part `TABLE/<name>.parquet`; the part appears whole."""
    columns = TABLES[table]
    data = pa.Table.from_pylist([{key: row.get(key) for key in columns.names} for row in rows], schema=columns)
    _write_table(files, table, data, name)


def _write_table(files: Files, table: str, data: pa.Table, name: str) -> None:
    with files.staged(f"{table}/{name}.parquet") as path:
        pq.write_table(data, path, compression="zstd")


def _parsed(lines: bytes, columns: pa.Schema) -> pa.Table:
    """Return JSON lines as a table, half as dear as by way of dicts; one block, since no row may straddle two."""
    return pa_json.read_json(
        io.BytesIO(lines),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pa_json.ParseOptions(explicit_schema=columns, unexpected_field_behavior="ignore"),
    )


class Writer:
    """Appends rows to one table; one writer a thread or actor.

    `append` returns when the row is durable on local disk; on an object store a
    row is durable at the next seal, at most 256 rows or 10 s later.
    """

    def __init__(self, files: Files, table: str, stamp: Mapping[str, Any] | None = None) -> None:
        self._files, self._table, self._stamp = files, table, dict(stamp or {})
        self._lines: list[bytes] = []
        self._open: IO[bytes] | None = None
        self._behind = ThreadPoolExecutor(1)
        self._task: Future[None] | None = None
        self._seal_rows = LOCAL_SEAL_ROWS if files.is_local else SYNC_ROWS
        self._synced = 0
        self._name = ""
        self._since = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        if not files.is_local:
            threading.Thread(target=self._seal_on_time, daemon=True).start()

    def append(self, row: Mapping[str, Any]) -> None:
        """Make one row durable; `committed_at` and the writer's stamp are added."""
        self.extend([row])

    def extend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make rows durable together: they reach the disk in one write."""
        stamp = {**self._stamp, "committed_at": now()}
        lines = [_line({**row, **stamp}) for row in rows]
        with self._lock:
            if not self._lines:
                self._begin()
            self._lines += lines
            if self._open is not None:
                self._open.write(b"".join(lines))
                self._open.flush()
            if len(self._lines) >= self._seal_rows or time.monotonic() - self._since >= SEAL_SECONDS:
                self._seal()
            elif self._open is not None and len(self._lines) >= self._synced + SYNC_ROWS // 2:
                self._do_behind(os.fsync, self._open.fileno())
                self._synced = len(self._lines)

    def flush(self) -> None:
        """Make every row appended so far durable; on local disk each already is."""
        if not self._files.is_local:
            with self._lock:
                self._seal()

    def close(self) -> None:
        """Seal what is open."""
        self._closed.set()
        with self._lock:
            try:
                self._settle()
            finally:  # here and now, since an interpreter that ends starts no thread's work
                self._behind.shutdown()
                self._seal(behind=False)

    def _do_behind(self, work: Callable[..., None], *values: Any) -> None:
        """Do what takes the disk's time on the writer's thread; one thing at a time, so half of SYNC_ROWS each."""
        self._settle()
        self._task = self._behind.submit(work, *values)

    def _settle(self) -> None:
        """Wait for the thread, and raise what went wrong there."""
        task, self._task = self._task, None
        if task is not None:
            task.result()

    def _begin(self) -> None:
        self._name, self._since = new_id(), time.monotonic()
        if self._files.is_local:
            folder = f"{self._files.root}/{self._table}"
            os.makedirs(folder, exist_ok=True)
            # Locked before it has its name: nobody can take it for an orphan in between.
            hidden = f"{folder}/.{self._name}.tmp"
            self._open = open(hidden, "wb")  # noqa: SIM115
            fcntl.flock(self._open, fcntl.LOCK_EX)
            os.rename(hidden, f"{folder}/{self._name}{OPEN_SUFFIX}")

    def _seal(self, behind: bool = True) -> None:
        if not self._lines:
            return
        if self._open is None:
            _write_table(self._files, self._table, _parsed(b"".join(self._lines), TABLES[self._table]), self._name)
        elif behind:
            self._do_behind(self._replace, self._open, self._lines, self._name)
        else:
            self._replace(self._open, self._lines, self._name)
        self._lines, self._open, self._synced = [], None, 0

    def _replace(self, file: IO[bytes], lines: list[bytes], name: str) -> None:
        """Put a part in an open file's place; where that fails, the file stays for the next run to seal."""
        with file:
            _write_table(self._files, self._table, _parsed(b"".join(lines), TABLES[self._table]), name)
            self._files.delete(f"{self._table}/{name}{OPEN_SUFFIX}")

    def _seal_on_time(self) -> None:
        while not self._closed.wait(1.0):
            # A failed upload is tried again a second later, and raised by the next append or flush that meets it.
            with self._lock, suppress(*unwell()):
                if self._lines and time.monotonic() - self._since >= SEAL_SECONDS:
                    self._seal()


def _line(row: Row) -> bytes:
    """Return a row as one line of JSON; half surrogate pairs (a server's broken escapes) no file can hold: "?"."""
    try:
        return to_json(row, inf_nan_mode="constants") + b"\n"
    except ValueError:
        whole = {key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
                 for key, value in row.items()}  # fmt: skip
        return to_json(whole, inf_nan_mode="constants") + b"\n"


def open_rows(files: Files, table: str, name: str) -> list[Row]:
    """Return the whole lines of an open file; a last line cut short by a crash is left out.

    Raises:
        FileNotFoundError: it was sealed meanwhile; the part of the same name holds its rows.
    """
    rows = []
    for line in files.read(f"{table}/{name}").split(b"\n")[:-1]:
        try:
            rows.append(json.loads(line))
        except ValueError:  # damaged by a power loss: its row is asked again
            continue
    return rows


def seal_orphans(files: Files, table: str) -> int:
    """Seal the open files whose writer has died; return the number of rows rescued."""
    rescued = 0
    if not files.is_local:
        return rescued
    for name in files.names(table):
        if not name.endswith(OPEN_SUFFIX):
            continue
        try:
            handle = open(f"{files.root}/{table}/{name}", "r+b")  # noqa: SIM115
        except FileNotFoundError:
            continue
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its writer lives
            if os.fstat(handle.fileno()).st_nlink == 0:
                continue  # sealed by its writer, or by another run, since it was listed
            rows = open_rows(files, table, name)
            if rows:
                write_part(files, table, rows, name.removesuffix(OPEN_SUFFIX))
            files.delete(f"{table}/{name}")
            rescued += len(rows)
    return rescued
