"""The doctor: rebuilds what raw events cover, and compares it with the counters that decisions are made on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quota_scheduler.core.instants import from_micros, iso, to_micros
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.units import LARGEST_SUM, format_amount
from quota_scheduler.core.usage import Usage, total
from quota_scheduler.store import Transaction, engine, ledger, windows
from quota_scheduler.store.usage_columns import summed

UNBOUND_DAYS = timedelta(days=7)
EVER = datetime.min.replace(tzinfo=UTC)
"""Before any instant there is: an earlier build took some of before 1970 in."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is wrong, and the figures."""

    check: str
    wrong: bool
    detail: str


def examine(tx: Transaction, limits: Sequence[Limit]) -> list[Finding]:
    """All checks, in the order of their weight."""
    balances = windows.load(tx, limits)
    oldest = tx.scalar("SELECT min(at) FROM pruned_keys")
    return [
        _integrity(tx),
        *_windows(tx, balances, from_micros(oldest) if oldest else None),
        *_reservations(balances),
        _rollups(tx),
        _totals(tx),
        _unbound(tx, balances),
        _engine(),
    ]


def _integrity(tx: Transaction) -> Finding:
    answer = tx.scalar("PRAGMA quick_check")
    return Finding("database file", answer != "ok", str(answer))


def _windows(tx: Transaction, balances: Balances, pruned: datetime | None) -> Iterable[Finding]:
    """Each open window's usage against the events of its span."""
    for balance in balances.all():
        window = balance.window
        if window is None or balance.closed or not balance.limit.is_windowed:
            continue
        events = ledger.between(tx, window.starts_at, window.ends_at)
        counted = [e for e in events if any(b.name == balance.name for b in balances.instances(e.labels))]
        rebuilt = min(LARGEST_SUM, sum(balance.limit.charge(event.usage) for event in counted))
        unit = balance.limit.unit
        detail = f"counted {format_amount(balance.used, unit)}, the ledger adds up to {format_amount(rebuilt, unit)}"
        partly = pruned is not None and rebuilt < balance.used
        yield Finding(
            f"window {balance.name} from {iso(window.starts_at)}", rebuilt != balance.used and not partly, detail
        )


def _reservations(balances: Balances) -> Iterable[Finding]:
    """Each window's reserved and reported amounts against the open reservations in it."""
    held: dict[int, int] = {}
    extra: dict[int, int] = {}
    for row in balances.reservations.values():
        for reservation in row:
            held[reservation.window] = held.get(reservation.window, 0) + reservation.held
            extra[reservation.window] = extra.get(reservation.window, 0) + reservation.extra
    wrong = [t for t in balances.all() if t.reserved != held.get(t.id, 0) or t.reported != extra.get(t.id, 0)]
    count = sum(len(row) for row in balances.reservations.values())
    names = ", ".join(t.name for t in wrong)
    yield Finding("reservations", bool(wrong), f"do not add up in {names}" if wrong else f"{count} open, all add up")


def _rollups(tx: Transaction) -> Finding:
    """Rollups against the events of the hours that are still whole."""
    first = tx.scalar("SELECT min(recorded_at) FROM events")
    has_pruned = tx.scalar("SELECT count(*) FROM pruned_keys")
    if first is None or has_pruned:
        return Finding("rollups", False, "raw events are partly pruned: the hours that remain are compared by windows")
    rolled = total(usage for _, _, usage in ledger.hours(tx, EVER))
    summed = _all_events(tx)
    return Finding(
        "rollups", not _agree(rolled, summed), f"{rolled.tokens} tokens rolled up, {summed.tokens} in events"
    )


def _agree(one: Usage, other: Usage) -> bool:
    """Whether two sums are the same, as far as sums are kept: each stays at its bound."""
    return all(min(a, LARGEST_SUM) == min(b, LARGEST_SUM) for a, b in zip(one, other, strict=True))


def _all_events(tx: Transaction) -> Usage:
    row = tx.row(f"SELECT {summed()} FROM events")
    return Usage(*row) if row and row[0] is not None else Usage()


def _totals(tx: Transaction) -> Finding:
    rolled = total(usage for _, _, usage in ledger.hours(tx, EVER))
    kept = total(usage for _, _, usage, _ in ledger.totals(tx))
    return Finding("totals", not _agree(rolled, kept), f"{kept.tokens} tokens in totals, {rolled.tokens} in rollups")


def _unbound(tx: Transaction, balances: Balances) -> Finding:
    """Limits that no event of the last seven days has bound: perhaps a label is spelt differently."""
    sets = ledger.label_sets(tx)
    since = to_micros(tx.now - UNBOUND_DAYS)
    recent = {row[0] for row in tx.rows("SELECT DISTINCT label_set FROM events WHERE at >= ?", (since,))}
    bound = {instance.limit.id for key in recent for instance in balances.instances(sets[key][0])}
    idle = [limit.id for limit in balances.limits if limit.id not in bound]
    return Finding(
        "limits in use", False, f"no event of the last 7 days has bound {', '.join(idle)}" if idle else "all are bound"
    )


def _engine() -> Finding:
    version, sound = engine.version()
    note = "" if sound else " (can corrupt a file that two programs write; this one sees to it that only one does)"
    return Finding("SQLite", False, f"{version}{note}")
