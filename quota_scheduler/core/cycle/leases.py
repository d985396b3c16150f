"""What running work says: reports, heartbeats, releases, and those that come too late."""

from collections.abc import Iterable
from datetime import timedelta

from quota_scheduler.core.cycle.requests import Refusal, Refused, Release, Renew
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.settlement import adopted, attribute, merged, own_events, report
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.scope import Scope
from quota_scheduler.core.tickets.ticket import Lease, State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent

GROWTH_SHARE = 4
"""An overrun lease grows by a quarter of its reservation at a time: one runner cannot take all that is left."""


def apply_report(request: Renew | Release, work: Work) -> Refused | None:
    """Take in what a lease reports; None when it still had the right to.

    An old fence has lost the right to go on, not its usage.
    """
    ticket = work.ticket(request.ticket)
    if ticket is None:
        return Refused(Refusal.NOT_FOUND)
    if ticket.state is not State.RUNNING or ticket.lease is None or ticket.lease.fence != request.fence:
        return _apply_late_report(ticket, request, work)
    lease = ticket.lease._replace(reported=merged(ticket.lease.reported, request.usage))
    ticket = work.put(_bound(ticket._replace(lease=lease), request, work))
    report(ticket, lease, work.balances)
    work.touch(ticket)
    if isinstance(request, Release):
        work.close(ticket, request.outcome)
    else:
        _renew(ticket, request.ttl or lease.ttl, work)
    return None


def _bound(ticket: Ticket, request: Renew | Release, work: Work) -> Ticket:
    """Bind an agent session to a lease: what its transcript has brought so far was this run all along."""
    lease, session = ticket.lease, request.session
    if lease is None or not session or session == lease.session:
        return ticket
    ticket = ticket._replace(lease=lease._replace(session=session))
    events = _claimable(work.of_session(session), request.scope)
    changes = adopted(events, ticket)
    work.book(changes)
    kept = {old.identity for old, _ in changes if old}
    attribute(ticket, [Change(None, new) for _, new in changes if new], work.balances)
    attribute(ticket, [Change(None, event) for event in events if event.identity not in kept], work.balances)
    return ticket


def _apply_late_report(ticket: Ticket, request: Renew | Release, work: Work) -> Refused | None:
    """What a lease that has ended says: its usage is settled anew, the same keys, the larger total."""
    lease = ticket.lease
    if lease is None or lease.fence != request.fence:
        lease = work.past_lease(request.fence)
    if lease is None:
        return Refused(Refusal.STALE_FENCE if ticket.lease else Refusal.NOT_FOUND, ticket if ticket.lease else None)
    session = request.session or lease.session
    more = lease._replace(reported=merged(lease.reported, request.usage), session=session)
    if more == lease and isinstance(request, Release) and request.outcome is ticket.outcome:
        return None  # the same release once more: its answer got lost
    _settle_anew(ticket._replace(lease=more), more, work, request.scope)
    if ticket.lease and ticket.lease.fence == more.fence:
        ticket = work.put(ticket._replace(lease=more))
    else:
        work.past_leases[more.fence] = (ticket.id, more)
    return Refused(Refusal.STALE_FENCE, ticket)


def _claimable(events: Iterable[UsageEvent], scope: Scope) -> list[UsageEvent]:
    """A session's events without those that others were charged for already: a bound token cannot take them over."""
    return [event for event in events if not isinstance(scope.filled(event.labels), str)]


def _settle_anew(ticket: Ticket, lease: Lease, work: Work, scope: Scope) -> None:
    """What is known of an ended lease by now is its usage: its session's transcript, else its own reports."""
    work.book(adopted(_claimable(work.of_session(lease.session), scope), ticket))
    if work.has_transcript(lease):
        work.book([Change(own, None) for own in work.own_reports(ticket.id, lease.fence)])
    else:
        work.book_own(own_events(ticket, lease, now=work.now))


def _renew(ticket: Ticket, ttl: timedelta, work: Work) -> None:
    assert ticket.lease is not None
    work.breakers.reported(ticket.id, work.now)
    work.put(ticket._replace(lease=ticket.lease._replace(expires_at=work.now + ttl, ttl=ttl)))
    if not _grown(ticket, work) or _over_cap(ticket, work):
        work.stops.add(ticket.id)


def _grown(ticket: Ticket, work: Work) -> bool:
    """Let an overrun reservation grow where there is room; False when an enforced limit has none."""
    fits = True
    headrooms = {headroom.instance.name: headroom for headroom in work.headrooms.of(ticket)}
    for reservation in work.balances.open_reservations(ticket.id):
        balance = work.balances.balance_of(reservation)
        if not reservation.overrun or balance.closed or balance.limit.unit is Unit.LEASES:
            continue
        more = max(1, reservation.amount // GROWTH_SHARE)
        headroom = headrooms.get(balance.name) or work.headrooms.headroom(LimitInstance(balance.limit, balance.value))
        ceiling = headroom.ceiling(ticket.priority, work.now)
        if balance.spent + balance.reserved + more <= ceiling:
            needed = reservation.spent + more
            work.balances.update(reservation, amount=needed, whole=needed)
        elif balance.limit.mode is Mode.ENFORCE:
            fits = False
    return fits


def _over_cap(ticket: Ticket, work: Work) -> bool:
    lease, used = ticket.lease, work.snap.runs.used.get(ticket.run_id, Usage())
    if lease:  # what the ledger knows of this lease already is the same usage that it reports
        transcribed = work.snap.rows.transcribed.get(lease.fence, Usage())
        used = used.minus(transcribed).plus(transcribed.at_least(lease.usage))
    return any(cap.charge(used) > cap.amount for cap in work.caps(ticket) if cap.mode is Mode.ENFORCE)
