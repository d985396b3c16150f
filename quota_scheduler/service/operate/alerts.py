"""What people do about alerts: acknowledge, silence; each deed is written down with who did it."""

from enum import StrEnum
from typing import Any

from quota_scheduler.core.alerts.state import Silence
from quota_scheduler.service.queries.alerts import silence_document
from quota_scheduler.store import Transaction, audit
from quota_scheduler.store import alerts as alert_store


class Acknowledged(StrEnum):
    """What became of an acknowledgement."""

    DONE = "done"
    UNKNOWN = "unknown"
    NOT_FIRING = "not_firing"


def add_silence(tx: Transaction, silence: Silence, *, who: str) -> dict[str, Any]:
    """Begin a silence; returns it as a document, with the id it got."""
    number = alert_store.add_silence(tx, silence)
    (added,) = (stored for stored in alert_store.load_silences(tx, tx.now) if stored.id == number)
    document = silence_document(added, alert_store.load_alerts(tx), tx.now)
    audit.write(tx, who, "silence.added", document)
    return document


def end_silence(tx: Transaction, number: int, *, who: str) -> bool:
    """End a silence now; False when there is none of that id that still lasts."""
    ended = alert_store.end_silence(tx, number)
    if ended:
        audit.write(tx, who, "silence.ended", {"silence": number})
    return ended


def acknowledge(tx: Transaction, alert: int, *, author: str, comment: str, who: str) -> Acknowledged:
    """Stop the repeats of a firing alert; its end is told all the same."""
    state = dict(alert_store.load_alerts(tx)).get(alert)
    if state is None:
        return Acknowledged.UNKNOWN
    if not alert_store.acknowledge(tx, alert, author):
        return Acknowledged.NOT_FIRING
    detail = {"alert": alert, "rule": state.rule, "scope": state.scope, "author": author, "comment": comment}
    audit.write(tx, who, "alert.acknowledged", detail)
    return Acknowledged.DONE
