"""Windows and reservations: loading the balances that a journey needs, and saving what it moved."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from quota_scheduler.core.instants import MICROSECOND, SKEW, from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.renaming import renamed_among, shape_of
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.tickets.ticket import Reservation
from quota_scheduler.store import Row, Transaction, turns
from quota_scheduler.store.database import Asked
from quota_scheduler.store.lists import NUMBERS

EXHAUSTED, OVERAGE = "exhausted", "overage"
"""What a provider does with requests in a window, where it is not simply to allow them."""
_TALLY = (
    "id, rule, value, starts_at, ends_at, used, rest, reported, reserved, late, unleased, overrun, estimated, closed, "
    "ramp, anchored_at, standing, drift"
)
_HELD = "r.ticket, r.window, w.rule, w.value, r.amount, r.reported, r.ledgered, r.before, r.open, r.whole"
_OPEN = f"SELECT {_TALLY} FROM windows WHERE closed = 0"
_WRITTEN = f"SELECT {_TALLY} FROM windows WHERE revision > ?"
_SINCE = f"SELECT {_TALLY} FROM windows WHERE closed = 1 AND ends_at > ? AND end_reason = ''"
_RESERVED = f"SELECT {_HELD} FROM reservations r JOIN windows w ON w.id = r.window WHERE r.open = 1"
_OF_TICKETS = f"{_RESERVED} AND r.ticket IN {NUMBERS}"
_ENDED = f"{_RESERVED} AND r.window IN (SELECT id FROM windows WHERE closed = 0 AND ends_at <= ?)"
_AHEAD = (
    "SELECT DISTINCT r.ticket FROM reservations r JOIN windows w ON w.id = r.window "
    "WHERE r.open = 1 AND w.closed = 0 AND w.starts_at > ?"
)
_CLOSED_TOO_SOON = f"SELECT {_TALLY} FROM windows WHERE closed = 1 AND ends_at > ? AND end_reason = ''"
_ANY_AHEAD = (
    "SELECT 1 FROM windows WHERE (closed = 1 AND ends_at > ? AND end_reason = '') OR (closed = 0 AND starts_at > ?) "
    "LIMIT 1"
)
_CLOSED = f"SELECT {_TALLY} FROM windows WHERE closed = 1 AND id IN {NUMBERS}"
_INSERT = (
    "INSERT INTO windows (rule, value, starts_at, ends_at, closed, used, rest, reported, reserved, late, unleased, "
    "overrun, estimated, amount, ramp, anchored_at, standing, drift, revision) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE windows SET starts_at = ?, ends_at = ?, closed = ?, used = ?, rest = ?, reported = ?, reserved = ?, "
    "late = ?, unleased = ?, overrun = ?, estimated = ?, amount = ?, ramp = ?, anchored_at = ?, standing = ?, "
    "drift = ?, revision = ? WHERE id = ?"
)
_COUNT = _UPDATE.replace("starts_at = ?, ends_at = ?, closed = ?, ", "")
"""What a cycle moves mostly: two indexes fewer are written anew."""
_COUNT_UNTOLD = _COUNT.replace(", revision = ?", "")
"""The same with a third fewer, where whoever remembers windows has moved them itself."""
_PUT = (
    "INSERT INTO reservations (ticket, window, amount, reported, ledgered, before, open, whole) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (ticket, window) DO UPDATE SET amount = excluded.amount, reported = excluded.reported, "
    "ledgered = excluded.ledgered, before = excluded.before, open = excluded.open, whole = excluded.whole"
)


def load(
    tx: Transaction, limits: Sequence[Limit], *, since: datetime | None = None, tickets: Iterable[int] | None = None
) -> Balances:
    """The balances as of now: open windows, all that ended after ``since``, and reservations with their windows.

    ``tickets`` are those whose reservations will be touched (None: all); those in windows that have ended always come.
    """
    balances = Balances(limits, (), now=tx.now)
    reload(tx, balances)
    recall(tx, balances, since=since, tickets=tickets)
    return balances


def open_since(tx: Transaction) -> list[datetime]:
    """When the windows that are open began."""
    rows = tx.rows("SELECT DISTINCT starts_at FROM windows WHERE closed = 0 AND starts_at IS NOT NULL")
    return [from_micros(row[0]) for row in rows]


def any_ahead(tx: Transaction) -> bool:
    """Whether a window was opened or closed by a clock that stood ahead of now."""
    return bool(tx.rows(_ANY_AHEAD, (to_micros(tx.now), to_micros(tx.now + SKEW))))


def used_apart(tx: Transaction) -> list[Row]:
    """Rule, value, and what was used without a lease and beyond reservations, over all windows that count."""
    return tx.rows("SELECT rule, value, sum(unleased), sum(overrun) FROM windows WHERE end_reason = '' GROUP BY 1, 2")


def overshoot(tx: Transaction, limits: Sequence[Limit]) -> dict[str, int]:
    """What running leases used beyond their reservations, by limit instance."""
    rows = tx.rows(
        "SELECT w.rule, w.value, sum(max(r.reported, r.ledgered) - r.amount) FROM reservations r "
        "JOIN windows w ON w.id = r.window WHERE r.open = 1 AND max(r.reported, r.ledgered) > r.amount GROUP BY 1, 2"
    )
    by_id = {limit.id: limit for limit in limits}
    return {by_id[rule].instance_id(value): int(amount) for rule, value, amount in rows if rule in by_id}


def spent_ratios(tx: Transaction) -> dict[int, float]:
    """By ticket that holds a reservation, the part of it that is used: of the limit where most of it is."""
    return dict(
        tx.rows(
            "SELECT ticket, max(1.0 * max(reported, ledgered) / amount) FROM reservations "
            "WHERE open = 1 AND amount > 0 GROUP BY ticket"
        )
    )


def reload(tx: Transaction, balances: Balances) -> None:
    """Bring the open windows of balances up to what is stored."""
    balances.take(balance for row in tx.rows(_OPEN) if (balance := _balance(row, balances)))


def written(tx: Transaction, *, since: int) -> Asked:
    """Ask for the windows that were written after a revision."""
    return tx.ask(_WRITTEN, (since,))


def catch_up(written: Asked, balances: Balances) -> None:
    """Bring the open windows that were ``written`` up to what is stored."""
    balances.replace(balance for row in written() if (balance := _balance(row, balances)))


def closed_too_soon(tx: Transaction, *, since: datetime) -> Asked:
    """Ask for the windows that were closed before their end, ``since`` lying no later than now."""
    return tx.ask(_CLOSED_TOO_SOON, (to_micros(since),))


def recall(
    tx: Transaction,
    balances: Balances,
    *,
    since: datetime | None = None,
    tickets: Iterable[int] | None = None,
    too_soon: Asked | None = None,
) -> None:
    """Add what a journey touches beyond the open windows: reservations, and windows that have ended; see ``load``.

    ``too_soon`` is what ``closed_too_soon`` asked for in this transaction, where that was done before.
    """
    _take_up_again(too_soon or closed_too_soon(tx, since=tx.now), balances)
    is_back = balances.starts_last is not None and balances.starts_last > tx.now
    ended = balances.ends_next is not None and balances.ends_next <= tx.now
    held = _reserved(tx, tickets, ended=ended, ahead=is_back)
    if since is not None and since < tx.now:
        recall_closed(tx, balances, since=since)
    if closed := {row[1] for row in held} - {balance.id for balance in balances.all()}:
        _add(tx.rows(_CLOSED, (json.dumps(sorted(closed)),)), balances)
    for ticket, window, rule, value, amount, reported, ledgered, before, is_open, whole in held:
        if limit := balances.limit(rule):
            spent = amount, reported, ledgered, before
            reservation = Reservation(ticket, window, limit.instance_id(value), *spent, bool(is_open), whole)
            balances.reservations.setdefault(ticket, []).append(reservation)
    if is_back:
        balances.go_on()


def recall_closed(tx: Transaction, balances: Balances, *, since: datetime) -> None:
    """Add the windows that ended after an instant, as far as they are not there yet."""
    there = {balance.id for balance in balances.all()}
    _add([row for row in tx.rows(_SINCE, (to_micros(since),)) if row[0] not in there], balances)


def _take_up_again(too_soon: Asked, balances: Balances) -> None:
    """Reopen what was closed before its end: the clock stood past the reset then, and has been put right since."""
    for row in too_soon():
        if (balance := _balance(row, balances)) and balance.window and balance.window.ends_at > balances.now:
            balance.closed, balance.dirty = False, True
            balances.add(balance)


def _add(rows: Iterable[Row], balances: Balances) -> None:
    for row in rows:
        if balance := _balance(row, balances):
            balances.add(balance)


def _reserved(tx: Transaction, tickets: Iterable[int] | None, *, ended: bool, ahead: bool) -> list[Row]:
    if tickets is None:
        return sorted(tx.rows(_RESERVED))
    named = set(tickets)
    if ahead:
        named.update(row[0] for row in tx.rows(_AHEAD, (to_micros(tx.now),)))
    rows = set(tx.rows(_ENDED, (to_micros(tx.now),))) if ended else set()
    if named:
        rows.update(tx.rows(_OF_TICKETS, (json.dumps(sorted(named)),)))
    return sorted(rows)  # by ticket, then window: the newest of a ticket's reservations comes last


def last_end(tx: Transaction, instance: LimitInstance, *, before: datetime) -> datetime | None:
    """When the last window of an instance that ended at or before an instant did; None when there is none."""
    row = tx.row(
        "SELECT ends_at FROM windows WHERE rule = ? AND value = ? AND starts_at < ? AND ends_at <= ? "
        "AND end_reason = '' ORDER BY starts_at DESC LIMIT 1",
        (instance.limit.id, instance.value, to_micros(before), to_micros(before)),
    )
    return from_micros(row[0]) if row else None


def reserved_among(tx: Transaction, ids: Iterable[int]) -> frozenset[int]:
    """Those of some windows in which any lease or offer ever held an amount."""
    sql = (
        f"SELECT w.id FROM windows w WHERE w.id IN {NUMBERS} "
        "AND EXISTS (SELECT 1 FROM reservations r WHERE r.open IN (0, 1) AND r.window = w.id)"
    )
    return frozenset(row[0] for row in tx.rows(sql, (json.dumps(sorted(ids)),)))


def save(tx: Transaction, balances: Balances, *, tells: bool = True) -> None:
    """Write what changed; provisional window ids become real ones, in reservations too.

    ``tells``: somebody else remembers windows, and must learn from their revision that counters have moved.
    """
    ids: dict[int, int] = {}
    moved, counted = [], []
    if balances.dropped:
        tx.many("DELETE FROM windows WHERE id = ?", [(dropped,) for dropped in balances.dropped])
        turns.windows_moved(tx)
    balances.dropped.clear()
    for balance in balances.all():
        if not balance.dirty:
            continue
        if balance.id <= 0:
            begun = balance.limit.id, balance.value, *_span(balance), *_counters(balance), turns.take(tx)
            ids[balance.id] = tx.insert(_INSERT, begun)
            balance.id = ids[balance.id]
        elif balance.stored_span == balance.span:
            counters = _counters(balance)
            counted.append((*counters, turns.take(tx), balance.id) if tells else (*counters, balance.id))
        else:
            moved.append((*_span(balance), *_counters(balance), turns.take(tx), balance.id))
        balance.dirty, balance.stored_span = False, balance.span
    tx.many_whole(_UPDATE, moved)
    tx.many_whole(_COUNT if tells else _COUNT_UNTOLD, counted)
    for row in balances.reservations.values() if ids else ():
        for held in row:
            held.window = ids.get(held.window, held.window)
    # who gives a place back and gets one again has two reservations in one window: the newer one, which stands last
    dirty = {(held.ticket, held.window): held for row in balances.reservations.values() for held in row if held.dirty}
    tx.many_whole(
        _PUT,
        [
            (h.ticket, h.window, h.amount, h.reported, h.ledgered, h.before, int(h.open), h.whole)
            for h in dirty.values()
        ],
    )


def _span(balance: Balance) -> tuple[int | None, int | None, int]:
    window = balance.window
    starts, ends = (to_micros(window.starts_at), to_micros(window.ends_at)) if window else (None, None)
    return starts, ends, int(balance.closed)


def _counters(balance: Balance) -> tuple[int | str | None, ...]:
    sums = (
        balance.used,
        balance.rest,
        balance.reported,
        balance.reserved,
        balance.late,
        balance.unleased,
        balance.overrun,
    )
    standing = EXHAUSTED if balance.exhausted else OVERAGE if balance.overage else ""
    told = micros_or_none(balance.anchored_at), standing, balance.drift
    return *sums, int(balance.estimated), balance.amount, balance.ramp // MICROSECOND, *told


def renamed(tx: Transaction, limits: Sequence[Limit]) -> dict[str, str]:
    """Limits that are stored under another id, old to new."""

    def last_amount(rule: str) -> int | None:
        amount: int | None = tx.scalar("SELECT amount FROM windows WHERE rule = ? ORDER BY id DESC", (rule,))
        return amount

    shapes = {limit.id: shape_text(limit) for limit in limits}
    return renamed_among(dict(tx.rows("SELECT id, shape FROM rules")), limits, shapes, last_amount)


def adapt(tx: Transaction, limits: Sequence[Limit]) -> list[str]:
    """Bring stored windows in line with changed limits, before the first cycle; returns the rules that were redefined.

    A changed scope, unit, weighting or window ends the running window (``redefined``); the one that follows is rebuilt
    from the ledger. A removed limit drops its reservations and is closed; its history stays.
    """
    stored: dict[str, str] = dict(tx.rows("SELECT id, shape FROM rules"))
    shapes = {limit.id: shape_text(limit) for limit in limits}
    changed = [rule for rule, shape in stored.items() if shapes.get(rule, "") != shape]
    for rule in changed:
        reason = "redefined" if rule in shapes else "removed"
        tx.send(
            "UPDATE reservations SET open = 0 WHERE window IN (SELECT id FROM windows WHERE rule = ? AND closed = 0)",
            (rule,),
        )
        tx.send(
            "UPDATE windows SET closed = 1, end_reason = ?, reserved = 0, reported = 0, ends_at = min(ends_at, ?), "
            "starts_at = min(starts_at, ?) WHERE rule = ? AND closed = 0",
            (reason, to_micros(tx.now), to_micros(tx.now) - 1, rule),
        )
        tx.send("DELETE FROM rules WHERE id = ?", (rule,))
        turns.everything_moved(tx)
    for rule, shape in shapes.items():
        if stored.get(rule) != shape:
            tx.send("INSERT INTO rules (id, shape, since) VALUES (?, ?, ?)", (rule, shape, to_micros(tx.now)))
    return changed


def shape_text(limit: Limit) -> str:
    """The shape of a limit, as it is stored."""
    return json.dumps(shape_of(limit))


def known_rules(tx: Transaction) -> set[str]:
    """The limits whose windows are kept."""
    return {row[0] for row in tx.rows("SELECT id FROM rules")}


def _balance(row: Sequence[Any], balances: Balances) -> Balance | None:
    """A stored window; None when its limit is gone."""
    key, rule, value, starts, ends, *sums, estimated, closed, ramp, anchored_at, standing, drift = row
    used, rest, reported, reserved, late, unleased, overrun = sums
    if (limit := balances.limit(rule)) is None:
        return None
    balance = Balance(key, limit, str(value), None if ends is None else Window(from_micros(starts), from_micros(ends)))
    balance.used, balance.rest, balance.reported, balance.reserved = used, rest, reported, reserved
    balance.late, balance.unleased, balance.overrun = late, unleased, overrun
    balance.estimated, balance.closed, balance.dirty = bool(estimated), bool(closed), False
    balance.ramp = ramp * MICROSECOND
    balance.anchored_at, balance.drift = instant_or_none(anchored_at), drift
    balance.exhausted, balance.overage = standing == EXHAUSTED, standing == OVERAGE
    balance.stored_span = balance.span
    balance.let_drift(balances.now)
    return balance
