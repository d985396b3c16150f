"""What a cycle has to read for its requests."""

import pytest

from quota_scheduler.core.cycle.needs import Needs, drafts_of, named_by, needs_of
from quota_scheduler.core.cycle.requests import Read, Release, Renew, Submit, Withdraw
from quota_scheduler.core.tickets.ticket import Outcome, State
from tests.builders import HOUR, MINUTE, MONDAY, a_lease, a_running_ticket, a_ticket, some_labels

RUNNING = a_running_ticket(lease=a_lease(5, session="s"))
ENDED = RUNNING._replace(state=State.CLOSED, outcome=Outcome.COMPLETED)
WAITING = a_ticket(number=2, team="x")
DRAFT = a_ticket(run="night", team="y")


def needs(*requests, tickets=(RUNNING, WAITING), **changes):
    """What is needed, and what is expected where it differs from what two known tickets always need."""
    found = needs_of(requests, {ticket.id: ticket for ticket in tickets}, now=MONDAY)
    always = Needs(
        (), (), (), (), frozenset(ticket.run_id for ticket in tickets), frozenset(),
        frozenset(ticket.labels.asking for ticket in tickets),
    )  # fmt: skip
    expected = {name: changes.get(name, getattr(always, name)) for name in Needs.__slots__}
    return {name: getattr(found, name) for name in Needs.__slots__}, expected


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(needs(), id="nothing is asked"),
        pytest.param(needs(Read(1)), id="looking needs nothing more"),
        pytest.param(needs(Renew(1, 5), settling=(RUNNING,)), id="a heartbeat may come for a lease that has ended"),
        pytest.param(needs(Withdraw(2), settling=(WAITING,), settled=(WAITING,)), id="who withdraws may have run"),
        pytest.param(
            needs(Renew(1, 4), settling=(RUNNING,), settled=(RUNNING,), past=((1, 4),)), id="an old fence has a past"
        ),
        pytest.param(needs(Renew(9, 4)), id="nobody knows that ticket"),
        pytest.param(
            needs(Renew(1, 5, session="t"), settling=(RUNNING,), sessions=("t",)), id="a session is bound to a lease"
        ),
        pytest.param(needs(Renew(1, 5, session="s"), settling=(RUNNING,)), id="it was bound before"),
        pytest.param(
            needs(Release(1, 5), tickets=(ENDED,), settling=(ENDED,), settled=(ENDED,)), id="released once more"
        ),
        pytest.param(
            needs(
                Submit(DRAFT),
                tickets=(),
                runs=frozenset({"night"}),
                shared_runs=frozenset({"night"}),
                labels=frozenset({some_labels(team="y").asking}),
            ),
            id="an arrival needs its windows and its run",
        ),
        pytest.param(
            needs(tickets=(late := a_running_ticket(lease=a_lease(expires_at=MONDAY)),), settling=(late,)),
            id="a lease has run out",
        ),
    ],
)
def test_needs(pair):
    found, expected = pair
    assert found == expected


def test_who_is_named():
    requests = [Submit(DRAFT), Read(3), Renew(1, 5), Read(3)]
    assert (named_by(requests), drafts_of(requests)) == ({1, 3}, [DRAFT])


EARLIER = a_lease(4, at=MONDAY - HOUR)


@pytest.mark.parametrize(
    ("request_", "ticket", "past", "since"),
    [
        pytest.param(Renew(1, 5), RUNNING, {}, None, id="a lease that runs reports in its windows"),
        pytest.param(Release(1, 5), ENDED, {}, MONDAY, id="one that has ended, back to its beginning"),
        pytest.param(Renew(1, 4), RUNNING, {4: EARLIER}, MONDAY - HOUR, id="an earlier one, back to that one's"),
        pytest.param(Renew(1, 5, session="t"), RUNNING, {}, MONDAY, id="a session bound anew"),
    ],
)
def test_how_far_back_windows_may_be_corrected(request_, ticket, past, since):
    assert needs_of([request_], {1: ticket}, now=MONDAY + MINUTE).corrected_since(past) == since
