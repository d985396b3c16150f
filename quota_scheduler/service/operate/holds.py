"""Holding everything: who did it, when and why, for all who ask why nothing starts."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from quota_scheduler.core.instants import iso
from quota_scheduler.service.operate.limits import HOLD
from quota_scheduler.store import Transaction, audit, facts

HELD = "hold.all"
"""What the audit log calls it."""


class EverythingHeld(Struct, frozen=True):
    """An operator lets nothing start; ``since`` is None where the audit log does not know."""

    reason: str
    who: str = ""
    since: datetime | None = None

    def sentence(self) -> str:
        """For people: ``everything is held by ana since 2026-11-22T09:00:00Z: provider incident``."""
        by = f" by {self.who}" if self.who else ""
        since = f" since {iso(self.since)}" if self.since else ""
        return f"everything is held{by}{since}: {self.reason}"

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {"reason": self.reason, "who": self.who, "since": iso(self.since) if self.since else None}


def everything_held(tx: Transaction) -> EverythingHeld | None:
    """Who holds everything and why; None when nothing is held."""
    reason = facts.fact(tx, HOLD)
    if not reason:
        return None
    entry = audit.latest(tx, HELD)
    return EverythingHeld(reason, entry.who, entry.at) if entry else EverythingHeld(reason)


def audit_document(tx: Transaction, wanted: audit.Wanted) -> dict[str, Any]:
    """What was done by hand, newest first."""
    return {
        "audit": [
            {"at": iso(entry.at), "who": entry.who, "what": entry.what, "detail": entry.detail}
            for entry in audit.entries(tx, wanted)
        ]
    }
