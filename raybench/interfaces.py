"""What a plugin is: the four small interfaces that one file each implements.

A plugin module lives in `raybench/tasks`, `models`, `judges` or `metrics` (or is
an entry point of someone else's package) and names its class in `PLUGIN`:

    class Colours(Task):
        '''Name the colour of a square. Source: made here.'''
        prompts = {"plain": "{question}"}
        ...
    PLUGIN = Colours

Plugins are pure: they never import the engine, the store or each other.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from raybench.errors import SpecError
from raybench.schema import Answer, Response, Result, Row, Sample, Verdict

__all__ = [
    "Array", "Backend", "Capabilities", "JudgeProtocol", "MetricDef", "Options", "Profile", "Statistics", "Task",
    "judge_calls", "render",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]
Statistics = Mapping[str, Array]


class Options(BaseModel):
    """A plugin's own settings in the spec; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Task(ABC):
    """A benchmark: where its samples come from, how they are asked, read and graded.

    Attributes:
        prompts: variant name -> template over {question}, {choices} and the
            sample's context; the first is the default.
        profiles: names of the metric plugins that grade it.
        headline: (profile, metric) that ranks models.
        judge_protocol: the protocol a judge uses unless the spec names one; "" for none.
        generation: sampling defaults of the task, e.g. {"max_tokens": 32}.
        group: tasks of one group and scale may be averaged.
        restricted: text and images must stay on local hosts.
        baselines: trivial systems to show beside the models, names in `scoring.baselines`.
        history: what later turns of a conversation see as earlier answers, the model's own or the references.
        leaks: one sentence on a known leak between its training and test data; "" for none.
        self_check: made-up data that check the pipeline; never a medical claim, and shown as such.
    """

    Options: ClassVar[type[Options]] = Options
    prompts: ClassVar[Mapping[str, str]]
    profiles: ClassVar[tuple[str, ...]]
    headline: ClassVar[tuple[str, str]]
    judge_protocol: ClassVar[str] = "reference_verdict"
    generation: ClassVar[Mapping[str, Any]] = {}
    group: ClassVar[str] = ""
    restricted: ClassVar[bool] = False
    baselines: ClassVar[tuple[str, ...]] = ("majority", "always")
    history: ClassVar[Literal["own", "reference"]] = "own"
    leaks: ClassVar[str] = ""
    self_check: ClassVar[bool] = False

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def samples(self) -> Iterator[Sample]:
        """Yield the samples in source order.

        Raises:
            DataError: the data are missing or malformed; the sentence says how to get them.
        """

    @abstractmethod
    def parse(self, sample: Row, text: str) -> Answer:
        """Read a response text (never the target) into an answer.

        `sample` has "questions" (the one asked), "choices", "context" (JSON text),
        "box_convention" (the model's; "" for the task's own) and "image_sizes"
        ([width_px, height_px] of each image's original; None where unknown).
        """

    def expected_count(self) -> int | None:
        """Return the published number of samples of the chosen split; None where unknown."""
        return None

    def examples(self, n: int) -> list[Sample]:
        """Return n worked examples for a few-shot prompt, never from the split that is asked.

        Raises:
            SpecError: the task has no other split to take examples from.
        """
        raise SpecError(f"shots: {n}: {type(self).__name__} has no other split to take examples from")

    def labels(self, sample: Row) -> list[str] | None:  # noqa: ARG002
        """Return single-token labels to force on backends that can, so that their probabilities are known."""
        return None

    def turns(self, sample: Row, variant: str) -> list[str]:
        """Return the text of each user turn after the first."""
        later = ({**sample, "questions": [question]} for question in sample["questions"][1:])
        return [render(self.prompts[variant], turn) for turn in later]

    def messages(self, sample: Row, variant: str) -> list[Row]:
        """Return the chat messages of one unit.

        Content parts are {"type": "image", "image": i} (i indexes the sample's
        images) and {"type": "text", "text": ...}; images come first.
        """
        template = self.prompts[variant]
        text = render(template, sample)
        parts: list[Row] = [{"type": "image", "image": i} for i in range(len(sample["image_sha256"] or []))]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def render(template: str, sample: Row) -> str:
    """Fill {question}, {choices} and context fields in one pass; other braces stay as they are."""
    fields = {
        **json.loads(sample["context"] or "{}"),
        "question": sample["questions"][0],
        "choices": ", ".join(sample["choices"]),
    }
    return re.sub(r"\{(\w+)\}", lambda match: str(fields.get(match[1], match[0])), template)


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do.

    Attributes:
        images: accepts images.
        multi_turn: accepts conversations.
        label_logprobs: returns raw log probabilities of forced labels.
        pixels: wants decoded RGB arrays; otherwise original file bytes are passed through.
        concurrent: waits on others (an API), so one replica may hold several blocks at once.
    """

    images: bool = True
    multi_turn: bool = True
    label_logprobs: bool = False
    pixels: bool = False
    concurrent: bool = False


class Backend(ABC):
    """A way to reach a model. One instance is one replica; the same class answers and judges.

    Attributes:
        version: compatibility version, part of every content key; raised when
            the same input may give another output.
    """

    Options: ClassVar[type[Options]] = Options
    version: ClassVar[str] = "1"
    capabilities: ClassVar[Capabilities] = Capabilities()

    @classmethod
    @abstractmethod
    def identity(cls, options: Any) -> Row:
        """Return what decides the answers, for the content key, without loading weights.

        Keys: "model" (id), "revision" (resolved commit or hash of the weights, "" if
        unknown), "pinned" (bool), and whatever else changes an answer: dtype,
        quantisation, adapter, template hash, pixel limits, system prompt.

        Raises:
            ModelError: the model does not exist or cannot be reached.
        """

    @classmethod
    def key_extra(cls, options: Any, sample_id: str) -> Row:  # noqa: ARG003
        """Return further parts of one sample's content key; only answers made elsewhere need any."""
        return {}

    @classmethod
    def image_tokens(cls, options: Any, width_px: int, height_px: int) -> int | None:  # noqa: ARG003
        """Return how many tokens an image of this size takes, without loading weights; None where unknown."""
        return None

    @classmethod
    def count_tokens(cls, options: Any, chats: Sequence[Sequence[Row]]) -> list[int] | None:  # noqa: ARG003
        """Return the prompt tokens of text chats without loading weights; None where they cannot be known."""
        return None

    @classmethod
    def open_rows(cls, options: Any) -> int:  # noqa: ARG003
        """Return the most rows that a `concurrent` backend has open at once; 0 of one that computes."""
        return 0

    @property
    def window(self) -> int:
        """Rows worked on at once: the micro-batch of a model that computes, the open requests of one that waits."""
        return 8

    @abstractmethod
    def __init__(self, options: Any) -> None:
        """Load the model.

        Raises:
            ModelError: missing or gated weights, wrong options: one clear sentence.
        """

    @abstractmethod
    def generate(self, rows: Sequence[Row]) -> AsyncIterator[Result]:
        """Answer rows in any order, each exactly once, as soon as it is done.

        A row has "id"; "messages" (chat messages as `Task.messages` returns them,
        a system message first where one is wanted); "images", a list of
        {"bytes", "media_type", "width_px", "height_px"} with media_type
        "image/x-rgb8" for decoded (height x width x 3 uint8) pixels, else the
        original file; "sampling" {"temperature", "top_p", "max_tokens", "seed",
        "stop"}; "question" as the sample has it; "choices", the closed list of
        answers ([] for open questions); and "labels", a list of single-token labels to choose from, or None.
        With labels, the text is the most probable label and `label_logprobs` holds
        the raw log probability of each. A label that is not one token is a `ModelError`,
        unless the row's "labels_else_text" is true: then a text is generated.

        What goes wrong with one row is a `Failure` for that row. What goes wrong
        with the engine itself is raised.
        """

    def versions(self) -> Mapping[str, str]:
        """Return library versions for the row (not for the key)."""
        return {}

    def close(self) -> None:
        """Release the model."""
        return None


@dataclass(frozen=True)
class MetricDef:
    """One number a profile computes.

    Attributes:
        name: key in scores, e.g. "closed_accuracy".
        over: statistics column that is 1 where a row is in the denominator.
        hit: statistics column averaged over `over`; None if `reduce` is given.
        reduce: (statistics, weights (B, n)) -> values (B,), for what is no ratio.
        additive: `reduce` depends on the weights only through weighted sums of plain columns,
            so that rows of one cluster may be summed before they are drawn.
        binary: hits are 0 or 1, so that Wilson's interval applies.
        unit: "fraction" (0-1) unless said; "coefficient" is -1 to 1.
    """

    name: str
    over: str
    hit: str | None = None
    reduce: Callable[[Statistics, Array], Array] | None = None
    additive: bool = False
    binary: bool = True
    unit: str = "fraction"
    higher_is_better: bool = True

    def values(self, statistics: Statistics, weights: Array) -> Array:
        """Return the metric under each row of weights.

        Args:
            statistics: columns of length n (rows), or (n, k).
            weights: (B, n), non-negative.

        Returns:
            (B,) floats; NaN where the denominator is empty.
        """
        if self.reduce is not None:
            return self.reduce(statistics, weights)
        assert self.hit is not None
        over = np.asarray(statistics[self.over], dtype=float)
        hits = np.asarray(statistics[self.hit], dtype=float) * over
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ hits) / (weights @ over))


class Profile(ABC):
    """A named, versioned scorer: per-record statistics and the metrics made of them.

    Attributes:
        beside: metrics that a board shows beside this profile's headline.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    metrics: ClassVar[tuple[MetricDef, ...]]
    beside: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def check(cls) -> None:
        """Raise a `DataError` where a package or weights that the profile needs are missing."""

    @abstractmethod
    def statistics(self, record: Row) -> Mapping[str, float | Sequence[float]]:
        """Return one record's statistics: numbers, or flat lists of numbers (of any length).

        `record` has "outcome" (never "failed"), "value", "text", "target", "targets"
        (list), "choices" (list), "boxes" (the true ones, as dicts of `Box`), "slices"
        (dict), "context" (dict), "question", "format", "extractor", "notes" (dict),
        "label_logprobs" (dict or None) and "positive" (or None). Refused and unparsed
        rows are wrong, not absent. A column in which some row gives a list reaches
        `MetricDef.reduce` as an object array of float arrays, empty where a row has none.
        """

    def facts(self, statistics: Statistics) -> Mapping[str, Any]:  # noqa: ARG002
        """Return what the run record says of a cell beside its scores: JSON values that have no interval.

        `statistics` has the columns of its rows that are not failed.
        """
        return {}


class JudgeProtocol(ABC):
    """How a judge is asked and read: pure functions from records to verdicts, and from verdicts to statistics.

    Attributes:
        labels: the single-token labels it forces, mapped to their meaning; {} where a text is asked for.
        labels_else_text: where a model has no single token for each label, ask for a text and read it.
        max_tokens: tokens allowed where labels cannot be forced.
        needs: what `items` wants: the samples' "context", other models' answers ("partners"), judges' "verdicts".
        decided_by: what the verdict rows say of a verdict that `items` gives without a call.
    """

    Options: ClassVar[type[Options]] = Options
    name: ClassVar[str]
    labels: ClassVar[Mapping[str, str]]
    labels_else_text: ClassVar[bool] = False
    max_tokens: ClassVar[int] = 8
    needs: ClassVar[tuple[Literal["context", "partners", "verdicts"], ...]] = ()
    decided_by: ClassVar[Literal["rule", "panel"]] = "rule"

    def __init__(self, options: Any) -> None:
        self.options = options

    @property
    @abstractmethod
    def template_hash(self) -> str:
        """Digest of the static prompt; a change of template is a new protocol version."""

    @property
    def reminder(self) -> str:
        """What is added to the prompt when a text could not be read, for one more attempt; "" for none."""
        return ""

    @abstractmethod
    def items(self, records: Sequence[Row]) -> list[Row | None]:
        """Return judge items, one a record, in order: {"item", "question", "reference", "candidate", "decided"}.

        "item" is a content digest (identical items are judged once); "decided" a `Verdict` where a rule
        settles it without a call. Failed records give None. Further keys: "parts", the items of a record
        that takes several calls, each with "aspect", what it is; "audit", an item asked to check the rule
        that decided this one; "flags", injection-like patterns; "other", a pair's second candidate.
        A record has "outcome", "question", "target", "text", "sample"; by its needs "context"
        (dict), "verdicts" (judge -> verdict row), or the cell columns, "turn" and "repeat".
        """

    @abstractmethod
    def messages(self, item: Row) -> list[Row]:
        """Return the chat messages for one item (or part)."""

    @abstractmethod
    def parse(self, response: Response) -> Verdict:
        """Read the judge's response; never a default score."""

    @abstractmethod
    def metrics(self) -> tuple[MetricDef, ...]:
        """Return the metrics made of verdicts."""

    @abstractmethod
    def statistics(self, verdict: Row) -> Mapping[str, float]:
        """Return one verdict row's statistics; a null verdict has `null` 1 and is in no denominator."""

    def aggregate(self, item: Row, found: Mapping[str, Row]) -> Mapping[str, float]:
        """Return one record's statistics from its item and the verdicts stored of it and its parts (by "item")."""
        verdict = found.get(item["item"])
        return {"null": 1.0} if verdict is None else self.statistics(verdict)

    def possible(self) -> Sequence[Mapping[str, float]]:
        """Return the extreme statistics that a null record could have had; () takes it for a miss, and for a hit."""
        return ()

    def extremes(self, item: Row, found: Mapping[str, Row]) -> Sequence[Mapping[str, float]]:  # noqa: ARG002
        """Return what `possible` says, of one null record: as many rows, made of its own item and its verdicts."""
        return self.possible()


def judge_calls(item: Row) -> list[Row]:
    """Return what is to be judged of an item: its parts or itself, and what checks the rule that decided it."""
    asked = [item] if item.get("parts") is None else list(item["parts"])
    return [*asked, item["audit"]] if item.get("audit") else asked
