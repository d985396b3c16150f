"""What a cycle has to read for its requests, from the requests themselves and the tickets that they name."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from quota_scheduler.core.cycle.requests import Release, Renew, Request, Revoke, Submit, Withdraw
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.tickets.ticket import Lease, State, Ticket


class Needs(Struct, frozen=True):
    """What to read beside the tickets.

    ``settling`` are the tickets whose lease may be settled in this cycle, ``settled`` those of them that may have been
    settled before: their ledger events are needed. ``past`` names earlier leases by ticket and fence, ``sessions``
    those that a request binds to a lease. The totals of ``runs`` are needed, of ``shared_runs`` their open tickets too.
    ``labels`` are those whose windows must be open.
    """

    settling: tuple[Ticket, ...]
    settled: tuple[Ticket, ...]
    past: tuple[tuple[int, int], ...]
    sessions: tuple[str, ...]
    runs: frozenset[str]
    shared_runs: frozenset[str]
    labels: frozenset[Labels]

    def leases(self, past: Mapping[int, Lease]) -> list[tuple[Lease, str]]:
        """The leases that may be settled, with the ``past`` ones that were read, each with its named run."""
        runs = {ticket.id: ticket.run for ticket in self.settling}
        present = [(ticket.lease, ticket.run) for ticket in self.settling if ticket.lease]
        return [*present, *((past[fence], runs.get(ticket, "")) for ticket, fence in self.past if fence in past)]

    def corrected_since(self, past: Mapping[int, Lease]) -> datetime | None:
        """How far back closed windows may have to be corrected: to the beginning of what reports late or is bound anew.

        None when nothing can be.
        """
        late = any(ticket.state is not State.RUNNING for ticket in self.settling)
        if not late and not past and not self.sessions:
            return None
        return min((lease.granted_at for lease, _ in self.leases(past)), default=None)


def drafts_of(requests: Iterable[Request]) -> list[Ticket]:
    """What is submitted, or asked about."""
    return [request.draft for request in requests if isinstance(request, Submit)]


def named_by(requests: Iterable[Request]) -> set[int]:
    """The ids of the tickets that requests are about."""
    return {request.ticket for request in requests if not isinstance(request, Submit)}


def needs_of(requests: Sequence[Request], tickets: Mapping[int, Ticket], *, now: datetime) -> Needs:
    """What to read for these requests; ``tickets`` are those they name and those that have fallen due."""
    drafts = drafts_of(requests)
    reports = [r for r in requests if isinstance(r, Renew | Release) and r.ticket in tickets]
    late = [report for report in reports if report.fence != _fence(tickets[report.ticket])]
    ending = {request.ticket for request in requests if isinstance(request, Renew | Release | Withdraw | Revoke)}
    ending |= {number for number, ticket in tickets.items() if _has_run_out(ticket, now)}
    settling = tuple(tickets[number] for number in sorted(ending) if number in tickets)
    named_again = {report.ticket for report in late}
    return Needs(
        settling=settling,
        settled=tuple(t for t in settling if t.state is not State.RUNNING or t.id in named_again),
        past=tuple((report.ticket, report.fence) for report in late),
        sessions=tuple(sorted(_newly_bound(requests, tickets))),
        runs=frozenset({draft.run for draft in drafts if draft.run} | {t.run_id for t in tickets.values()}),
        shared_runs=frozenset(draft.run for draft in drafts if draft.run),
        labels=frozenset(ticket.labels.asking for ticket in (*drafts, *tickets.values())),
    )


def _newly_bound(requests: Iterable[Request], tickets: Mapping[int, Ticket]) -> set[str]:
    """The sessions that a report names and its lease does not."""
    sessions = set()
    for request in requests:
        if isinstance(request, Renew | Release) and request.session:
            lease = tickets[request.ticket].lease if request.ticket in tickets else None
            if lease is None or (lease.fence, lease.session) != (request.fence, request.session):
                sessions.add(request.session)
    return sessions


def _has_run_out(ticket: Ticket, now: datetime) -> bool:
    return ticket.state is State.RUNNING and ticket.lease is not None and ticket.lease.expires_at <= now


def _fence(ticket: Ticket) -> int:
    """The fence of a ticket's lease; 0, which no lease has, when there is none."""
    return ticket.lease.fence if ticket.lease else 0
