"""The doors that usage and providers' words come through, as a document."""

from collections.abc import Iterable
from typing import Any

from quota_scheduler.core.instants import EPOCH, iso
from quota_scheduler.core.ledger.doors import HOUR, DoorChoice, choices
from quota_scheduler.core.readings.origins import origins
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.store import Transaction, shipped
from quota_scheduler.store import doors as door_store
from quota_scheduler.store import origins as origin_store


def sources_document(tx: Transaction, passes: Iterable[SourceReading] = ()) -> dict[str, Any]:
    """Every door; ``passes`` is what the running service knows of reading, nothing where none runs."""
    activity = origin_store.activity(tx)
    rows = origins(
        activity,
        passes,
        origin_store.files(tx),
        shipped.load(tx),
        origin_store.words(tx),
        tx.now,
    )
    cut_off = sum(one.events for one in activity) >= origin_store.MOST_LOOKED_AT
    return {
        "at": iso(tx.now),
        "events_at_least": cut_off,
        "sources": [row.document() for row in rows],
        "doors": [_door(one) for one in choices(door_store.by_teller(tx))],
    }


def _door(choice: DoorChoice) -> dict[str, Any]:
    """Who tells, by what, and whether that counts; where its calls cannot be matched another door counts instead."""
    teller = choice.teller
    return {
        "account": teller.account,
        "agent": teller.agent,
        "host": teller.host or None,
        "told_by": teller.telling.value,
        "last_hour": iso(EPOCH + choice.last_hour * HOUR),
        "counts": not choice.instead,
        "instead": [telling.value for telling in choice.instead],
    }
