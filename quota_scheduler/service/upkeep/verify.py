"""``doctor --verify``: every sum that is kept, made anew from raw rows and compared; what differs, by how much."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from quota_scheduler.core.instants import HOUR_MICROS, from_micros, iso
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import LARGEST_SUM
from quota_scheduler.core.usage import Usage
from quota_scheduler.service.upkeep.doctor import Finding, examine, some
from quota_scheduler.service.upkeep.verify_histories import kept_histories
from quota_scheduler.store import Transaction, ledger, rebuilt

Step = Callable[[str], None]
"""Told what is compared next."""
Sets = Mapping[int, tuple[Labels, Priority]]


def verify(tx: Transaction, limits: Sequence[Limit], *, step: Step = lambda _: None) -> list[Finding]:
    """All that ``examine`` finds, and each row of each sum; a database of 10^5 events takes seconds."""
    step("windows and reservations")
    findings = examine(tx, limits)
    whole, sets = rebuilt.whole_since(tx), ledger.label_sets(tx)
    step("damaged pages")
    findings += [_whole_file(tx), *_links(tx)]
    findings.append(_rollups(tx, whole, sets, step))
    step("totals and runs")
    findings += [_days(tx, sets), _totals(tx, sets), _late(tx, sets), _runs(tx, whole), _runs_by_hour(tx, sets)]
    findings.append(_partial(tx, whole, sets))
    step("tickets and counters")
    findings += [_closed_windows(tx), _leaks(tx), _numbers(tx)]
    step("histories")
    findings.append(kept_histories(tx, limits))
    return findings


def _whole_file(tx: Transaction) -> Finding:
    damage = tx.connection.damage()
    return Finding("every page and index", bool(damage), "; ".join(damage) or "ok")


def _links(tx: Transaction) -> Iterable[Finding]:
    broken = tx.connection.dangling()
    yield Finding("rows that belong together", bool(broken), "; ".join(some(broken)) or "none points at nothing")


def _rollups(tx: Transaction, whole: datetime | None, sets: Sets, step: Step) -> Finding:
    number_of = rebuilt.without_agents(tx)
    wrong, compared, weeks = [], 0, rebuilt.weeks(tx)
    for number, span in enumerate(weeks):
        step(f"rollups, week {number + 1} of {len(weeks)}")
        kept, made = rebuilt.rollups(tx, span), rebuilt.rolled_up(tx, span, number_of)
        for slot in sorted(kept.keys() | made.keys()):
            compared += 1
            one, other = kept.get(slot, Usage()), made.get(slot, Usage())
            if _differ(one, other, _is_whole(slot[0], whole)):
                wrong.append(f"{_hour(slot[0])} {_named(sets, slot[1])}: {_by(one, other)}")
    gone = f"; what was recorded before {iso(whole)} has no rows any more and cannot be checked" if whole else ""
    return _finding("rollups by hour", wrong, f"{compared} compared{gone}")


def _days(tx: Transaction, sets: Sets) -> Finding:
    wrong = [
        f"{_hour(day * 24)} {_named(sets, number)}: {_by(kept, made)}"
        for (day, number), kept, made in rebuilt.days(tx)
        if _differ(kept, made, True)
    ]
    return _finding("sums by day", wrong, f"{tx.scalar('SELECT count(*) FROM rollup_days')} compared")


def _totals(tx: Transaction, sets: Sets) -> Finding:
    rows = list(rebuilt.totals(tx))
    wrong = [f"{_named(sets, number)}: {_by(kept, made)}" for number, kept, made in rows if _differ(kept, made, True)]
    return _finding("totals by labels", wrong, f"{len(rows)} compared")


def _late(tx: Transaction, sets: Sets) -> Finding:
    wrong = [
        f"{_named(sets, number)}: {late.tokens - total.tokens} tokens more came late than there are"
        for number, late, total in rebuilt.late(tx)
        if late.tokens > total.tokens
    ]
    return _finding("usage that came late", wrong, "a part of the totals")


def _runs(tx: Transaction, whole: datetime | None) -> Finding:
    wrong = [
        f"{run}: {_by(kept, made)}"
        for run, kept, made, began in rebuilt.runs(tx)
        if _differ(kept, made, whole is None or began >= whole)
    ]
    return _finding("runs", wrong, f"{tx.scalar('SELECT count(*) FROM runs')} compared")


def _runs_by_hour(tx: Transaction, sets: Sets) -> Finding:
    wrong = [
        f"{_hour(hour)} {_named(sets, number)}: {kept[0]} runs kept and {made[0]} there"
        + (f", {_by(kept[1], made[1])}" if kept[1] != made[1] else "")
        for (hour, number, *_), kept, made in rebuilt.runs_by_hour(tx)
        if kept[0] != made[0] or _differ(kept[1], made[1], True)
    ]
    return _finding("runs by hour", wrong, f"{tx.scalar('SELECT count(*) FROM run_hours')} compared")


def _partial(tx: Transaction, whole: datetime | None, sets: Sets) -> Finding:
    wrong = [
        f"{_hour(slot[0])} {_named(sets, slot[1])} ({what}): {_by(kept, made)}"
        for slot, what, kept, made in rebuilt.partial(tx, rebuilt.without_agents(tx))
        if _is_whole(slot[0], whole)
    ]
    return _finding("records that are no whole call", wrong, "as events tell")


def _closed_windows(tx: Transaction) -> Finding:
    adrift = [f"{rule}{f'/{value}' if value else ''} is {what}" for rule, value, what in rebuilt.windows_adrift(tx)]
    return _finding("closed windows", adrift, "nothing is left in any")


def _leaks(tx: Transaction) -> Finding:
    leaks = [f"ticket {ticket} ({state}) holds {count}" for ticket, state, count in rebuilt.reservations_adrift(tx)]
    return _finding("who holds reservations", leaks, "work that runs or is offered, and nobody else")


def _numbers(tx: Transaction) -> Finding:
    behind = [f"the next {name} is {number}, and {used} is in use" for name, number, used in rebuilt.numbers_behind(tx)]
    return _finding("numbers to come", behind, "above all that are in use")


def _finding(check: str, wrong: Sequence[str], sound: str) -> Finding:
    return Finding(check, bool(wrong), "; ".join(some(wrong)) if wrong else sound)


def _differ(kept: Usage, made: Usage, is_whole: bool) -> bool:
    """Whether sums disagree, as far as they are kept; where some are pruned, the rest is no more."""
    pairs = [(min(one, LARGEST_SUM), min(other, LARGEST_SUM)) for one, other in zip(kept, made, strict=True)]
    if is_whole:
        return any(one != other for one, other in pairs)
    return kept.tokens < made.tokens


def _is_whole(hour: int, whole: datetime | None) -> bool:
    return whole is None or from_micros(hour * HOUR_MICROS) >= whole


def _by(kept: Usage, made: Usage) -> str:
    """By how much each kind is kept too high or too low."""
    parts = zip(Usage._fields, kept, made, strict=True)
    return ", ".join(f"{name} {one - other:+d} (kept {one})" for name, one, other in parts if one != other)


def _hour(hour: int) -> str:
    return iso(from_micros(hour * HOUR_MICROS))


def _named(sets: Sets, number: int) -> str:
    if number not in sets:
        return f"label set {number}"
    return "/".join(filter(None, (*sets[number][0], sets[number][1].value)))
