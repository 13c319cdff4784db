"""What a run may take: hours and money, and what a replica or a token costs.

>>> Price(per_hour=2.0, per_million_in=1.0, per_million_out=4.0).of(3600, (500_000, 250_000))
3.5
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raybench.spec import ModelSpec, RunSpec

__all__ = ["FREE", "UNLIMITED", "Limits", "Price", "limits_of", "price_of"]


@dataclass(frozen=True)
class Price:
    """What a model costs, in the user's own currency.

    Attributes:
        per_hour: of one replica, from the moment it begins to load.
        per_million_in, per_million_out: of a million tokens read or written.
    """

    per_hour: float = 0.0
    per_million_in: float = 0.0
    per_million_out: float = 0.0

    def of(self, replica_seconds: float, tokens: tuple[float, float]) -> float:
        """Return the price of replica seconds and (in, out) tokens."""
        asked = tokens[0] * self.per_million_in + tokens[1] * self.per_million_out
        return replica_seconds * self.per_hour / 3600 + asked / 1e6


@dataclass(frozen=True)
class Limits:
    """Where a run stops; None is no limit. `seconds` are of this run, not of earlier ones on its folder."""

    seconds: float | None = None
    cost: float | None = None

    def exceeded(self, seconds: float, spent: Callable[[], float]) -> str:
        """Return which limit is reached, as words for a person, or ""; `spent` is asked only if it matters."""
        if self.seconds is not None and seconds >= self.seconds:
            return f"max_hours {self.seconds / 3600:g} is reached"
        if self.cost is not None and (money := spent()) >= self.cost:
            return f"max_cost {self.cost:g} is reached ({money:.2f} spent)"
        return ""


#: What costs nothing, and what never stops.
FREE, UNLIMITED = Price(), Limits()


def limits_of(spec: RunSpec) -> Limits:
    """Return a spec's limits."""
    return Limits(None if spec.max_hours is None else spec.max_hours * 3600, spec.max_cost)


def price_of(spec: ModelSpec) -> Price:
    """Return what a model's entry declares; nothing declared costs nothing."""
    tokens = spec.price_per_million_tokens or (0.0, 0.0)
    return Price(spec.price_per_hour or 0.0, *tokens)
