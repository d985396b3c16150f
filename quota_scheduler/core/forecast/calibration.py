"""Calibration: what a series' own past forecasts teach about the next one.

    forecast at a checkpoint ──window closes──► observe(calibration, forecast, actual) ──► next calibration

Each side of the 80 % interval is widened by a miss and narrowed a little by a hit, so that in the
long run a tenth of the windows end above it and a tenth below, whatever the series does (adaptive
conformal inference).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.forecast.forecast import Forecast, PastAccuracy

RATE = 0.12
"""How far surprise moves the logarithm of a side: e^0.108 wider after a miss, e^-0.012 after a hit."""
MISS = 0.1
"""Share of windows that should end above the interval, and below it: 10 % each."""
BOUND = math.log(4.0)
"""Furthest that a side may go, as a logarithm: four times as wide, or a quarter."""
REMAINING = (0.75, 0.5, 0.25, 0.1, 0.0)
"""Lower edges of the horizons kept apart: the part of the window that was still to come."""
CLAIMS = 5
"""Equal bins of confidence whose claims and hits are kept apart."""


class Horizon(Struct, frozen=True):
    """Sums over verified forecasts made at about the same distance from the reset."""

    verified: int = 0
    held: int = 0
    error: float = 0.0
    actual: float = 0.0
    scored: int = 0
    brier: float = 0.0

    def record(self) -> PastAccuracy:
        """Return realised coverage, error relative to the actual totals, and mean Brier score."""
        if not self.verified:
            return PastAccuracy()
        return PastAccuracy(
            verified=self.verified,
            coverage=self.held / self.verified,
            error=self.error / self.actual if self.actual > 0 else None,
            brier=self.brier / self.scored if self.scored else None,
        )


class Claim(Struct, frozen=True):
    """Sums over forecasts that claimed about the same confidence: how many, claimed in all, came true."""

    verified: int = 0
    claimed: float = 0.0
    true: int = 0


class Calibration(Struct, frozen=True):
    """State of one series (a limit and its kind of window): widening of both sides and the track record.

    ``low`` and ``high`` are logarithms of the factors on the lower and upper half of the interval.
    """

    low: float = 0.0
    high: float = 0.0
    horizons: tuple[Horizon, ...] = (Horizon(),) * len(REMAINING)
    claims: tuple[Claim, ...] = (Claim(),) * CLAIMS

    @property
    def verified(self) -> int:
        return sum(horizon.verified for horizon in self.horizons)

    @property
    def spread(self) -> tuple[float, float]:
        """The factors on the lower and the upper half of the interval."""
        return math.exp(self.low), math.exp(self.high)

    def record(self, remaining_ratio: float) -> PastAccuracy:
        """Return how forecasts fared with about this part of the window still to come."""
        return self.horizons[horizon_of(remaining_ratio)].record()

    def reliability(self) -> float | None:
        """Return the mean gap between claimed confidence and hit rate, None before anything was verified."""
        verified = sum(claim.verified for claim in self.claims)
        gaps = sum(abs(claim.claimed - claim.true) for claim in self.claims)
        return gaps / verified if verified else None

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON types; ``from_dict`` restores an equal value."""
        return {
            "low": self.low,
            "high": self.high,
            "horizons": [[h.verified, h.held, h.error, h.actual, h.scored, h.brier] for h in self.horizons],
            "claims": [[c.verified, c.claimed, c.true] for c in self.claims],
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Calibration:
        """Restore a state from what ``to_dict`` returned."""
        return Calibration(
            low=data["low"],
            high=data["high"],
            horizons=tuple(Horizon(*row) for row in data["horizons"]),
            claims=tuple(Claim(*row) for row in data["claims"]),
        )


def observe(
    calibration: Calibration | None,
    forecast: Forecast,
    actual: float,
    *,
    amount: float | None = None,
) -> Calibration:
    """Return the state after a forecast's window has closed with ``actual`` in total.

    With ``amount`` the Brier score of ``forecast.p_exceed(amount)`` is kept too. Judge each
    forecast once, in the order the windows closed.
    """
    before = calibration or Calibration()
    below, above = actual < forecast.low, actual > forecast.high
    i = horizon_of(remaining_ratio(forecast))
    horizon = before.horizons[i]
    claims = before.claims
    if forecast.confidence is not None:
        claims = _claimed(claims, forecast.confidence, abs(actual - forecast.expected) <= 0.1 * forecast.expected)
    verified = replace(
        horizon,
        verified=horizon.verified + 1,
        held=horizon.held + (not below and not above),
        error=horizon.error + abs(forecast.expected - actual),
        actual=horizon.actual + actual,
        scored=horizon.scored + (amount is not None),
        brier=horizon.brier + (0.0 if amount is None else (forecast.p_exceed(amount) - (actual > amount)) ** 2),
    )
    return Calibration(
        low=_step(before.low, missed=below),
        high=_step(before.high, missed=above),
        horizons=(*before.horizons[:i], verified, *before.horizons[i + 1 :]),
        claims=claims,
    )


def remaining_ratio(forecast: Forecast) -> float:
    """Return the part of the window that was still to come when the forecast was made."""
    length = (forecast.ends_at - forecast.starts_at).total_seconds()
    return forecast.remaining.total_seconds() / length if length > 0 else 0.0


def horizon_of(remaining_ratio: float) -> int:
    """Return which horizon a remaining part of a window belongs to."""
    return next((i for i, edge in enumerate(REMAINING) if remaining_ratio > edge), len(REMAINING) - 1)


def _step(side: float, *, missed: bool) -> float:
    return min(BOUND, max(-BOUND, side + RATE * (missed - MISS)))


def _claimed(claims: tuple[Claim, ...], confidence: float, true: bool) -> tuple[Claim, ...]:
    i = min(CLAIMS - 1, int(confidence * CLAIMS))
    old = claims[i]
    return (
        *claims[:i],
        Claim(old.verified + 1, old.claimed + confidence, old.true + true),
        *claims[i + 1 :],
    )
