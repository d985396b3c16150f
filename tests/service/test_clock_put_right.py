"""R1, R3: a clock that was ahead once and is put right leaves no trace: one case per place that holds an instant."""

import pytest

from quota_scheduler.core.admission.decide import Admit
from quota_scheduler.core.cycle.requests import Read
from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.limits.changes import LimitChange
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.tickets.ticket import State
from quota_scheduler.service.operate.limits import apply_limits
from quota_scheduler.store import limit_changes
from tests.builders import (
    DAY,
    HOUR,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    SECOND,
    a_concurrency_limit,
    a_limit,
    a_session_limit,
    a_usage_event,
)
from tests.service.world import said

JUMPS = [
    pytest.param(5 * SECOND, id="by seconds"),
    pytest.param(16 * HOUR, id="over one reset"),
    pytest.param(5 * DAY, id="over several"),
]
MONTH = a_limit(1_000, id="month", schedule=Calendar(Every.MONTH))


def ahead_and_back(here, by, *, restarts=False):
    """The clock stands ahead for one cycle, and is put right."""
    before = here.clock.at
    here.clock.advance(by)
    here.cycle()
    if restarts:
        here.kill()
    here.clock.at = before
    if restarts:
        here.kill()
    here.cycle()


def present(here):
    """What is shown of now: rule, value, span, used, reported and reserved, of the windows that contain it."""
    with here.store.transaction() as tx:
        return tx.rows(
            "SELECT rule, value, starts_at, ends_at, used, reported, reserved FROM windows WHERE closed = 0 "
            "AND (starts_at IS NULL OR starts_at <= ?) ORDER BY rule, value",
            (to_micros(here.clock.at),),
        )


def test_a_window_goes_on_when_the_clock_falls_back_behind_its_reset_by_a_moment(world):
    """So little is no trouble with the clock, and nothing is read anew: the next cycle looks for what was closed."""
    here = world(a_limit(100))
    here.record(a_usage_event(90))
    here.until(MIDNIGHT - SECOND)
    before = present(here)
    here.until(MIDNIGHT + SECOND / 4)
    here.cycle()
    here.clock.at = MIDNIGHT - SECOND / 4
    assert (said(here.submit(20))[0], present(here)) == ("defer", before)


@pytest.mark.parametrize("restarts", [False, True], ids=["running on", "restarted ahead and after"])
@pytest.mark.parametrize("by", JUMPS)
@pytest.mark.parametrize(
    "limit", [a_limit(), MONTH, a_session_limit(), a_limit(id="team", per="team")], ids=lambda limit: limit.id
)
def test_R1_windows_and_reservations_are_as_if_the_clock_had_never_jumped(world, limit, by, *, restarts):
    here = world(limit, a_concurrency_limit(5))
    here.record(a_usage_event(10, team="growth"))
    held = here.submit(30, team="growth", session="s1", ttl=10 * DAY)
    here.renew(held, 12)
    before = present(here)
    ahead_and_back(here, by, restarts=restarts)
    assert present(here) == before
    assert said(here.submit(10, team="growth")) == ("admit",)
    assert said(here.submit(2_000, team="growth")) == ("reject", "never_fits")
    here.release(held, 20)
    assert [row[4:] for row in present(here) if row[0] == limit.id] == [(30, 0, 10)]


def test_R1_the_default_month_goes_on_and_ends_in_its_own_time(world):
    here = world(MONTH)
    here.clock.at = MONDAY + 4 * DAY
    here.record(a_usage_event(10, at=here.clock.at))
    ahead_and_back(here, 5 * DAY)
    here.record(a_usage_event(5, key="e2", at=here.clock.at))
    assert [row[4:] for row in present(here)] == [(15, 0, 0)]
    here.until(MIDNIGHT + 7 * DAY + HOUR)  # December has come
    here.record(a_usage_event(3, key="e3", at=here.clock.at))
    assert [used for _, _, used in here.spans("month")] == [15, 3]


def test_R1_what_was_reserved_and_reported_ahead_returns_to_the_window_of_now(world):
    here = world(a_limit())
    held = here.submit(60, ttl=10 * DAY)
    here.renew(held, 10)
    here.clock.advance(2 * DAY)
    here.renew(held, 25)
    here.clock.at = MONDAY + MINUTE
    here.cycle()
    assert [row[4:] for row in present(here)] == [(0, 25, 35)]
    here.release(held, 40)
    assert [row[4:] for row in present(here)] == [(40, 0, 0)]


def test_R1_a_session_that_a_lease_opened_ahead_begins_now(world):
    here = world(a_session_limit())
    here.clock.advance(2 * DAY)
    here.submit(60, ttl=10 * DAY)
    here.clock.at = MONDAY + MINUTE
    here.cycle()
    assert here.spans("session") == [(MONDAY + MINUTE, MONDAY + MINUTE + 5 * HOUR, 0)]
    assert here.windows() == {"session": (0, 0, 60)}


@pytest.mark.parametrize("leased", [False, True], ids=["nothing runs", "a lease runs"])
@pytest.mark.parametrize("used_behind", [0, 1], ids=["nothing used behind", "something used behind"])
def test_R1_a_session_keeps_its_use_while_the_clock_is_days_behind(world, used_behind, *, leased):
    here = world(a_session_limit())
    here.clock.at = right = MONDAY + 4 * DAY
    here.record(a_usage_event(10, at=right))
    if leased:
        here.submit(30, session="s1", ttl=10 * DAY)
    here.clock.at = right - 3 * DAY
    here.cycle()
    if used_behind:
        here.record(a_usage_event(used_behind, key="behind", at=here.clock.at))
    here.clock.at = right + MINUTE
    here.cycle()
    here.record(a_usage_event(5, key="after", at=here.clock.at))
    assert [row[4:] for row in present(here)] == [(15, 0, 30 if leased else 0)]


def test_R1_an_offer_made_ahead_is_taken_back_in_its_time(world):
    here = world(a_concurrency_limit(1))
    first, second = here.submit(1, ttl=10 * DAY), here.submit(1)
    here.clock.advance(2 * DAY)
    here.release(first)
    assert here.tickets()[second.ticket.key] == State.OFFERED
    here.clock.at = MONDAY + MINUTE
    here.cycle()
    here.wait(HOUR)
    assert here.ask(Read(second.ticket.id, claim=False)).ticket.offers > 1


def test_R1_a_lease_granted_ahead_expires_by_its_own_length(world):
    here = world(a_concurrency_limit(1))
    here.clock.advance(2 * DAY)
    held = here.submit(1, ttl=HOUR)
    here.clock.at = MONDAY
    here.cycle()
    here.wait(HOUR + SECOND)
    assert here.tickets()[held.ticket.key] == State.CLOSED


def test_R1_the_whole_queue_is_looked_at_again(world):
    here = world(a_limit(100))
    here.submit(90, ttl=10 * DAY)
    waits = here.submit(50)
    ahead_and_back(here, 2 * HOUR)
    here.change(a_limit(1_000))
    done = here.run()
    assert [verdict for ticket, verdict in done.decisions if ticket.key == waits.ticket.key] == [Admit()]


def test_R1_a_change_of_a_limit_that_expired_ahead_lasts_again(world):
    here = world(a_limit(100))
    change = LimitChange("day", "amount", 500, "ops", MONDAY, MONDAY + HOUR)
    with here.store.transaction() as tx:
        limit_changes.save(tx, change)
        hold = apply_limits(tx, here.limits)
    assert ([limit.amount for limit in hold.limits], hold.is_over(MONDAY)) == ([500], False)
    here.clock.advance(DAY)
    assert hold.is_over(here.clock.at)
    with here.store.transaction() as tx:
        hold = apply_limits(tx, here.limits)
    assert ([limit.amount for limit in hold.limits], hold.is_over(here.clock.at)) == ([100], False)
    here.clock.at = MONDAY
    assert hold.is_over(MONDAY)
    with here.store.transaction() as tx:
        assert [limit.amount for limit in apply_limits(tx, here.limits).limits] == [500]
