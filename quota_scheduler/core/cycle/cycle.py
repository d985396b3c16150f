"""One cycle: a batch of requests against one snapshot, decided in order, one set of changes out.

    1  what has fallen due      resets, leases nobody renewed, offers nobody claimed, deadlines                  due
    2  what running work says   renew, release, withdraw, revoke: it returns room before anybody asks for it  leases
    3  who may start            arrivals are put in line with what waits, and never pass it                   starts
    4  answers                  each request gets its ticket as it stands now                                answers

Submit, renew, release, expire, reset and wake are inputs of this one motion. ``snapshot.now`` is the only time it sees.
"""

from collections.abc import Mapping, Sequence

from quota_scheduler.core.admission.decide import Verdict
from quota_scheduler.core.cycle import closing
from quota_scheduler.core.cycle.answers import answer, preview
from quota_scheduler.core.cycle.due import fall_due
from quota_scheduler.core.cycle.leases import apply_report
from quota_scheduler.core.cycle.requests import (
    Answer,
    Hold,
    Read,
    Reclass,
    Refusal,
    Refused,
    Release,
    Renew,
    Request,
    Revoke,
    Start,
    Submit,
    Withdraw,
)
from quota_scheduler.core.cycle.result import Changes, Decided, Onward
from quota_scheduler.core.cycle.snapshot import Snapshot
from quota_scheduler.core.cycle.starts import Starts
from quota_scheduler.core.cycle.tally import tally
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.tickets.ticket import Outcome, State, Ticket

Noted = tuple[Refused | None, int]
"""A refusal, or the ticket to answer with."""


def decide_batch(requests: Sequence[Request], snapshot: Snapshot) -> Decided:
    """Answer a batch of requests with one decision.

    The balances and the throttle queue of the snapshot are moved in place; all other changes are in the result.
    """
    work = Work(snapshot)
    starts = Starts(work)
    fall_due(work)
    noted = [_settle_or_note(request, work, starts) for request in requests]
    starts.start_what_may()
    running = work.running()
    given: dict[int, Answer] = {}
    answers = tuple(
        refused or _answer(request, number, work, starts, running, given)
        for request, (refused, number) in zip(requests, noted, strict=True)
    )
    slots = [at for at in (starts.next_slot, work.breakers.next_change(work.now)) if at]
    onward = Onward(work.numbers, running, starts.unfinished, min(slots, default=None))
    return Decided(answers, tuple(starts.decisions), _changes(work, starts.decisions), onward)


def _settle_or_note(request: Request, work: Work, starts: Starts) -> Noted:
    """Carry out what returns room; note who is asking."""
    if isinstance(request, Submit):
        return (None, 0) if request.dry_run else starts.arrive(request.draft)
    if isinstance(request, Read | Withdraw | Renew | Release) and _is_out_of_scope(request, work):
        return Refused(Refusal.NOT_FOUND), request.ticket
    if isinstance(request, Withdraw | Renew | Release) and _is_foreign(request, work):
        return Refused(Refusal.NOT_OWNER), request.ticket
    if isinstance(request, Renew | Release):
        return apply_report(request, work), request.ticket
    if request.ticket in starts.newcomers:  # of this very batch: whoever names one finds it in line
        starts.stand_in_line()
    ticket = work.ticket(request.ticket)
    if ticket is None:
        return Refused(Refusal.NOT_FOUND), request.ticket
    _carry_out(request, ticket, work, starts)
    return None, ticket.id


def _is_out_of_scope(request: Read | Withdraw | Renew | Release, work: Work) -> bool:
    """Whether a bound token asks for a ticket of others: then there is none."""
    ticket = work.ticket(request.ticket) if request.scope.is_bound else None
    return ticket is not None and not request.scope.holds(ticket.labels)


def _is_foreign(request: Withdraw | Renew | Release, work: Work) -> bool:
    """Whether a token asks for what only the owner of the ticket may."""
    ticket = work.ticket(request.ticket)
    return ticket is not None and ticket.is_foreign_to(request.by)


def _carry_out(
    request: Read | Withdraw | Revoke | Hold | Start | Reclass, ticket: Ticket, work: Work, starts: Starts
) -> None:
    match request:
        case Read(number, claim=True) if not ticket.is_foreign_to(request.by):
            starts.claim(number)
        case Withdraw() if ticket.state is not State.CLOSED:
            work.close(ticket, Outcome.WITHDRAWN)
        case Revoke() if ticket.state is not State.CLOSED:
            work.close(ticket, Outcome.REVOKED)
        case Hold(_, on):
            work.put(ticket._replace(on_hold=on))
            work.touch(ticket)
        case Reclass(_, priority) if ticket.state is State.WAITING:
            work.touch(ticket)
            work.put(ticket._replace(priority=priority))
        case Start() if ticket.state is State.WAITING:
            starts.force(ticket)


def _answer(
    request: Request, number: int, work: Work, starts: Starts, running: Mapping[str, int], given: dict[int, Answer]
) -> Answer:
    """The answer to one request; what was decided as one is worked out once, and kept in ``given`` by its first."""
    if isinstance(request, Submit) and request.dry_run:
        return preview(request.draft, starts.verdict_of_draft(request.draft), work)
    ticket = work.ticket(number)
    assert ticket is not None
    first = starts.alike.get(number)
    if first is None:
        return answer(ticket, starts.verdict_of(ticket), work, running)
    if first not in given:
        given[first] = answer(ticket, starts.verdict_of(ticket), work, running)
    return given[first].of(ticket)


def _changes(work: Work, decisions: Sequence[tuple[Ticket, Verdict]]) -> Changes:
    """What the store writes."""
    moved, balances, rows = work.moved(), work.balances, work.snap.rows
    warned = [
        ("quota_would_defer_total", (blocker.instance, ticket.priority.value))
        for ticket, verdict in decisions
        for blocker in verdict.warned
    ]
    expired = [
        ("quota_leases_expired_total", (instance.name,))
        for ticket in work.expired
        for instance in balances.instances(ticket.labels.asking)
    ]
    return Changes(
        tickets=work.changed,
        ledger=work.corrections(),
        past_leases=work.past_leases,
        unmet=closing.unmet_demand(moved, balances),
        turned_away=closing.turned_away(moved, balances),
        finished=closing.finished_runs(moved, rows.transcribed, now=work.now),
        counters=[*warned, *expired, *closing.counters(moved, balances)],
        breakers=work.breakers.changed,
        tallied=tally(decisions, moved, balances),
    )
