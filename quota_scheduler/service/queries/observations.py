"""What providers said last about their windows: how old it is, what it is still worth, and why it is not newer."""

from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.core.observations.judging import MONTH, judge
from quota_scheduler.core.observations.observation import Observation
from quota_scheduler.core.observations.report_key import LENGTHS, ReportKey
from quota_scheduler.core.readings.observed import LIVE_FOR, STALE_AFTER, Freshness
from quota_scheduler.core.readings.refusing import breaker_documents
from quota_scheduler.store import Transaction, breakers
from quota_scheduler.store import observations as store

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
        "observations": [_document(tx, report) for report in store.newest(tx)],
        "breakers": breaker_documents(breakers.load(tx), tx.now),
    }


def _document(tx: Transaction, report: Observation) -> dict[str, Any]:
    now = tx.now
    state, why = standing_of(report, now)
    return {
        "provider": report.provider,
        "account": report.account,
        "window": report.window.value,
        "scope": report.scope,
        "used_ratio": _ratio_before(tx, report) if report.used_ratio is None else report.used_ratio,
        "resets_at": iso_or_none(report.resets_at),
        "status": report.standing.value,
        "overage": report.overage,
        "source": report.source,
        "observed_at": iso(report.observed_at),
        "age_seconds": max(0, round((now - report.observed_at).total_seconds())),
        "state": state.value,
        "why_not_newer": why,
    }


def standing_of(report: Observation, now: datetime) -> tuple[Freshness, str]:
    """How far a report can be gone by, and why there is nothing newer; no reason for a live one."""
    age = now - report.observed_at
    speaks = SPEAKS.get(report.source, "the program whose files are read has written nothing since")
    if report.resets_at is not None and report.resets_at <= now:
        return Freshness.UNAVAILABLE, f"the window it is about ended at {iso(report.resets_at)}; {speaks}"
    if age <= LIVE_FOR:
        return Freshness.LIVE, ""
    return (Freshness.STALE if age > STALE_AFTER else Freshness.CACHED), speaks


def _ratio_before(tx: Transaction, report: Observation) -> float | None:
    """How much is used by what was said before, of the window that a report without an amount is about."""
    key = ReportKey.of(report)
    length = LENGTHS[report.window]
    windows = judge(store.since(tx, key, report.observed_at - (length or MONTH)), length)
    return windows[-1].ratio if windows else None
