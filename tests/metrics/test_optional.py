"""The optional text scorers: absent packages are one sentence; present ones (stand-ins here) are asked rightly."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from raybench import registry
from raybench.errors import DataError

PACKAGES = {"bert-score": "bert_score", "radgraph": "radgraph", "chexbert": "f1chexbert", "radeval": "RadEval"}
RECORD = {"outcome": "answered", "value": "no effusion", "text": "no effusion", "target": "No pleural effusion."}


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    for name in PACKAGES:
        sys.modules[registry.load("metrics", name).__module__]._scorer.cache_clear()
    yield
    for name in PACKAGES:
        sys.modules[registry.load("metrics", name).__module__]._scorer.cache_clear()


def _stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    module = ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize(("profile", "package"), PACKAGES.items())
def test_a_missing_package_is_one_sentence(profile: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=rf"profile {profile} needs {package} .*: pip install {package}"):
        registry.load("metrics", profile).check()


def test_missing_weights_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**options: Any) -> None:
        raise OSError("cannot reach the hub")

    _stand_in(monkeypatch, "radgraph", F1RadGraph=broken)
    with pytest.raises(DataError, match=r"profile radgraph: its weights cannot be loaded: .*cannot reach the hub"):
        registry.load("metrics", "radgraph").check()


def test_scores_are_taken_as_the_packages_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = SimpleNamespace(score=lambda said, reference: (None, None, np.asarray([0.75])))
    _stand_in(monkeypatch, "bert_score", BERTScorer=lambda **_: scorer)
    assert registry.load("metrics", "bert-score")().statistics(RECORD) == {"all": 1.0, "f1": 0.75}

    def radgraph(hyps: Any, refs: Any) -> Any:
        return None, ([0.9], [0.6], [0.3]), [], []

    _stand_in(monkeypatch, "radgraph", F1RadGraph=lambda **_: radgraph)
    found = registry.load("metrics", "radgraph")().statistics(RECORD)
    assert found == {"all": 1.0, "simple": 0.9, "partial": 0.6, "complete": 0.3}

    _stand_in(monkeypatch, "RadEval", RadEval=lambda **_: lambda refs, hyps: {"ratescore": 0.4})
    assert registry.load("metrics", "radeval")().statistics(RECORD)["ratescore"] == 0.4


def test_chexbert_f1_is_over_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"No pleural effusion.": [1, 1, *[0] * 12], "no effusion": [1, 0, 1, *[0] * 11]}
    _stand_in(monkeypatch, "f1chexbert", F1CheXbert=lambda: SimpleNamespace(get_label=labels.__getitem__))
    profile = registry.load("metrics", "chexbert")()
    rows = [profile.statistics(RECORD), profile.statistics({**RECORD, "outcome": "refused"})]
    columns = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
    micro, macro = (metric.values(columns, np.ones((1, 2)))[0] for metric in profile.metrics)
    assert micro == pytest.approx(2 * 1 / (4 + 2))  # one shared label; four true, two called
    assert macro == pytest.approx(np.mean([2 / 3, 0, 0]))


@pytest.mark.parametrize("profile", ["bert-score", "radgraph", "radeval"])
def test_silence_scores_nothing_without_asking(profile: str) -> None:
    found = registry.load("metrics", profile)().statistics({**RECORD, "outcome": "refused"})
    assert found.pop("all") == 1.0
    assert set(found.values()) == {0.0}
