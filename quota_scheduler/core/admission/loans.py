"""Loans: what members of a pool use or hold beyond their own amounts, and whose unused amounts that is.

A loan begins when a member goes beyond its amount, and is paid back as it returns within, or with its window.
The room that belongs to no member is lent first, then that of who has most of it; who lends already goes on lending.
Running leases keep what they hold: a lender that needs its amount meanwhile is owed it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.admission.headroom import in_pool
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Limit

Pair = tuple[str, str]
"""Lender and borrower, by instance; the pool lends what belongs to nobody."""
Ended = Literal["", "repaid", "window"]


class Loan(Struct, frozen=True):
    """What one member of a pool owes to another in one window, in the base of its unit.

    ``id`` 0: not stored yet. ``most`` is the largest it was. ``ended`` says how: paid back, or with its window.
    """

    id: int
    pool: str
    lender: str
    borrower: str
    amount: int
    most: int
    since: datetime
    ends_at: datetime | None
    ended_at: datetime | None = None
    ended: Ended = ""


class Member(Struct, frozen=True):
    """Where a member of a pool stands: how much it may lend and borrow, of what it has."""

    name: str
    amount: int
    committed: int
    borrow: int
    lend: int | None
    ends_at: datetime | None = None

    @property
    def borrowed(self) -> int:
        """What it has beyond its amount by borrowing; what goes beyond that too is no loan."""
        return min(self.borrow, max(0, self.committed - self.amount))

    @property
    def room(self) -> int:
        """What it lends, at most."""
        free = max(0, self.amount - self.committed)
        return free if self.lend is None else min(free, self.lend)


def owed(pool: str, amount: int, members: Sequence[Member], before: Mapping[Pair, int]) -> dict[Pair, int]:
    """Who owes whom how much, given who did before; adds up to what the members have borrowed."""
    rooms = {member.name: member.room for member in members}
    rooms[pool] = max(0, amount - sum(member.amount for member in members))
    pairs: dict[Pair, int] = {}
    for borrower in sorted((member for member in members if member.borrowed), key=lambda member: member.name):
        lenders = {lender: owes for (lender, whose), owes in before.items() if whose == borrower.name}
        left = borrower.borrowed
        for lender in (*sorted(lenders), *_by_room(rooms, pool)):
            most = min(left, rooms.get(lender, 0))
            most = min(most, lenders[lender]) if lender in lenders and not pairs.get((lender, borrower.name)) else most
            if most > 0 and lender != borrower.name:
                pairs[lender, borrower.name] = pairs.get((lender, borrower.name), 0) + most
                rooms[lender] -= most
                left -= most
        if left:  # nobody has it free any more: it is owed to who gave it
            last = next(iter(sorted(lenders)), pool)
            pairs[last, borrower.name] = pairs.get((last, borrower.name), 0) + left
    return pairs


def _by_room(rooms: Mapping[str, int], pool: str) -> list[str]:
    return sorted(rooms, key=lambda name: (name != pool, -rooms[name], name))


def moved(balances: Balances, loans: Iterable[Loan]) -> list[Loan]:
    """The loans that began, changed or ended since ``loans``, which are those that have not ended."""
    now = balances.now
    changed: list[Loan] = []
    standing: dict[tuple[str, Pair], Loan] = {}
    for loan in loans:
        if loan.ends_at is not None and loan.ends_at <= now:
            changed.append(replace(loan, amount=0, ended_at=loan.ends_at, ended="window"))
        else:
            standing[loan.pool, (loan.lender, loan.borrower)] = loan
    due: dict[tuple[str, Pair], tuple[int, datetime | None]] = {}
    for pool in balances.limits:
        members = _members(balances, pool)
        before = {pair: loan.amount for (name, pair), loan in standing.items() if name == pool.id}
        ends = {member.name: member.ends_at for member in members}
        for pair, amount in owed(pool.id, pool.amount, members, before).items():
            due[pool.id, pair] = amount, ends[pair[1]]
    for slot in sorted(standing.keys() | due.keys()):
        stood, (amount, ends_at) = standing.get(slot), due.get(slot, (0, None))
        if stood is None:
            changed.append(Loan(0, slot[0], *slot[1], amount, amount, now, ends_at))
        elif not amount:
            changed.append(replace(stood, amount=0, ended_at=now, ended="repaid"))
        elif amount != stood.amount:
            changed.append(replace(stood, amount=amount, most=max(amount, stood.most)))
    return changed


def _members(balances: Balances, pool: Limit) -> list[Member]:
    """The members of a pool as their open windows have them."""
    members = []
    for limit in balances.limits:
        if limit.parent != pool.id:
            continue
        for value in sorted(balances.values[limit.id]) if limit.per else [""]:
            instance = LimitInstance(limit, value)
            balance = _open(balances.by_name.get(instance.name, ()), balances.now)
            if balance is not None and in_pool(instance, pool):
                ends_at = balance.window.ends_at if balance.window else None
                committed = balance.spent + balance.reserved
                members.append(Member(instance.name, balance.amount, committed, limit.borrow, limit.lend, ends_at))
    return members


def _open(rows: Sequence[Balance], now: datetime) -> Balance | None:
    return next(
        (row for row in reversed(rows) if not row.closed and not (row.window and row.window.ends_at <= now)), None
    )
