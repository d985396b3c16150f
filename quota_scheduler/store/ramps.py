"""Where the ramps after resets stand, so that every replica lets the next one start at the same instant."""

from collections.abc import Callable, Mapping

from quota_scheduler.core.instants import instant_or_none, micros_or_none
from quota_scheduler.core.queue.ramp import Slot
from quota_scheduler.store import Transaction, turns


def ask(tx: Transaction, *, since: int = -1) -> Callable[[], dict[str, Slot]]:
    """The slots that were written after a revision, by limit instance; asked now and told when they are taken."""
    rows = tx.ask("SELECT instance, begins, next_at, reset_at FROM ramps WHERE revision > ?", (since,))
    return lambda: {name: (instant_or_none(a), instant_or_none(b), instant_or_none(c)) for name, a, b, c in rows()}


def save(tx: Transaction, slots: Mapping[str, Slot]) -> None:
    """Write slots that have moved."""
    for name, slot in slots.items():
        tx.send(
            "INSERT INTO ramps (instance, begins, next_at, reset_at, revision) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (instance) DO UPDATE SET begins = excluded.begins, next_at = excluded.next_at, "
            "reset_at = excluded.reset_at, revision = excluded.revision",
            (name, *map(micros_or_none, slot), turns.take(tx)),
        )
