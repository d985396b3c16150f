"""Sessions in their place: the same uses give the same sessions, in whatever order they were told.

    uses ──► chain: each session opens at the first use at or after the last one's end
    windows that are stored ──► the newest session of the chain, and whatever else of the chain was open once

What a lease opened is a use like any other. Only the last eight days are looked at: longer than any week, so that a
break in use is found, after which the chain is sure.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.session_chain import Grounds, SessionChain, spans_of
from quota_scheduler.core.limits.schedule import Session, Window
from quota_scheduler.core.usage import UsageEvent

SESSION_MEMORY = timedelta(days=8)
"""How far back sessions are chained: longer than any week, so a break in use is found."""


class Use(NamedTuple):
    """What one event takes out of a session limit, in parts of its base (``Limit.fine_charge``): more than nothing."""

    at: datetime
    amount: int


def is_out_of_place(event: UsageEvent, instance: LimitInstance, balances: Balances, *, goes: bool) -> bool:
    """Whether a use may move sessions of a limit: it lies in none that is known, or it goes and had opened one."""
    if not _may_move(instance) or not instance.limit.fine_charge(event.usage):
        return False
    now = balances.now
    if not now - SESSION_MEMORY <= event.at <= now + SKEW:
        return False
    balance = balances.to_correct(instance, event.at)
    return balance is None or (goes and balance.window is not None and balance.window.starts_at == event.at)


def _may_move(instance: LimitInstance) -> bool:
    """Whether its sessions lie where uses say; of observed ones the provider says where they are."""
    return isinstance(instance.limit.schedule, Session) and not instance.limit.observed


def moved_by(changes: Iterable[Change], balances: Balances) -> dict[LimitInstance, datetime]:
    """The instances of session limits whose sessions these changes may move, each with the first use they touch.

    A moved session is counted anew from there, so what is taken back or comes before the use that moves it counts too.
    """
    earliest = balances.now - SESSION_MEMORY
    by_labels: dict[Labels, list[tuple[UsageEvent, bool]]] = {}
    for change in changes:
        for event, goes in zip(change, (True, False), strict=True):
            if event and event.at >= earliest:
                by_labels.setdefault(event.labels, []).append((event, goes))
    moved: set[LimitInstance] = set()
    first: dict[LimitInstance, datetime] = {}
    for labels, touched in by_labels.items():
        begin = min(event.at for event, _ in touched)
        for instance in filter(_may_move, balances.instances(labels)):
            first[instance] = min(begin, first.get(instance, begin))
            if instance not in moved and any(
                is_out_of_place(event, instance, balances, goes=goes) for event, goes in touched
            ):
                moved.add(instance)
    return {instance: at for instance, at in first.items() if instance in moved}


def rechained(
    balances: Balances,
    instance: LimitInstance,
    uses: Iterable[Use],
    *,
    since: datetime,
    reserved: Collection[int],
) -> None:
    """Put the sessions of an instance where its uses say, and count them anew.

    ``uses`` are all uses of the instance from ``since`` up to now, from where its chain is sure; ``reserved`` the
    windows in which a lease or an offer ever held an amount. A session that was over before now is closed by the next
    cycle.
    """
    chain = new_chain(balances, instance, since=since, reserved=reserved)
    for at, amount in sorted(uses):
        chain.take(at, amount)
    put_in_place(balances, instance, chain, since=since, reserved=reserved)


def new_chain(
    balances: Balances, instance: LimitInstance, *, since: datetime, reserved: Collection[int]
) -> SessionChain:
    """A chain of an instance to which no use has been told yet."""
    return SessionChain(_length(instance), grounds_of(balances, instance, since=since, reserved=reserved))


def grounds_of(balances: Balances, instance: LimitInstance, *, since: datetime, reserved: Collection[int]) -> Grounds:
    """What the windows that are stored say of the sessions of an instance from ``since`` on."""
    rows, cut = _rows_since(balances, instance, since)
    return Grounds(cut, tuple(sorted(t.window.starts_at for t in rows if t.window and t.id in reserved)))


def _length(instance: LimitInstance) -> timedelta:
    assert isinstance(instance.limit.schedule, Session)
    return instance.limit.schedule.length


def _rows_since(balances: Balances, instance: LimitInstance, since: datetime) -> tuple[list[Balance], datetime | None]:
    """The windows that the chain is about, and the instant at which it begins anew; none if it does not."""
    length = _length(instance)
    rows = [t for t in balances.by_name.get(instance.name, ()) if t.window and not _is_ahead(t, balances.now)]
    rows = [t for t in rows if t.window and t.window.ends_at > since]
    sure = [t.window for t in rows if t.window and (t.window.length < length or t.window.starts_at < since)]
    cut = max((window.ends_at for window in sure), default=None)  # a provider reset early, or what came before
    cut = cut if cut and cut <= balances.now else None
    return [t for t in rows if cut is None or (t.window and t.window.starts_at >= cut)], cut


def put_in_place(
    balances: Balances, instance: LimitInstance, chain: SessionChain, *, since: datetime, reserved: Collection[int]
) -> None:
    """Put the sessions of an instance where a chain has them, to which all uses were told."""
    chain.end()
    rows, _ = _rows_since(balances, instance, since)
    used = spans_of(chain.sessions)
    spans = list(used)
    if not spans:  # what had opened the session belongs elsewhere: it never began
        for unfounded in [t for t in rows if not t.closed]:
            balances.drop(unfounded)
        return
    placed, astray = _sorted_out([t for t in rows if t.window and t.window.ends_at > spans[0].starts_at], used)
    if spans[-1] not in placed and (balance := _for_newest(balances, instance, astray, reserved, spans[-1])):
        balances.begins(balance, spans[-1].starts_at)
        placed[spans[-1]] = balance
    for balance in astray:
        if balance in placed.values():
            continue
        span = _around(balance, spans)
        if balance.id not in reserved:
            balances.drop(balance)
        elif span and span not in placed:
            balances.begins(balance, span.starts_at)
            placed[span] = balance
    for span, balance in placed.items():
        _count_anew(balance, span, used[span], balances.now)


def _is_ahead(balance: Balance, now: datetime) -> bool:
    """Whether a session began in a future that a wrong clock had made up: it waits for its time."""
    return balance.window is not None and balance.window.starts_at > now + SKEW


def _sorted_out(rows: Iterable[Balance], spans: Collection[Window]) -> tuple[dict[Window, Balance], list[Balance]]:
    """The windows that are where a session of the chain is, and the others."""
    placed: dict[Window, Balance] = {}
    astray: list[Balance] = []
    for balance in rows:
        if balance.window and balance.window in spans and balance.window not in placed:
            placed[balance.window] = balance
        else:
            astray.append(balance)
    return placed, astray


def _for_newest(
    balances: Balances, instance: LimitInstance, astray: Iterable[Balance], reserved: Collection[int], newest: Window
) -> Balance | None:
    """The window that becomes the newest session: the open one that stands elsewhere, else one that begins with it."""
    elsewhere = sorted((t for t in astray if not t.closed), key=lambda t: t.id not in reserved)
    if elsewhere:
        return elsewhere[0]
    if newest.ends_at <= balances.now:
        return None
    unbegun = next((t for t in balances.by_name.get(instance.name, ()) if t.window is None), None)
    return unbegun or balances.add(Balance(0, instance.limit, instance.value, None))


def _around(balance: Balance, spans: Iterable[Window]) -> Window | None:
    return next((span for span in spans if balance.window and span.contains(balance.window.starts_at)), None)


def _count_anew(balance: Balance, span: Window, used: int, now: datetime) -> None:
    balance.count_anew(used)
    if balance.closed and span.ends_at > now:
        balance.closed, balance.dirty = False, True
