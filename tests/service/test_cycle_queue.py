"""The queue and the clock: order, backfill, offers, deadlines and resets, on a real database."""

from datetime import timedelta

import pytest

from quota_scheduler.core.cycle.requests import Hold, Read
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Holdback, Mode
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Outcome, Reason, State
from quota_scheduler.service.rebuild import rebuild_sessions
from tests.builders import (
    DAY,
    HOUR,
    MICRO,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    SECOND,
    a_concurrency_limit,
    a_limit,
    a_session_limit,
    a_usage_event,
)
from tests.service.world import lease, said

PEOPLE, HIGH, NORMAL, LOW = Priority
TENTH = Holdback(per_mille=100)
WEEKLY = Calendar(Every.WEEK)
NEXT_MONDAY = MIDNIGHT + 6 * DAY


# the queue


def test_arrivals_never_pass_waiting_tickets_that_fit(world):
    here = world(a_concurrency_limit(1))
    held, first = here.submit(), here.submit(key="first")
    _, late = here.cycle(here.a_release(held), here.a_submit(key="late"))
    assert (here.tickets()["first"], said(late)) == ("offered", ("defer", "concurrency"))
    assert said(here.read(first)) == ("admit",)


def ended_in_order(here, *tickets):
    """The order in which waiting tickets get the only lease there is."""
    order = []
    names = {answer.ticket.id: answer.ticket.key for answer in tickets}
    for _ in tickets:
        here.wait(3 * SECOND)
        running = next(answer for answer in tickets if here.tickets()[answer.ticket.key] == "offered")
        order.append(names[running.ticket.id])
        here.release(here.read(running))
    return order


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        pytest.param(
            [
                ("a", {"priority": LOW}),
                ("b", {"priority": NORMAL}),
                ("c", {"priority": HIGH}),
                ("d", {"priority": PEOPLE}),
            ],
            "dcba",
            id="class first",
        ),
        pytest.param([("a", {}), ("b", {}), ("c", {})], "abc", id="then who came first"),
        pytest.param(
            [("a", {"team": "x"}), ("b", {"team": "x"}), ("c", {"team": "y"}), ("d", {"team": "x"})],
            "acbd",
            id="the shares take turns",
        ),
        pytest.param(
            [("a", {"priority": LOW, "minutes": 0}), ("b", {"priority": NORMAL, "minutes": 29})],
            "ba",
            id="half an hour less a minute lifts nobody",
        ),
        pytest.param(
            [("a", {"priority": LOW, "minutes": 0}), ("b", {"priority": NORMAL, "minutes": 31})],
            "ab",
            id="each half hour lifts by a class",
        ),
        pytest.param(
            [("a", {"priority": LOW, "minutes": 0}), ("b", {"priority": PEOPLE, "minutes": 121})],
            "ab",
            id="two hours lift low work above people who come later",
        ),
    ],
)
def test_the_order_of_the_queue(world, asked, order):
    here = world(a_concurrency_limit(1))
    held = here.submit(ttl=12 * HOUR)
    waiting = []
    for key, ask in asked:
        here.clock.at = max(here.clock.at + SECOND, MONDAY + ask.pop("minutes", 0) * MINUTE)
        waiting.append(here.submit(key=key, **ask))
    here.release(held)
    assert "".join(ended_in_order(here, *waiting)) == order


def test_age_lifts_in_order_only_never_over_a_limit(world):
    here = world(a_limit(holdback=TENTH))
    here.record(a_usage_event(85))
    old = here.submit(10, priority=LOW)
    here.wait(10 * HOUR)
    assert (said(here.read(old)), said(here.submit(10, priority=PEOPLE))) == (("defer", "no_headroom"), ("admit",))


def test_a_smaller_ticket_passes_a_larger_one_that_waits_for_the_reset(world):
    here = world(a_limit())
    here.record(a_usage_event(50))
    large = here.submit(60)
    assert (said(large), said(here.submit(30))) == (("defer", "no_headroom"), ("admit",))


def test_a_smaller_ticket_does_not_take_the_room_that_a_larger_one_ahead_will_get(world):
    here = world(a_limit())
    held, large = here.submit(50), here.submit(60)
    assert said(here.submit(30)) == ("defer", "no_headroom")
    here.release(held, 10)
    assert said(here.read(large)) == ("admit",)


def test_a_ticket_that_waits_for_another_limit_keeps_its_room_only_while_it_can_come_to_start(world):
    """One lease for a team: the next of its tickets keeps its tokens, the thousand behind it keep none."""
    here = world(a_limit(), a_concurrency_limit(1, match=match_of({"team": "growth"})))
    here.submit(20, team="growth")
    for _ in range(10):
        here.submit(20, team="growth")
    assert said(here.submit(60, team="ops")) == ("admit",)
    assert said(here.submit(10, team="ops")) == ("defer", "no_headroom")


def test_important_work_does_not_wait_for_room_kept_for_lesser_work(world):
    here = world(a_limit())
    here.submit(50, ttl=12 * HOUR)
    here.submit(60, priority=LOW)
    here.wait(3 * HOUR)  # by its age it is first in order now
    assert said(here.submit(40, priority=PEOPLE)) == ("admit",)


def test_what_an_operator_holds_keeps_no_room(world):
    here = world(a_limit(), a_concurrency_limit(1))
    held, waits = here.submit(10), here.submit(60)
    here.cycle(Hold(waits.ticket.id, on=True), here.a_release(held))
    assert said(here.submit(90)) == ("admit",)


def test_a_limit_that_only_warns_does_not_let_small_work_pass_for_ever(world):
    here = world(a_limit(), a_limit(20, id="soft", mode=Mode.WARN))
    here.submit(50)
    here.submit(60)
    assert said(here.submit(30)) == ("defer", "no_headroom")


@pytest.mark.parametrize("size", [60, 40], ids=["none of which fits", "which wait for their turn"])
def test_a_ticket_that_fits_is_found_behind_many_that_do_not(world, size):
    here = world(a_limit(), a_limit(10, id="growth", match=match_of({"team": "growth"})))
    here.record(a_usage_event(50), a_usage_event(10, key="e2", team="growth", at=MONDAY - 12 * HOUR))
    here.record(a_usage_event(10, key="e3", team="growth"))
    team = "growth" if size == 40 else "ops"
    here.cycle(*(here.a_submit(size if team == "ops" else 5, team=team) for _ in range(400)))
    found = here.submit(10, team="ops")
    for _ in range(10):
        if not here.run().unfinished:
            break
    assert said(here.read(found)) == ("admit",)


def test_a_batch_that_fits_starts_in_one_cycle_whatever_its_size(world):
    here = world(a_limit(1_000))
    answers = here.cycle(*(here.a_submit(1) for _ in range(500)))
    assert {said(answer) for answer in answers} == {("admit",)}


@pytest.mark.sqlite_only  # a server has no count of all changes
def test_a_cycle_without_news_writes_nothing_about_what_waits(world):
    here = world(a_limit())
    here.record(a_usage_event(100))
    for _ in range(20):
        here.submit(10)
    with here.store.transaction() as tx:
        written = tx.scalar("SELECT total_changes()")
    for _ in range(5):
        here.wait(MINUTE)
    with here.store.transaction() as tx:
        assert tx.scalar("SELECT total_changes()") == written


def test_a_long_pass_comes_to_its_end(world):
    here = world(a_limit())
    here.record(a_usage_event(50))
    here.cycle(*(here.a_submit(60) for _ in range(400)), here.a_submit(10, key="small"))
    cycles = 0
    while here.run().unfinished:
        cycles += 1
        assert cycles < 10
    assert here.tickets()["small"] in ("running", "offered")


def test_a_source_that_is_caught_up_does_not_wait_for_one_that_is_not(world):
    here = world(a_limit(), catching_up=frozenset({"anthropic"}))
    here.submit(100)
    assert said(here.submit(10, provider="openai")) == ("admit",)


# offers


def offered(here, **ask):
    """A ticket that waited for the only lease and is offered it now."""
    held, waits = here.submit(ttl=12 * HOUR), here.submit(key="waits", **ask)
    here.release(held)
    assert here.tickets()["waits"] == "offered"
    return waits


def test_an_offer_holds_its_room_until_it_is_claimed(world):
    here = world(a_concurrency_limit(1), a_limit())
    waits = offered(here)
    assert (here.windows(), said(here.submit())) == (
        {"leases": (0, 0, 1), "day": (0, 0, 10)}, ("defer", "concurrency"),
    )  # fmt: skip
    here.clock.advance(2 * MINUTE - MICRO)
    claimed = here.read(waits)
    assert (claimed.ticket.state, lease(claimed).granted_at) == (State.RUNNING, here.clock.at)
    assert here.windows() == {"leases": (0, 0, 1), "day": (0, 0, 10)}


def test_submitting_the_key_again_claims_an_offer_too(world):
    here = world(a_concurrency_limit(1))
    offered(here)
    assert here.submit(key="waits").ticket.state is State.RUNNING


def test_an_offer_nobody_claims_goes_to_the_next_and_comes_back(world):
    here = world(a_concurrency_limit(1))
    waits = offered(here, priority=HIGH)
    other = here.submit(key="other")
    here.wait(2 * MINUTE)
    assert here.tickets()["waits"] == "offered"  # first in order as before
    here.withdraw(waits)
    assert said(here.read(other)) == ("admit",)


def test_after_three_offers_a_ticket_is_abandoned_and_may_come_back(world):
    here = world(a_concurrency_limit(1), a_limit())
    waits = offered(here)
    states = []
    for _ in range(3):
        here.wait(2 * MINUTE)
        states.append(here.tickets()["waits"])
    assert (states, here.windows()) == (
        ["offered", "offered", "closed"], {"leases": (0, 0, 0), "day": (0, 0, 0)},
    )  # fmt: skip
    ended = here.read(waits).ticket
    assert (ended.outcome, ended.reason, ended.offers) == (Outcome.ABANDONED, Reason.ABANDONED, 3)
    assert said(here.submit(key="waits")) == ("admit",)


def test_a_deadline_that_passes_while_it_is_offered_closes_it(world):
    here = world(a_concurrency_limit(1))
    waits = offered(here, deadline=MONDAY + MINUTE)
    here.clock.advance(MINUTE)
    assert here.read(waits).ticket.outcome is Outcome.DEADLINE
    assert here.windows() == {"leases": (0, 0, 0)}


def test_a_session_begins_when_its_offer_is_claimed(world):
    here = world(a_session_limit(match=match_of({"provider": "anthropic"})), a_concurrency_limit(1))
    held = here.submit(provider="openai")
    waits = here.submit(10)
    here.release(held)
    here.clock.advance(MINUTE)
    here.read(waits)
    assert here.spans("session") == [(MONDAY + MINUTE, MONDAY + 5 * HOUR + MINUTE, 0)]


def test_a_session_that_ends_under_an_offer_begins_anew_with_the_claim(world):
    here = world(a_session_limit(match=match_of({"provider": "anthropic"})), a_concurrency_limit(1))
    here.record(a_usage_event(10))
    here.clock.at = MONDAY + 5 * HOUR - MINUTE
    held = here.submit(provider="openai")
    waits = here.submit(10)
    here.release(held)
    here.clock.advance(MINUTE + SECOND)
    here.cycle()
    here.clock.advance(10 * SECOND)
    here.read(waits)
    start = MONDAY + 5 * HOUR + 11 * SECOND
    assert here.spans("session") == [(MONDAY, MONDAY + 5 * HOUR, 10), (start, start + 5 * HOUR, 0)]


# deadlines


@pytest.mark.parametrize(
    ("ask", "outcome"),
    [
        pytest.param({"deadline": MONDAY + HOUR}, Outcome.DEADLINE, id="a deadline"),
        pytest.param({"wait_until": MONDAY + HOUR}, Outcome.WAITED_TOO_LONG, id="a longest wait"),
    ],
)
def test_what_has_waited_too_long_does_not_start(world, ask, outcome):
    here = world(a_concurrency_limit(1))
    held, waits = here.submit(ttl=12 * HOUR), here.submit(**ask)
    here.wait(HOUR - MICRO)
    assert here.read(waits).ticket.state is State.WAITING
    here.clock.advance(MICRO)
    _, ended = here.cycle(here.a_release(held), Read(waits.ticket.id))
    assert (ended.ticket.outcome, here.windows()) == (outcome, {"leases": (0, 0, 0)})


def test_what_comes_after_its_deadline_does_not_start(world):
    here = world(a_limit())
    late = here.submit(10, deadline=MONDAY)
    assert (late.ticket.outcome, late.ticket.reason, here.windows()) == (
        Outcome.DEADLINE, Reason.DEADLINE, {"day": (0, 0, 0)},
    )  # fmt: skip


def test_what_is_asked_for_again_after_its_deadline_does_not_start(world):
    here = world(a_limit())
    here.submit(10, key="nightly", ttl=10 * MINUTE, deadline=MONDAY + HOUR)
    here.wait(2 * HOUR)
    assert here.submit(10, key="nightly", ttl=10 * MINUTE, deadline=MONDAY + HOUR).ticket.outcome is Outcome.DEADLINE


def test_a_deadline_does_not_stop_what_runs(world):
    here = world(a_limit())
    held = here.submit(10, deadline=MONDAY + HOUR)
    here.wait(2 * HOUR)
    assert here.read(held).ticket.state is State.RUNNING


def test_what_was_withdrawn_does_not_start(world):
    here = world(a_concurrency_limit(1))
    held, waits = here.submit(), here.submit()
    here.withdraw(waits)
    here.release(held)
    assert (here.read(waits).ticket.outcome, here.windows()) == (Outcome.WITHDRAWN, {"leases": (0, 0, 0)})
    assert here.counter("quota_tickets_abandoned_total") == {("leases", "normal"): 1}


# resets


def test_at_a_reset_who_waits_wakes_in_order_against_fresh_room(world):
    here = world(a_limit())
    here.record(a_usage_event(100))
    waiting = {key: here.submit(40, key=key, ttl=DAY, priority=priority) for key, priority in
               (("low", LOW), ("a", NORMAL), ("b", NORMAL), ("high", HIGH))}  # fmt: skip
    here.until(MIDNIGHT - MICRO)
    assert set(here.tickets().values()) == {"waiting"}
    here.until(MIDNIGHT + MINUTE)
    states = here.tickets()
    assert states == {"low": "waiting", "a": "offered", "b": "waiting", "high": "offered"}
    assert here.windows() == {"day": (0, 0, 80)}
    assert here.counter("quota_tickets_woken_total") == {("day", "normal"): 1, ("day", "high"): 1}
    assert said(here.read(waiting["high"])) == ("admit",)


@pytest.mark.parametrize("number", range(6))
def test_starts_are_spread_after_a_reset_but_never_out_of_order(world, number):
    """Whatever places on the ramp their ids give them, the first in order get what there is."""
    here = world(a_limit())
    here.record(a_usage_event(100))
    for each in [here.submit(1) for _ in range(number)]:
        here.withdraw(each)
    for key in "abcdefgh":
        here.clock.advance(SECOND)
        here.submit(25, key=key)
    here.until(MIDNIGHT)
    while "waiting" in [here.tickets()[key] for key in "abcd"]:
        here.wait(10 * timedelta(milliseconds=1))
        assert here.clock.at < MIDNIGHT + SECOND
    assert "".join(key for key, state in here.tickets().items() if state == "offered") == "abcd"


def test_a_session_that_waits_for_its_first_use_is_not_taken_for_the_one_that_is_over(world):
    here = world(a_session_limit(100), a_limit())
    here.record(a_usage_event(100))
    for _ in range(2):
        here.submit(10)
    here.wait(5 * HOUR)
    with here.store.transaction() as tx:
        rebuild_sessions(tx, here.limits)
    assert here.spans("session") == [(MONDAY, MONDAY + 5 * HOUR, 100)]


def test_a_short_windows_reset_wakes_nobody_whom_a_longer_one_holds(world):
    here = world(a_session_limit(50), a_limit())
    here.record(a_usage_event(50), a_usage_event(45, key="e2", at=MONDAY - HOUR))
    waits = here.submit(10)
    assert waits.verdict.until == MIDNIGHT
    here.wait(6 * HOUR)
    assert said(here.read(waits)) == ("defer", "no_headroom")
    here.until(MIDNIGHT + SECOND)
    assert said(here.read(waits)) == ("admit",)


def test_a_reset_carries_the_unspent_part_of_every_lease(world):
    here = world(a_limit())
    held, other = here.submit(60, ttl=DAY), here.submit(30, ttl=DAY)
    here.renew(held, 20, ttl=DAY)
    here.until(MIDNIGHT)
    assert here.windows(closed=True) == {"day": (0, 20, 0)}
    assert here.windows() == {"day": (0, 0, 70)}
    waits = here.submit(31)
    assert said(waits) == ("defer", "no_headroom")
    here.withdraw(waits)
    assert said(here.submit(30)) == ("admit",)
    here.release(other)


def test_what_was_used_before_a_reset_stays_there(world):
    here = world(a_limit())
    held = here.submit(60, ttl=DAY)
    here.renew(held, 20, ttl=DAY)
    here.until(MIDNIGHT + HOUR)
    here.renew(held, 35)
    assert (here.windows(closed=True), here.windows()) == ({"day": (0, 20, 0)}, {"day": (0, 15, 25)})
    here.release(held, 50)
    assert here.ledger() == {"lease:1:1:0:": 20, "lease:1:1:1:": 30}
    assert here.spans("day") == [(MIDNIGHT - DAY, MIDNIGHT, 20), (MIDNIGHT, MIDNIGHT + DAY, 30)]


def test_a_run_over_several_resets_leaves_each_window_its_own(world):
    here = world(a_limit(1_000), a_session_limit(1_000))
    held = here.submit(500, ttl=2 * DAY)
    for hours, used in ((1, 10), (6, 30), (16, 60), (20, 100)):
        here.until(MONDAY + hours * HOUR)
        here.renew(held, used, ttl=2 * DAY)
    here.release(held, 150)
    assert [used for *_, used in here.spans("day")] == [30, 120]
    assert [used for *_, used in here.spans("session")] == [10, 20, 120]


def test_an_overrun_run_that_crosses_a_reset_counts_in_the_new_window(world):
    here = world(a_limit(mode=Mode.WARN))
    held = here.submit(20, ttl=DAY)
    here.record(a_usage_event(100))
    here.renew(held, 30, ttl=DAY)
    here.until(MIDNIGHT + HOUR)
    here.renew(held, 45)
    assert (here.windows(closed=True), here.windows()["day"][:2]) == ({"day": (100, 30, 0)}, (0, 15))


def test_a_release_told_late_corrects_the_window_that_is_closed_by_now(world):
    here = world(a_limit())
    held = here.submit(60, ttl=HOUR)
    here.renew(held, 20, ttl=HOUR)
    here.wait(HOUR)
    here.until(MIDNIGHT + HOUR)
    here.cycle(here.a_release(held, 50))
    assert [used for *_, used in here.spans("day")] == [50, 0]


def test_changed_amounts_take_effect_at_once_for_what_waits(world):
    here = world(a_limit(100))
    here.record(a_usage_event(95))
    waits = here.submit(10)
    here.change(a_limit(200))
    assert said(here.read(waits)) == ("admit",)
    here.change(a_limit(100))
    assert said(here.submit(1)) == ("defer", "no_headroom")
    assert here.windows() == {"day": (95, 0, 10)}


def test_a_limit_that_counts_differently_is_rebuilt(world):
    here = world(a_limit())
    here.record(a_usage_event(30, team="growth"), a_usage_event(20, key="e2"))
    here.change(a_limit(match=match_of({"team": "growth"})))
    here.submit(10, team="growth")
    assert here.windows() == {"day": (30, 0, 10)}


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        pytest.param(None, (0, 0, 60), id="all of it is still to come"),
        pytest.param(20, (0, 20, 40), id="with what it has reported"),
        pytest.param(70, (0, 70, 0), id="more than it asked for"),
    ],
)
@pytest.mark.parametrize(
    "before", [[a_limit(match=match_of({"team": "sales"}))], []], ids=["a redefined limit", "a new limit"]
)
def test_what_runs_holds_its_place_in(world, before, used, expected):
    here = world(*before, a_concurrency_limit(5))
    held = here.submit(60, team="growth")
    here.renew(held, used)
    here.change(a_limit(), a_concurrency_limit(5))
    assert here.windows() == {"day": expected, "leases": (0, 0, 1)}
    here.release(held, 65)
    assert here.windows() == {"day": (max(65, used or 0), 0, 0), "leases": (0, 0, 0)}


def test_a_transcript_counts_once_in_a_limit_that_came_later(world):
    here = world(a_concurrency_limit(5))
    held = here.submit(60, session="s1")
    here.record(a_usage_event(30, session="s1"))
    here.renew(held, 40)
    here.change(a_limit(), a_concurrency_limit(5))
    assert here.windows()["day"] == (30, 10, 20)
    here.release(held, 50)
    assert here.windows()["day"][1:] == (0, 0)


def test_an_offer_holds_its_place_in_a_new_limit(world):
    here = world(a_concurrency_limit(1))
    first = here.submit(10)
    here.submit(20)
    here.release(first)
    here.change(a_limit(), a_concurrency_limit(1))
    assert here.windows() == {"day": (0, 0, 20), "leases": (0, 0, 1)}


def test_a_limit_switched_off_and_on_again_has_missed_nothing(world):
    here = world(a_limit())
    here.record(a_usage_event(30))
    here.change(a_limit(mode=Mode.OFF))
    here.record(a_usage_event(20, key="e2"))
    here.change(a_limit())
    here.submit(10)
    assert here.windows() == {"day": (50, 0, 10)}
