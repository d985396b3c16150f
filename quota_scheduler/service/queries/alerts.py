"""Alerts and silences as documents."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from quota_scheduler.core.alerts.state import AlertState, Phase, Silence
from quota_scheduler.core.alerts.step import FIRST_IMPORT
from quota_scheduler.core.instants import iso, iso_or_none
from quota_scheduler.store import Transaction
from quota_scheduler.store import alerts as alert_store


def alerts_document(tx: Transaction) -> dict[str, Any]:
    """Every alert state as JSON types, with who acknowledged it and which silences cover it."""
    silences = alert_store.load_silences(tx, tx.now)
    return {"alerts": [_alert(number, state, silences, tx.now) for number, state in alert_store.load_alerts(tx)]}


def muted_document(tx: Transaction) -> list[dict[str, str]]:
    """The alerts that fire and reach nobody: silenced, acknowledged, or true already at the first import."""
    silences, now = alert_store.load_silences(tx, tx.now), tx.now
    muted = []
    for _, state in alert_store.load_alerts(tx):
        if state.phase is Phase.FIRING and (why := _why_muted(state, silences, now)):
            muted.append({"rule": state.rule, "scope": state.scope, "why": why})
    return muted


def _why_muted(state: AlertState, silences: Sequence[Silence], now: datetime) -> str:
    if state.acknowledged_by == FIRST_IMPORT:
        return "true already at the first import"
    if any(silence.covers(state, now) for silence in silences):
        return "silenced"
    return f"acknowledged by {state.acknowledged_by}" if state.acknowledged_by else ""


def silences_document(tx: Transaction) -> dict[str, Any]:
    """Every silence that has not ended, with the alerts that it covers now."""
    silences = alert_store.load_silences(tx, tx.now)
    alerts = alert_store.load_alerts(tx) if silences else ()
    return {"silences": [silence_document(silence, alerts, tx.now) for silence in silences]}


def silence_document(silence: Silence, alerts: Iterable[tuple[int, AlertState]], now: datetime) -> dict[str, Any]:
    """One silence as JSON types; ``alerts`` are the ids of those that fire or are pending under it."""
    return {
        "id": silence.id,
        "matchers": dict(silence.matchers),
        "author": silence.author,
        "comment": silence.comment,
        "starts_at": iso(silence.starts_at),
        "ends_at": iso(silence.ends_at),
        "active": silence.starts_at <= now < silence.ends_at,
        "alerts": [
            number for number, state in alerts if state.phase is not Phase.RESOLVED and silence.covers(state, now)
        ],
    }


def _alert(number: int, state: AlertState, silences: Sequence[Silence], now: datetime) -> dict[str, Any]:
    return {
        "id": number,
        "rule": state.rule,
        "scope": state.scope,
        "episode": state.episode,
        "phase": state.phase.value,
        "severity": state.severity.value,
        "since": iso(state.since),
        "value": state.value,
        "fired_at": iso_or_none(state.fired_at),
        "resolved_at": iso_or_none(state.resolved_at),
        "told_at": iso_or_none(state.last_notified_at),
        "acknowledged_at": iso_or_none(state.acknowledged_at),
        "acknowledged_by": state.acknowledged_by or None,
        "names": state.names,
        "silenced_by": [silence.id for silence in silences if silence.covers(state, now)],
    }
