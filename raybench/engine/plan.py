"""What is missing: samples, their units, and the units that no stored response answers.

Everything here runs inside Ray tasks and goes from Parquet to Parquet; the
driver sees file names and counts. A run's working files stand in
`runs/<run_id>/plan/` and are removed at its end.
"""

from __future__ import annotations

import ipaddress
import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from raybench import registry
from raybench.data.tables import read_rows
from raybench.engine.groups import CHUNK_ROWS, read_group, write_groups
from raybench.engine.shuffling import shuffled_name, with_images, write_shuffled
from raybench.engine.stages import hash_images, prompt_variants, unit_rows, with_examples
from raybench.errors import DataError, PolicyError, SpecError
from raybench.interfaces import Task
from raybench.parsing.boxes import find_convention
from raybench.schema import CELL, TABLES, Row, digest
from raybench.spec import ModelSpec, RunSpec, TaskSpec, open_plugin, task_of
from raybench.store import Store, now, quoted, stream

__all__ = [
    "PlannedModel",
    "block_rows",
    "check_hosts",
    "drop_task",
    "is_restricted",
    "list_samples",
    "missing_folders",
    "open_task",
    "plan_chunk",
    "plan_model",
    "register_plan",
    "todo",
]

_TEXT = pa.string()
PLAN_SCHEMA = pa.schema([
    *[(name, _TEXT) for name in ("key", *CELL, "sample")], ("repeat", pa.int64()), ("sample_hash", _TEXT),
    ("input_hash", _TEXT),
    ("prompt", _TEXT), ("ordinal", pa.int64()), ("messages", _TEXT), ("image_refs", _TEXT), ("sampling", _TEXT),
    ("questions", pa.list_(_TEXT)), ("choices", pa.list_(_TEXT)), ("context", _TEXT), ("task_index", pa.int64()),
    ("turns", pa.int64()), ("later_turns", _TEXT), ("labels", _TEXT),
])  # fmt: skip


@dataclass(frozen=True)
class PlannedModel:
    """A model (or judge) as a plan needs it; plain data, sent to every task.

    Attributes:
        identity: what decides its answers, for the content key.
        config: short digest of identity and backend, names the cell.
        pinned: whether the revision is known.
    """

    spec: ModelSpec
    identity: Row
    config: str
    pinned: bool


def plan_model(spec: ModelSpec) -> PlannedModel:
    """Resolve a model's identity (runs where the weights can be seen).

    Raises:
        ModelError: the model does not exist or cannot be reached.
        SpecError: its box convention is none that is known.
    """
    backend, options = open_plugin("models", spec.backend, spec)
    if spec.boxes:
        find_convention(spec.boxes)
    found = dict(backend.identity(options))
    pinned = bool(found.pop("pinned", True))
    identity = {"backend": spec.backend, "backend_version": backend.version, **found}
    if re.fullmatch("[0-9a-f]{40}", str(found.get("revision"))):
        # A hub commit: replicas load exactly what was planned, also if the branch moves meanwhile.
        spec = type(spec).model_validate({**spec.model_dump(), "revision": found["revision"]})
    return PlannedModel(spec, identity, digest(identity, 8), pinned)


def missing_folders(specs: Sequence[ModelSpec]) -> dict[str, str]:
    """Return {name: reason} of models whose weights should lie in a folder that is not there."""
    found = {}
    for spec in specs:
        if registry.load("models", spec.backend).capabilities.concurrent:
            continue  # a served model's name may look like a path of its server
        for key in ("model", "adapter"):
            path = spec.options.get(key)
            if isinstance(path, str) and path.startswith(("/", "./", "../", "~")) and not os.path.exists(path):
                found[spec.name] = f"{key}: there is no folder {path}"
    return found


def drop_task(store: Store, run_id: str, index: int) -> None:
    """Delete the working files of a task that cannot be planned."""
    folder = f"runs/{run_id}/plan"
    for name in store.files.names(folder):
        if name.startswith((f"samples-{index}.", f"hashed-{index}-", f"units-{index}-")):
            store.files.delete(f"{folder}/{name}")


def open_task(spec: TaskSpec) -> Task:
    """Return the task with its options and its chosen prompt variants."""
    task: Task = task_of(spec)
    prompts = prompt_variants(task, spec.prompts, _read_prompts)
    task.prompts = with_examples(prompts, task.examples(spec.shots)) if spec.shots else prompts  # type: ignore[misc]
    return task


def list_samples(spec: RunSpec, index: int, run_id: str) -> tuple[str, int, list[str]]:
    """Write one task's selected samples, with the image hashes already known; return (file, row count, warnings).

    Raises:
        DataError: missing or malformed data, nothing selected, or a scorer that cannot be loaded.
        PolicyError: restricted data and a model or judge on a remote host.
    """
    chosen = spec.tasks[index]
    task = open_task(chosen)
    for name in task.profiles:
        registry.load("metrics", name).check()
    if is_restricted(task):
        check_hosts(spec, chosen.task)
    store = Store(spec.output)
    rows = _distinct(sample.to_row(chosen.task, i) for i, sample in enumerate(task.samples()))
    name = f"runs/{run_id}/plan/samples-{index}.parquet"
    columns = [field for field in TABLES["samples"] if field.name not in ("run_id", "committed_at")]
    count = write_groups(store, name, _select(rows, chosen), pa.schema(columns), CHUNK_ROWS)
    if count == 0:
        raise DataError(f"task {chosen.task}: the data hold no samples")
    if store.parts("samples"):
        _attach_known_hashes(store, name, pa.schema(columns))
    if "shuffled" in spec.images:
        write_shuffled(store, name, shuffled_name(run_id, index))
    return name, count, _warnings(task, chosen, count)


def _warnings(task: Task, chosen: TaskSpec, count: int) -> list[str]:
    """What a reader of the scores should know about the data: another count than published, a known leak."""
    found = [f"task {chosen.task}: known leak: {task.leaks}"] if task.leaks else []
    published, whole = task.expected_count(), chosen.limit is None and chosen.sample is None
    if whole and published is not None and published != count:
        found.append(f"task {chosen.task}: {count} samples here, {published} published")
    return found


def plan_chunk(spec: RunSpec, index: int, models: Sequence[PlannedModel], run_id: str, samples: str, group: int) -> int:
    """Hash one row group of samples and write its units; return the number of units."""
    store = Store(spec.output)
    task = open_task(spec.tasks[index])
    rows = [hash_images(row) for row in read_group(store, samples, group)]
    shown = dict.fromkeys(spec.images, rows)
    if "shuffled" in shown:
        others = read_group(store, shuffled_name(run_id, index), group)
        shown["shuffled"] = [hash_images(with_images(row, other)) for row, other in zip(rows, others, strict=True)]
    planned = [_model_row(spec, model, task, run_id) for model in models]
    units = (
        {**unit, "task_index": index}
        for model in planned
        for images, seen in shown.items()
        for row in seen
        for unit in unit_rows(row, task, model, images, spec.repeats)
    )  # fmt: skip
    schema = pa.schema([field for field in TABLES["samples"] if field.name not in ("run_id", "committed_at")])
    write_groups(store, f"runs/{run_id}/plan/hashed-{index}-{group}.parquet", rows, schema, CHUNK_ROWS)
    return write_groups(store, f"runs/{run_id}/plan/units-{index}-{group}.parquet", units, PLAN_SCHEMA, CHUNK_ROWS)


def todo(
    spec: RunSpec, models: Sequence[PlannedModel | Sequence[PlannedModel]], run_id: str, commit: bool = True
) -> Row:
    """Commit new samples and units, reuse other folders' responses, write each stream's to-do file.

    Args:
        models: the streams: models, or several that share one pool of replicas (and the first one's name).
        commit: False leaves the folder as it is (a dry run).

    Returns:
        {"cells": [{cell columns, "planned", "missing"}], "todo": {stream: {"file", "rows", "block_rows"}},
        "reused": rows copied from other folders, "digest": of the planned keys}.
    """
    store = Store(spec.output)
    with store.connect(("samples", "units", "responses")) as connection:
        register_plan(connection, store, run_id)
        if commit:
            _commit_new(connection, store, run_id, spec)
        reused = sum(_reuse(connection, store, other, run_id) for other in spec.reuse) if commit else 0
    with store.connect(("responses",)) as connection:
        register_plan(connection, store, run_id)
        connection.execute(
            "CREATE TABLE missing AS SELECT p.key, p.model FROM plan p"
            " ANTI JOIN (SELECT key, count(*) AS turns FROM all_responses GROUP BY key) r USING (key, turns)"
        )
        cells = _cells(connection)
        streams = [[model] if isinstance(model, PlannedModel) else model for model in models]
        files = {stream[0].spec.name: _write_todo(connection, store, stream, run_id) for stream in streams}
        sql = "SELECT md5(string_agg(key, '' ORDER BY key)) FROM (SELECT DISTINCT key FROM plan)"
        (found,) = connection.execute(sql).fetchall()[0]
    return {"cells": cells, "todo": files, "reused": reused, "digest": found}


def block_rows(rows: int, max_replicas: int) -> int:
    """Return the rows of one block: clamp(N / (8 x max replicas), 1, 1024)."""
    return max(1, min(1024, rows // (8 * max_replicas)))


def _read_prompts(path: str) -> dict[str, str]:
    """A prompt file: rows with `id` and `prompt`."""
    found = {str(row.get("id", i)): str(row["prompt"]) for i, row in enumerate(read_rows(path)) if "prompt" in row}
    if not found:
        raise SpecError(f"prompts: {path} needs rows with the columns id and prompt")
    return found


def _distinct(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows as they come; an id that stands twice is an error, whatever the task."""
    seen: set[tuple[str, str, str]] = set()
    for row in rows:
        name = (row["dataset"], row["split"], row["sample"])
        if name in seen:
            raise DataError(f"task {row['task']}: id {row['sample']!r} stands twice in {row['dataset']}/{row['split']}")
        seen.add(name)
        yield row


def _select(rows: Iterator[Row], chosen: TaskSpec) -> Iterator[Row]:
    """The first `limit` rows, a seeded random `sample` (reservoir, flat memory), or all."""
    if chosen.limit is not None:
        yield from islice(rows, chosen.limit)
    elif chosen.sample is not None:
        generator, kept = random.Random(0), list[Row]()
        for seen, row in enumerate(rows):
            if len(kept) < chosen.sample:
                kept.append(row)
            elif (place := generator.randint(0, seen)) < chosen.sample:
                kept[place] = row
        yield from sorted(kept, key=lambda row: int(row["ordinal"]))
    else:
        yield from rows


def _attach_known_hashes(store: Store, name: str, schema: pa.Schema) -> None:
    with store.connect(("samples",)) as connection:
        sql = (
            "SELECT p.* EXCLUDE (image_sha256, image_stamps, image_sizes, image_preprocessing),"
            " s.image_sha256, s.image_stamps, s.image_sizes, s.image_preprocessing"
            f" FROM read_parquet({quoted(store.files.url(name))}) p"
            " LEFT JOIN samples s USING (task, dataset, split, sample) ORDER BY p.ordinal"
        )
        write_groups(store, name, stream(connection, sql), schema, CHUNK_ROWS)


def _model_row(spec: RunSpec, model: PlannedModel, task: Task, run_id: str) -> Row:
    backend, options = open_plugin("models", model.spec.backend, model.spec)
    sampling = spec.sampling(model.spec, task.generation)
    return {
        "name": model.spec.name, "identity": model.identity, "sampling": sampling,
        "config": digest([model.config, sampling], 8),
        "nonce": run_id if spec.fresh and not model.pinned else "",
        "extra": partial(backend.key_extra, options),
    }  # fmt: skip


def is_restricted(task: Task) -> bool:
    """Return whether a task's text and images must stay on local hosts, by its own word or its options'."""
    return task.restricted or bool(getattr(task.options, "restricted", False))


def check_hosts(spec: RunSpec, task: str) -> None:
    """Let restricted text and images go to local hosts only, unless the spec names the host.

    Raises:
        PolicyError: a model, judge or result store is elsewhere.
    """
    allowed = {*spec.local_hosts, *spec.allow_remote}
    targets = [
        (entry.name, value)
        for entry in (*spec.models, *spec.judges)
        for option in entry.options.values()
        for value in (option if isinstance(option, list | tuple) else [option])
        if isinstance(value, str) and value.startswith(("http://", "https://"))
    ]
    targets += [("output", spec.output)] if "://" in spec.output and not spec.output.startswith("file://") else []
    for name, url in targets:
        host = urlsplit(url).hostname or url
        if host not in allowed and not _is_loopback(host):
            raise PolicyError(
                f"task {task} holds restricted data and {name} is at {host}: "
                f"add it to local_hosts if it is yours, or to allow_remote if the data's terms permit it"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def register_plan(connection: duckdb.DuckDBPyConnection, store: Store, run_id: str) -> None:
    """Create the views `plan` (units) and `plan_samples` over a run's working files."""
    folder = f"runs/{run_id}/plan"
    for view, prefix in (("plan", "units-"), ("plan_samples", "hashed-")):
        names = [name for name in store.files.names(folder) if name.startswith(prefix)]
        urls = ", ".join(quoted(store.files.url(f"{folder}/{name}")) for name in names)
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet([{urls}])")


def _commit_new(connection: duckdb.DuckDBPyConnection, store: Store, run_id: str, spec: RunSpec) -> None:
    """Commit the samples and units that differ from what the folder holds; retire units a whole plan lacks."""
    cell = ", ".join(CELL)
    whole = [i for i, task in enumerate(spec.tasks) if task.limit is None and task.sample is None]
    changed = {
        "samples": "SELECT p.* FROM plan_samples p ANTI JOIN samples s"
        " USING (task, dataset, split, sample, sample_hash, input_hash, image_stamps)",
        "units": f"SELECT p.* FROM plan p ANTI JOIN units u USING ({cell}, sample, repeat, key)"
        " UNION ALL BY NAME SELECT u.* EXCLUDE (key, run_id, committed_at), '' AS key FROM units u"
        f" SEMI JOIN (SELECT DISTINCT {cell} FROM plan WHERE task_index IN (SELECT unnest({whole}::INT[]))) c"
        f" USING ({cell}) ANTI JOIN plan p USING ({cell}, sample, repeat)",
    }
    for table, sql in changed.items():
        stamp, schema = {"run_id": run_id, "committed_at": now()}, TABLES[table]
        rows = ({**row, **stamp} for row in stream(connection, sql))
        first = list(islice(rows, 1))
        if first:
            name = f"{table}/{digest([run_id, table], 32)}.parquet"
            write_groups(store, name, (row for part in (first, rows) for row in part), schema, 8192)


def _reuse(connection: duckdb.DuckDBPyConnection, store: Store, other: str, run_id: str) -> int:
    """Copy another folder's responses to planned units that this folder lacks; return how many."""
    source = Store(other, must_exist=True)
    connection.execute(
        "CREATE OR REPLACE TABLE wanted AS SELECT DISTINCT key FROM plan ANTI JOIN all_responses USING (key)"
    )
    wanted = connection.sql("SELECT key FROM wanted").to_arrow_table()
    with source.connect(("responses",)) as theirs:
        theirs.register("given", wanted)
        theirs.execute("CREATE TABLE wanted AS SELECT * FROM given")
        rows = stream(theirs, "SELECT r.* FROM all_responses r SEMI JOIN wanted w USING (key)")
        first = list(islice(rows, 1))
        if not first:
            return 0
        name = f"responses/{digest([run_id, 'reuse', other], 32)}.parquet"
        return write_groups(store, name, (row for part in (first, rows) for row in part), TABLES["responses"], 8192)


def _cells(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    columns = ", ".join(f"p.{name}" for name in CELL)
    sql = (
        f"SELECT {columns}, p.task_index, count(*) AS planned, count(m.key) AS missing FROM plan p"
        f" LEFT JOIN (SELECT DISTINCT key FROM missing) m USING (key) GROUP BY ALL ORDER BY {columns}"
    )
    return list(stream(connection, sql))


def _write_todo(
    connection: duckdb.DuckDBPyConnection, store: Store, models: Sequence[PlannedModel], run_id: str
) -> Row:
    """Write one stream's missing units, each content key once, in blocks that suit its pool."""
    names = [model.spec.name for model in models]
    sql = "SELECT count(DISTINCT key) FROM missing WHERE list_contains(?, model)"
    ((rows,),) = connection.execute(sql, [names]).fetchall()
    size = block_rows(rows, models[0].spec.replicas[1])
    name = f"runs/{run_id}/plan/todo-{digest(names[0], 12)}.parquet"
    sql = (
        "SELECT p.* FROM plan p SEMI JOIN missing m USING (key) WHERE list_contains(?, p.model)"
        " QUALIFY row_number() OVER (PARTITION BY p.key ORDER BY p.task, p.ordinal, p.model) = 1"
        " ORDER BY p.task, p.ordinal, p.model"
    )
    if rows:
        write_groups(store, name, stream(connection, sql, [names]), PLAN_SCHEMA, size)
    return {"file": name, "rows": rows, "block_rows": size}
