"""Limits of time and money on a plain ledger with a clock of the test's own."""

from __future__ import annotations

import pytest

from raybench.engine.ledger import Ledger
from raybench.engine.limits import Limits, Price, limits_of, price_of
from raybench.spec import ModelSpec, RunSpec


class _Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def _ledger(limits: Limits, price: Price) -> tuple[Ledger, _Clock]:
    clock = _Clock()
    ledger = Ledger(limits, clock)
    ledger.open_stream("m", 10, price)
    ledger.starting("m", "r")
    return ledger, clock


def test_nothing_is_sent_once_the_time_is_up_and_what_was_sent_is_taken_in() -> None:
    ledger, clock = _ledger(Limits(seconds=60), Price())
    assert ledger.sending("m", ["a"])
    assert not ledger.is_idle("m")
    clock.seconds += 60
    assert not ledger.sending("m", ["b"])
    assert ledger.halted() == "max_hours 0.0166667 is reached"
    ledger.durable("m", [("a", "answered")])
    assert ledger.is_idle("m")
    assert ledger.claim("m", ["b", "c"], "r") == {"fresh": [], "again": [], "given_up": {}}
    assert ledger.progress()["m"]["counts"] == {"answered": 1}


def test_replica_hours_and_tokens_add_up_over_streams() -> None:
    ledger, clock = _ledger(Limits(cost=5), Price(per_hour=3, per_million_in=1, per_million_out=10))
    clock.seconds += 1800  # 1.5 for half an hour
    ledger.durable("m", [("a", "answered")], (500_000, 50_000))  # and 1.0 for tokens
    assert ledger.spent() == pytest.approx(2.5)
    ledger.close_stream("m")
    clock.seconds += 3600
    assert ledger.spent() == pytest.approx(2.5)  # replicas that are gone cost nothing
    ledger.open_stream("m", 5, Price(per_hour=10))
    ledger.starting("m", "r2")
    clock.seconds += 360
    assert ledger.spent() == pytest.approx(3.5)
    assert ledger.sending("m", ["b"])
    clock.seconds += 540
    assert not ledger.sending("m", ["c"])
    assert ledger.halted() == "max_cost 5 is reached (5.00 spent)"


def test_a_replica_that_starts_again_is_paid_once() -> None:
    ledger, clock = _ledger(Limits(), Price(per_hour=1))
    clock.seconds += 1800
    ledger.starting("m", "r")
    clock.seconds += 1800
    assert ledger.spent() == pytest.approx(1.0)


def test_limits_and_prices_are_what_the_spec_says() -> None:
    assert limits_of(RunSpec(max_hours=0.5, max_cost=3)) == Limits(1800, 3)
    assert limits_of(RunSpec()) == Limits()
    entry = {"name": "a", "backend": "b", "price_per_hour": 2, "price_per_million_tokens": 4}
    assert price_of(ModelSpec.model_validate(entry)) == Price(2, 4, 4)
    entry["price_per_million_tokens"] = [1, 3]
    assert price_of(ModelSpec.model_validate(entry)) == Price(2, 1, 3)
    with pytest.raises(ValueError, match="prices are 0 or more"):
        ModelSpec.model_validate({**entry, "price_per_million_tokens": -1})
