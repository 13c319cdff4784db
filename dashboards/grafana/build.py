"""Write `raybench.json`, the Grafana dashboard of a cluster that runs raybench, and `raybench-alerts.yaml`.

    python dashboards/grafana/build.py          # writes both beside itself
    python dashboards/grafana/build.py --check  # exits 1 if they are not what this script writes

Plain JSON of Grafana's dashboard model (schema version 39), so that nothing has to be installed. Every name of a metric
comes from `raybench.engine.metrics`; a panel on a metric that the engine does not export cannot be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from raybench.engine.metrics import METRICS

__all__ = ["ALERTS", "PANELS", "Panel", "alerts", "dashboard", "main", "series"]

HERE = Path(__file__).parent
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_KINDS = {metric.name: metric.kind for metric in METRICS}
_MODELS = 'run=~"$run", model=~"$model"'
_WIDTH, _HEIGHT = 24, 8


def series(name: str, labels: str = "", suffix: str = "") -> str:
    """Return a metric's name in Prometheus, with a label filter: Ray prefixes `ray_` and ends counters in `_total`.

    Raises:
        KeyError: raybench exports no such metric.
    """
    ending = "_total" if _KINDS[name] == "counter" else suffix
    return f"ray_{name}{ending}" + (f"{{{labels}}}" if labels else "")


@dataclass(frozen=True)
class Panel:
    """One panel: expressions with their legends, the unit of the axis and what it tells.

    Attributes:
        kind: Grafana's panel type.
        width: of 24 columns.
    """

    title: str
    description: str
    queries: tuple[tuple[str, str], ...]
    unit: str
    kind: str = "timeseries"
    width: int = 12
    stacked: bool = False


def _rate(name: str, by: str, labels: str = _MODELS) -> str:
    return f"sum by ({by}) (rate({series(name, labels)}[$__rate_interval]))"


def _share(outcome: str) -> str:
    """Share of the rows that ended so, by model; 0, not nothing, where none has."""
    part = series("raybench_samples", f'{_MODELS}, outcome="{outcome}"')
    every = f"sum by (model) (rate({series('raybench_samples', _MODELS)}[15m]))"
    return f"(sum by (model) (rate({part}[15m])) or 0 * {every}) / {every}"


def _quantile(q: float, by: str) -> str:
    buckets = series("raybench_latency_seconds", _MODELS, "_bucket")
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({buckets}[$__rate_interval])))"


_PLANNED = f"sum(max by (run, model) ({series('raybench_planned_samples', _MODELS)}))"
_COMMITTED = f"sum(max by (run, model) ({series('raybench_committed_samples', _MODELS)}))"
_SPEED = f"sum(rate({series('raybench_samples', _MODELS)}[15m]))"
_JUDGES = 'run=~"$run"'
_BACKLOG = series("raybench_judge_backlog", _JUDGES)
_COST = f"(sum(max by (run, model) ({series('raybench_cost', _MODELS)})) or vector(0))"
_COMMITS = series("raybench_latency_seconds", f'{_MODELS}, stage="commit"', "_count")
_SIZES = series("raybench_batch_size", _MODELS, "_bucket")
_STATES = f"sum by (model, state) (max by (run, model, state) ({series('raybench_actors', _MODELS)}))"
_REUSED = f"sum by (model) (max by (run, model, task) ({series('raybench_reused', _MODELS)}))"

PANELS: tuple[Panel, ...] = (
    Panel("Done", "Rows answered and durable, of all the run plans; reused answers count.",
          ((f"{_COMMITTED} / {_PLANNED}", "done"),), "percentunit", "gauge", 5),
    Panel("Rows left", "Rows planned and not yet durable.",
          ((f"{_PLANNED} - {_COMMITTED}", "left"),), "short", "stat", 5),
    Panel("Time left", "Rows left at the speed of the last 15 minutes; judging comes after.",
          ((f"({_PLANNED} - {_COMMITTED}) / ({_SPEED} > 0)", "ETA"),), "s", "stat", 5),
    Panel("Cost so far", "Spent by the prices that the spec declares, in their currency; 0 without prices.",
          ((_COST, "cost"),), "short", "stat", 4),
    Panel("Cost when done", "Cost so far, and the rows left at today's price a row; judging is not in it.",
          ((f"{_COST} * {_PLANNED} / ({_COMMITTED} > 0)", "projected"),), "short", "stat", 5),
    Panel("Rows a second by model", "Rows that ended, answered or not.",
          ((_rate("raybench_samples", "model"), "{{model}}"),), "rps", stacked=True),
    Panel("Tokens a second by model", "Read (in) and written (out), where the backend counts them.",
          ((_rate("raybench_tokens", "model, kind"), "{{model}} {{kind}}"),), "short"),
    Panel("Outcomes", "Rows a second by how they ended. Refused and unparsed count as wrong; failed rows are retried.",
          ((_rate("raybench_samples", "outcome"), "{{outcome}}"),), "rps", stacked=True),
    Panel("Refused, unparsed, failed", "Share of the rows of the last 15 minutes, by model.",
          ((_share("refused"), "{{model}} refused"), (_share("unparsed"), "{{model}} unparsed"),
           (_share("failed"), "{{model}} failed")), "percentunit"),
    Panel("Judge backlog", "Judge calls still to make.",
          ((f"max by (run, judge) ({_BACKLOG})", "{{judge}}"),), "short"),
    Panel("Judge backlog, change a second", "Below zero: the judge is catching up.",
          ((f"deriv({_BACKLOG}[5m])", "{{judge}}"),), "short"),
    Panel("Verdicts a second", "Judge calls that ended, by status; every status but ok is a null verdict.",
          ((_rate("raybench_verdicts", "judge, status", _JUDGES), "{{judge}} {{status}}"),), "rps", stacked=True),
    Panel("Retries and failures by reason", "Requests sent again and rows left by a dead replica; rows that failed.",
          ((_rate("raybench_retries", "reason"), "retried: {{reason}}"),
           (_rate("raybench_failures", "reason"), "failed: {{reason}}")), "rps"),
    Panel("Seconds a row by stage", "Median and 95th percentile. generate and judge: one row; load: a replica's start;"
          " commit: one write made durable.",
          ((_quantile(0.5, "stage"), "{{stage}} p50"), (_quantile(0.95, "stage"), "{{stage}} p95")), "s"),
    Panel("Rows sent at once", "Median batch size by model; small batches leave a GPU idle.",
          ((f"histogram_quantile(0.5, sum by (le, model) (rate({_SIZES}[$__rate_interval])))", "{{model}}"),), "short"),
    Panel("Replicas by state", "As the run counts them: loading or ready.",
          ((_STATES, "{{model}} {{state}}"),), "short", stacked=True),
    Panel("Ray actors by state", "As Ray counts them: what is pending waits for a node.",
          (("sum by (State) (ray_actors)", "{{State}}"),), "short"),
    Panel("Commits a minute", "Writes made durable: rows on local disk, parts on an object store.",
          ((f"60 * sum(rate({_COMMITS}[$__rate_interval]))", "commits"),), "cpm"),
    Panel("Answers reused", "Planned rows that a stored answer covered, by model.",
          ((_REUSED, "{{model}}"),), "short"),
    Panel("GPU utilisation", "By node and card; empty on a cluster without GPUs.",
          (("avg by (instance, GpuIndex) (ray_node_gpus_utilization)", "{{instance}} GPU {{GpuIndex}}"),), "percent"),
    Panel("GPU memory", "Used, by node and card.",
          (("1048576 * sum by (instance, GpuIndex) (ray_node_gram_used)", "{{instance}} GPU {{GpuIndex}}"),), "bytes"),
    Panel("Memory by node", "Used of what a node has.",
          (("ray_node_mem_used / ray_node_mem_total", "{{instance}}"),), "percentunit"),
    Panel("Object store", "Memory in use by place: what is SPILLED lies on disk, and its tasks wait for it.",
          (("sum by (Location) (ray_object_store_memory)", "{{Location}}"),), "bytes", stacked=True),
)  # fmt: skip


def _left_by_model() -> str:
    return f"sum by (run, model) ({series('raybench_planned_samples')} - {series('raybench_committed_samples')}) > 0"


def _ended_by_model(labels: str = "", window: str = "15m") -> str:
    return f"sum by (run, model) (rate({series('raybench_samples', labels)}[{window}]))"


def _alert(name: str, expression: str, wait: str, severity: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name, "expr": expression, "for": wait, "labels": {"severity": severity},
        "annotations": {"summary": summary},
    }  # fmt: skip


_READY = series("raybench_actors", 'state="ready"')
_DIED = series("raybench_retries", 'reason="replica_died"')

ALERTS: tuple[dict[str, Any], ...] = (
    _alert(
        "RaybenchStalled",
        f"{_left_by_model()} and on (run, model) sum by (run, model) ({_READY}) > 0"
        f" unless on (run, model) {_ended_by_model()} > 0",
        "15m", "page", "{{ $labels.model }} has replicas and rows to do, and nothing ended for 15 minutes",
    ),
    _alert(
        "RaybenchFailing",
        _ended_by_model('outcome="failed"') + f" / {_ended_by_model()} > 0.05",
        "10m", "page", "more than 5 % of the rows of {{ $labels.model }} fail: endpoint, replica or images",
    ),
    _alert(
        "RaybenchRefusing",
        _ended_by_model('outcome=~"refused|unparsed"', "30m") + f" / {_ended_by_model(window='30m')} > 0.5",
        "15m", "ticket", "over half the answers of {{ $labels.model }} are refused or unreadable: look at a few",
    ),
    _alert(
        "RaybenchReplicaDying",
        f"sum by (run, model) (increase({_DIED}[15m])) > 3",
        "1m", "ticket", "replicas of {{ $labels.model }} keep dying: out of memory, or a row that kills",
    ),
    _alert(
        "RaybenchWaitingForNodes",
        f"{_left_by_model()} and on (run, model) sum by (run, model) ({series('raybench_actors')}) == 0",
        "30m", "ticket", "{{ $labels.model }} has rows to do and no replica for 30 minutes: no capacity, or a quota?",
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels, x, y = [], 0, 0
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > _WIDTH:
            x, y = 0, y + _HEIGHT
        panels.append({**_panel(panel, number), "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHT}})
        x += panel.width
    return {
        "uid": "raybench",
        "title": "raybench",
        "description": "What raybench does on this cluster: progress, speed, outcomes, judges, replicas, cost.",
        "tags": ["raybench", "ray"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_data_source(), _variable("run"), _variable("model")]},
        "panels": panels,
        "annotations": {"list": []},
        "links": [],
    }


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    custom = {"stacking": {"mode": "normal" if panel.stacked else "none"}, "fillOpacity": 20 if panel.stacked else 0}
    options: dict[str, Any] = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}}
    if panel.kind != "timeseries":
        custom, options = {}, {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom} if panel.kind == "gauge"
                        else {"unit": panel.unit, "custom": custom}, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + i), "expr": expression, "legendFormat": legend, "datasource": _SOURCE}
            for i, (expression, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(label: str) -> dict[str, Any]:
    values = f"label_values({series('raybench_planned_samples')}, {label})"
    return {
        "name": label, "label": label, "type": "query", "datasource": _SOURCE, "definition": values,
        "query": {"query": values, "refId": label}, "refresh": 2, "multi": True, "includeAll": True,
        "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "sort": 1, "hide": 0,
    }  # fmt: skip


def alerts() -> dict[str, Any]:
    """Return the alert rules as a Prometheus rule file."""
    return {"groups": [{"name": "raybench", "interval": "30s", "rules": list(ALERTS)}]}


def _written() -> dict[Path, str]:
    note = "# Written by build.py; load it as a rule file of Prometheus.\n"
    rules = yaml.safe_dump(alerts(), sort_keys=False, width=120, allow_unicode=True)
    return {
        HERE / "raybench.json": json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n",
        HERE / "raybench-alerts.yaml": note + rules,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files, or say whether they are current."""
    parser = argparse.ArgumentParser(description="Write the Grafana dashboard and the alert rules.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not current")
    if parser.parse_args(arguments).check:
        stale = [p.name for p, text in _written().items() if not p.exists() or p.read_text("utf-8") != text]
        print("\n".join(f"{name} is not what build.py writes" for name in stale))
        return int(bool(stale))
    for path, text in _written().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
