"""The uses of eight days, which sessions are chained from: read in slices, beside the writes of others.

    begun ──► view: some slices ──► … ──► a write: the hours that moved since, once more ──► sessions in their place

A million uses take ten seconds to read, and nobody else writes while one does. So no write reads more than
``MOST_IN_A_WRITE``: where more are left it takes nothing, and whoever reads goes on beside it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field

from quota_scheduler.core.instants import EPOCH, HOUR_MICROS, MICROSECOND, SKEW, from_micros, to_micros
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.ledger.session_chain import SessionChain, hour_of
from quota_scheduler.core.ledger.sessions import SESSION_MEMORY, grounds_of, new_chain
from quota_scheduler.core.ledger.sessions import put_in_place as put_session_in_place
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Transaction, ledger, rollups, windows

MOST_IN_A_WRITE = 20_000
"""Uses that a write reads at most: about a fifth of a second."""
GOOD_FOR = timedelta(days=1)
"""What was read longer ago is read anew."""
START = -1
"""The number before that of every event."""


class ReadUses(Struct):
    """What was read so far: the uses from ``since`` up to a ``place``.

    ``as_of`` is the instant of the last write that had moved any hour when the reading began. Writes have one order,
    and their instants are those of their turns: whoever came later carries a later one.
    """

    limits: tuple[Limit, ...]
    balances: Balances
    reserved: frozenset[int]
    since: datetime
    as_of: datetime
    place: tuple[int, int]
    chains: dict[LimitInstance, SessionChain] = field(default_factory=dict)
    of_set: dict[int, tuple[LimitInstance, ...]] = field(default_factory=dict)
    count: int = 0

    def share(self, now: datetime) -> float:
        """How much of the time that is looked at lies behind the place, 0 to 1."""
        return min(1.0, max(0.0, (from_micros(self.place[0]) - self.since) / (now - self.since)))

    def take(self, tx: Transaction, most: int = MOST_IN_A_WRITE) -> bool:
        """Take some slices of uses; returns whether there may be more."""
        end, taken = tx.now + SKEW, 0
        while taken < most and (rows := ledger.uses_after(tx, self.place, end)):
            if any(row[2] not in self.of_set for row in rows):
                self.know_sets(tx)
            for micros, _, number, *usage in rows:
                for instance in self.of_set[number]:
                    if amount := instance.limit.fine_charge(Usage(*usage)):
                        self._chain(instance).take(from_micros(micros), amount)
            taken, self.place = taken + len(rows), (rows[-1][0], rows[-1][1])
            self.count += len(rows)
        return taken >= most

    def know_sets(self, tx: Transaction) -> None:
        """Learn where the label sets count that came since."""
        after = max(self.of_set, default=0)
        self.of_set |= _instances(tx, self.balances, self.limits, after=after)

    def _chain(self, instance: LimitInstance) -> SessionChain:
        if (chain := self.chains.get(instance)) is None:
            chain = new_chain(self.balances, instance, since=self.since, reserved=self.reserved)
            self.chains[instance] = chain
        return chain

    def rewind(self, to: datetime, as_of: datetime) -> None:
        """Go back to the hour in which an instant lies."""
        to = hour_of(to)
        for chain in self.chains.values():
            chain.rewind(to)
        self.as_of, self.place = as_of, (to_micros(max(to, self.since)), START)


def begun(tx: Transaction, balances: Balances, limits: Sequence[Limit]) -> ReadUses:
    """Begin to read what these limits count, of which sessions are chained."""
    since = tx.now - SESSION_MEMORY
    reserved = windows.reserved_among(tx, [balance.id for balance in balances.all()])
    return ReadUses(tuple(limits), balances, reserved, since, _last_change(tx), (to_micros(since), START))


def put_in_place(tx: Transaction, uses: ReadUses, balances: Balances) -> bool:
    """Put the sessions where the uses say, with what moved since they were read.

    False where that is too much for a write, or where it counts elsewhere by now: nothing is put anywhere then.
    """
    reserved = windows.reserved_among(tx, [balance.id for balance in balances.all()])
    known = _instances(tx, balances, uses.limits)
    if any(known.get(number) != instances for number, instances in uses.of_set.items()):
        return False
    uses.balances, uses.reserved, uses.of_set = balances, reserved, known
    uses.rewind(_sure_until(tx, uses), _last_change(tx))
    if ledger.are_more(tx, from_micros(uses.place[0]), tx.now + SKEW, MOST_IN_A_WRITE):
        return False
    uses.take(tx, MOST_IN_A_WRITE + 1)
    for instance, chain in uses.chains.items():
        put_session_in_place(balances, instance, chain, since=uses.since, reserved=reserved)
    return True


def _last_change(tx: Transaction) -> datetime:
    return rollups.last_change(tx) or EPOCH


def _sure_until(tx: Transaction, uses: ReadUses) -> datetime:
    """Up to when what was read is what is stored now, and stands on what is stored."""
    sure = [from_micros(uses.place[0])]
    if _last_change(tx) < uses.as_of:  # the clock was put back, and says nothing
        return uses.since
    moved = rollups.changed_hours(tx, since=uses.since, changed_since=uses.as_of + MICROSECOND)
    sure += [from_micros(hour * HOUR_MICROS) for hour in moved[:1]]
    for instance, chain in uses.chains.items():
        grounds = grounds_of(uses.balances, instance, since=uses.since, reserved=uses.reserved)
        at = chain.stand_on(grounds, uses.since)
        sure += [at] if at else []
    return max(uses.since, min(sure))


def _instances(
    tx: Transaction, balances: Balances, limits: Sequence[Limit], *, after: int = 0
) -> dict[int, tuple[LimitInstance, ...]]:
    """The instances of these limits that each label set counts in."""
    chosen = {limit.id for limit in limits}
    return {
        number: tuple(one for one in balances.instances(labels) if one.limit.id in chosen)
        for number, (labels, _) in ledger.label_sets(tx, after=after).items()
    }
