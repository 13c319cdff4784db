"""What tasks share that read the hub: question tables with pictures inside, and whole snapshots.

A snapshot lies in the hub's own cache, so a cluster needs a cache that all its nodes see.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from raybench.data import hub
from raybench.data.images import sha256
from raybench.data.tables import column
from raybench.errors import DataError, one_line
from raybench.schema import ImageRef, Sample
from raybench.tasks._layout import expand, text_of

__all__ = ["question_samples", "snapshot"]


def question_samples(name: str, split: str, revision: str | None, dataset: str) -> Iterator[Sample]:
    """Yield the questions of a hub data set with columns image, question and answer.

    The hub copies carry no ids and no types: the id is the row's number, and a
    question counts as closed where its answer is yes or no. Rows with the same
    picture share a cluster, named by the picture's hash.

    Raises:
        DataError: not found, no network and not cached, or another column.
    """
    for number, row in enumerate(hub.read_split(name, split, revision)):
        where = f"{name}, row {number}"
        answer = text_of(column(row, "answer", where))
        column(row, "image", where)
        uri = hub.image_uri(name, split, number, revision=revision)
        yield Sample(
            id=f"{split}-{number}",
            dataset=dataset,
            split=split,
            questions=(text_of(column(row, "question", where)),),
            targets=(answer,),
            images=(ImageRef(uri),),
            cluster=sha256(hub.image_bytes(uri))[:16],
            slices={"answer_type": "closed" if answer.lower() in ("yes", "no") else "open"},
        )


def snapshot(name: str, revision: str | None, files: Sequence[str], what: str, recipe: str) -> str:
    """Return a local folder with files of a hub data set, from the cache or the hub.

    Args:
        name: hub id, or a local folder in its layout.
        files: glob patterns of the files that are needed.

    Raises:
        DataError: not installed, not found, or no network and not cached; says how to get the data.
    """
    if os.path.isdir(expand(name)):
        return expand(name)
    try:
        import huggingface_hub
    except ImportError:
        raise DataError(f"no {what}: no `data` folder given and the extra 'hf' is not installed; {recipe}") from None
    try:
        return str(
            huggingface_hub.snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=list(files))
        )
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        reason = one_line(error, 160)
        raise DataError(f"no {what}: no `data` folder given and {name} cannot be had ({reason}); {recipe}") from error
