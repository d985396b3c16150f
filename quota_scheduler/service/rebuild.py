"""Windows from the ledger: opened and filled before anybody looks, and sessions put where their uses say.

open_for            the calendar windows that labels count in, when they are first touched
rebuild             everything that is shown, at start and when limits change
rebuild_sessions    every session, after a first pass over a source, whose files are not in order of time
uses_of             what a batch needs to know to put the sessions it moves in their place
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from quota_scheduler.core.instants import HOUR_MICROS, SKEW, from_micros, to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.booking import SessionUses
from quota_scheduler.core.ledger.rebuilding import fill, missing, opened, sets_by, sets_of
from quota_scheduler.core.ledger.sessions import SESSION_MEMORY
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Session, Window, window_at
from quota_scheduler.core.usage import Usage
from quota_scheduler.service import chained_sessions
from quota_scheduler.service.read_uses import ReadUses, begun, put_in_place
from quota_scheduler.store import Transaction, ledger, rollups, windows

SetUsage = tuple[int, Usage]
"""The number of a label set, and what was used under it."""


def open_for(tx: Transaction, balances: Balances, labels: Iterable[Labels]) -> None:
    """Make sure that every calendar window these labels count in now is open, filled from the ledger."""
    if instances := missing(balances, labels):
        _open(tx, balances, instances)


def _open(tx: Transaction, balances: Balances, instances: Sequence[LimitInstance]) -> None:
    sets, by_name = ledger.label_sets(tx), {instance.name: instance for instance in instances}
    for window, rows in opened(balances, instances).items():
        by_agent = {name for name in rows if _is_by_agent(by_name[name].limit)}
        for names, used_in in ((rows.keys() - by_agent, _used_in), (by_agent, _used_by_agents)):
            if not names:
                continue
            some = {name: balance for name, balance in rows.items() if name in names}
            numbers = sets_of([by_name[name] for name in some], sets, balances)
            used = used_in(tx, window, numbers)
            fill(some, ((sets[number][0], usage) for number, usage in used), balances)


def _is_by_agent(limit: Limit) -> bool:
    """Whether what a limit counts follows from the agent, of which sums by hour know nothing."""
    return limit.per == "agent" or "agent" in dict(limit.match)


def _used_by_agents(tx: Transaction, window: Window, numbers: Sequence[int]) -> list[SetUsage]:
    return ledger.used_between(tx, window.starts_at, window.ends_at, numbers)


def _used_in(tx: Transaction, window: Window, numbers: Sequence[int]) -> list[SetUsage]:
    """What was used in a window under these label sets: of sums by hour, and of events in what is no whole hour."""
    chosen, first, last = frozenset(numbers), -(-to_micros(window.starts_at) // HOUR_MICROS), window.ends_at
    whole = from_micros(first * HOUR_MICROS), from_micros(to_micros(last) // HOUR_MICROS * HOUR_MICROS)
    used = [(number, usage) for number, usage in rollups.used_between(tx, *whole) if number in chosen]
    for span in ((window.starts_at, whole[0]), (whole[1], window.ends_at)):
        if span[0] < span[1]:
            used += ledger.used_between(tx, *span, numbers)
    return used


def rebuild(
    tx: Transaction, limits: Sequence[Limit], rules: Collection[str] | None = None, *, trusting: bool = False
) -> None:
    """Open and fill what these rules (None: all) count now, from the ledger: instances of ``per``, pools, sessions.

    Without it a window appears with the first use after a start, and until then nobody sees what it holds.
    ``trusting`` leaves sessions alone of which is known that they lie where they should.
    """
    are_sure = trusting and chained_sessions.hold(tx, limits)
    chosen = [limit for limit in limits if rules is None or limit.id in rules]
    balances = windows.load(tx, limits, since=tx.now - SESSION_MEMORY)
    sets = ledger.label_sets(tx)
    for since, ids in _by_start(chosen, tx.now).items():
        recent = [sets[number][0] for number in rollups.sets_since(tx, since) if number in sets]
        instances = [i for i in missing(balances, recent) if i.limit.id in ids]
        if instances:
            _open(tx, balances, instances)
    are_chained = are_sure or _chain(tx, balances, chosen)
    windows.save(tx, balances)
    if not are_chained:
        chained_sessions.due(tx)
    elif rules is None and not are_sure:
        chained_sessions.keep(tx, limits)


def _by_start(limits: Iterable[Limit], now: datetime) -> dict[datetime, set[str]]:
    """Calendar limits by the beginning of their present window."""
    by_start: dict[datetime, set[str]] = {}
    for limit in limits:
        window = window_at(limit.schedule, now) if isinstance(limit.schedule, Calendar) else None
        if window:
            by_start.setdefault(window.starts_at, set()).add(limit.id)
    return by_start


def rebuild_sessions(tx: Transaction, limits: Sequence[Limit], ahead: ReadUses | None = None) -> bool:
    """Find the session windows that are open now from what the ledger knows.

    ``ahead`` are the uses that were read before. False where there are too many left to read them in a write: whoever
    reads them beside it (``service.chain_sessions``) is told by a fact.
    """
    balances = windows.load(tx, limits, since=tx.now - SESSION_MEMORY)
    are_chained = _chain(tx, balances, limits, ahead)
    if are_chained:
        windows.save(tx, balances)
        chained_sessions.keep(tx, limits)
    else:
        chained_sessions.due(tx)
    return are_chained


def _chain(tx: Transaction, balances: Balances, limits: Collection[Limit], ahead: ReadUses | None = None) -> bool:
    """Put sessions in their place, unless too many uses are left to read for it."""
    chained = [limit for limit in limits if chained_sessions.is_chained(limit)]
    if not chained:
        return True
    uses = ahead or begun(tx, balances, chained)
    return put_in_place(tx, uses, balances)


def uses_of(tx: Transaction, balances: Balances, moved: Mapping[LimitInstance, datetime]) -> SessionUses:
    """What sessions that may move need: the uses of each from where its chain is sure, and its windows since then.

    It is sure where the last session before the first use that may move them has ended, else after the last break.
    """
    if not moved:
        return SessionUses()
    sets, events, since = ledger.label_sets(tx), [], dict[str, datetime]()
    by_instance = sets_by(moved, sets, balances)
    for instance, first in moved.items():
        numbers = by_instance[instance]
        since[instance.name] = _sure_from(tx, instance, first, numbers)
        events += ledger.between(tx, since[instance.name], tx.now + SKEW, label_sets=numbers)
    windows.recall_closed(tx, balances, since=min(since.values()))
    instances = {instance.name: instance for instance in moved}
    rows = [balance.id for name in instances for balance in balances.by_name.get(name, ())]
    return SessionUses(instances, since, events, windows.reserved_among(tx, rows))


def _sure_from(tx: Transaction, instance: LimitInstance, first: datetime, numbers: Sequence[int]) -> datetime:
    assert isinstance(instance.limit.schedule, Session)
    since = tx.now - SESSION_MEMORY
    ended = windows.last_end(tx, instance, before=first)
    if ended and ended >= since:
        return ended
    return ledger.break_before(tx, numbers, since, first, instance.limit.schedule.length)
