"""What people do about alerts: look, acknowledge, silence; each deed is written down with who did it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from quota_scheduler.core.alerts.state import AlertState, Phase, Silence
from quota_scheduler.core.instants import iso
from quota_scheduler.store import Transaction, counters
from quota_scheduler.store import alerts as store


class Acknowledged(StrEnum):
    """What became of an acknowledgement."""

    DONE = "done"
    UNKNOWN = "unknown"
    NOT_FIRING = "not_firing"


def alerts_document(tx: Transaction) -> dict[str, Any]:
    """Every alert state as JSON types, with who acknowledged it and which silences cover it."""
    silences = store.load_silences(tx, tx.now)
    return {"alerts": [_alert(number, state, silences, tx.now) for number, state in store.load_alerts(tx)]}


def silences_document(tx: Transaction) -> dict[str, Any]:
    """Every silence that has not ended, with the alerts that it covers now."""
    alerts = store.load_alerts(tx)
    return {"silences": [silence_document(each, alerts, tx.now) for each in store.load_silences(tx, tx.now)]}


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


def add_silence(tx: Transaction, silence: Silence, *, who: str) -> dict[str, Any]:
    """Begin a silence; returns it as a document, with the id it got."""
    number = store.add_silence(tx, silence)
    (found,) = (each for each in store.load_silences(tx, tx.now) if each.id == number)
    document = silence_document(found, store.load_alerts(tx), tx.now)
    counters.audit(tx, who, "silence.added", document)
    return document


def end_silence(tx: Transaction, number: int, *, who: str) -> bool:
    """End a silence now; False when there is none of that id that still lasts."""
    ended = store.end_silence(tx, number)
    if ended:
        counters.audit(tx, who, "silence.ended", {"silence": number})
    return ended


def acknowledge(tx: Transaction, alert: int, *, author: str, comment: str, who: str) -> Acknowledged:
    """Stop the repeats of a firing alert; its end is told all the same."""
    state = dict(store.load_alerts(tx)).get(alert)
    if state is None:
        return Acknowledged.UNKNOWN
    if not store.acknowledge(tx, alert, author):
        return Acknowledged.NOT_FIRING
    detail = {"alert": alert, "rule": state.rule, "scope": state.scope, "author": author, "comment": comment}
    counters.audit(tx, who, "alert.acknowledged", detail)
    return Acknowledged.DONE


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
        "fired_at": _iso(state.fired_at),
        "resolved_at": _iso(state.resolved_at),
        "told_at": _iso(state.last_notified_at),
        "acknowledged_at": _iso(state.acknowledged_at),
        "acknowledged_by": state.acknowledged_by or None,
        "names": state.names,
        "silenced_by": [each.id for each in silences if each.covers(state, now)],
    }


def _iso(at: datetime | None) -> str | None:
    return iso(at) if at else None
