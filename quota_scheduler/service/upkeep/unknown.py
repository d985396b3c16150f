"""Fields of providers' answers that nobody here knows: remembered once each, for the doctor to name."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from quota_scheduler.store import Transaction, facts

log = logging.getLogger(__name__)
PREFIX = "unknown field/"
MOST_REMEMBERED = 200
"""What somebody else writes must not fill a database."""


class SeenField(NamedTuple):
    """A field, the door at which it was seen, and when for the first time, as an instant in text."""

    door: str
    field: str
    seen_at: str


def remember_unknown(tx: Transaction, *, door: str, fields: Sequence[str]) -> None:
    """Remember fields that are new at a door, as seen now."""
    known = facts.facts_below(tx, PREFIX)
    for field in fields[: max(0, MOST_REMEMBERED - len(known))]:
        if f"{door}/{field}" not in known:
            facts.remember(tx, f"{PREFIX}{door}/{field}", tx.now.isoformat())
            log.info("source.unknown_field source=%s field=%s", door, field)


def seen_fields(tx: Transaction) -> list[SeenField]:
    """All that is remembered, by door and name."""
    remembered = ((*name.partition("/"), seen_at) for name, seen_at in facts.facts_below(tx, PREFIX).items())
    return [SeenField(door, field, seen_at) for door, _, field, seen_at in remembered if field]
