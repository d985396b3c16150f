"""Readings as documents: what the API answers, the CLI prints and the store keeps for readers of the file.

Amounts are in units as people write them (dollars, tokens), instants RFC 3339 in UTC with ``Z``.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.instants import iso, parse_instant
from quota_scheduler.core.outlook import Outlook
from quota_scheduler.core.readings import LimitReading
from quota_scheduler.core.units import in_units


def limit_document(reading: LimitReading) -> dict[str, Any]:
    """One limit as JSON types."""

    def amount(value: float) -> float:
        return in_units(round(value), reading.unit)

    return {
        "limit": reading.limit,
        "rule": reading.rule,
        "provider": reading.provider,
        "scope": reading.scope,
        "unit": reading.unit.value,
        "period": reading.period,
        "timezone": reading.zone,
        "mode": reading.mode,
        "amount": amount(reading.amount),
        "allowance": amount(reading.allowance),
        "used": amount(reading.used),
        "reserved": amount(reading.reserved),
        "headroom": amount(reading.headroom),
        "usage_ratio": round(reading.usage_ratio, 6),
        "starts_at": _iso(reading.starts_at),
        "ends_at": _iso(reading.ends_at),
        "level": reading.level,
        "risk": reading.risk,
        "optimization_level": reading.optimization,
        "estimated": reading.estimated,
        "leases": reading.leases,
        "waiting": [
            {"class": each.priority, "waiting": each.waiting, "oldest_at": _iso(each.oldest_at)}
            for each in reading.waiting
        ],
        "forecast": forecast_document(reading),
    }


def forecast_document(reading: LimitReading) -> dict[str, Any] | None:
    """A limit's forecast as JSON types; None where it has no windows."""
    forecast = reading.forecast
    if forecast is None:
        return None

    def amount(value: float) -> float:
        return in_units(round(value), reading.unit)

    ratio = reading.amount or 1
    return {
        "method": forecast.method,
        "sufficient": forecast.sufficient,
        "at": iso(forecast.now),
        "observed_days": round(forecast.observed_days, 2),
        "expected": amount(forecast.expected),
        "low": amount(forecast.low),
        "high": amount(forecast.high),
        "expected_ratio": round(forecast.expected / ratio, 6),
        "p_exceed": round(forecast.p_exceed(reading.amount), 6),
        "confidence": None if forecast.confidence is None else round(forecast.confidence, 4),
        "exhaustion_at": _iso(forecast.exhaustion(reading.amount)),
        "exhaustion_between": [_iso(at) for at in forecast.exhaustion_interval(reading.amount)],
        "burn_rate": round(forecast.burn_rate(reading.amount), 4),
        "trend": None if forecast.trend is None else round(forecast.trend, 4),
        "daily_level": amount(forecast.level),
        "seed": None if reading.seed_forecast is None else amount(reading.seed_forecast),
        "explained": forecast.explain(),
    }


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """An outlook as JSON types; ``read_outlook`` restores it."""
    return {
        "at": iso(outlook.at),
        "ends_at": _iso(outlook.ends_at),
        "history_seconds": outlook.history.total_seconds(),
        "above": [list(knots) for knots in outlook.above],
        "risk": outlook.risk,
        "projected_ratio": outlook.projected_ratio,
        "spike": outlook.spike,
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
    )


def _iso(at: datetime | None) -> str | None:
    return iso(at) if at else None
