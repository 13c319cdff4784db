"""`images: shuffled`: every sample is shown another patient's images, to see whether a model looks at them at all.

The distinct images of a task stand in a circle in an order drawn from their
names; each sample gets the next ones in the circle that belong to another
cluster. Samples of one image share what they are shown, and the same samples
are always shuffled alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from raybench.engine.groups import CHUNK_ROWS, read_columns, write_groups
from raybench.errors import DataError
from raybench.schema import Row, digest
from raybench.store import Store

__all__ = ["shuffled_name", "with_images", "write_shuffled"]

_SCHEMA = pa.schema([("sample", pa.string()), ("images", pa.string())])


def shuffled_name(run_id: str, index: int) -> str:
    """Return the name of the file that says what each sample of a task is shown."""
    return f"runs/{run_id}/plan/shuffled-{index}.parquet"


def write_shuffled(store: Store, samples: str, name: str) -> None:
    """Write what each sample of a samples file is shown, in the same rows and groups.

    Raises:
        DataError: all samples with images belong to one cluster.
    """
    rows = read_columns(store, samples, ["sample", "images", "cluster"])
    shown = partners([(row["images"], row["cluster"]) for row in rows])
    found = ({"sample": row["sample"], "images": images} for row, images in zip(rows, shown, strict=True))
    write_groups(store, name, found, _SCHEMA, CHUNK_ROWS)


def partners(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield, for each (images, cluster), the images of another cluster; rows without images keep none.

    Raises:
        DataError: all rows with images belong to one cluster.
    """
    owner = {images: cluster for images, cluster in rows if images != "[]"}
    circle = sorted(owner, key=lambda images: digest(images, 32))
    if owner and len(set(owner.values())) < 2:
        raise DataError("images: shuffled needs images of at least two patients (clusters)")
    following: dict[str, str] = {}
    for place, images in enumerate(circle):
        step = 1
        while owner[circle[(place + step) % len(circle)]] == owner[images]:
            step += 1
        following[images] = circle[(place + step) % len(circle)]
    return (following.get(images, images) for images, _ in rows)


def with_images(row: Row, other: Row) -> Row:
    """Return a sample row that shows the images of a shuffled row, not hashed yet.

    Raises:
        ValueError: the two rows are not of one sample.
    """
    if row["sample"] != other["sample"]:
        raise ValueError(f"shuffled images of {other['sample']!r} beside sample {row['sample']!r}")
    return {**row, "images": other["images"], "image_stamps": None}
