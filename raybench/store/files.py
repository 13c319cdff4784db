"""Files of a result folder, on local disk or behind fsspec, written whole or not at all.

A file appears complete: locally by temp file, fsync and rename; on an object
store by one PUT. Names are relative to the folder, with forward slashes.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec

from raybench.errors import StoreError

__all__ = ["Files", "new_id", "now", "unwell"]


#: Seconds between attempts at a PUT, each half to one and a half times as long: about 15 s in all.
_PUT_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)


def unwell() -> tuple[type[BaseException], ...]:
    """What a struggling object store raises; its client's own errors are no OSError."""
    found: list[type[BaseException]] = [OSError]
    for module, name in (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)


def now() -> str:
    """Return the UTC time as sortable ISO text with microseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{_second(seconds)}.{nanoseconds // 1000:06d}Z"


@lru_cache(maxsize=8)  # every row asks
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def new_id() -> str:
    """Return a new part name."""
    return uuid.uuid4().hex


class Files:
    """One folder of files.

    Args:
        root: local path or fsspec URL (s3://bucket/prefix, gs://..., memory://...).
    """

    def __init__(self, root: str) -> None:
        self.is_local = "://" not in root or root.startswith("file://")
        if self.is_local:
            self.root = os.path.abspath(os.path.expanduser(root.removeprefix("file://")))
            self.fs: Any = None
        else:
            try:
                self.fs, self.root = fsspec.core.url_to_fs(root)
            except (ImportError, ValueError) as error:
                raise StoreError(f"cannot open {root}: {error}") from error
            self.protocol = root.split("://", 1)[0]

    def url(self, name: str) -> str:
        """Return what DuckDB opens: a local path, or a URL of the registered filesystem."""
        path = f"{self.root}/{name}"
        return path if self.is_local else f"{self.protocol}://{path}"

    def exists(self, name: str = "") -> bool:
        """Return whether a file, or with no name the folder itself, exists."""
        path = f"{self.root}/{name}" if name else self.root
        return os.path.exists(path) if self.is_local else bool(self.fs.exists(path))

    def names(self, folder: str) -> list[str]:
        """Return the sorted file names inside a sub-folder; empty if there is none."""
        path = f"{self.root}/{folder}"
        try:
            if self.is_local:
                return sorted(os.listdir(path))
            self.fs.invalidate_cache(path)
            return sorted(str(item).rsplit("/", 1)[1] for item in self.fs.ls(path, detail=False))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            FileNotFoundError: no such file.
        """
        if self.is_local:
            return Path(f"{self.root}/{name}").read_bytes()
        return bytes(self.fs.cat_file(f"{self.root}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole, replacing an older one."""
        with self.staged(name) as path:
            Path(path).write_bytes(data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file only if it does not exist yet; return whether it was written."""
        if not self.is_local:
            if self.exists(name):
                return False
            try:
                self.fs.pipe_file(f"{self.root}/{name}", data, mode="create")
            except FileExistsError:
                return False
            except TypeError:  # a filesystem without create-only writes
                self.fs.pipe_file(f"{self.root}/{name}", data)
            return True
        final = f"{self.root}/{name}"
        os.makedirs(os.path.dirname(final), exist_ok=True)
        temporary = self._temporary(final)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, final)  # fails if it exists, and the file is whole from the start
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        return True

    @contextmanager
    def staged(self, name: str) -> Iterator[str]:
        """Yield a local path to write to; it becomes `name` when the block ends without an error."""
        if self.is_local:
            final = f"{self.root}/{name}"
            os.makedirs(os.path.dirname(final), exist_ok=True)
            temporary = self._temporary(final)
        else:
            handle, temporary = tempfile.mkstemp(prefix="raybench-")
            os.close(handle)
        try:
            yield temporary
            if self.is_local:
                with open(temporary, "rb") as file:
                    os.fsync(file.fileno())
                os.rename(temporary, final)
            else:
                with open(temporary, "rb") as file:
                    self._put(f"{self.root}/{name}", file.read())
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)

    def _put(self, path: str, data: bytes) -> None:
        """Put one object, again with growing pauses where the store is unwell; a PUT replaces, so twice is no harm.

        Raises:
            OSError: it stayed unwell, or the bucket is missing or closed to us, which no waiting mends.
        """
        for pause in _PUT_PAUSES:
            try:
                self.fs.pipe_file(path, data)
                return
            except (FileNotFoundError, PermissionError):
                raise
            except unwell():
                time.sleep(pause * random.uniform(0.5, 1.5))
        self.fs.pipe_file(path, data)

    def delete(self, name: str) -> None:
        """Delete a file; a missing one is no error."""
        path = f"{self.root}/{name}"
        with suppress(FileNotFoundError):
            os.unlink(path) if self.is_local else self.fs.rm_file(path)

    @staticmethod
    def _temporary(final: str) -> str:
        folder, name = os.path.split(final)
        return f"{folder}/.{name}.{os.urandom(6).hex()}.tmp"
