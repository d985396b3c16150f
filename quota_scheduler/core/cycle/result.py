"""What a cycle gives back: answers, what the store writes, and what the next cycle goes on with."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.admission.breakers import Account
from quota_scheduler.core.admission.decide import Verdict
from quota_scheduler.core.cycle.closing import FinishedRun, TurnedAway, UnmetDemand
from quota_scheduler.core.cycle.requests import Reply
from quota_scheduler.core.cycle.snapshot import Numbers, Unfinished
from quota_scheduler.core.cycle.tally import Tallied
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.tickets.ticket import Lease, Ticket


class Changes(Struct, frozen=True):
    """Rows for the store: it writes them as they are and decides nothing.

    ``ledger`` are corrections that the balances have counted already; ``past_leases`` are earlier leases that reported
    once more, by fence with their ticket. ``unmet``, ``turned_away`` and ``finished`` is what closing tickets leave
    behind; ``counters`` names each counter that rises by one, with its labels. ``breakers`` are those that moved, by
    account, None for one that is forgotten. ``tallied`` is every decision, as it is counted for good.
    """

    tickets: Mapping[int, Ticket]
    ledger: Sequence[Change]
    past_leases: Mapping[int, tuple[int, Lease]]
    unmet: Sequence[UnmetDemand]
    turned_away: Sequence[TurnedAway]
    finished: Sequence[FinishedRun]
    counters: Sequence[tuple[str, tuple[str, ...]]]
    breakers: Mapping[Account, Breaker | None]
    tallied: Sequence[Tallied]


class Onward(Struct, frozen=True):
    """What the next cycle goes on with; ``next_slot`` is when a ramp, or a breaker, lets the next ticket start."""

    numbers: Numbers
    running: Mapping[str, int]
    unfinished: Unfinished
    next_slot: datetime | None


class Decided(Struct, frozen=True):
    """What a cycle decided: an answer per request, in order, and the verdict of each arrival and each start."""

    answers: tuple[Reply, ...]
    decisions: tuple[tuple[Ticket, Verdict], ...]
    changes: Changes
    onward: Onward
