"""The tables of a result folder behind one small interface."""

from raybench.store.files import Files, new_id, now, unwell
from raybench.store.tables import Store, quoted, stream
from raybench.store.writer import Writer

__all__ = ["Files", "Store", "Writer", "new_id", "now", "quoted", "stream", "unwell"]
