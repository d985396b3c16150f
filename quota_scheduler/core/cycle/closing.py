"""What tickets leave behind as they close: unmet demand, work that limits turned away, and examples for estimates."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.tickets.run_history import Finished
from quota_scheduler.core.tickets.ticket import GIVEN_UP, NEVER_RAN, NO_ROOM, Outcome, State, Ticket, need
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage

BROKEN_OFF = frozenset({Outcome.FAILED, Outcome.EXPIRED, Outcome.REVOKED, Outcome.PAUSED_QUOTA})
"""Outcomes of a lease that did not finish its work."""

Moved = tuple[Ticket | None, Ticket]
"""A ticket as it was before the cycle, None for a new one, and as it is after it."""


class UnmetDemand(Struct, frozen=True):
    """Work that wanted to run in a limit when it arrived and did not, in the limit's unit; negative: it is back."""

    arrived_at: datetime
    instance: str
    rank: int
    amount: int


class TurnedAway(Struct, frozen=True):
    """Work that one window of a limit turned away, in the limit's unit, and whether it had begun: a stall."""

    rule: str
    value: str
    starts_at: datetime
    rank: int
    amount: int
    stalled: bool


class FinishedRun(Struct, frozen=True):
    """How a run ended, and what that teaches about the next one, if anything."""

    ticket: int
    run: str
    status: str
    example: Finished | None


class Harm(Struct, frozen=True):
    """Work of a class that one limit turned away (``amount`` in its unit), and whether it had begun: a stall."""

    instance: LimitInstance
    rank: int
    amount: int
    stalled: bool


def unmet_demand(moved: Iterable[Moved], balances: Balances) -> list[UnmetDemand]:
    """The need of tickets that closed without having run; one that its key opens again is taken back."""
    rows: list[UnmetDemand] = []
    for before, ticket in moved:
        sign = int(_is_unmet(ticket)) - int(before is not None and _is_unmet(before))
        rows += [
            UnmetDemand(ticket.created_at, instance.name, ticket.priority.rank, sign * need(ticket, instance.limit))
            for instance in (balances.instances(ticket.labels.asking) if sign else ())
            if instance.limit.is_windowed and instance.limit.unit is not Unit.LEASES
        ]
    return rows


def _is_unmet(ticket: Ticket) -> bool:
    """Whether a ticket wanted to run and did not; what never fits, or passes a cap, is no demand that could be met."""
    if ticket.state is not State.CLOSED or ticket.lease is not None:
        return False
    return ticket.outcome in NEVER_RAN or (ticket.outcome is Outcome.REJECTED and ticket.reason in NO_ROOM)


def turned_away(moved: Iterable[Moved], balances: Balances) -> list[TurnedAway]:
    """The work that tickets which have just closed could not do, by the window that turned it away."""
    rows = []
    for harm in (harm for before, ticket in moved if _closes(before, ticket) for harm in harm_of(ticket, balances)):
        balance = balances.find(harm.instance, balances.now)
        if balance and balance.window:
            starts_at = balance.window.starts_at
            rows.append(TurnedAway(balance.limit.id, balance.value, starts_at, harm.rank, harm.amount, harm.stalled))
    return rows


def _closes(before: Ticket | None, ticket: Ticket) -> bool:
    """Whether a ticket closed in this cycle: one that only reports late did so before."""
    return ticket.state is State.CLOSED and (before is None or before.closed_at != ticket.closed_at)


def harm_of(ticket: Ticket, balances: Balances) -> list[Harm]:
    """Which limits a ticket was turned away by as it closed; empty for one that was not.

    Those that had no room for it. When each had some, the test held it back for others, and all that bind it count;
    unless it waited for a lease or for an operator, which is no matter of quota.
    """
    if ticket.state is not State.CLOSED or not _is_harmed(ticket):
        return []
    short: list[Harm] = []
    held_back: list[Harm] = []
    quotas_rule = not ticket.on_hold
    for instance in balances.instances(ticket.labels.asking):
        balance, limit = balances.find(instance, balances.now), instance.limit
        if balance is None or limit.mode is not Mode.ENFORCE:
            continue
        if limit.unit is Unit.LEASES:
            quotas_rule &= balance.reserved < balance.amount
            continue
        wanted = limit.charge(ticket.estimate.median)
        done = limit.charge(ticket.lease.usage) if ticket.lease else 0
        harm = Harm(instance, ticket.priority.rank, max(0, wanted - done), ticket.lease is not None)
        full = (
            balance.spent >= balance.amount
            if ticket.lease
            else balance.spent + balance.reserved + wanted > balance.amount
        )
        (short if full else held_back).append(harm)
    return short if short or ticket.lease or not quotas_rule else held_back


def _is_harmed(ticket: Ticket) -> bool:
    if ticket.lease:
        return ticket.outcome in BROKEN_OFF
    return ticket.outcome in GIVEN_UP or (ticket.outcome is Outcome.REJECTED and ticket.reason in NO_ROOM)


def finished_runs(moved: Iterable[Moved], transcribed: Mapping[int, Usage], *, now: datetime) -> list[FinishedRun]:
    """How runs ended; ``transcribed`` is what sessions brought to the ledger, by fence."""
    return [
        FinishedRun(ticket.id, ticket.run_id, ticket.outcome.value, _example(ticket, transcribed, now))
        for _, ticket in moved
        if ticket.outcome in (Outcome.COMPLETED, Outcome.FAILED, Outcome.PAUSED_QUOTA)
    ]


def _example(ticket: Ticket, transcribed: Mapping[int, Usage], now: datetime) -> Finished | None:
    """What a completed run took: nothing is learned from one that used nothing or says not what it was."""
    lease, labels, estimate = ticket.lease, ticket.labels, ticket.estimate
    if ticket.outcome is not Outcome.COMPLETED or lease is None or not (labels.workflow or labels.task_type):
        return None
    usage = lease.usage.at_least(transcribed.get(lease.fence, Usage()))
    if not usage.tokens:
        return None
    expected, guessed = estimate.guess or estimate.median.tokens, estimate.guess > 0
    return Finished(now, labels.workflow, labels.task_type, estimate.words, expected, guessed, usage)


def counters(moved: Iterable[Moved], balances: Balances) -> list[tuple[str, tuple[str, ...]]]:
    """What counters of the queue rise by: tickets that it let go, and those it lost."""
    rows: list[tuple[str, tuple[str, ...]]] = []
    for before, ticket in moved:
        waited = before is not None and before.state is State.WAITING
        woken = waited and ticket.state in (State.OFFERED, State.RUNNING)
        lost = before is not None and before.state in (State.WAITING, State.OFFERED) and ticket.state is State.CLOSED
        name = "quota_tickets_woken_total" if woken else "quota_tickets_abandoned_total" if lost else ""
        for instance in balances.instances(ticket.labels.asking) if name else ():
            rows.append((name, (instance.name, ticket.priority.value)))
    return rows
