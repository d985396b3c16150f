"""The throttle queue: who goes first.

Priority class; within it age lifts a ticket one rank for every ageing step it has waited, in order only and never in
eligibility; then fair share; then arrival. Who goes now is ``core/wake.py``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from quota_scheduler.core.tickets.ticket import Ticket


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How the queue is ordered and offered; every number is configuration."""

    aging_step: timedelta = timedelta(minutes=30)
    fair_share: str = "team"
    claim_within: timedelta = timedelta(minutes=2)
    max_offers: int = 3
    ramp: timedelta = timedelta(seconds=30)
    ramp_step: timedelta = timedelta(milliseconds=50)

    def ramp_for(self, waiting: int) -> timedelta:
        """Over how long the starts of so many tickets are spread after a reset: a step each, up to the whole ramp."""
        return min(self.ramp, (waiting - 1) * self.ramp_step) if waiting > 1 else timedelta(0)


def order(waiting: Iterable[Ticket], running: Mapping[str, int], policy: QueuePolicy, *, now: datetime) -> list[Ticket]:
    """Waiting tickets, first to go first. ``running`` counts what each share runs already.

    Within a rank the shares take turns: a share's next ticket comes after as many of every other share's as it already
    runs. Ties go to the earlier arrival, then the lower id, so that every replica sees the same order.
    """
    by_rank: dict[int, list[Ticket]] = defaultdict(list)
    for ticket in sorted(waiting, key=lambda t: (t.waiting_since, t.id)):
        by_rank[rank(ticket, policy, now=now)].append(ticket)
    ordered: list[Ticket] = []
    for number in sorted(by_rank):
        turns = dict(running)
        keyed = []
        for ticket in by_rank[number]:
            share = ticket.labels.value(policy.fair_share)
            keyed.append((turns.get(share, 0), ticket.waiting_since, ticket.id, ticket))
            turns[share] = turns.get(share, 0) + 1
        ordered += [ticket for *_, ticket in sorted(keyed)]
    return ordered


def rank(ticket: Ticket, policy: QueuePolicy, *, now: datetime) -> int:
    """A ticket's place by class and age; lower goes first, and age can lift it above every class."""
    return ticket.priority.rank - int((now - ticket.waiting_since) / policy.aging_step)
