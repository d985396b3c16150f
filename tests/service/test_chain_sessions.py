"""Sessions put in their place beside writes lie where one write that reads everything puts them."""

import pytest

from quota_scheduler.core.limits.schedule import Session
from quota_scheduler.service import chain_sessions, chained_sessions, read_uses
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import facts
from tests.builders import HOUR, a_session_limit
from tests.service import chained_world as many
from tests.service.chained_world import LIMITS, USES, a_use, chaining, fill, read_little, sessions, started


def at_once(world):
    """Where one write puts them that may read everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_uses, "MOST_IN_A_WRITE", 10**9)
        with world.store.transaction() as tx:
            assert rebuild_sessions(tx, world.limits)
    return sessions(world)


def recorded(*events, history=False):
    """Somebody records uses."""

    def happens(world):
        with world.store.transaction() as tx:
            record_usage(tx, events, world.limits, history=history)

    return happens


def other_limits(world):
    """An operator makes sessions longer."""
    world.limits = (a_session_limit(10**9, schedule=Session(7 * HOUR)), LIMITS[1])
    with world.store.transaction() as tx:
        many.apply_limits(tx, world.limits)


@pytest.fixture
def here(world, monkeypatch):
    """A world whose start found more uses than a write reads."""
    read_little(monkeypatch)
    one = world(*LIMITS)
    fill(one)
    started(one)
    return one


def test_a_start_leaves_them_to_whoever_reads_beside_writes(here):
    work = chaining(here)
    assert (work.is_due, work.comes_first, work.providers) == (True, True, {"anthropic"})
    assert work.problem == "sessions are put in their place by the usage of eight days, of which 0% is read"
    assert work.go_on(leads=True)
    placed = sessions(here)
    assert (work.is_due, work.comes_first, work.providers, work.problem) == (False, False, frozenset(), "")
    assert placed == at_once(here)
    assert len(placed) == 3


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(recorded(a_use(USES, minutes_ago=1)), id="a use of now"),
        pytest.param(recorded(*(a_use(USES + n, minutes_ago=n) for n in range(60))), id="more than a write reads"),
        pytest.param(recorded(a_use(USES, minutes_ago=3 * 24 * 60), history=True), id="one of long ago"),
        pytest.param(recorded(a_use(8, minutes_ago=(USES - 8) * 31, tokens=90)), id="one is corrected that was read"),
        pytest.param(other_limits, id="a limit is changed"),
    ],
)
@pytest.mark.parametrize(
    "when", [pytest.param(0, id="midway"), pytest.param(3, id="later"), pytest.param(6, id="last")]
)
def test_what_happens_meanwhile_counts(here, monkeypatch, happens, when):
    monkeypatch.setattr(chain_sessions, "KEEP_SECONDS", 0.0)
    work = chaining(here, *[None] * when, happens)
    assert work.go_on(leads=True)
    placed = sessions(here)
    assert placed == at_once(here)


def test_who_does_not_lead_waits_for_who_does(here):
    work, leader = chaining(here), chaining(here)
    assert (work.go_on(leads=False), work.comes_first) == (False, True)
    leader.go_on(leads=True)
    assert (work.go_on(leads=False), work.comes_first, work.is_due) == (False, False, False)


def test_nothing_is_due_where_a_write_can_read_all(world):
    one = world(*LIMITS)
    fill(one)
    started(one)
    assert (chaining(one).is_due, chaining(one).go_on(leads=True)) == (False, False)


def test_a_new_limit_is_filled_beside_writes_while_the_service_goes_on(here):
    work = chaining(here)
    work.go_on(leads=True)
    here.limits = (*LIMITS, a_session_limit(10**9, id="short", schedule=Session(4 * HOUR)))
    with here.store.transaction() as tx:
        many.apply_limits(tx, here.limits)
        assert chained_sessions.are_due(tx)
    assert (work.go_on(leads=True), work.comes_first) == (True, False)
    placed = sessions(here)
    assert placed == at_once(here)
    assert {row[0] for row in placed} == {"session", "teams", "short"}


def test_one_that_is_stopped_leaves_how_far_it_is(here):
    work = chaining(here)
    work.stop()
    assert not work.go_on(leads=True)
    with here.store.reading() as tx:
        assert facts.fact(tx, chained_sessions.READ)
    again = chaining(here)
    assert again.go_on(leads=True)
    assert sessions(here) == at_once(here)
    with here.store.reading() as tx:
        assert facts.fact(tx, chained_sessions.READ) == ""
