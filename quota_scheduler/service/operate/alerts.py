"""What people do about alerts: acknowledge, silence; each deed is written down with who did it."""

from enum import StrEnum
from typing import Any

from quota_scheduler.core.alerts.state import Silence
from quota_scheduler.service.queries.alerts import silence_document
from quota_scheduler.store import Transaction, counters
from quota_scheduler.store import alerts as store


class Acknowledged(StrEnum):
    """What became of an acknowledgement."""

    DONE = "done"
    UNKNOWN = "unknown"
    NOT_FIRING = "not_firing"


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
