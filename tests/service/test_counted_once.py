"""A run that reports through its lease and leaves a transcript counts once, whatever comes first."""

from itertools import permutations

import pytest

from quota_scheduler.core.cycle.requests import Renew
from quota_scheduler.core.limits.limit import Holdback
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.priority import Priority
from tests.builders import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    SECOND,
    a_limit,
    a_report,
    a_session_limit,
    a_usage_event,
)
from tests.service.world import fence, said

PEOPLE, HIGH, NORMAL, LOW = Priority
TENTH = Holdback(per_mille=100)
WEEKLY = Calendar(Every.WEEK)
NEXT_MONDAY = MIDNIGHT + 6 * DAY


# a run is counted once


LINES = (("m1", 10), ("m2", 15), ("m3", 35))
"""What a run's transcript says: 60 tokens."""


def lines(here, first, last):
    """Some of the transcript, read now."""
    events = [a_usage_event(tokens, key=key, at=MONDAY + MINUTE, session="s1", project="site", workflow="site")
              for key, tokens in LINES[first:last]]  # fmt: skip
    here.record(*events)


STEPS = {
    "transcript": lambda here, _: lines(here, 0, 2),
    "rest of it": lambda here, _: lines(here, 2, 3),
    "report": lambda here, held: here.cycle(here.a_renew(held, 40)),
    "release": lambda here, held: here.cycle(here.a_release(held, 60)),
}


@pytest.mark.parametrize("steps", list(permutations(STEPS)), ids=" then ".join)
@pytest.mark.parametrize("named", ["in the ticket", "by a renew", "at release", "at every occasion"])
def test_a_run_that_reports_and_leaves_a_transcript_counts_once(world, named, steps):
    here = world(a_limit(), a_session_limit())
    held = here.submit(
        80, team="growth", **({"session": "s1"} if named in ("in the ticket", "at every occasion") else {})
    )
    here.clock.advance(2 * MINUTE)
    if named == "by a renew":
        here.renew(held, session="s1")
    for step in steps:
        if step == "release" and named in ("at release", "at every occasion"):
            here.cycle(here.a_release(held, 60, session="s1"))
        elif step == "report" and named == "at every occasion":
            here.cycle(here.a_renew(held, 40, session="s1"))
        else:
            STEPS[step](here, held)
    assert here.ledger() == dict(LINES)
    assert here.windows() == {"day": (60, 0, 0), "session": (60, 0, 0)}
    with here.store.transaction() as tx:
        owned = tx.rows("SELECT run, input + output FROM runs WHERE input + output > 0")
        teams = tx.rows("SELECT DISTINCT l.team, l.priority FROM events e JOIN label_sets l ON l.id = e.label_set")
    assert (owned, teams) == ([("ticket:1", 60)], [("growth", "normal")])


def test_while_both_exist_for_a_running_lease_the_larger_counts(world):
    here = world(a_limit())
    held = here.submit(80, session="s1")
    seen = []
    for reported, (first, last) in ((5, (0, 1)), (20, (0, 1)), (20, (1, 2)), (60, (1, 2)), (60, (2, 3))):
        here.clock.at = MONDAY + 2 * MINUTE
        here.renew(held, reported)
        lines(here, first, last)
        used, extra, reserved = here.windows()["day"]
        seen.append((used + extra, reserved))
    assert seen == [(10, 70), (20, 60), (25, 55), (60, 20), (60, 20)]


@pytest.mark.parametrize("when", ["before it is taken over", "after", "when both runs are over"])
def test_a_transcript_replaces_the_report_of_the_lease_it_is_of_and_no_other(world, when):
    """The lease ran out, its ticket runs again, and the first run's transcript is read at last."""
    here = world(a_limit(1_000))
    old = here.submit(80, key="nightly", session="s1", ttl=10 * MINUTE)
    here.renew(old, 60)
    here.wait(10 * MINUTE)
    if when == "before it is taken over":
        lines(here, 0, 3)
    new = here.submit(80, key="nightly", session="s1", ttl=10 * MINUTE)
    here.ask(Renew(new.ticket.id, fence(new), a_report(7), session="s2"))
    if when == "after":
        lines(here, 0, 3)
    here.release(new, 9)
    if when == "when both runs are over":
        lines(here, 0, 3)
    assert here.ledger() == {**dict(LINES), "lease:1:2:0:": 9}
    assert here.windows() == {"day": (69, 0, 0)}


@pytest.mark.parametrize("read", ["before", "after"])
def test_a_session_named_only_when_it_is_too_late_still_replaces_the_report(world, read):
    here = world(a_limit())
    held = here.submit(80, ttl=10 * MINUTE)
    here.renew(held, 50)
    here.wait(10 * MINUTE)
    if read == "before":
        lines(here, 0, 3)
    (answer,) = here.cycle(here.a_release(held, 55, session="s1"))
    if read == "after":
        lines(here, 0, 3)
    assert (said(answer), here.ledger()) == (("refused", "stale_fence"), dict(LINES))
    assert here.windows() == {"day": (60, 0, 0)}


def test_a_late_report_of_a_past_lease_with_a_transcript_adds_nothing(world):
    here = world(a_limit(1_000))
    old = here.submit(80, key="nightly", session="s1", ttl=10 * MINUTE)
    here.clock.advance(2 * MINUTE)
    lines(here, 0, 3)
    here.wait(10 * MINUTE)
    here.submit(10, key="other")
    new = here.submit(80, key="nightly", session="s1", ttl=10 * MINUTE)
    here.cycle(here.a_renew(old, 60), here.a_renew(new, 5), here.a_renew(old, 60))
    assert here.ledger() == dict(LINES)


def test_what_a_session_did_before_its_lease_stays_unleased(world):
    here = world(a_limit())
    here.record(a_usage_event(7, key="m0", at=MONDAY - MINUTE, session="s1"))
    held = here.submit(80, session="s1")
    here.release(held, 60)
    assert here.ledger() == {"m0": 7, "lease:1:1:0:": 60}


def test_a_transcript_known_before_its_lease_in_a_window_closed_by_now_is_corrected_there(world):
    here = world(a_limit(id="team", per="team"))
    held = here.submit(80, team="growth", ttl=DAY)
    here.clock.advance(2 * MINUTE)
    lines(here, 0, 3)
    here.until(MIDNIGHT + HOUR)
    here.release(held, 60, session="s1")
    with here.store.transaction() as tx:
        used = dict(tx.rows("SELECT value, used FROM windows WHERE closed = 1"))
    assert used == {"growth": 60, "none": 0}


def test_two_tickets_of_one_run_and_session_keep_their_reports_apart(world):
    here = world(a_limit())
    first = here.submit(30, run="nightly", session="s1")
    here.release(first, 20)
    here.wait(HOUR)
    second = here.submit(30, run="nightly", session="s1")
    here.record(a_usage_event(15, key="m9", at=here.clock.at, session="s1"))
    here.release(second, 15)
    assert here.ledger() == {"lease:1:1:0:": 20, "m9": 15}


# two clocks, and runs by name


@pytest.mark.parametrize("seconds", [0, 1, 30, 120], ids=lambda seconds: f"{seconds} s before the grant")
@pytest.mark.parametrize("named", ["in the ticket", "at release"])
def test_R1_a_line_written_by_a_clock_behind_ours_is_the_leases(world, named, seconds):
    here = world(a_limit())
    held = here.submit(80, team="growth", **({"session": "s1"} if named == "in the ticket" else {}))
    here.clock.advance(3 * MINUTE)
    here.record(a_usage_event(60, key="m1", at=MONDAY - seconds * SECOND, session="s1"))
    here.release(held, 60, session="s1")
    assert (here.ledger(), here.windows()) == ({"m1": 60}, {"day": (60, 0, 0)})


def test_R1_what_an_earlier_lease_of_the_session_had_stays_its_own(world):
    here = world(a_limit(1_000))
    first = here.submit(30, session="s1")
    here.wait(MINUTE)
    here.release(first, 20)
    here.wait(MINUTE)
    second = here.submit(30, session="s1")
    here.wait(3 * MINUTE)
    here.record(a_usage_event(15, key="m1", at=MONDAY + MINUTE + 30 * SECOND, session="s1"))  # between the two
    here.record(a_usage_event(7, key="m2", at=MONDAY + 2 * MINUTE, session="s1"))  # at the second grant
    here.release(second, 9)
    with here.store.transaction() as tx:
        runs = dict(tx.rows("SELECT run, input + output FROM runs WHERE input + output > 0"))
    assert runs == {"ticket:1": 15, "ticket:2": 7}


def test_R1_what_the_ledger_knew_before_the_grant_is_not_the_leases(world):
    here = world(a_limit())
    here.record(a_usage_event(7, key="m0", at=MONDAY - SECOND, session="s1"))
    here.wait(SECOND)
    held = here.submit(80, session="s1")
    here.release(held, 60)
    assert here.ledger() == {"m0": 7, "lease:1:1:0:": 60}


RUN_STEPS = {
    "events": lambda here, _: here.record(a_usage_event(500, key="call-1", at=here.clock.at, run="R-1")),
    "report": lambda here, held: here.cycle(here.a_renew(held, 400)),
    "release": lambda here, held: here.cycle(here.a_release(held, 500)),
}


@pytest.mark.parametrize("steps", list(permutations(RUN_STEPS)), ids=" then ".join)
def test_M5_a_run_that_events_name_counts_once(world, steps):
    here = world(a_limit(10_000), a_session_limit(10_000))
    held = here.submit(600, run="R-1", team="growth")
    here.clock.advance(MINUTE)
    for step in steps:
        RUN_STEPS[step](here, held)
    assert here.ledger() == {"call-1": 500}
    assert here.windows() == {"day": (500, 0, 0), "session": (500, 0, 0)}
    with here.store.transaction() as tx:
        assert tx.rows("SELECT run, input + output FROM runs WHERE input + output > 0") == [("R-1", 500)]


def test_M5_a_whole_second_in_the_second_of_the_grant_counts_once(world):
    here = world(a_limit())
    here.clock.at = MONDAY + 700 * SECOND / 1_000
    held = here.submit(60, session="s1")
    here.wait(SECOND)
    here.record(a_usage_event(50, key="m1", at=MONDAY, session="s1"))
    here.release(held, 50)
    assert here.ledger() == {"m1": 50}


def test_M5_parallel_tickets_of_a_run_that_events_name_count_once(world):
    here = world(a_limit(10_000))
    held = [here.submit(600, run="R-1") for _ in range(2)]
    here.wait(MINUTE)
    here.record(*(a_usage_event(500, key=f"call-{n}", at=here.clock.at, run="R-1") for n in range(2)))
    for ticket in held:
        here.release(ticket, 500)
    assert here.windows() == {"day": (1_000, 0, 0)}


def test_M5_a_run_whose_events_are_of_another_session_of_it_keeps_its_report(world):
    here = world(a_limit(10_000))
    with_session = here.submit(600, run="R-1", session="s1")
    without = here.submit(600, run="R-1")
    here.wait(MINUTE)
    here.record(a_usage_event(500, key="m1", at=here.clock.at, session="s1"))
    here.release(with_session, 500)
    here.release(without, 300)
    assert here.ledger() == {"m1": 500, "lease:2:2:0:": 300}
