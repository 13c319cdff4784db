"""What a spec holds: tasks, models, judges, sampling and the run itself, as frozen models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from raybench.schema import digest

__all__ = ["Entry", "Generation", "JudgeSpec", "ModelSpec", "RunSpec", "TaskSpec"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Generation(_Strict):
    """Sampling: temperature >= 0 (0 is greedy), top_p in (0, 1], max_tokens, seed, stop strings."""

    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1)
    seed: int = 0
    stop: tuple[str, ...] = ()


class Entry(BaseModel):
    """Common keys plus the plugin's own, kept in `options`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the plugin."""
        return dict(self.model_extra or {})


class TaskSpec(Entry):
    """One task: its name, prompt variants, worked examples, row selection and the task's own options.

    `profiles` are further scorers beside the task's own, such as `bert-score`.
    """

    task: str
    prompts: str | tuple[str, ...] = "default"
    limit: int | None = Field(None, ge=1)
    sample: int | None = Field(None, ge=1)
    shots: int = Field(0, ge=0)
    profiles: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_selection(self) -> TaskSpec:
        if self.limit is not None and self.sample is not None:
            raise ValueError("limit and sample exclude each other")
        return self


class ModelSpec(Entry):
    """One model: name in scores, backend, pool size, resources of a replica, the backend's own options.

    Attributes:
        generation: sampling that tasks and the spec may override.
        swept: sampling that a matrix sets, over every other level.
        rows_per_second: of one replica, for estimates where nothing is measured yet.
        price_per_hour: of one replica; `price_per_million_tokens`: (in, out), or one number for both.
    """

    name: str
    backend: str
    replicas: tuple[int, int] = (1, 1)
    gpus: float = Field(0, ge=0)
    cpus: float = Field(1, ge=0)
    generation: dict[str, Any] = Field(default_factory=dict)
    kind: Literal["subject", "judge"] = "subject"
    boxes: str | None = None
    licence: str = ""
    notes: str = ""
    swept: dict[str, Any] = Field(default_factory=dict)
    rows_per_second: float | None = Field(None, gt=0)
    price_per_hour: float | None = Field(None, ge=0)
    price_per_million_tokens: tuple[float, float] | None = None

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.strip() or not name.isprintable():
            raise ValueError("a name must be one line of printable text")
        return name

    @field_validator("replicas", mode="before")
    @classmethod
    def _bounds(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @field_validator("gpus")
    @classmethod
    def _whole_or_shared(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"a replica shares one GPU (0.5) or has whole ones (2), not {gpus:g}")
        return gpus

    @field_validator("price_per_million_tokens", mode="before")
    @classmethod
    def _prices(cls, value: Any) -> Any:
        prices = (value, value) if isinstance(value, int | float) else value
        if isinstance(prices, list | tuple) and any(isinstance(price, int | float) and price < 0 for price in prices):
            raise ValueError("prices are 0 or more")
        return prices

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, data: Any) -> Any:
        """A replica whose weights are spread over several GPUs asks for each of them."""
        parallel = data.get("tensor_parallel") if isinstance(data, Mapping) else None
        return {**data, "gpus": parallel} if isinstance(parallel, int) and parallel > 1 else data

    @model_validator(mode="after")
    def _ordered(self) -> ModelSpec:
        low, high = self.replicas
        if not 1 <= low <= high:
            raise ValueError(f"replicas must be [min, max] with 1 <= min <= max, not [{low}, {high}]")
        return self


class JudgeSpec(ModelSpec):
    """A model that judges: the same keys, a protocol, and when it judges.

    `schedule: after` waits until every model is done and its replicas are gone; `overlap` judges
    what is answered while the models go on, on resources of its own.

    Attributes:
        template: a version of the protocol's ("v2"), a name, or a YAML file of one's own.
        protocol_options: the protocol's own settings.
        repeats: a tenth of the items, chosen by content, is judged this often, which gives the flip rate.
    """

    protocol: str | None = None
    template: str | dict[str, Any] | None = None
    protocol_options: dict[str, Any] = Field(default_factory=dict)
    repeats: int = Field(1, ge=1, le=100)
    schedule: Literal["after", "overlap"] = "after"


class RunSpec(_Strict):
    """One run. `output` is a local path or an fsspec URL (s3://, gs://); `images` is one mode or several.

    Attributes:
        matrix: what is crossed with every model and task; empty once the spec is built.
        side_by_side: models at work at once; "auto": as many as the cluster has room for.
        max_hours, max_cost: where this run stops, to be gone on with by the next.
    """

    name: str = "run"
    output: str = "results"
    tasks: tuple[TaskSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    judges: tuple[JudgeSpec, ...] = ()
    generation: Generation = Generation()
    images: tuple[Literal["with", "none", "shuffled", "caption"], ...] = ("with",)
    repeats: int = Field(1, ge=1)
    matrix: dict[str, Any] = Field(default_factory=dict)
    side_by_side: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    max_hours: float | None = Field(None, gt=0)
    max_cost: float | None = Field(None, gt=0)
    min_coverage: float = Field(1.0, ge=0, le=1)
    max_null_verdicts: float = Field(0.01, ge=0, le=1)
    reuse: tuple[str, ...] = ()
    fresh: bool = False
    local_hosts: tuple[str, ...] = ()
    allow_remote: tuple[str, ...] = ()

    @field_validator("images", mode="before")
    @classmethod
    def _modes(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def digest(self) -> str:
        """Digest of everything the spec says."""
        return digest(self.model_dump(mode="json"), 16)

    def sampling(self, model: ModelSpec, task_defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sampling of one model on one task: model entry < task < spec < matrix."""
        chosen = self.generation.model_dump(exclude_unset=True)
        merged = Generation.model_validate({**model.generation, **task_defaults, **chosen, **model.swept})
        return merged.model_dump(mode="json")
