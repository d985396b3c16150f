"""Forecast: what is known and expected about one window, as a value that can be stored and asked.

    used ──► now ─┬─ high (90 %)      knots of (seconds ahead, low, expected, high)
                  ├─ expected (50 %)  describe what is still to come; between knots it is linear in time,
                  └─ low (10 %)       between and beyond the three quantiles one fixed shape holds

Only the standard library is needed to read one, so a status command stays fast.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from quota_scheduler.core.forecast.risk import Risk, risk_band
from quota_scheduler.core.forecast.shape import Knot, probability, spread, spreads
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds

SUFFICIENT_DAYS = 7.0
"""A risk and a confidence are named from so many observed days on."""


class PastAccuracy(Struct, frozen=True):
    """How past forecasts of the series fared at about this distance from the reset."""

    verified: int = 0
    coverage: float | None = None
    error: float | None = None
    brier: float | None = None


class Forecast(Struct, frozen=True):
    """The predictive distribution of the usage of one window at its reset.

    ``used``, ``expected``, ``low`` and ``high`` are in the unit of the history; low to high holds
    80 % and never lies below what is used or already certain. ``rate`` is recent usage per second,
    ``level`` the usual usage per day, ``trend`` the last 7 days over the 3 weeks before, minus 1.
    ``confidence`` is the calibrated probability of landing within 10 % of ``expected``, None under
    7 observed days. ``rate_cap`` is the most that can be used per second, if that is known.
    """

    now: datetime
    starts_at: datetime
    ends_at: datetime
    used: float
    certain: float
    knots: tuple[Knot, ...]
    rate: float
    level: float
    trend: float | None
    observed_days: float
    confidence: float | None
    method: str
    record: PastAccuracy = PastAccuracy()
    rate_cap: float | None = None

    @property
    def expected(self) -> float:
        return self.used + self.knots[-1][2]

    @property
    def low(self) -> float:
        return self.used + self.knots[-1][1]

    @property
    def high(self) -> float:
        return self.used + self.knots[-1][3]

    @property
    def p80(self) -> float:
        """The 80th percentile of the usage at the reset: what risk goes by."""
        return self.quantile(0.8)

    @property
    def sufficient(self) -> bool:
        """Whether seven days have been observed, so that a risk and a confidence may be named."""
        return self.observed_days >= SUFFICIENT_DAYS

    @property
    def remaining(self) -> timedelta:
        """The time from now to the reset, zero once it has passed."""
        return timedelta(seconds=self.knots[-1][0])

    def quantile(self, q: float) -> float:
        """Return the usage at the reset that is not passed with probability ``q``."""
        return self.used + self.to_come(q)

    def to_come(self, q: float, until: datetime | None = None) -> float:
        """Return the ``q``-quantile of what is still to come before ``until`` (default: the reset)."""
        return self._quantile(q, self._at(until))

    def quantiles_to_come(self, points: Sequence[float], until: datetime | None = None) -> tuple[float, ...]:
        """Return several quantiles at once of what is still to come before ``until`` (default: the reset)."""
        knot = self._at(until)
        if self.rate_cap is None:
            return spreads(points, knot)
        most = self.rate_cap * knot[0]
        return tuple(min(value, most) for value in spreads(points, knot))

    def p_exceed(self, amount: float, until: datetime | None = None) -> float:
        """Return the probability that usage is above ``amount`` at ``until`` (default: the reset)."""
        knot = self._at(until)
        if self.rate_cap is not None and amount - self.used >= self.rate_cap * knot[0]:
            return 0.0
        return 1.0 - probability(amount - self.used, knot)

    def risk(self, amount: float, previous: Risk | str = Risk.UNKNOWN, *, thresholds: Thresholds = DEFAULT) -> Risk:
        """Return the band of the 80th percentile over ``amount``, given the one before; unknown under seven days."""
        return risk_band(self.p80 / amount if self.sufficient and amount > 0 else None, previous, thresholds=thresholds)

    def exhaustion(self, amount: float, q: float = 0.5) -> datetime | None:
        """Return when usage reaches ``amount`` on the ``q``-quantile path; None when not before the reset."""
        headroom = amount - self.used
        if headroom <= 0:
            return self.now
        before, held = 0.0, 0.0
        for knot in self.knots:
            reached = self._quantile(q, knot)
            if reached >= headroom:
                part = (headroom - held) / (reached - held)
                return self.now + timedelta(seconds=before + part * (knot[0] - before))
            before, held = knot[0], reached
        return None

    def exhaustion_interval(self, amount: float) -> tuple[datetime | None, datetime | None]:
        """Return the earliest and latest exhaustion with 80 % probability; None means not before the reset."""
        return self.exhaustion(amount, 0.9), self.exhaustion(amount, 0.1)

    def burn_rate(self, amount: float) -> float:
        """Return the actual rate ÷ pace: 1 spends ``amount`` exactly over the window, 2 in half of it."""
        pace = self.pace(amount)
        return self.rate / pace if pace > 0 else 0.0

    def pace(self, amount: float) -> float:
        """Return the steady usage per second that spends ``amount`` over the whole window."""
        return amount / max((self.ends_at - self.starts_at).total_seconds(), 1.0)

    def remaining_pace(self, amount: float) -> float:
        """Return the steady usage per second that spends what is left of ``amount`` exactly at the reset."""
        seconds = self.knots[-1][0]
        return max(0.0, amount - self.used) / seconds if seconds > 0 else 0.0

    def fan(self, points: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9)) -> list[tuple[datetime, list[float]]]:
        """Return the chart of the forecast: for each knot its instant and the usage at each quantile."""
        return [
            (self.now + timedelta(seconds=knot[0]), [self.used + self._quantile(q, knot) for q in points])
            for knot in self.knots
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON types; ``from_dict`` restores an equal value."""
        return {
            "now": _text(self.now),
            "starts_at": _text(self.starts_at),
            "ends_at": _text(self.ends_at),
            "used": self.used,
            "known": self.certain,
            "knots": [list(knot) for knot in self.knots],
            "rate": self.rate,
            "level": self.level,
            "trend": self.trend,
            "observed_days": self.observed_days,
            "confidence": self.confidence,
            "method": self.method,
            "record": [
                self.record.verified,
                self.record.coverage,
                self.record.error,
                self.record.brier,
            ],
            "rate_cap": self.rate_cap,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Forecast:
        """Restore a forecast from what ``to_dict`` returned."""
        figures = {name: data[name] for name in ("used", "rate", "level", "trend", "observed_days")}
        return Forecast(
            now=datetime.fromisoformat(data["now"]),
            starts_at=datetime.fromisoformat(data["starts_at"]),
            ends_at=datetime.fromisoformat(data["ends_at"]),
            knots=tuple((k[0], k[1], k[2], k[3]) for k in data["knots"]),
            certain=data["known"],
            confidence=data["confidence"],
            method=data["method"],
            record=PastAccuracy(*data["record"]),
            rate_cap=data.get("rate_cap"),
            **figures,
        )

    def _quantile(self, q: float, knot: Knot) -> float:
        """What comes before a knot with probability ``q``; never more than the rate allows."""
        value = spread(q, knot)
        return value if self.rate_cap is None else min(value, self.rate_cap * knot[0])

    def _at(self, until: datetime | None) -> Knot:
        seconds = self.knots[-1][0] if until is None else (until - self.now).total_seconds()
        i = bisect_left(self.knots, (seconds,))
        if i >= len(self.knots):
            return self.knots[-1]
        if i == 0 or seconds <= 0:
            return self.knots[0]
        left, right = self.knots[i - 1], self.knots[i]
        part = (seconds - left[0]) / (right[0] - left[0])
        return (
            seconds,
            left[1] + part * (right[1] - left[1]),
            left[2] + part * (right[2] - left[2]),
            left[3] + part * (right[3] - left[3]),
        )


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
