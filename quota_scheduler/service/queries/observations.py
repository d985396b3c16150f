"""What providers said last about their windows: how old it is, what it is still worth, and why it is not newer."""

from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.core.observations.observation import Observation
from quota_scheduler.core.readings.refusing import breaker_documents
from quota_scheduler.store import Transaction, breakers
from quota_scheduler.store import observations as store

LIVE = timedelta(minutes=5)
"""A report up to this old is as good as one of now: status lines speak with every answer."""
CACHED = timedelta(minutes=30)
"""One up to this old still stands; an older one is only where it began (design, section 2)."""
SPEAKS = {
    "status_line": "a status line speaks after each answer of a session with a subscription",
    "headless": "a headless run speaks when it is piped through `quota-scheduler observe -`",
    "hook": "a hook speaks when a limit has ended a turn",
    "person": "somebody has to say it again with `quota-scheduler observe`",
    "api": "whoever posts to /v1/observations has to do it again",
}
"""When a source speaks: why there is nothing newer. Other sources are files, and speak when a program writes."""


def observations_document(tx: Transaction) -> dict[str, Any]:
    """The newest report of each window of each account, and whose provider refuses for a moment."""
    return {
        "at": iso(tx.now),
        "observations": [_document(report, tx.now) for report in store.newest(tx)],
        "breakers": breaker_documents(breakers.load(tx), tx.now),
    }


def _document(report: Observation, now: datetime) -> dict[str, Any]:
    state, why = standing_of(report, now)
    return {
        "provider": report.provider,
        "account": report.account,
        "window": report.window.value,
        "scope": report.scope,
        "used_ratio": report.used_ratio,
        "resets_at": iso_or_none(report.resets_at),
        "status": report.standing.value,
        "overage": report.overage,
        "source": report.source,
        "observed_at": iso(report.observed_at),
        "age_seconds": max(0, round((now - report.observed_at).total_seconds())),
        "state": state,
        "why_not_newer": why,
    }


def standing_of(report: Observation, now: datetime) -> tuple[str, str]:
    """``live``, ``cached``, ``stale`` or ``unavailable``, and why there is nothing newer; no reason for a live one."""
    age = now - report.observed_at
    speaks = SPEAKS.get(report.source, "the program whose files are read has written nothing since")
    if report.resets_at is not None and report.resets_at <= now:
        return "unavailable", f"the window it is about ended at {iso(report.resets_at)}; {speaks}"
    if age <= LIVE:
        return "live", ""
    return ("cached" if age <= CACHED else "stale"), speaks
