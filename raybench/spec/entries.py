"""What a spec holds: tasks, models, judges, sampling and the run itself, as frozen models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

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
    """One model: name in scores, backend, pool size, resources of a replica, the backend's own options."""

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

    @model_validator(mode="after")
    def _ordered(self) -> ModelSpec:
        low, high = self.replicas
        if not 1 <= low <= high:
            raise ValueError(f"replicas must be [min, max] with 1 <= min <= max, not [{low}, {high}]")
        return self


class JudgeSpec(ModelSpec):
    """A model that judges: the same keys and a protocol."""

    protocol: str | None = None
    schedule: Literal["after"] = "after"


class RunSpec(_Strict):
    """One run. `output` is a local path or an fsspec URL (s3://, gs://); `images` is one mode or several."""

    name: str = "run"
    output: str = "results"
    tasks: tuple[TaskSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    judges: tuple[JudgeSpec, ...] = ()
    generation: Generation = Generation()
    images: tuple[Literal["with", "none", "shuffled", "caption"], ...] = ("with",)
    repeats: int = Field(1, ge=1)
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
        """Return the sampling of one model on one task: model entry < task < spec."""
        chosen = self.generation.model_dump(exclude_unset=True)
        merged = Generation.model_validate({**model.generation, **task_defaults, **chosen})
        return merged.model_dump(mode="json")
