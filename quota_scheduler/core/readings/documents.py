"""Readings as documents: what the API answers, the CLI prints and the store keeps for readers of the file.

Amounts are in units as people write them (dollars, tokens), instants RFC 3339 in UTC with ``Z``.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.forecast.track_record import RECENT, TrackReading
from quota_scheduler.core.instants import iso, iso_or_none, parse_instant
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.readings.readings import LimitReading, ProjectionReading
from quota_scheduler.core.readings.scheduling_quality import QualityReading
from quota_scheduler.core.readings.throttle_level import LevelState, ThrottleLevel
from quota_scheduler.core.units import Unit, format_amount

DAY_SECONDS = 86_400


def limit_document(
    reading: LimitReading, forecast_of: Callable[[LimitReading], dict[str, Any] | None] | None = None
) -> dict[str, Any]:
    """Return one limit as JSON types; ``forecast_of`` answers in place of ``forecast_document``."""
    amount = _amounts_in(reading.unit)

    return {
        "limit": reading.limit,
        "rule": reading.rule,
        "provider": reading.provider,
        "scope": reading.scope,
        "unit": reading.unit.value,
        "period": reading.period,
        "timezone": reading.zone,
        "mode": reading.mode,
        "amount": amount(reading.balance.amount),
        "allowance": amount(reading.balance.allowance),
        "used": amount(reading.balance.used),
        "reserved": amount(reading.balance.reserved),
        "headroom": amount(reading.balance.headroom),
        "usage_ratio": round(reading.usage_ratio, 6),
        "starts_at": iso_or_none(reading.balance.starts_at),
        "ends_at": iso_or_none(reading.balance.ends_at),
        "level": reading.level,
        "level_since": iso_or_none(reading.level_since),
        "level_caused_at": iso_or_none(_caused_at(reading)),
        "risk": reading.projection.risk,
        "optimization_level": reading.optimization,
        "estimated": reading.balance.estimated,
        "leases": reading.queue.leases,
        "waiting": [
            {"class": waiting.priority, "waiting": waiting.waiting, "oldest_at": iso_or_none(waiting.oldest_at)}
            for waiting in reading.queue.waiting
        ],
        "spent_by": reading.spending.cause,
        "run_tokens_mean": _rounded(reading.spending.run_tokens, 0),
        "runs_remaining": _rounded(reading.runs_remaining, 1),
        "forecast": (forecast_of or forecast_document)(reading),
        "quality": quality_document(reading.quality),
        "observed": reading.observed.document() if reading.observed else None,
        "warn_at": reading.warn_at,
        "at_limit": reading.at_limit or None,
        "borrowed": [
            {"from": loan.lender, "amount": amount(loan.amount)}
            for loan in reading.loans
            if loan.borrower == reading.limit
        ],
        "lent": [
            {"to": loan.borrower, "amount": amount(loan.amount)}
            for loan in reading.loans
            if loan.lender == reading.limit
        ],
    }


def _amounts_in(unit: Unit) -> Callable[[float], float]:
    """What ``in_units`` makes of a rounded amount; a document has thirty, so that the base is looked up once."""
    base = unit.base
    return lambda value: round(value) / base if base > 1 else round(value)


def level_state(document: Mapping[str, Any]) -> LevelState | None:
    """Read the throttle level from a limit's document, as the next tick goes on from it; None of an old one."""
    since, starts_at = document.get("level_since"), document.get("starts_at")
    if not since:
        return None
    caused_at = parse_instant(document["level_caused_at"] or since)
    at = parse_instant(starts_at) if starts_at else None
    base = Unit(document.get("unit", Unit.TOKENS)).base
    used, amount = (None if document.get(name) is None else round(document[name] * base) for name in ("used", "amount"))
    return LevelState(ThrottleLevel(document["level"]), parse_instant(since), caused_at, at, used, amount)


def as_published(reading: LimitReading) -> tuple[object, ...]:
    """Return what a document is made of: a limit of which that is unchanged is not stored again.

    What changes with every tick and no document tells is not in it.
    """
    return *_TOLD(reading), _caused_at(reading)


_UNTOLD = ("projection", "level_caused_at")
_TOLD = attrgetter(
    *(name for name in LimitReading.__struct_fields__ if name not in _UNTOLD),
    *(f"projection.{name}" for name in ProjectionReading.__struct_fields__ if name != "burns"),
)


def _caused_at(reading: LimitReading) -> datetime | None:
    """When the level had a cause last, to the minute."""
    at = reading.level_caused_at
    return at.replace(second=0, microsecond=0) if at else None


def forecast_document(reading: LimitReading) -> dict[str, Any] | None:
    """Return a limit's forecast as JSON types; None where it has no windows."""
    forecast = reading.projection.forecast
    if forecast is None:
        return None

    amount = _amounts_in(reading.unit)

    ratio = reading.balance.amount or 1
    return {
        "method": forecast.method,
        "sufficient": forecast.sufficient,
        "at": iso(forecast.now),
        "observed_days": round(forecast.observed_days, 2),
        "expected": amount(forecast.expected),
        "low": amount(forecast.low),
        "high": amount(forecast.high),
        "expected_ratio": round(forecast.expected / ratio, 6),
        "p_exceed": round(forecast.p_exceed(reading.balance.amount), 6),
        "p80": amount(forecast.p80),
        "known": amount(forecast.certain),
        "confidence": _rounded(forecast.confidence, 4),
        "exhaustion_at": iso_or_none(forecast.exhaustion(reading.balance.amount)),
        "exhaustion_between": [iso_or_none(at) for at in forecast.exhaustion_interval(reading.balance.amount)],
        "burn_rate": round(forecast.burn_rate(reading.balance.amount), 4),
        "remaining_pace": amount(forecast.remaining_pace(reading.balance.amount) * DAY_SECONDS),
        "trend": _rounded(forecast.trend, 4),
        "daily_level": amount(forecast.level),
        "seed": None if reading.projection.weighted_mean is None else amount(reading.projection.weighted_mean),
        "track_record": track_document(reading.projection.track),
        "explained": explained(reading, forecast),
    }


def track_document(track: TrackReading | None) -> dict[str, Any] | None:
    """Tell how past forecasts of a limit fared, as JSON types; None before one was verified."""
    if track is None:
        return None
    return {
        "judged": track.verified,
        "coverage": _rounded(track.coverage, 4),
        "calibration_error": _rounded(track.calibration_error, 4),
        "by_horizon": [
            {
                "horizon": horizon.horizon,
                "judged": horizon.verified,
                "coverage": _rounded(horizon.coverage, 4),
                "error": _rounded(horizon.error, 4),
                "brier": _rounded(horizon.brier, 4),
            }
            for horizon in track.horizons
        ],
    }


def quality_document(quality: QualityReading | None) -> dict[str, Any] | None:
    """Return the scheduling quality of a limit as JSON types; None before a window has closed."""
    if quality is None:
        return None
    return {
        "windows": quality.windows,
        "since": iso(quality.since),
        "avoidable_harm_ratio": _rounded(quality.avoidable_harm, 4),
        "lost_ratio": _rounded(quality.lost, 4),
        "utilisation_ratio": _rounded(quality.utilisation, 4),
        "value_ratio": _rounded(quality.value, 4),
        "classes": [
            {
                "class": fared.priority,
                "denied_ratio": _rounded(fared.denied, 4),
                "stalled_ratio": _rounded(fared.stalls, 4),
            }
            for fared in quality.classes
        ],
    }


def explained(reading: LimitReading, forecast: Forecast) -> list[str]:
    """Say in five lines where a forecast comes from and how far to believe it, in the limit's unit and zone."""

    def said(value: float) -> str:
        return format_amount(round(value), reading.unit)

    ends_at, more = local_time(forecast.ends_at, reading.zone), forecast.expected - forecast.used
    certain = f"; {said(forecast.certain)} of it already runs or waits" if forecast.certain > 0 else ""
    trend = "" if forecast.trend is None else f"; the last week {forecast.trend:+.0%} against the three before"
    return [
        f"{said(forecast.used)} used, {said(more)} more expected before {ends_at}{certain}.",
        f"Usual level {said(forecast.level)} a day, from {forecast.observed_days:.0f} observed days{trend}.",
        f"80 % interval {said(forecast.low)} to {said(forecast.high)} ({METHODS[forecast.method]}).",
        _fared(reading, forecast),
        _believable(forecast),
    ]


METHODS = {
    "days": "from the level, weekdays and hours of its own days",
    "sessions": "from its own past sessions that stood where this one stands",
    "insufficient history": "what was used so far, kept up",
}
"""What the methods of ``Forecast.method`` do, in words."""


def _fared(reading: LimitReading, forecast: Forecast) -> str:
    track, here = reading.projection.track, forecast.record
    if track is None or track.coverage is None:
        return "No forecast of this limit has been judged yet: believe the interval, not the number."
    error = f"; off by {here.error:.0%} of the total at this distance from the reset" if here.error is not None else ""
    return f"Of its last {min(track.verified, RECENT)} judged intervals {track.coverage:.0%} held{error}."


def _believable(forecast: Forecast) -> str:
    if forecast.confidence is None:
        return f"No confidence and no risk: insufficient history, {forecast.observed_days:.1f} of 7 days observed."
    return f"Lands within 10 % of the expected value with probability {forecast.confidence:.0%}."


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """Return an outlook as JSON types; ``read_outlook`` restores it."""
    return {
        "at": iso(outlook.at),
        "ends_at": iso_or_none(outlook.ends_at),
        "history_seconds": outlook.history.total_seconds(),
        "above": [list(knots) for knots in outlook.above],
        "risk": outlook.risk,
        "projected_ratio": outlook.projected_ratio,
        "spike": outlook.spike,
        "length_seconds": outlook.length.total_seconds(),
        "after": [list(knots) for knots in outlook.after],
    }


def read_outlook(data: Mapping[str, Any]) -> Outlook:
    """Restore what ``outlook_document`` wrote."""
    return Outlook(
        at=parse_instant(data["at"]),
        ends_at=parse_instant(data["ends_at"]) if data["ends_at"] else None,
        history=timedelta(seconds=data["history_seconds"]),
        above=tuple(tuple(knots) for knots in data["above"]),
        risk=data["risk"],
        projected_ratio=data["projected_ratio"],
        spike=data["spike"],
        length=timedelta(seconds=data.get("length_seconds", 0)),
        after=tuple(tuple(knots) for knots in data.get("after", ((),) * len(data["above"]))),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
