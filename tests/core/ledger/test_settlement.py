"""Settlement: a run's reports and its transcript describe the same usage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.deduplicate import Change
from quota_scheduler.core.ledger.settlement import (
    adopted,
    at_reset,
    attribute,
    is_of,
    lease_key,
    lease_prefix,
    merged,
    own_events,
    owned,
    report,
    settle,
)
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Checkpoint, Outcome, State
from quota_scheduler.core.usage import Usage, UsageEvent, total
from tests.builders import (
    DAY,
    HOUR,
    MICRO,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    SECOND,
    a_lease,
    a_limit,
    a_report,
    a_running_ticket,
    a_session_limit,
    a_usage_event,
    some_balances,
    some_labels,
    some_usage,
)

LATER = MONDAY + 2 * DAY


def test_the_keys_of_two_leases_never_mix():
    assert lease_key(1, 2, 0, "opus") == "lease:1:2:0:opus"
    assert not lease_key(1, 23, 0, "opus").startswith(lease_prefix(1, 2))
    assert not lease_key(12, 3, 0, "opus").startswith(lease_prefix(1, 2))


@pytest.mark.parametrize(
    ("before", "report", "after"),
    [
        pytest.param((), None, (), id="nothing is said"),
        pytest.param((), a_report(10), a_report(10), id="the first report"),
        pytest.param(a_report(10), a_report(25), a_report(25), id="totals grow"),
        pytest.param(a_report(10), a_report(5), a_report(10), id="and never shrink"),
        pytest.param(a_report(10), None, a_report(10), id="a heartbeat without figures"),
        pytest.param(
            a_report(10, "opus"),
            a_report(5, "haiku"),
            (*a_report(5, "haiku"), *a_report(10, "opus")),
            id="another model",
        ),
    ],
)
def test_merged(before, report, after):
    assert merged(before, report) == after


REPORTS = st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 100)), max_size=2), max_size=6)


@given(REPORTS)
def test_reports_in_any_order_end_in_the_same_total(told):
    reports = [tuple((model, some_usage(tokens)) for model, tokens in dict(each).items()) for each in told]
    forwards, backwards = (), ()
    for each in reports:
        forwards = merged(forwards, each)
    for each in reversed(reports):
        backwards = merged(backwards, each)
    assert forwards == backwards


def held(limit, *, amount=60, now=MONDAY):
    balances = some_balances(limit, now=now)
    return balances, balances.reserve(1, LimitInstance(limit, ""), amount, running=True)


def test_a_report_moves_only_the_newest_windows_part():
    balances, first = held(a_limit())
    report(a_running_ticket(), a_lease(reported=a_report(20)), balances)
    balances.now = MIDNIGHT
    balances.roll()
    _, second = balances.open_reservations(1)
    report(a_running_ticket(), a_lease(reported=a_report(35)), balances)
    assert (first.reported, second.before, second.reported, second.held) == (20, 20, 15, 25)


TICKET = a_running_ticket(60, team="growth", lease=a_lease(session="s1"))
ENDED = a_lease(session="s1", ended_at=MONDAY + HOUR)


@pytest.mark.parametrize(
    ("event", "lease", "own"),
    [
        pytest.param(a_usage_event(session="s1"), TICKET.lease, True, id="its session from its first instant"),
        pytest.param(
            a_usage_event(session="s1", at=MONDAY - SECOND), TICKET.lease, True, id="R1: a second before the grant"
        ),
        pytest.param(a_usage_event(session="s1", at=MONDAY - 30 * SECOND), TICKET.lease, True, id="R1: 30 s before"),
        pytest.param(a_usage_event(session="s1", at=MONDAY - 2 * MINUTE - MICRO), TICKET.lease, False, id="no more"),
        pytest.param(a_usage_event(session="s1", at=LATER), TICKET.lease, True, id="as long as it runs"),
        pytest.param(a_usage_event(session="s2"), TICKET.lease, False, id="another session"),
        pytest.param(a_usage_event(session="s1", key="lease:9:9:0:"), TICKET.lease, False, id="another lease's report"),
        pytest.param(a_usage_event(session="s1", at=MONDAY + HOUR + 2 * MINUTE), ENDED, True, id="just after its end"),
        pytest.param(a_usage_event(session="s1", at=MONDAY + HOUR + 3 * MINUTE), ENDED, False, id="not long after"),
    ],
)
def test_which_events_are_a_leases_transcript(event, lease, own):
    assert is_of(event, lease) is own


def test_an_event_that_is_adopted_gets_the_labels_run_class_and_flags_of_its_lease():
    ticket = TICKET._replace(priority=Priority.LOW, flags=("batching",), run="nightly")
    event = a_usage_event(session="s1", model="opus", project="site", run="s1", flags=("external_tools",))
    assert owned(event, ticket) == replace(
        event,
        labels=some_labels(model="opus", project="site", team="growth"),
        run="nightly",
        priority=Priority.LOW,
        flags=("batching",),
    )


def test_adopting_changes_only_what_is_its_own_and_not_yet_known_as_such():
    mine, other = a_usage_event(session="s1"), a_usage_event(key="e2", session="s2")
    early = a_usage_event(key="e3", session="s1", at=MONDAY - HOUR)
    known = owned(a_usage_event(key="e4", session="s1"), TICKET)
    assert adopted([mine, other, early, known], TICKET) == [Change(mine, owned(mine, TICKET))]
    assert adopted([mine], TICKET._replace(lease=None)) == []


@pytest.mark.parametrize(
    ("changes", "ledgered"),
    [
        pytest.param([Change(None, a_usage_event(10, session="s1"))], 10, id="what its transcript brings"),
        pytest.param([Change(None, a_usage_event(10, session="s2"))], 0, id="not another's"),
        pytest.param(
            [Change(a_usage_event(10, session="s1"), a_usage_event(25, session="s1"))],
            15,
            id="the difference of what grew",
        ),
        pytest.param([Change(a_usage_event(10, session="s1"), None)], 0, id="never less than nothing"),
        pytest.param([Change(None, a_usage_event(10, session="s1", at=MIDNIGHT))], 0, id="in its own window alone"),
    ],
)
def test_attribute(changes, ledgered):
    balances, reservation = held(a_limit())
    attribute(TICKET, changes, balances)
    assert reservation.ledgered == ledgered


@pytest.mark.parametrize("ticket", [TICKET._replace(lease=None), a_running_ticket()], ids=["no lease", "no session"])
def test_without_a_session_nothing_is_attributed(ticket):
    balances, reservation = held(a_limit())
    attribute(ticket, [Change(None, a_usage_event(10, session=""))], balances)
    assert reservation.ledgered == 0


def test_at_a_reset_a_lease_remembers_what_it_had_reported_once():
    lease = a_lease(reported=a_report(20))
    once = at_reset(lease, MIDNIGHT)
    assert once.checkpoints == (Checkpoint(MIDNIGHT, a_report(20)),)
    assert at_reset(once, MIDNIGHT + DAY) == once
    assert at_reset(a_lease(), MIDNIGHT) == a_lease()


def an_own_event(key, at, tokens, *, requests=1, model=""):
    return UsageEvent(
        key=key, at=at, labels=some_labels(model=model), usage=some_usage(tokens, requests=requests), run="ticket:1",
        priority=Priority.NORMAL, terms=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lease", "events"),
    [
        pytest.param(a_lease(), [], id="nothing was reported"),
        pytest.param(a_lease(reported=a_report(0) and (("", Usage()),)), [], id="nothing was used"),
        pytest.param(
            a_lease(reported=a_report(10)), [an_own_event("lease:1:1:0:", LATER, 10)], id="one event at its end"
        ),
        pytest.param(
            a_lease(reported=a_report(10), ended_at=MONDAY + HOUR),
            [an_own_event("lease:1:1:0:", MONDAY + HOUR, 10)],
            id="also when it is told later",
        ),
        pytest.param(
            a_lease(reported=(*a_report(5, "haiku"), *a_report(10, "opus"))),
            [
                an_own_event("lease:1:1:0:haiku", LATER, 5, model="haiku"),
                an_own_event("lease:1:1:0:opus", LATER, 10, model="opus"),
            ],
            id="one for each model",
        ),
        pytest.param(
            a_lease(reported=a_report(35), checkpoints=(Checkpoint(MIDNIGHT, a_report(20)),)),
            [an_own_event("lease:1:1:0:", MIDNIGHT - MICRO, 20), an_own_event("lease:1:1:1:", LATER, 15, requests=0)],
            id="what was reported before a reset just before it, the rest after it",
        ),
        pytest.param(
            a_lease(reported=a_report(20), checkpoints=(Checkpoint(MIDNIGHT, a_report(20)),)),
            [an_own_event("lease:1:1:0:", MIDNIGHT - MICRO, 20)],
            id="nothing after it",
        ),
        pytest.param(
            a_lease(reported=a_report(20), checkpoints=(Checkpoint(MONDAY, a_report(20)),)),
            [an_own_event("lease:1:1:0:", MONDAY, 20)],
            id="never before it was granted",
        ),
    ],
)
def test_what_a_lease_is_settled_as(lease, events):
    assert own_events(a_running_ticket(), lease, now=LATER) == events


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6))
def test_the_parts_between_resets_add_up_to_the_whole(growth):
    lease, used = a_lease(), 0
    for day, more in enumerate(growth, 1):
        used += more
        lease = at_reset(lease._replace(reported=merged(lease.reported, a_report(used))), MONDAY + day * HOUR)
    events = own_events(a_running_ticket(), lease, now=LATER)
    assert total(event.usage for event in events).tokens == used
    assert len({event.key for event in events}) == len(events)


@pytest.mark.parametrize(("transcribed", "events"), [(True, 0), (False, 1)], ids=["with a transcript", "without"])
def test_settling_returns_everything_and_writes_the_report_unless_the_transcript_counts(transcribed, events):
    balances, _ = held(a_session_limit())
    ticket = a_running_ticket(60, lease=a_lease(reported=a_report(20)), offer_until=MONDAY)
    report(ticket, ticket.lease, balances)
    closed, written = settle(ticket, balances, Outcome.COMPLETED, session_counts=transcribed, now=MONDAY + HOUR)
    (balance,) = balances.all()
    assert (balance.reserved, balance.reported, len(written)) == (0, 0, events)
    assert closed == ticket._replace(
        state=State.CLOSED, outcome=Outcome.COMPLETED, closed_at=MONDAY + HOUR, offer_until=None,
        lease=ticket.lease._replace(ended_at=MONDAY + HOUR),
    )  # fmt: skip


def test_what_never_ran_has_nothing_to_settle():
    balances = some_balances(a_limit())
    ticket = a_running_ticket()._replace(state=State.OFFERED, lease=None)
    closed, written = settle(ticket, balances, Outcome.WITHDRAWN, session_counts=False, now=MONDAY)
    assert (closed.state, closed.lease, written) == (State.CLOSED, None, [])
