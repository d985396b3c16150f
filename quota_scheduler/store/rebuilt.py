"""Sums made anew from raw rows, beside the same sums as they are kept: what ``doctor --verify`` compares."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from quota_scheduler.core.instants import HOUR_MICROS, SKEW, from_micros, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction, ledger, pruned
from quota_scheduler.store.usage_columns import COLUMNS, summed

HOURS_AT_ONCE = 24 * 7
"""Hours that are compared in one step: memory holds a week, whatever the ledger holds."""
Slot = tuple[int, int]
"""An hour since 1970 and a label set."""
Kind = tuple[int, int, str, str]
"""An hour since 1970, a label set, flags as they are stored, and a prompt version."""
_KIND = "label_set, flags, prompt_version"
_HOUR_OF = f"at / {HOUR_MICROS} - CASE WHEN at % {HOUR_MICROS} < 0 THEN 1 ELSE 0 END"


def whole_since(tx: Transaction) -> datetime | None:
    """From when on every event there was still has its row; None where none has been pruned.

    What was pruned had been recorded before the instant that was noted then, where a version that noted none pruned it
    before the oldest row that is left; and nothing lies further ahead than ``SKEW``.
    """
    if noted := pruned.before(tx):
        return noted + SKEW
    if not tx.scalar("SELECT count(*) FROM pruned_keys"):
        return None
    oldest = tx.scalar("SELECT min(recorded_at) FROM events")
    return from_micros(oldest) + SKEW if oldest is not None else tx.now


def by_labels(tx: Transaction, start: datetime, end: datetime) -> dict[int, Usage]:
    """The usage of a span of time by label set, from events."""
    rows = tx.rows(
        f"SELECT label_set, {summed()} FROM events WHERE at >= ? AND at < ? GROUP BY label_set",
        (to_micros(start), to_micros(end)),
    )
    return {row[0]: Usage(*row[1:]) for row in rows}


def without_agents(tx: Transaction) -> dict[int, int]:
    """Every label set, and the one under which its usage is rolled up; itself where that one is not there."""
    sets = ledger.label_sets(tx)
    numbers: dict[tuple[Labels, Priority], int] = {labels: number for number, labels in sets.items()}
    return {
        number: numbers.get((labels._replace(agent=""), priority), number)
        for number, (labels, priority) in sets.items()
    }


def weeks(tx: Transaction) -> list[tuple[int, int]]:
    """Spans of hours that cover all events and rollups, oldest first; empty stretches are left out."""
    hours = f"SELECT DISTINCT hour / {HOURS_AT_ONCE} - CASE WHEN hour % {HOURS_AT_ONCE} < 0 THEN 1 ELSE 0 END FROM"
    numbers = {row[0] for row in tx.rows(f"{hours} rollups")}
    numbers |= {row[0] for row in tx.rows(f"{hours} (SELECT DISTINCT {_HOUR_OF} AS hour FROM events) AS used")}
    return [(number * HOURS_AT_ONCE, (number + 1) * HOURS_AT_ONCE) for number in sorted(numbers)]


def rollups(tx: Transaction, span: tuple[int, int]) -> dict[Slot, Usage]:
    """Rollups of a span of hours as they are kept."""
    rows = tx.rows(f"SELECT hour, label_set, {COLUMNS} FROM rollups WHERE hour >= ? AND hour < ?", span)
    return {(row[0], row[1]): Usage(*row[2:]) for row in rows}


def rolled_up(tx: Transaction, span: tuple[int, int], number_of: Mapping[int, int]) -> dict[Slot, Usage]:
    """The same from events."""
    rows = tx.rows(
        f"SELECT {_HOUR_OF}, label_set, {summed()} FROM events WHERE at >= ? AND at < ? GROUP BY 1, 2",
        (span[0] * HOUR_MICROS, span[1] * HOUR_MICROS),
    )
    sums: dict[Slot, Usage] = {}
    for hour, label_set, *usage in rows:
        slot = hour, number_of[label_set]
        sums[slot] = sums.get(slot, Usage()).plus(Usage(*usage))
    return sums


def days(tx: Transaction) -> Iterator[tuple[Slot, Usage, Usage]]:
    """Each day since 1970 and label set whose sum differs: as it is kept, and as its hours add up."""
    kept = f"SELECT day, label_set, {COLUMNS} FROM rollup_days"
    made = f"SELECT (hour - (hour % 24 + 24) % 24) / 24, label_set, {summed()} FROM rollups GROUP BY 1, 2"
    wrong = {row[:2]: Usage(*row[2:]) for row in tx.rows(f"{kept} EXCEPT {made}")}
    right = {row[:2]: Usage(*row[2:]) for row in tx.rows(f"{made} EXCEPT {kept}")}
    for slot in sorted(wrong.keys() | right.keys()):
        yield slot, wrong.get(slot, Usage()), right.get(slot, Usage())


def runs_by_hour(tx: Transaction) -> Iterator[tuple[Kind, tuple[int, Usage], tuple[int, Usage]]]:
    """Each hour and kind of run whose sum differs: how many runs and their usage, as kept, and as runs add up."""
    kept = f"SELECT hour, {_KIND}, runs, {COLUMNS} FROM run_hours"
    made = (
        f"SELECT (last_at - (last_at % {HOUR_MICROS} + {HOUR_MICROS}) % {HOUR_MICROS}) / {HOUR_MICROS}, {_KIND}, "
        f"count(*), {summed()} "
        f"FROM runs GROUP BY 1, {_KIND}"
    )
    wrong = {row[:4]: (row[4], Usage(*row[5:])) for row in tx.rows(f"{kept} EXCEPT {made}")}
    right = {row[:4]: (row[4], Usage(*row[5:])) for row in tx.rows(f"{made} EXCEPT {kept}")}
    for kind in sorted(wrong.keys() | right.keys()):
        yield kind, wrong.get(kind, (0, Usage())), right.get(kind, (0, Usage()))


def totals(tx: Transaction) -> Iterator[tuple[int, Usage, Usage]]:
    """Each label set with its total as it is kept, and as its rollups add up."""
    kept = {row[0]: Usage(*row[1:]) for row in tx.rows(f"SELECT label_set, {COLUMNS} FROM label_totals")}
    summed_up = tx.rows(f"SELECT label_set, {summed()} FROM rollups GROUP BY label_set")
    rebuilt = {row[0]: Usage(*row[1:]) for row in summed_up}
    for number in sorted(kept.keys() | rebuilt.keys()):
        yield number, kept.get(number, Usage()), rebuilt.get(number, Usage())


def late(tx: Transaction) -> Iterator[tuple[int, Usage, Usage]]:
    """Each label set with what of its total came late, and that total."""
    columns = ", ".join(f"{table}.{name}" for table in "bt" for name in COLUMNS.split(", "))
    for row in tx.rows(f"SELECT b.label_set, {columns} FROM backfilled b JOIN label_totals t USING (label_set)"):
        yield row[0], Usage(*row[1:10]), Usage(*row[10:])


def runs(tx: Transaction) -> Iterator[tuple[str, Usage, Usage, datetime]]:
    """Each run whose sum differs: as it is kept, as its events add up, and when it began."""
    rows = tx.rows(
        f"SELECT run, {summed()}, min(at) FROM events WHERE run != '' GROUP BY run "
        f"EXCEPT SELECT run, {COLUMNS}, started_at FROM runs"
    )
    kept = {
        row[0]: (Usage(*row[1:10]), row[10])
        for row in tx.rows(
            f"SELECT run, {COLUMNS}, started_at FROM runs EXCEPT "
            f"SELECT run, {summed()}, min(at) FROM events WHERE run != '' GROUP BY run"
        )
    }
    rebuilt = {row[0]: (Usage(*row[1:10]), row[10]) for row in rows}
    for run in sorted(kept.keys() | rebuilt.keys()):
        one, other = kept.get(run, (Usage(), None)), rebuilt.get(run, (Usage(), None))
        if one[0] != other[0]:
            began = min(at for at in (one[1], other[1]) if at is not None)
            yield run, one[0], other[0], from_micros(began)


def partial(tx: Transaction, number_of: Mapping[int, int]) -> Iterator[tuple[Slot, str, Usage, Usage]]:
    """What is no whole call, by hour, labels, extent and origin: as it is kept, and from events; where they differ."""
    names = f"extent, origin, {{answers}}, {summed()}"
    kept: dict[tuple[int, int, str, str], tuple[int, Usage]] = {
        tuple(row[:4]): (row[4], Usage(*row[5:]))
        for row in tx.rows(
            f"SELECT hour, label_set, {names.format(answers='sum(answers)')} FROM rollups_apart GROUP BY 1, 2, 3, 4"
        )
    }
    rebuilt: dict[tuple[int, int, str, str], tuple[int, Usage]] = {}
    for hour, label_set, extent, origin, answers, *usage in tx.rows(
        f"SELECT {_HOUR_OF}, label_set, {names.format(answers='count(*)')} FROM events WHERE extent != '' "
        "GROUP BY 1, 2, 3, 4"
    ):
        slot = hour, number_of[label_set], extent, origin
        count, sums = rebuilt.get(slot, (0, Usage()))
        rebuilt[slot] = count + answers, sums.plus(Usage(*usage))
    for slot in sorted(kept.keys() | rebuilt.keys()):
        one, other = kept.get(slot, (0, Usage())), rebuilt.get(slot, (0, Usage()))
        if one != other:
            answers = f", {one[0]} answers kept and {other[0]} there" if one[0] != other[0] else ""
            yield (slot[0], slot[1]), f"{slot[2]} of {slot[3]}{answers}", one[1], other[1]


def windows_adrift(tx: Transaction) -> list[tuple[str, str, str]]:
    """Closed windows with an amount reserved or reported that no open reservation holds: rule, value, the figures.

    A lease that goes on over a reset holds in the window that has ended until it settles.
    """
    rows = tx.rows(
        "SELECT rule, value, reserved, reported FROM windows WHERE closed = 1 AND (reserved != 0 OR reported != 0) "
        "AND id NOT IN (SELECT window FROM reservations WHERE open = 1)"
    )
    return [(row[0], row[1], f"closed with {row[2]} reserved and {row[3]} reported") for row in rows]


def reservations_adrift(tx: Transaction) -> list[tuple[int, str, int]]:
    """Open reservations of tickets that neither run nor have an offer: ticket, its state, how many."""
    return [
        (ticket, state or "gone", count)
        for ticket, state, count in tx.rows(
            "SELECT r.ticket, t.state, count(*) FROM reservations r LEFT JOIN tickets t ON t.id = r.ticket "
            "WHERE r.open = 1 AND (t.state IS NULL OR t.state NOT IN ('running', 'offered')) GROUP BY r.ticket, t.state"
        )
    ]


def numbers_behind(tx: Transaction) -> list[tuple[str, int, int]]:
    """Sequences whose next number has been handed out already: name, next, the largest that is in use."""
    largest = {"ticket": "SELECT max(id) FROM tickets", "fence": "SELECT max(fence) FROM leases"}
    behind = []
    for name, next_number in tx.rows("SELECT name, next FROM sequences ORDER BY name"):
        used = tx.scalar(largest[name]) if name in largest else None
        if used is not None and used >= next_number:
            behind.append((name, next_number, used))
    return behind
