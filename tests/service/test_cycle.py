"""Tickets: verdicts, keys, leases and fences, on a real database with a clock that is set."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.admission.decide import Admit, Blocker, Defer, Reject
from quota_scheduler.core.cycle.requests import Answer, Read, Refusal, Refused, Release, Renew, Submit, Withdraw
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Holdback, Mode, Policy
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.tickets.run_history import Finished
from quota_scheduler.core.tickets.ticket import Estimate, Outcome, Reason, State
from quota_scheduler.core.units import Unit
from quota_scheduler.store import run_history, windows
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
    a_report,
    a_run_cap,
    a_session_limit,
    a_ticket,
    a_usage_event,
    some_usage,
)
from tests.service.world import fence, lease, said

PEOPLE, HIGH, NORMAL, LOW = Priority
TENTH = Holdback(per_mille=100)
WEEKLY = Calendar(Every.WEEK)
NEXT_MONDAY = MIDNIGHT + 6 * DAY


# verdicts


def risky(**changes):
    return {"day": Outlook(MONDAY, MIDNIGHT, history=30 * DAY, **changes)}


@pytest.mark.parametrize(
    ("limit", "used", "ask", "verdict"),
    [
        pytest.param(a_limit(), 90, {}, ("admit",), id="exactly the headroom is admitted"),
        pytest.param(a_limit(), 91, {}, ("defer", "no_headroom"), id="one token over waits for the reset"),
        pytest.param(a_limit(), 100, {}, ("defer", "exhausted"), id="nothing is left"),
        pytest.param(a_limit(), 140, {}, ("defer", "exhausted"), id="more than everything is used"),
        pytest.param(a_limit(holdback=TENTH), 80, {}, ("admit",), id="exactly the allowance"),
        pytest.param(a_limit(holdback=TENTH), 81, {}, ("defer", "no_headroom"), id="not what is held back"),
        pytest.param(a_limit(holdback=TENTH), 90, {}, ("defer", "paused"), id="automation has spent its share"),
        pytest.param(a_limit(holdback=TENTH), 90, {"priority": PEOPLE}, ("admit",), id="people use what is held back"),
        pytest.param(
            a_limit(holdback=TENTH), 95, {"priority": PEOPLE}, ("defer", "no_headroom"),
            id="people who ask for more than is left have no room, automation's share is not their matter",
        ),
        pytest.param(a_limit(), 0, {"tokens": 101}, ("reject", "never_fits"), id="more than the limit never fits"),
        pytest.param(a_limit(), 0, {"tokens": 100}, ("admit",), id="the whole limit may"),
        pytest.param(
            a_limit(holdback=TENTH), 0, {"tokens": 95}, ("defer", "no_headroom"),
            id="more than the allowance waits for the holdback to fade",
        ),
        pytest.param(a_limit(mode=Mode.WARN), 100, {}, ("admit",), id="mode warn keeps nobody waiting"),
        pytest.param(a_limit(mode=Mode.WARN), 0, {"tokens": 101}, ("admit",), id="nor does it reject"),
        pytest.param(a_limit(mode=Mode.OFF), 100, {}, ("admit",), id="mode off does not even look"),
        pytest.param(a_limit(match=match_of({"team": "ops"})), 100, {}, ("admit",), id="another team's limit"),
        pytest.param(a_session_limit(), 91, {}, ("defer", "no_headroom"), id="a session binds as a day does"),
        pytest.param(a_run_cap(), 0, {"tokens": 101}, ("reject", "run_cap"), id="more than a run may use"),
        pytest.param(a_run_cap(), 0, {"tokens": 100}, ("admit",), id="exactly what a run may use"),
        pytest.param(a_run_cap(mode=Mode.WARN), 0, {"tokens": 101}, ("admit",), id="a cap that only warns"),
        pytest.param(a_concurrency_limit(0), 0, {}, ("reject", "never_fits"), id="no leases at all"),
    ],
)  # fmt: skip
def test_verdicts(world, limit, used, ask, verdict):
    here = world(limit)
    here.record(a_usage_event(used))
    assert said(here.submit(**({"tokens": 10} | ask))) == verdict


@pytest.mark.parametrize(
    ("used", "ask", "outlook", "verdict"),
    [
        pytest.param(79, NORMAL, {}, ("admit",), id="normal work up to 80 % used"),
        pytest.param(80, NORMAL, {}, ("defer", "throttled"), id="normal work waits from 80 %"),
        pytest.param(80, HIGH, {}, ("admit",), id="high work does not"),
        pytest.param(90, HIGH, {}, ("defer", "paused"), id="all automation stops at 90 %"),
        pytest.param(90, PEOPLE, {}, ("admit",), id="people go on"),
        pytest.param(0, LOW, {"risk": "high"}, ("defer", "throttled"), id="low waits at high risk"),
        pytest.param(0, LOW, {"risk": "critical"}, ("defer", "throttled"), id="and at critical risk"),
        pytest.param(0, LOW, {"risk": "medium"}, ("admit",), id="not at medium risk"),
        pytest.param(0, LOW, {"risk": "unknown"}, ("admit",), id="unknown never throttles"),
        pytest.param(0, LOW, {"projected_ratio": 0.91}, ("defer", "throttled"), id="low waits over 90 % projected"),
        pytest.param(0, LOW, {"projected_ratio": 0.9}, ("admit",), id="not at 90 %"),
        pytest.param(0, LOW, {"spike": True}, ("defer", "throttled"), id="low waits on a spike"),
        pytest.param(0, NORMAL, {"risk": "critical", "spike": True}, ("admit",), id="normal work does not"),
    ],
)
def test_the_seeds_thresholds(world, used, ask, outlook, verdict):
    here = world(a_limit(policy=Policy.FIXED_THRESHOLDS), outlooks=risky(**outlook))
    here.record(a_usage_event(used))
    assert said(here.submit(5, priority=ask)) == verdict


DEMAND = ((), (10.0,) * 6, (20.0,) * 6, (40.0,) * 6)
"""Demand still to come above high, normal and low: the same at every quantile, for the rest of the day."""


@pytest.mark.parametrize(
    ("used", "ask", "hour", "verdict"),
    [
        pytest.param(50, LOW, 9, ("admit",), id="low fits beside what is expected above it"),
        pytest.param(51, LOW, 9, ("defer", "paced"), id="low leaves room for it"),
        pytest.param(70, NORMAL, 9, ("admit",), id="normal leaves less"),
        pytest.param(71, NORMAL, 9, ("defer", "paced"), id="but some"),
        pytest.param(80, HIGH, 9, ("admit",), id="high leaves room for people"),
        pytest.param(81, HIGH, 9, ("defer", "paced"), id="and no more"),
        pytest.param(90, PEOPLE, 9, ("admit",), id="people leave room to nobody"),
        pytest.param(70, LOW, 16.5, ("admit",), id="half the rest of the day later half as much"),
        pytest.param(71, LOW, 16.5, ("defer", "paced"), id="and no more than that"),
        pytest.param(89, LOW, 23.9, ("admit",), id="before the reset nearly nothing: better used than expired"),
    ],
)
def test_the_two_sided_test(world, used, ask, hour, verdict):
    here = world(a_limit(), outlooks=risky(above=DEMAND))
    here.record(a_usage_event(used))
    here.clock.at = MIDNIGHT - DAY + hour * HOUR
    assert said(here.submit(10, priority=ask)) == verdict


def test_what_waits_in_a_class_above_is_left_room_for(world):
    here = world(a_limit(), a_limit(50, id="team", match=match_of({"team": "growth"})))
    here.record(a_usage_event(50, team="growth"))
    assert said(here.submit(30, priority=HIGH, team="growth")) == ("defer", "exhausted")
    waits = here.submit(21, priority=LOW, team="ops")
    assert said(waits) == ("defer", "paced")
    here.withdraw(waits)
    assert said(here.submit(20, priority=LOW, team="ops")) == ("admit",)
    assert said(here.submit(30, priority=HIGH, team="ops")) == ("admit",)


def test_a_verdict_names_every_limit_that_holds_and_the_last_of_their_resets(world):
    here = world(a_limit(), a_limit(id="week", schedule=WEEKLY), a_session_limit(), a_limit(1000, id="wide"))
    here.record(a_usage_event(95))
    found = here.submit(10).verdict
    holds = [("day", MIDNIGHT), ("week", NEXT_MONDAY), ("session", MONDAY + 5 * HOUR)]
    assert found == Defer(
        NEXT_MONDAY, Reason.NO_HEADROOM, tuple(Blocker(name, Reason.NO_HEADROOM, until) for name, until in holds)
    )


def test_limits_in_mode_warn_say_and_count_what_they_would_have_done(world):
    here = world(a_limit(mode=Mode.WARN), a_run_cap(5, mode=Mode.WARN))
    here.record(a_usage_event(95))
    found = here.submit(10)
    assert found.verdict == Admit(
        (Blocker("day", Reason.NO_HEADROOM, MIDNIGHT), Blocker("run-cap", Reason.RUN_CAP, MONDAY))
    )
    assert here.counter("quota_would_defer_total") == {("day", "normal"): 1, ("run-cap", "normal"): 1}


def test_the_holdback_fades_over_the_last_tenth_of_a_window(world):
    here = world(a_session_limit(1_000, holdback=TENTH))
    here.record(a_usage_event(800, at=MONDAY))
    most = {}
    for minutes in (0, 270, 285, 297):
        here.clock.at = MONDAY + minutes * MINUTE
        asked = [Submit(a_ticket(tokens, priority=LOW), dry_run=True) for tokens in range(90, 211, 10)]
        most[minutes] = 90 + 10 * sum(said(answer) == ("admit",) for answer in here.cycle(*asked)) - 10
    assert most == {0: 100, 270: 100, 285: 150, 297: 190}


def test_a_session_not_yet_begun_holds_back_what_it_will_hold_back(world):
    here = world(a_session_limit(holdback=TENTH, match=match_of({"provider": "anthropic"})), a_concurrency_limit(1))
    running = here.submit(provider="openai")
    here.submit(5)
    here.release(running)
    assert here.windows()["session"] == (0, 0, 5)  # offered: it begins when the runner claims it
    here.change(here.limits[0])
    assert said(here.submit(86)) == ("defer", "no_headroom")
    assert said(here.submit(85)) == ("defer", "no_headroom")  # behind the larger one
    assert said(here.submit(85, priority=PEOPLE)) == ("admit",)


def test_a_source_that_is_catching_up_defers_all_but_people(world):
    here = world(a_limit(), catching_up=frozenset({"anthropic"}))
    deferred = here.submit(10)
    assert deferred.verdict == Defer(
        MONDAY + MINUTE, Reason.CATCHING_UP, (Blocker("day", Reason.CATCHING_UP, MONDAY + MINUTE),)
    )
    assert said(here.submit(10, priority=PEOPLE)) == ("admit",)
    assert said(here.submit(10, provider="openai")) == ("admit",)
    here.terms = replace(here.terms, catching_up=frozenset())
    here.clock.advance(2 * SECOND)  # everything is looked at this often
    assert said(here.read(deferred)) == ("admit",)


def test_concurrency_is_limited_and_given_back(world):
    here = world(a_concurrency_limit(2))
    first, second, third = (here.submit() for _ in range(3))
    assert [said(each) for each in (first, second, third)] == [("admit",), ("admit",), ("defer", "concurrency")]
    here.release(first)
    assert said(here.read(third)) == ("admit",)
    assert here.windows() == {"leases": (0, 0, 2)}
    here.release(second)
    here.release(third := here.read(third))
    assert (here.windows(), third.ticket.state) == ({"leases": (0, 0, 0)}, State.RUNNING)


def test_each_instance_has_an_amount_of_its_own(world):
    here = world(a_limit(10, id="team", per="team", overrides=(("sales", 25),), max_instances=2))
    asked = [("growth", 10), ("sales", 25), ("ops", 10), ("hr", 1)]
    assert [said(here.submit(tokens, team=team)) for team, tokens in asked] == [
        ("admit",), ("admit",), ("admit",), ("defer", "no_headroom"),
    ]  # fmt: skip
    assert here.windows() == {"team/growth": (0, 0, 10), "team/sales": (0, 0, 25), "team/other": (0, 0, 10)}


def test_a_dry_run_decides_and_keeps_nothing(world):
    here = world(a_limit())
    found = here.ask(Submit(a_ticket(10, key="dry"), dry_run=True))
    assert (found.verdict, found.ticket.id, here.tickets()) == (Admit(), 0, {})
    assert said(here.ask(Submit(a_ticket(101), dry_run=True))) == ("reject", "never_fits")
    assert here.windows() == {"day": (0, 0, 0)}


# keys


def test_a_key_names_one_ticket(world):
    here = world(a_limit())
    first, again = here.submit(60, key="nightly"), here.submit(60, key="nightly")
    assert (again.ticket, again.verdict, here.windows()) == (first.ticket, Admit(), {"day": (0, 0, 60)})


def test_a_key_twice_in_one_batch_is_one_reservation(world):
    here = world(a_limit())
    first, second = here.cycle(here.a_submit(60, key="nightly"), here.a_submit(60, key="nightly"))
    assert (first, here.windows()) == (second, {"day": (0, 0, 60)})


def test_a_key_with_another_body_is_refused_and_changes_nothing(world):
    here = world(a_limit())
    first = here.submit(60, key="nightly")
    assert here.cycle(here.a_submit(61, key="nightly")) == (Refused(Refusal.KEY_REUSED, first.ticket),)
    assert here.windows() == {"day": (0, 0, 60)}


def test_a_waiting_ticket_keeps_its_place_however_often_it_asks(world):
    here = world(a_limit())
    here.record(a_usage_event(100))
    first = here.submit(10, key="a")
    here.submit(10, key="b")
    here.wait(HOUR)
    again = here.submit(10, key="a")
    assert (first.position, again.position, again.ticket.waiting_since) == (1, 1, MONDAY)


def test_a_closed_key_answers_with_how_it_ended(world):
    here = world(a_limit())
    held = here.submit(60, key="nightly")
    here.release(held, 10)
    again = here.submit(60, key="nightly")
    assert (again.ticket.outcome, said(again), here.windows()) == (
        Outcome.COMPLETED, ("closed", "completed"), {"day": (10, 0, 0)},
    )  # fmt: skip


def test_a_rejected_key_stays_rejected(world):
    here = world(a_limit())
    assert [said(here.submit(101, key="big")) for _ in range(2)] == [("reject", "never_fits")] * 2


def test_after_expiry_the_same_key_gets_the_same_ticket_and_a_new_fence(world):
    here = world(a_limit())
    first = here.submit(60, key="nightly", ttl=10 * MINUTE)
    here.wait(10 * MINUTE)
    again = here.submit(60, key="nightly", ttl=10 * MINUTE)
    assert (again.ticket.id, fence(first), fence(again)) == (first.ticket.id, 1, 2)
    assert (said(again), here.windows()) == (("admit",), {"day": (0, 0, 60)})
    assert lease(again).expires_at == MONDAY + 20 * MINUTE


def test_work_asked_for_again_does_not_count_the_time_it_ran_as_waiting(world):
    here = world(a_limit(), a_concurrency_limit(1, match=match_of({"team": "growth"})))
    first = here.submit(60, key="nightly", team="growth", ttl=3 * HOUR)
    here.wait(3 * HOUR)
    here.submit(10, team="growth", ttl=3 * HOUR)
    again = here.submit(60, key="nightly", team="growth", ttl=3 * HOUR)
    assert (again.ticket.id, said(again)) == (first.ticket.id, ("defer", "concurrency"))
    assert again.ticket.waiting_since == MONDAY + 3 * HOUR
    here.kill()
    assert here.read(again).ticket.waiting_since == MONDAY + 3 * HOUR


# leases


def test_reports_move_from_reserved_to_reported(world):
    here = world(a_limit())
    held = here.submit(60)
    seen = [here.windows()["day"]]
    for used in (20, 20, 15, 50):
        here.renew(held, used)
        seen.append(here.windows()["day"])
    here.release(held, 55)
    assert seen == [(0, 0, 60), (0, 20, 40), (0, 20, 40), (0, 20, 40), (0, 50, 10)]
    assert (here.windows(), here.ledger()) == ({"day": (55, 0, 0)}, {"lease:1:1:0:": 55})


def test_a_heartbeat_without_figures_keeps_the_lease(world):
    here = world(a_limit())
    held = here.submit(60, ttl=10 * MINUTE)
    here.wait(9 * MINUTE)
    assert lease(here.renew(held)).expires_at == MONDAY + 19 * MINUTE
    assert lease(here.renew(held, ttl=HOUR)).expires_at == MONDAY + 69 * MINUTE
    here.wait(60 * MINUTE - MICRO)
    assert (said(here.read(held)), here.windows()) == (("admit",), {"day": (0, 0, 60)})


def test_usage_by_model_adds_up_and_settles_as_one_event_each(world):
    here = world(a_limit())
    held = here.submit(60)
    both = (*a_report(10, "opus"), *a_report(5, "haiku"))
    here.ask(Renew(held.ticket.id, fence(held), a_report(8, "opus")))
    here.ask(Release(held.ticket.id, fence(held), tuple(sorted(both))))
    assert here.ledger() == {"lease:1:1:0:haiku": 5, "lease:1:1:0:opus": 10}


def test_a_lease_nobody_renews_expires_and_what_it_reported_is_usage(world):
    here = world(a_limit())
    held = here.submit(60, ttl=10 * MINUTE)
    here.renew(held, 20)
    here.wait(10 * MINUTE - MICRO)
    assert here.windows() == {"day": (0, 20, 40)}
    here.wait(MICRO)
    assert (here.read(held).ticket.outcome, here.windows()) == (Outcome.EXPIRED, {"day": (20, 0, 0)})
    assert here.counter("quota_leases_expired_total") == {("day",): 1}


def test_after_a_sleep_no_lease_expires_at_once(world):
    here = world(a_limit())
    held = here.submit(60, ttl=10 * MINUTE)
    here.terms = replace(here.terms, expire_leases=False)
    here.wait(HOUR)
    renewed = here.renew(held)
    here.terms = replace(here.terms, expire_leases=True)
    here.wait(9 * MINUTE)
    assert (renewed.ticket.state, here.windows()) == (State.RUNNING, {"day": (0, 0, 60)})


@pytest.mark.parametrize("end", ["release", "withdraw", "expire"])
def test_a_reservation_is_given_back_exactly_once(world, end):
    here = world(a_limit(), a_concurrency_limit(3), a_session_limit())
    held, other = here.submit(60, ttl=10 * MINUTE), here.submit(30)
    for _ in range(2):
        if end == "release":
            here.cycle(here.a_release(held, 20))
        elif end == "withdraw":
            here.cycle(Withdraw(held.ticket.id))
        else:
            here.wait(10 * MINUTE)
    used = 20 if end == "release" else 0
    assert here.windows() == {"day": (used, 0, 30), "leases": (0, 0, 1), "session": (used, 0, 30)}
    assert said(here.read(other)) == ("admit",)


def test_the_same_release_once_more_is_answered_as_the_first(world):
    here = world(a_limit())
    held = here.submit(60)
    assert [here.release(held, 20).ticket.outcome for _ in range(2)] == [Outcome.COMPLETED] * 2
    assert here.windows() == {"day": (20, 0, 0)}


def test_a_release_twice_in_one_batch_counts_once(world):
    here = world(a_limit())
    held = here.submit(60)
    here.cycle(here.a_release(held, 20), here.a_release(held, 20))
    assert here.windows() == {"day": (20, 0, 0)}


def test_failed_work_says_so(world):
    here = world(a_limit())
    assert here.release(here.submit(60), 5, outcome=Outcome.FAILED).ticket.outcome is Outcome.FAILED


def test_what_returns_is_there_for_who_asks_in_the_same_batch(world):
    here = world(a_limit())
    held = here.submit(60)
    asked, _ = here.cycle(here.a_submit(90), here.a_release(held, 10))
    assert said(asked) == ("admit",)


@pytest.mark.parametrize(
    "request_of",
    [lambda: Read(99), lambda: Withdraw(99), lambda: Renew(99, 1), lambda: Release(99, 1)],
    ids=["read", "withdraw", "renew", "release"],
)
def test_what_is_not_there_is_not_found(world, request_of):
    assert [said(answer) for answer in world(a_limit()).cycle(request_of())] == [("refused", "not_found")]


def test_a_ticket_that_never_ran_has_nothing_to_renew(world):
    here = world(a_limit())
    here.record(a_usage_event(100))
    waits = here.submit(10)
    assert [said(each) for each in here.cycle(Renew(waits.ticket.id, 1, a_report(5)))] == [("refused", "not_found")]
    assert here.ledger() == {"e1": 100}


# overrun


def test_an_overrun_reservation_grows_while_there_is_room(world):
    here = world(a_limit())
    held = here.submit(40)
    assert (here.renew(held, 50).stop, here.windows()) == (False, {"day": (0, 50, 10)})
    assert (here.renew(held, 70).stop, here.windows()) == (False, {"day": (0, 70, 15)})
    assert (here.renew(held, 95).stop, here.windows()) == (True, {"day": (0, 95, 0)})


@pytest.mark.parametrize(
    ("limit", "stop"),
    [
        pytest.param(a_limit(), True, id="told to stop at the next safe point"),
        pytest.param(a_limit(mode=Mode.WARN), False, id="not by a limit that only warns"),
    ],
)
def test_an_overrun_without_room(world, limit, stop):
    here = world(limit)
    held = here.submit(40)
    here.record(a_usage_event(60))
    assert here.renew(held, 50).stop is stop


def test_an_overrun_does_not_grow_into_what_is_held_back_for_people(world):
    here = world(a_limit(holdback=TENTH))
    held, people = here.submit(80), here.submit(4, priority=PEOPLE)
    assert (here.renew(held, 84).stop, here.renew(people, 5).stop) == (True, False)
    assert here.windows() == {"day": (0, 89, 1)}


def test_a_run_beyond_its_cap_is_told_to_stop(world):
    here = world(a_limit(1_000), a_run_cap(100))
    held = here.submit(90, run="nightly")
    assert [here.renew(held, used).stop for used in (100, 101)] == [False, True]


def test_what_a_run_used_before_counts_towards_its_cap(world):
    here = world(a_limit(1_000), a_run_cap(100))
    here.record(a_usage_event(60, run="nightly", at=MONDAY - HOUR))
    assert said(here.submit(41, run="nightly")) == ("reject", "run_cap")
    held = here.submit(40, run="nightly")
    assert [here.renew(held, used).stop for used in (40, 41)] == [False, True]


@pytest.mark.parametrize(
    ("before", "asked", "expected"),
    [
        pytest.param([60], 40, ("admit",), id="both fit into the cap"),
        pytest.param([60], 41, ("reject", "run_cap"), id="the first runs and may use what it reserved"),
        pytest.param([40, 20], 41, ("reject", "run_cap"), id="two of them count together"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one after the other"])
def test_parallel_tickets_of_one_run_stay_within_its_cap_together(world, before, asked, expected, at_once):
    here = world(a_limit(1_000), a_run_cap(100))
    asks = [here.a_submit(tokens, run="nightly") for tokens in (*before, asked)]
    answers = here.cycle(*asks) if at_once else [here.ask(each) for each in asks]
    assert [said(answer) for answer in answers] == [("admit",)] * len(before) + [expected]


def test_what_a_ticket_of_a_run_gave_back_the_next_may_use(world):
    here = world(a_limit(1_000), a_run_cap(100))
    here.release(here.submit(90, run="nightly"), 30)
    assert said(here.submit(70, run="nightly")) == ("admit",)


def cheap_or_dear(ticket, model):
    """Half the cost with a small model, twice with a large one; cheap are one without a price and another vendor's."""
    factor = {"small": 1, "large": 4, "unpriced": 1, "gpt-5.4-mini": 1}[model]
    usage = ticket.estimate.reserve._replace(cost_microusd=factor)
    estimate = ticket.estimate._replace(reserve=usage, estimated_cost=model == "unpriced")
    return ticket._replace(estimate=estimate)


@pytest.mark.parametrize(
    ("used", "models", "advised"),
    [
        pytest.param(0, ("large", "small"), ("minimal", ""), id="plenty is left: any model"),
        pytest.param(750, ("large", "small"), ("aggressive", "small"), id="tight: the first that costs less"),
        pytest.param(950, ("large", "small"), ("emergency", "small"), id="nothing is left"),
        pytest.param(750, ("large",), ("aggressive", ""), id="tight, and none costs less"),
        pytest.param(750, (), ("aggressive", ""), id="tight, and no models are configured"),
    ],
)
def test_where_it_is_tight_a_cheaper_model_is_advised(world, used, models, advised):
    here = world(a_limit(1_000), models=models, reprice=cheap_or_dear)
    here.record(a_usage_event(used or 1))
    found = here.submit(10, model="medium", estimate=declared(some_usage(10)._replace(cost_microusd=2)))
    assert (found.optimization, found.model) == advised


@pytest.mark.parametrize(
    ("models", "asked", "advised"),
    [
        pytest.param(("gpt-5.4-mini",), "medium", ("", []), id="M4: a model of another provider is none of its own"),
        pytest.param(("unpriced",), "medium", ("", []), id="M4: what has no price is not called cheaper"),
        pytest.param(("large", "small"), "", ("", ["small"]), id="M4: no model named is not priced like the dearest"),
        pytest.param(("large",), "medium", ("", []), id="M4: a dearer model is no way out"),
        pytest.param(
            ("small",), "medium", ("small", ["small"]), id="M4: a cheaper one of its provider that would start"
        ),
    ],
)
def test_M4_advice_and_counterfactuals_name_models_that_help(world, models, asked, advised):
    here = world(a_limit(10, unit=Unit.USD), models=models, reprice=cheap_or_dear)
    here.record(a_usage_event(usage=some_usage(1)._replace(cost_microusd=9)))
    found = here.submit(10, model=asked, estimate=declared(some_usage(10)._replace(cost_microusd=2)))
    named = [change["model"] for change in found.counterfactuals if change["change"] == "model"]
    assert (found.model, named) == advised


def test_what_completed_runs_took_is_remembered_beyond_their_tickets(world):
    here = world(a_limit(1_000))
    guess = Estimate(some_usage(20), some_usage(26), "task_type", declared=False, words=7, guess=20)
    here.release(here.submit(estimate=guess, workflow="nightly", task_type="review"), 30)
    here.release(here.submit(estimate=guess, workflow="nightly"), 30, outcome=Outcome.FAILED)
    with here.store.transaction() as tx:
        found = run_history.load(tx)
    assert found == [Finished(MONDAY, "nightly", "review", 7, 20, True, some_usage(30))]


def test_overshoot_is_what_running_leases_used_beyond_their_reservations(world):
    limits = a_limit(100), a_concurrency_limit(5)
    here = world(*limits)
    held, other = here.submit(60), here.submit(40)
    here.renew(held, 75)
    here.renew(other, 30)
    with here.store.transaction() as tx:
        assert windows.overshoot(tx, limits) == {"day": 15}
    here.release(held, 75)
    with here.store.transaction() as tx:
        assert windows.overshoot(tx, limits) == {}


def test_a_cap_counts_a_run_once_though_its_transcript_tells_of_it_too(world):
    here = world(a_limit(1_000), a_run_cap(100))
    held = here.submit(90, run="nightly", session="s1")
    here.record(a_usage_event(60, session="s1"))
    assert [here.renew(held, used).stop for used in (60, 100, 101)] == [False, False, True]


# fences


def expired_and_taken_over(here):
    """A lease that ran out at 20 reported, and the same ticket running again."""
    old = here.submit(60, key="nightly", ttl=10 * MINUTE)
    here.renew(old, 20)
    here.wait(10 * MINUTE)
    return old, here.submit(60, key="nightly", ttl=10 * MINUTE)


@pytest.mark.parametrize(
    ("reports", "counted"),
    [
        pytest.param([20], 20, id="what was known already"),
        pytest.param([35], 35, id="more counts as the difference"),
        pytest.param([35, 35], 35, id="told twice it counts once"),
        pytest.param([35, 30, 50], 50, id="and grows on"),
        pytest.param([5], 20, id="less takes nothing back"),
    ],
)
def test_a_stale_fence_may_not_go_on_but_its_usage_counts(world, reports, counted):
    here = world(a_limit())
    old, new = expired_and_taken_over(here)
    for used in reports:
        (answer,) = here.cycle(here.a_renew(old, used))
        assert said(answer) == ("refused", "stale_fence")
    assert (here.ledger(), here.windows()) == ({"lease:1:1:0:": counted}, {"day": (counted, 0, 60)})
    here.release(new, 7)
    assert here.ledger() == {"lease:1:1:0:": counted, "lease:1:2:0:": 7}


def test_a_lease_that_ran_out_reports_late(world):
    here = world(a_limit())
    held = here.submit(60, ttl=10 * MINUTE)
    here.wait(10 * MINUTE)
    (answer,) = here.cycle(here.a_release(held, 30))
    assert (said(answer), here.ledger()) == (("refused", "stale_fence"), {"lease:1:1:0:": 30})


def test_a_report_in_the_very_cycle_that_sees_the_lease_run_out(world):
    here = world(a_limit())
    held = here.submit(60, ttl=10 * MINUTE)
    here.renew(held, 20)
    here.clock.advance(10 * MINUTE)
    answers = here.cycle(here.a_renew(held, 30), here.a_release(held, 35))
    assert [said(answer) for answer in answers] == [("refused", "stale_fence")] * 2
    assert (here.ledger(), here.windows()) == ({"lease:1:1:0:": 35}, {"day": (35, 0, 0)})


def test_an_old_fence_reports_while_its_ticket_waits_anew(world):
    here = world(a_limit(), a_concurrency_limit(1))
    old = here.submit(60, key="nightly", ttl=10 * MINUTE)
    here.renew(old, 20)
    here.wait(10 * MINUTE)
    here.submit(10)
    assert said(here.submit(60, key="nightly", ttl=10 * MINUTE)) == ("defer", "concurrency")
    (answer,) = here.cycle(here.a_release(old, 30))
    assert (said(answer), here.ledger()) == (("refused", "stale_fence"), {"lease:1:1:0:": 30})


def test_a_fence_that_never_was_reports_nothing(world):
    here = world(a_limit())
    held = here.submit(60)
    (answer,) = here.cycle(Release(held.ticket.id, 99, a_report(30)))
    assert (said(answer), here.ledger(), here.windows()) == (("refused", "stale_fence"), {}, {"day": (0, 0, 60)})


def test_fences_grow_over_all_tickets(world):
    here = world(a_limit())
    held = [here.submit(1) for _ in range(3)]
    here.kill()
    assert [fence(each) for each in (*held, here.submit(1))] == [1, 2, 3, 4]


def test_what_was_answered_survives_a_kill(world):
    here = world(a_limit())
    held, waits = here.submit(60), here.submit(60)
    here.renew(held, 20)
    here.kill()
    assert (here.read(held).ticket, here.read(waits).position) == (here.read(held).ticket, 1)
    assert here.windows() == {"day": (0, 20, 40)}
    here.release(held, 30)
    assert said(here.read(waits)) == ("admit",)


def test_a_batch_of_everything_is_answered_in_order(world):
    here = world(a_limit())
    held = here.submit(50)
    batch = (
        Read(99),
        here.a_submit(60, key="big"),
        here.a_renew(held, 10),
        here.a_release(held, 20),
        here.a_submit(101),
    )
    answers = here.cycle(*batch)
    assert [said(answer) for answer in answers] == [
        ("refused", "not_found"),
        ("admit",),
        ("closed", "completed"),
        ("closed", "completed"),
        ("reject", "never_fits"),
    ]
    assert isinstance(answers[1], Answer)
    assert answers[4].verdict == Reject(Reason.NEVER_FITS, (Blocker("day", Reason.NEVER_FITS, MONDAY),))
    assert answers[1].ticket._replace(lease=None).state is State.RUNNING
