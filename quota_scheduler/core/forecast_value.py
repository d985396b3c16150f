"""Forecast: what is known and expected about one window, as a value that can be stored and asked.

    used ──► now ─┬─ high (90 %)      knots of (seconds ahead, low, expected, high)
                  ├─ expected (50 %)  describe what is still to come; between knots it is linear in time,
                  └─ low (10 %)       between and beyond the three quantiles one fixed shape holds

Only the standard library is needed to read one, so a status command stays fast.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

Knot = tuple[float, float, float, float]
"""Seconds from now, then the 10 %, 50 % and 90 % quantiles of usage up to there."""

# Position between expected (0) and high or low (1) at each probability, pooled over development traces
# (docs/explanation/forecasting.md, "The shape between the quantiles").
UPPER = (
    (0.5, 0.0),
    (0.6, 0.11),
    (0.7, 0.24),
    (0.8, 0.46),
    (0.9, 1.0),
    (0.95, 2.2),
    (0.99, 7.0),
    (0.999, 14.0),
)
LOWER = (
    (0.5, 0.0),
    (0.4, 0.12),
    (0.3, 0.4),
    (0.2, 0.72),
    (0.1, 1.0),
    (0.05, 1.14),
    (0.01, 1.3),
    (0.001, 1.4),
)


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """How past forecasts of the series fared at about this distance from the reset."""

    judged: int = 0
    coverage: float | None = None
    error: float | None = None
    brier: float | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """The predictive distribution of the usage of one window at its reset.

    ``used``, ``expected``, ``low`` and ``high`` are in the unit of the history; low to high holds
    80 % and never lies below what is used or already known. ``rate`` is recent usage per second,
    ``level`` the usual usage per day, ``trend`` the last 7 days over the 3 weeks before, minus 1.
    ``confidence`` is the calibrated probability of landing within 10 % of ``expected``, None under
    7 observed days.
    """

    now: datetime
    starts_at: datetime
    ends_at: datetime
    used: float
    known: float
    knots: tuple[Knot, ...]
    rate: float
    level: float
    trend: float | None
    observed_days: float
    confidence: float | None
    method: str
    record: TrackRecord = TrackRecord()

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
        """The 80th percentile of the usage at the reset: what risk is judged by."""
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
        return self.used + self.rest(q)

    def rest(self, q: float, until: datetime | None = None) -> float:
        """Return the ``q``-quantile of what is still to come before ``until`` (default: the reset)."""
        return _spread(q, self._at(until))

    def p_exceed(self, amount: float, until: datetime | None = None) -> float:
        """Return the probability that usage is above ``amount`` at ``until`` (default: the reset)."""
        return 1.0 - _probability(amount - self.used, self._at(until))

    def exhaustion(self, amount: float, q: float = 0.5) -> datetime | None:
        """Return when usage reaches ``amount`` on the ``q``-quantile path; None when not before the reset."""
        room = amount - self.used
        if room <= 0:
            return self.now
        before, held = 0.0, 0.0
        for knot in self.knots:
            reached = _spread(q, knot)
            if reached >= room:
                part = (room - held) / (reached - held)
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
        return [(self.now + timedelta(seconds=k[0]), [self.used + _spread(q, k) for q in points]) for k in self.knots]

    def explain(self) -> list[str]:
        """Say in at most five plain lines where the number comes from."""
        return explain(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON types; ``from_dict`` restores an equal value."""
        return {
            "now": _text(self.now),
            "starts_at": _text(self.starts_at),
            "ends_at": _text(self.ends_at),
            "used": self.used,
            "known": self.known,
            "knots": [list(knot) for knot in self.knots],
            "rate": self.rate,
            "level": self.level,
            "trend": self.trend,
            "observed_days": self.observed_days,
            "confidence": self.confidence,
            "method": self.method,
            "record": [
                self.record.judged,
                self.record.coverage,
                self.record.error,
                self.record.brier,
            ],
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Forecast:
        """Restore a forecast from what ``to_dict`` returned."""
        rest = {name: data[name] for name in ("used", "known", "rate", "level", "trend", "observed_days")}
        return Forecast(
            now=datetime.fromisoformat(data["now"]),
            starts_at=datetime.fromisoformat(data["starts_at"]),
            ends_at=datetime.fromisoformat(data["ends_at"]),
            knots=tuple((k[0], k[1], k[2], k[3]) for k in data["knots"]),
            confidence=data["confidence"],
            method=data["method"],
            record=TrackRecord(*data["record"]),
            **rest,
        )

    def _at(self, until: datetime | None) -> Knot:
        seconds = self.knots[-1][0] if until is None else (until - self.now).total_seconds()
        i = bisect_left(self.knots, (seconds,))
        if i >= len(self.knots):
            return self.knots[-1]
        if i == 0 or seconds <= 0:
            return self.knots[0]
        left, right = self.knots[i - 1], self.knots[i]
        part = (seconds - left[0]) / (right[0] - left[0])
        low, mid, high = (left[j] + part * (right[j] - left[j]) for j in (1, 2, 3))
        return seconds, low, mid, high


SUFFICIENT_DAYS = 7.0


def explain(forecast: Forecast) -> list[str]:
    """Say in at most five plain lines where a forecast comes from."""
    lines = [
        f"{forecast.used:,.0f} used so far; {forecast.knots[-1][2]:,.0f} more expected before the reset "
        f"on {forecast.ends_at:%Y-%m-%d %H:%M} UTC ({_span(forecast.remaining)} left).",
        f"Usual level {forecast.level:,.0f} a day, from {forecast.observed_days:.0f} observed days"
        + (f"; last week {forecast.trend:+.0%} against the three before." if forecast.trend is not None else "."),
        f"80 % interval {forecast.low:,.0f} to {forecast.high:,.0f} ({forecast.method}).",
    ]
    if forecast.known > 0:
        lines.append(f"{forecast.known:,.0f} of it already runs or waits and counts as certain.")
    lines.append(_belief(forecast))
    return lines


# Claimed by the raw distribution → came true, pooled over development traces (held-out owners agree within .05).
CLAIMED = (
    (0.0, 0.0),
    (0.1, 0.05),
    (0.2, 0.15),
    (0.3, 0.27),
    (0.5, 0.47),
    (0.75, 0.72),
    (0.85, 0.82),
    (0.92, 0.91),
    (1.0, 0.99),
)


def confidence(used: float, knot: Knot) -> float:
    """Return the calibrated probability that the total lands within 10 % of ``used`` plus the median of a knot."""
    expected = used + knot[2]
    raw = _probability(1.1 * expected - used, knot) - _probability(0.9 * expected - used, knot)
    for (x0, y0), (x1, y1) in pairwise(CLAIMED):
        if raw <= x1:
            return y0 + (y1 - y0) * (raw - x0) / (x1 - x0)
    return CLAIMED[-1][1]


def _belief(forecast: Forecast) -> str:
    if not forecast.sufficient:
        return "Insufficient history: under 7 observed days, so no confidence and no risk is named."
    said = f"Lands within 10 % of the expected value with probability {forecast.confidence or 0.0:.0%}"
    record = forecast.record
    if record.judged and record.coverage is not None:
        return f"{said}; {record.coverage:.0%} of {record.judged} earlier intervals held."
    return said + "."


def _spread(q: float, knot: Knot) -> float:
    """Read the ``q``-quantile from the three quantiles of a knot."""
    if q >= 0.5:
        return knot[2] + _interpolate(q, UPPER) * (knot[3] - knot[2])
    return max(0.0, knot[2] - _interpolate(q, LOWER) * (knot[2] - knot[1]))


def _probability(value: float, knot: Knot) -> float:
    """Read the probability that what comes up to a knot is at most ``value``; inverse of ``_spread``."""
    if value < 0:
        return 0.0
    if value >= knot[2]:
        return _inverse((value - knot[2]) / (knot[3] - knot[2]), UPPER) if knot[3] > knot[2] else 1.0
    return _inverse((knot[2] - value) / (knot[2] - knot[1]), LOWER) if knot[2] > knot[1] else 0.0


def _interpolate(q: float, shape: tuple[tuple[float, float], ...]) -> float:
    for (p0, x0), (p1, x1) in pairwise(shape):
        if abs(q - 0.5) <= abs(p1 - 0.5):
            return x0 + (x1 - x0) * (q - p0) / (p1 - p0)
    return shape[-1][1]


def _inverse(x: float, shape: tuple[tuple[float, float], ...]) -> float:
    for (p0, x0), (p1, x1) in pairwise(shape):
        if x <= x1:
            return p0 + (p1 - p0) * (x - x0) / (x1 - x0)
    return 1.0 if shape is UPPER else 0.0


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
