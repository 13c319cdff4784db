"""Right or wrong, sample by sample, as the task's headline sees it: for filters, flips and ranks."""

from __future__ import annotations

from dataclasses import dataclass

from raybench import registry
from raybench.dashboard.folder import View
from raybench.interfaces import MetricDef

__all__ = ["Hits", "headline_of", "headlines", "hits_of", "metric_of"]


@dataclass(frozen=True)
class Hits:
    """Where a record's hit is found.

    Attributes:
        metrics: the metrics whose hits are taken, the first that counts the record.
        binary: hits are 0 or 1: the record is right or wrong.
        by: name of the first, if it is not the headline itself; else "".
    """

    profile: str
    metrics: tuple[MetricDef, ...]
    binary: bool
    by: str = ""

    def sql(self, record: str = "r") -> tuple[str, list[str]]:
        """Return an SQL expression for the hit of a record (NULL where no metric counts it) and its parameters."""
        case = (
            f" WHEN TRY_CAST({record}.statistics ->> ? AS DOUBLE) > 0"
            f" THEN coalesce(TRY_CAST({record}.statistics ->> ? AS DOUBLE), 0)"
        )
        return f"CASE{case * len(self.metrics)} END", self.paths()

    def paths(self) -> list[str]:
        """Return the JSON paths of each metric's two columns."""
        return [f'$."{self.profile}"."{name}"' for metric in self.metrics for name in (metric.over, metric.hit or "")]

    def of(self, statistics: dict[str, dict[str, float]]) -> float | None:
        """Return the hit of one record's statistics, or None where no metric counts it."""
        row = statistics.get(self.profile, {})
        for metric in self.metrics:
            if row.get(metric.over):
                return float(row.get(metric.hit or "", 0.0))
        return None


def metric_of(profile: str, name: str) -> MetricDef:
    """Return a profile's metric by name."""
    found: MetricDef = next(each for each in registry.load("metrics", profile).metrics if each.name == name)
    return found


def headline_of(view: View, task: str, dataset: str, split: str) -> tuple[str, str]:
    """Return (profile, metric) that ranks a task here: as its scores say, else as the task declares."""
    stored = headlines(view)
    if (task, dataset, split) in stored:
        return stored[task, dataset, split]
    declared: tuple[str, str] = registry.load("tasks", task).headline
    return declared


def headlines(view: View) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return (task, data set, split) -> (profile, metric) of the headline, where the scores name one."""
    found: dict[tuple[str, str, str], tuple[str, str]] = view.once("headlines", lambda: _headlines(view))
    return found


def _headlines(view: View) -> dict[tuple[str, str, str], tuple[str, str]]:
    sql = (
        "SELECT task, dataset, split, profile, metric FROM score WHERE headline AND kind = 'system' AND judge IS NULL"
        " QUALIFY row_number() OVER (PARTITION BY task, dataset, split ORDER BY generation DESC, profile, metric) = 1"
    )
    return {(row["task"], row["dataset"], row["split"]): (row["profile"], row["metric"]) for row in view.scores(sql)}


def hits_of(headline: tuple[str, str]) -> Hits | None:
    """Return how the records of a task with this headline are right or wrong; None where its profile has no hits.

    A headline that is no mean of hits (F1 of boxes, corpus BLEU) lends its profile's own hits: those that count
    rows which no earlier one counts, such as `image_hit_50`, and `healthy_empty_rate` for images without boxes.
    """
    profile, name = headline
    ranked = metric_of(profile, name)
    if ranked.hit is not None and ranked.reduce is None:
        return Hits(profile, (ranked,), ranked.binary)
    found: list[MetricDef] = []
    for metric in registry.load("metrics", profile).metrics:
        usable = metric.hit is not None and metric.reduce is None
        if usable and metric.over not in {each.over for each in found} and (not found or metric.binary):
            found.append(metric)
            if metric.over == "all" or not metric.binary:
                break
    return Hits(profile, tuple(found), found[0].binary, found[0].name) if found else None
