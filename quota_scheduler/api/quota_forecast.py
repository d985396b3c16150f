"""The founding documents' forecast: their field names, true values.

Where they differ from theirs: the average counts idle days, days are those of the limit's zone, ``will_exceed_by`` is
never below zero, and ``confidence`` is a calibrated probability, None under seven observed days. For a limit on money
the amounts are dollars, as ``unit`` says, whatever the field is called.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.schedule import local_date, local_time
from quota_scheduler.core.readings.documents import explained, track_document
from quota_scheduler.core.readings.readings import DayOfUse, LimitReading
from quota_scheduler.core.units import format_amount, in_units

DAY = timedelta(days=1)
STEADY = 0.1
"""A last week within a tenth of the three before is stable (first founding document)."""


def quota_forecast_document(
    reading: LimitReading, forecast: Forecast, days: Sequence[DayOfUse], *, now: datetime
) -> dict[str, Any]:
    """A limit's forecast under the founding documents' names; ``days`` are the last ones, newest first."""

    def amount(value: float) -> float:
        return in_units(round(value), reading.unit)

    starts_at, ends_at = forecast.starts_at, forecast.ends_at
    return {
        "limit": reading.limit,
        "unit": reading.unit.value,
        "month": f"{local_date(starts_at, reading.zone):%Y-%m}",
        "current_month_tokens": amount(reading.balance.used),
        "days_elapsed": round(max(now - starts_at, timedelta(0)) / DAY, 2),
        "days_remaining": round(max(ends_at - now, timedelta(0)) / DAY, 2),
        "daily_avg_tokens": amount(forecast.level),
        "projected_total": amount(forecast.expected),
        "projected_low": amount(forecast.low),
        "projected_high": amount(forecast.high),
        "quota_limit": amount(reading.balance.amount),
        "risk_level": reading.projection.risk,
        "risk_explanation": risk_explanation(reading, forecast),
        "will_exceed_by": amount(max(0.0, forecast.expected - reading.balance.amount)),
        "p_exceed": round(forecast.p_exceed(reading.balance.amount), 4),
        "confidence": None if forecast.confidence is None else round(forecast.confidence, 4),
        "recommendations": recommendations(reading, forecast),
        "trend": trend(forecast),
        "recent_usage": [
            {"date": day.day.isoformat(), "total_tokens": amount(day.used), "workflow_count": day.runs} for day in days
        ],
        "recent_usage_days": sum(1 for day in days if day.used),
        "observed_days": round(forecast.observed_days, 2),
        "track_record": track_document(reading.projection.track),
        "explained": explained(reading, forecast),
        "timestamp": iso(now),
    }


def trend(forecast: Forecast) -> str:
    """The last week against the three before it, in one word."""
    if forecast.trend is None:
        return "unknown"
    return "increasing" if forecast.trend > STEADY else "decreasing" if forecast.trend < -STEADY else "stable"


def risk_explanation(reading: LimitReading, forecast: Forecast) -> str:
    """What the risk follows from, in one sentence."""
    if reading.projection.risk == "unknown" or not reading.balance.amount:
        return f"No risk is named with {forecast.observed_days:.1f} days of history: seven are needed."
    p80, expected = forecast.p80 / reading.balance.amount, forecast.expected / reading.balance.amount
    return f"Expected to end at {_percent(expected)} of the limit; four times of five below {_percent(p80)}."


def recommendations(reading: LimitReading, forecast: Forecast) -> list[str]:
    """What to do at this risk: short sentences, each true of this limit now."""
    reset = local_time(forecast.ends_at, reading.zone)
    excess = forecast.expected - reading.balance.amount
    over = [f"Expected to pass the limit by {format_amount(round(excess), reading.unit)}."] if excess > 0 else []
    spent_by = [f"Look at the largest share first: {reading.spending.cause}."] if reading.spending.cause else []
    if not excess > 0 and (at := forecast.exhaustion(reading.balance.amount, 0.8)):
        over = [f"One time in five the limit is used up before {local_time(at, reading.zone)}."]
    return {
        "unknown": ["Wait for seven days of history before relying on the projection."],
        "low": ["Carry on as usual."],
        "medium": ["Look at usage daily.", "Submit what is not urgent with class low: it then waits for room."],
        "high": [*over, f"Let low-priority work wait for the reset on {reset}.", *spent_by],
        "critical": [
            *over,
            f"Start only what cannot wait until the reset on {reset}, or raise the limit.",
            "Use a smaller model for simple tasks.",
            *spent_by,
        ],
    }[reading.projection.risk]


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"
