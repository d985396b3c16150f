"""What has fallen due: resets, leases nobody renewed, offers nobody claimed, deadlines and longest waits."""

from collections.abc import Mapping

from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.settlement import at_reset
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State, Ticket


def fall_due(work: Work) -> None:
    """Let everything happen that only had to wait for this instant; resets come before what they free is asked for."""
    ended = _reset_windows(work)
    _end_leases(work, ended)
    _take_back_offers(work)
    _end_waits(work)
    _let_press(work)


def _reset_windows(work: Work) -> Mapping[int, Balance]:
    """Close the windows that have ended, by id; what waited for one starts over a ramp in the next."""
    ended = work.balances.roll(offered={ticket.id for ticket in work.in_state(State.OFFERED)})
    for balance in ended:
        work.touched.add(balance.name)
        if ramp := work.policy.ramp_for(work.queue.count(balance.name)):
            following = work.balances.open_for_offer(LimitInstance(balance.limit, balance.value))
            following.ramp, following.dirty = ramp, True
            work.queue.ramps.reset(following, work.now)
    return {balance.id: balance for balance in ended}


def _end_leases(work: Work, ended: Mapping[int, Balance]) -> None:
    """Leases go on over a reset, remembering what they had reported; those nobody renewed settle."""
    for ticket in work.in_state(State.RUNNING):
        lease = ticket.lease
        reservations = work.balances.reservations.get(ticket.id, ())
        crossed = [ended[reservation.window] for reservation in reservations if reservation.window in ended]
        if lease and crossed:
            resets = [balance.window.ends_at for balance in crossed if balance.window]
            ticket = work.put(ticket._replace(lease=at_reset(lease, min(resets))))
        if lease and lease.expires_at <= work.now and work.snap.terms.expire_leases:
            work.expired.append(ticket)
            work.close(ticket, Outcome.EXPIRED)


def _take_back_offers(work: Work) -> None:
    """An offer nobody claimed goes back with its age; the last time its ticket is abandoned."""
    for ticket in work.in_state(State.OFFERED):
        if _is_late(ticket, work):
            work.close(ticket, Outcome.DEADLINE, Reason.DEADLINE)
        elif ticket.offer_until and ticket.offer_until <= work.now:
            if ticket.offers >= work.policy.max_offers:
                work.close(ticket, Outcome.ABANDONED, Reason.ABANDONED)
            else:
                _take_back(ticket, work)


def _take_back(ticket: Ticket, work: Work) -> None:
    work.touch(ticket)
    work.breakers.ended(ticket.id, None, work.now)
    for reservation in work.balances.open_reservations(ticket.id):
        work.balances.update(reservation, open=False)
    work.put(ticket._replace(state=State.WAITING, offer_until=None))


def _end_waits(work: Work) -> None:
    for ticket in work.queue.due(work.now):
        if _is_late(ticket, work):
            work.close(ticket, Outcome.DEADLINE, Reason.DEADLINE)
        else:
            work.close(ticket, Outcome.WAITED_TOO_LONG, Reason.WAITED_TOO_LONG)


def _let_press(work: Work) -> None:
    """Look anew at those most of whose patience is spent: they leave less room to others from now on."""
    for ticket in work.queue.press(work.now):
        work.touch(ticket)


def _is_late(ticket: Ticket, work: Work) -> bool:
    return ticket.deadline is not None and ticket.deadline <= work.now
