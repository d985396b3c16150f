"""One cycle without a database: requests and a snapshot in, answers and changes out."""

import pytest
from msgspec.structs import fields

from quota_scheduler.core.cycle.due import fall_due
from quota_scheduler.core.cycle.requests import Hold, Read, Reclass, Release, Revoke, Start, Submit, Withdraw
from quota_scheduler.core.cycle.result import Changes, Decided, Onward
from quota_scheduler.core.cycle.snapshot import Numbers, RunTotals, Snapshot, promised
from quota_scheduler.core.cycle.starts import Starts
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.cycle.work import Work
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.wake import SLICE
from quota_scheduler.core.tickets.ticket import Outcome, State
from tests.builders import (
    HOUR,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_lease,
    a_limit,
    a_report,
    a_run_cap,
    a_running_ticket,
    a_ticket,
    some_usage,
)
from tests.core.cycle.snapshots import RESET, a_snapshot, decided, in_words, reserved, states

HIGH = Priority.HIGH
OFFERED = a_ticket(10, number=1, state=State.OFFERED, offers=1, offer_until=MONDAY + MINUTE)

THEIRS = a_running_ticket(10, key="k1", owner="a")


def draft(tokens=10, **changes):
    return Submit(a_ticket(tokens, **({"key": "new", "body": "b"} | changes)))


@pytest.mark.parametrize(
    ("snapshot", "requests", "answers", "changed"),
    [
        pytest.param(a_snapshot(), [], [], {}, id="nothing asked, nothing done"),
        pytest.param(a_snapshot(), [draft()], [("admit",)], {1: "running"}, id="what fits starts at once"),
        pytest.param(
            a_snapshot(),
            [draft(60), draft(60, key="b")],
            [("admit",), ("defer", "no_headroom")],
            {1: "running", 2: "waiting"},
            id="each admission shrinks what the next one sees",
        ),
        pytest.param(
            a_snapshot(), [draft(101)], [("reject", "never_fits")], {1: "rejected"}, id="more than the limit never fits"
        ),
        pytest.param(
            a_snapshot(), [draft(deadline=MONDAY)], [("closed", "deadline")], {1: "deadline"}, id="its deadline is now"
        ),
        pytest.param(a_snapshot(), [draft(), draft()], [("admit",)] * 2, {1: "running"}, id="a key is one ticket"),
        pytest.param(
            a_snapshot(),
            [draft(), draft(body="c")],
            [("admit",), ("refused", "key_reused")],
            {1: "running"},
            id="a key with another body is refused",
        ),
        pytest.param(
            a_snapshot(a_ticket(50, number=1, was_deferred=True), used={"day": 60}),
            [draft(45)],
            [("defer", "no_headroom")],
            {2: "waiting"},
            id="arrivals wait where there is no room",
        ),
        pytest.param(
            a_snapshot(a_ticket(60, number=1, at=MONDAY - MINUTE)),
            [draft(60, priority=HIGH)],
            [("admit",)],
            {2: "running"},
            id="a higher class goes first",
        ),
        pytest.param(a_snapshot(hold=True), [draft()], [("defer", "held")], {1: "waiting"}, id="all is held"),
        pytest.param(
            a_snapshot(catching_up=frozenset({"anthropic"})),
            [draft()],
            [("defer", "catching_up")],
            {1: "waiting"},
            id="its usage is still being read",
        ),
        pytest.param(
            a_snapshot(limits=[a_limit(), a_run_cap(15)], runs=RunTotals({"night": some_usage(6)})),
            [draft(run="night")],
            [("reject", "run_cap")],
            {1: "rejected"},
            id="its run has used too much already",
        ),
        pytest.param(
            a_snapshot(limits=[a_limit(), a_run_cap(15)]),
            [draft(run="night"), draft(run="night", key="b")],
            [("admit",), ("reject", "run_cap")],
            {1: "running", 2: "rejected"},
            id="two of one batch share its cap",
        ),
        pytest.param(
            a_snapshot(), [Submit(a_ticket(10), dry_run=True)], [("admit",)], {}, id="a question changes nothing"
        ),
        pytest.param(a_snapshot(), [Read(7)], [("refused", "not_found")], {}, id="there is no such ticket"),
        pytest.param(
            a_snapshot(THEIRS), [Withdraw(1, by="b")], [("refused", "not_owner")], {}, id="only its owner withdraws it"
        ),
        pytest.param(a_snapshot(THEIRS), [Release(1, 1, by="b")], [("refused", "not_owner")], {}, id="or releases it"),
        pytest.param(
            a_snapshot(OFFERED._replace(owner="a")), [Read(1, by="b")], [("admit",)], {}, id="or claims its offer"
        ),
        pytest.param(
            a_snapshot(THEIRS), [draft(key="k1", owner="b")], [("refused", "not_owner")], {}, id="or uses its key"
        ),
        pytest.param(
            a_snapshot(THEIRS), [Withdraw(1, by="a")], [("closed", "withdrawn")], {1: "withdrawn"}, id="its owner may"
        ),
        pytest.param(
            a_snapshot(THEIRS), [Withdraw(1)], [("closed", "withdrawn")], {1: "withdrawn"}, id="so may an operator"
        ),
        pytest.param(a_snapshot(OFFERED), [Read(1)], [("admit",)], {1: "running"}, id="reading an offer claims it"),
        pytest.param(a_snapshot(OFFERED), [Read(1, claim=False)], [("admit",)], {}, id="looking at it does not"),
        pytest.param(
            a_snapshot(a_ticket(number=1, on_hold=True)),
            [Withdraw(1)],
            [("closed", "withdrawn")],
            {1: "withdrawn"},
            id="who withdraws leaves the queue",
        ),
        pytest.param(
            a_snapshot(a_running_ticket(100), a_ticket(50, number=2)),
            [Revoke(1)],
            [("closed", "revoked")],
            {1: "revoked", 2: "offered"},
            id="what is revoked returns its room in the same cycle",
        ),
        pytest.param(
            a_snapshot(a_running_ticket(100), a_ticket(50, number=2)),
            [Release(1, 1, a_report(40))],
            [("closed", "completed")],
            {1: "completed", 2: "offered"},
            id="and what was released",
        ),
        pytest.param(
            a_snapshot(a_ticket(number=1)), [Hold(1)], [("defer", "held")], {1: "waiting"}, id="one is held by hand"
        ),
        pytest.param(
            a_snapshot(a_ticket(90, number=1), used={"day": 50}),
            [Start(1)],
            [("admit",)],
            {1: "offered"},
            id="one is started by hand whatever its limits say",
        ),
        pytest.param(
            a_snapshot(a_ticket(60, number=1), a_ticket(60, number=2), used={"day": 90}),
            [Reclass(2, HIGH)],
            [("defer", "no_headroom")],
            {2: "waiting"},
            id="one that waits is moved to another class",
        ),
        pytest.param(
            a_snapshot(a_running_ticket(10, number=1)),
            [Reclass(1, HIGH)],
            [("admit",)],
            {},
            id="what runs stays as it is",
        ),
    ],
)
def test_requests_and_what_comes_of_them(snapshot, requests, answers, changed):
    result = decided(snapshot, *requests)
    assert [in_words(answer) for answer in result.answers] == answers
    assert states(result) == changed


@pytest.mark.parametrize(
    ("requests", "after"),
    [
        pytest.param([Revoke(3)], {1: "offered", 2: "waiting", 3: "revoked"}, id="the older one starts"),
        pytest.param([Reclass(2, HIGH), Revoke(3)], {2: "offered", 3: "revoked"}, id="the one that was lifted starts"),
    ],
)
def test_a_class_by_hand_changes_who_starts(requests, after):
    snapshot = a_snapshot(a_ticket(60, number=1), a_ticket(60, number=2), a_running_ticket(60, number=3))
    assert states(decided(snapshot, *requests)) == after


def offered(offers, **changes):
    return OFFERED._replace(offers=offers, offer_until=MONDAY, **changes)


@pytest.mark.parametrize(
    ("snapshot", "changed"),
    [
        pytest.param(a_snapshot(offered(1)), {1: "offered"}, id="an offer nobody claimed is made again"),
        pytest.param(a_snapshot(offered(3)), {1: "abandoned"}, id="the third time it is abandoned"),
        pytest.param(a_snapshot(offered(1, deadline=MONDAY)), {1: "deadline"}, id="an offer past its deadline"),
        pytest.param(a_snapshot(a_ticket(number=1, deadline=MONDAY)), {1: "deadline"}, id="a wait past its deadline"),
        pytest.param(
            a_snapshot(a_ticket(number=1, wait_until=MONDAY)),
            {1: "waited_too_long"},
            id="it waits no longer than asked",
        ),
        pytest.param(
            a_snapshot(a_running_ticket(lease=a_lease(expires_at=MONDAY))),
            {1: "expired"},
            id="nobody renewed its lease",
        ),
        pytest.param(
            a_snapshot(a_running_ticket(lease=a_lease(expires_at=MONDAY)), expire_leases=False),
            {},
            id="after the machine slept no lease expires",
        ),
        pytest.param(
            a_snapshot(a_running_ticket(100, lease=a_lease(expires_at=MONDAY)), a_ticket(100, number=2)),
            {1: "expired", 2: "offered"},
            id="what it held goes to the next in the same cycle",
        ),
    ],
)
def test_what_falls_due(snapshot, changed):
    assert states(decided(snapshot)) == changed


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        pytest.param({}, {}, id="who says nothing of its patience is kept out by what is expected"),
        pytest.param({"wait_until": MONDAY + 2 * HOUR}, {}, id="so is who has time enough"),
        pytest.param({"wait_until": MONDAY + HOUR}, {1: "offered"}, id="not so who has waited for most of its time"),
        pytest.param({"deadline": MONDAY + HOUR}, {1: "offered"}, id="or has come close to its deadline"),
        pytest.param({"deadline": MONDAY + HOUR, "on_hold": True}, {1: "waiting"}, id="a person still holds it"),
    ],
)
def test_who_will_be_given_up_before_long_presses(asked, changed):
    expected = Outlook(MONDAY, RESET, above=((), *[(50.0, 60.0, 70.0, 80.0, 90.0, 95.0)] * 3))
    snapshot = a_snapshot(a_ticket(8, number=1, at=MONDAY - 3 * HOUR, **asked), outlooks={"day": expected})
    assert snapshot.queue.queue.next_due() == a_ticket(at=MONDAY - 3 * HOUR, **asked).presses_from
    assert states(decided(snapshot)) == changed


def test_the_result_says_what_to_write_and_how_to_go_on():
    snapshot = a_snapshot(
        a_running_ticket(40, team="a", workflow="nightly"),
        a_ticket(50, number=2, team="b", deadline=MONDAY),
        limits=[a_limit(), a_limit(5, id="soft", mode=Mode.WARN)],
    )
    result = decided(snapshot, Release(1, 1, a_report(30)), draft(20, team="c"))
    changes = result.changes
    assert (changes.unmet[0].instance, changes.unmet[0].amount) == ("day", 50)
    assert [(row.rule, row.amount) for row in changes.turned_away] == [("day", 50)]
    assert [(run.run, run.status, run.example.usage.tokens) for run in changes.finished] == [
        ("ticket:1", "completed", 30)
    ]
    assert [new.usage.tokens for _, new in changes.ledger] == [30]
    assert changes.counters == [
        ("quota_would_defer_total", ("soft", "normal")),
        ("quota_tickets_abandoned_total", ("day", "normal")),
        ("quota_tickets_abandoned_total", ("soft", "normal")),
    ]
    assert result.onward == Onward(Numbers(4, 3), {"a": 0, "c": 1}, snapshot.queue.unfinished, None)
    assert reserved(snapshot) == {"day": (30, 20), "soft": (30, 20)}


def test_a_long_pass_goes_on_where_it_was_cut():
    tickets = [a_ticket(1, number=number) for number in range(1, 300)]
    snapshot = a_snapshot(*tickets, limits=[a_limit(300)])
    result = decided(snapshot)
    assert sorted(result.changes.tickets) == list(range(1, SLICE + 1))
    assert list(result.onward.unfinished.groups.values()) == [0]
    assert result.onward.running == {"": SLICE}


def test_what_is_told_first_starts_first_cycle_after_cycle():
    high = [a_ticket(1, number=n, at=MONDAY - 9 * MINUTE, priority=HIGH, team="a") for n in (1, 2, 3)]
    normal = [a_ticket(1, number=10, at=MONDAY - 2 * MINUTE, team="a"), a_ticket(1, number=11, at=MONDAY, team="b")]
    snapshot = a_snapshot(*high, *normal, limits=[a_limit(), a_concurrency_limit(3)])
    result = decided(snapshot, Read(10, claim=False), Read(11, claim=False))
    assert [ticket.id for ticket, verdict in result.decisions if type(verdict).__name__ == "Admit"] == [1, 2, 3]
    assert [answer.position for answer in result.answers] == [2, 1]


def test_a_snapshot_is_frozen_and_has_few_parts():
    with pytest.raises(AttributeError, match="immutable"):
        a_snapshot().numbers = Numbers()
    assert {part.__name__: len(fields(part)) for part in (Snapshot, Decided, Changes, Onward)} == {
        "Snapshot": 8, "Decided": 4, "Changes": 9, "Onward": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"outlooks": {"day": None}, "busy_until": {"day": MONDAY}}, False, id="what a tick learns"),
        pytest.param({"catching_up": frozenset({"anthropic"})}, False, id="a source"),
        pytest.param({"limits": (a_limit(50),)}, True, id="a limit"),
        pytest.param({"hold": True}, True, id="the incident switch"),
        pytest.param({"policy": QueuePolicy(fair_share="project")}, True, id="the order of the queue"),
    ],
)
def test_when_what_is_remembered_no_longer_holds(changes, anew):
    assert Terms(**({"limits": (a_limit(),)} | changes)).begin_anew_after(Terms((a_limit(),))) is anew


def test_what_open_tickets_of_a_run_may_still_use():
    tickets = [
        a_ticket(30, number=1, run="night"),
        a_running_ticket(50, number=2, run="night", lease=a_lease(2, reported=a_report(20))),
        a_running_ticket(50, number=3, run="day", lease=a_lease(3, reported=a_report(60))),
    ]
    by_run = promised(tickets, {2: some_usage(35)})
    assert {run: usage.tokens for run, usage in by_run.items()} == {"night": 30 + 15, "day": 0}


def test_working_state_keeps_what_a_ticket_was_before():
    work = Work(a_snapshot(OFFERED._replace(offer_until=MONDAY)))
    fall_due(work)
    Starts(work).start_what_may()
    ((before, after),) = work.moved()
    assert (before.offers, after.offers, after.outcome) == (1, 2, None)
    work.close(after, Outcome.WITHDRAWN)
    assert work.running() == {"": 0}
