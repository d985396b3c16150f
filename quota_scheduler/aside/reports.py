"""What was said, as ``POST /v1/observations`` takes it."""

from typing import Any

from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.sources.word.word import Word


def reports_of(word: Word, *, folder: str = "") -> list[dict[str, Any]]:
    """Every observation and throttle as a body; what says nothing is left out."""
    windows = [
        {
            "provider": one.provider,
            "account": one.account,
            "folder": folder,
            "window": one.window.value,
            "scope": one.scope,
            "used_ratio": None if one.used_ratio is None else round(one.used_ratio, 6),
            "resets_at": iso_or_none(one.resets_at),
            "status": one.standing.value,
            "overage": one.overage or None,
            "observed_at": iso(one.observed_at),
            "source": one.source,
        }
        for one in word.observations
    ]
    refusals = [
        {
            "provider": one.provider,
            "account": one.account,
            "folder": folder,
            "throttled": True,
            "retry_after": one.retry_after.total_seconds() if one.retry_after else None,
            "observed_at": iso(one.observed_at),
            "source": one.source,
        }
        for one in word.throttles
    ]
    return [
        {name: value for name, value in report.items() if value is not None and value != ""}
        for report in [*windows, *refusals]
    ]
