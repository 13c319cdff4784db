"""What every listed task, metric, judge and backend keeps to."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from pydantic import BaseModel

from raybench import registry
from raybench.errors import DataError
from raybench.interfaces import Backend, JudgeProtocol, Profile, Task, render
from raybench.schema import Response

INTERFACES = {"tasks": Task, "models": Backend, "judges": JudgeProtocol, "metrics": Profile}
ALL = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]
TASKS, METRICS, JUDGES = ([name for each, name in ALL if each == kind] for kind in ("tasks", "metrics", "judges"))


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_plugin_is_whole(kind, name):
    plugin = registry.load(kind, name)
    assert issubclass(plugin, INTERFACES[kind])
    assert not inspect.isabstract(plugin), plugin.__abstractmethods__
    assert plugin.__doc__
    assert len(plugin.__doc__.strip().split("\n")[0]) <= 120
    assert plugin.__doc__ != INTERFACES[kind].__doc__


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in ALL if kind != "metrics"])
def test_options_forbid_unknown_keys_and_do_not_change(kind, name):
    options = registry.load(kind, name).Options
    assert issubclass(options, BaseModel)
    assert options.model_config["extra"] == "forbid"
    assert options.model_config["frozen"]
    common = {"name", "backend", "replicas", "gpus", "cpus", "kind", "notes", "task", "prompts", "limit", "sample"}
    assert not common & set(options.model_fields), "these keys belong to the spec"


@pytest.mark.parametrize("name", TASKS)
def test_a_task_can_be_asked_read_and_graded(name):
    task = registry.load("tasks", name)
    assert task.prompts
    assert len(set(task.profiles)) == len(task.profiles) > 0
    profile, metric = task.headline
    assert profile in task.profiles
    metrics = {each.name: each for each in registry.load("metrics", profile).metrics}
    assert metric in metrics
    assert not task.judge_protocol or registry.load("judges", task.judge_protocol)
    sample = {"questions": ["Is {x} there?"], "choices": ["a", "b"], "context": json.dumps({"history": "cough"})}
    for template in task.prompts.values():
        shown = render(template, sample)
        assert "{question}" not in template or "Is {x} there?" in shown, "a question's own braces stay"
        assert "{question}" not in shown
        assert "{choices}" not in shown


@pytest.mark.parametrize("name", METRICS)
def test_a_profile_counts_every_outcome(name):
    profile = registry.load("metrics", name)()
    assert profile.name.replace("-", "_") == name
    assert profile.version
    try:
        profile.check()
    except DataError as error:
        pytest.skip(str(error))  # an optional package: tests/metrics/test_optional.py has a stand-in for each
    assert len({metric.name for metric in profile.metrics}) == len(profile.metrics)
    base = {
        "target": "yes", "choices": ["yes", "no"], "slices": {"answer_type": "closed"}, "question": "Is it there?",
        "positive": "yes",
    }  # fmt: skip
    outcomes = [("answered", "yes", "yes", "exact_contract"), ("answered", "no", "no", "exact_contract"),
                ("refused", None, "", "unrecoverable"), ("unparsed", None, "hm", "unrecoverable")]  # fmt: skip
    rows = [
        profile.statistics({**base, "outcome": outcome, "value": value, "text": text, "format": form})
        for outcome, value, text, form in outcomes
    ]
    json.dumps([dict(row) for row in rows], allow_nan=False)
    columns = {key: np.array([row.get(key, 0.0) for row in rows]) for key in {key for row in rows for key in row}}
    for metric in profile.metrics:
        assert metric.over in columns, metric.name
        (value,) = metric.values(columns, np.ones((1, 4)))
        assert np.isnan(value) or -1 <= value <= 1, metric.name
        double = metric.values(columns, np.full((1, 4), 2.0))
        assert double[0] == pytest.approx(value, nan_ok=True), f"{metric.name}: weights scale"


@pytest.mark.parametrize("name", JUDGES)
def test_a_protocol_keeps_order_and_never_defaults(name):
    plugin = registry.load("judges", name)
    protocol = plugin(plugin.Options())
    assert protocol.name == name
    assert protocol.template_hash == plugin(plugin.Options()).template_hash
    record = {"question": "Is it there?", "target": "yes", "text": "certainly", "outcome": "answered"}
    failed = {**record, "outcome": "failed", "text": None}
    items = protocol.items([record, failed, {**record, "text": ""}, record])
    assert [item is None for item in items] == [False, True, False, False]
    assert items[0]["item"] == items[3]["item"] != items[2]["item"]
    assert items[2]["decided"] is not None
    verdict = protocol.parse(Response(""))
    assert (verdict.label, verdict.score) == (None, None)
    assert verdict.status != "ok"
    null = protocol.statistics({"status": verdict.status, "label": None, "score": None, "label_probs": None})
    assert null["null"] == 1
    assert not any(null.get(metric.over) for metric in protocol.metrics())
