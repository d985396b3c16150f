"""The doors that usage and providers' words come through, as a document."""

from collections.abc import Iterable
from typing import Any

from quota_scheduler.core.instants import iso
from quota_scheduler.core.readings.origins import origins
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.store import Transaction, shipped
from quota_scheduler.store import origins as origin_store


def sources_document(tx: Transaction, passes: Iterable[SourceReading] = ()) -> dict[str, Any]:
    """Every door; ``passes`` is what the running service knows of reading, nothing where none runs."""
    rows = origins(
        origin_store.activity(tx),
        passes,
        origin_store.files(tx),
        shipped.load(tx),
        origin_store.words(tx),
        tx.now,
    )
    return {"at": iso(tx.now), "sources": [row.document() for row in rows]}
