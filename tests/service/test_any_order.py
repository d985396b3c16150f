"""B3: the same events give the same windows and runs in whatever order they come, live as after a restart."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quota_scheduler.core.labels import match_of
from quota_scheduler.service.rebuild import rebuild
from tests.builders import DAY, HOUR, MINUTE, MONDAY, a_limit, a_session_limit, a_usage_event
from tests.service.world import World

LIMITS = (
    a_limit(10_000),
    a_limit(10_000, id="team", per="team"),
    a_session_limit(10_000),
    a_session_limit(10_000, id="teams", per="team"),
    a_session_limit(10_000, id="growth", match=match_of({"team": "growth"})),
)


def shown(here):
    """The open windows with their spans, and the runs."""
    with here.store.transaction() as tx:
        windows = tx.rows(
            "SELECT rule, value, starts_at, ends_at, used FROM windows WHERE closed = 0 AND used > 0 ORDER BY 1, 2, 3"
        )
        runs = tx.rows(
            "SELECT run, input + output, started_at, last_at FROM runs WHERE input + output > 0 ORDER BY run"
        )
    return windows, runs


@pytest.mark.parametrize("order", list(permutations([1, 4, 2])), ids=lambda hours: f"{hours} h ago")
def test_B3_a_session_begins_where_its_earliest_use_says(world, order):
    here = world(a_session_limit(50_000))
    for hours in order:
        here.record(a_usage_event(10_000 * hours, key=f"e{hours}", at=MONDAY - hours * HOUR))
    assert here.spans("session") == [(MONDAY - 4 * HOUR, MONDAY + HOUR, 70_000)]


def test_B3_a_session_that_was_over_in_truth_is_over(world):
    here = world(a_session_limit())
    for hours in (3, 7):
        here.record(a_usage_event(10, key=f"e{hours}", at=MONDAY - hours * HOUR))
    here.cycle()
    assert here.windows() == {}
    here.record(a_usage_event(10, key="e9", at=MONDAY - 9 * HOUR))  # −9 … −4, so −3 opens one of its own
    assert here.spans("session")[-1] == (MONDAY - 3 * HOUR, MONDAY + 2 * HOUR, 10)


def test_B3_a_session_that_a_lease_holds_in_moves_with_what_it_holds(world):
    here = world(a_session_limit())
    here.submit(30)
    here.record(a_usage_event(10, at=MONDAY - 2 * HOUR))
    assert here.spans("session") == [(MONDAY - 2 * HOUR, MONDAY + 3 * HOUR, 10)]
    assert here.windows() == {"session": (10, 0, 30)}


EVENTS = st.lists(
    st.tuples(st.integers(0, 1_800), st.integers(1, 40), st.sampled_from(["", "growth"]), st.sampled_from("rs")),
    min_size=1,
    max_size=7,
    unique_by=lambda event: event[0],
)


@settings(max_examples=60)
@given(EVENTS.flatmap(lambda events: st.tuples(st.just(events), st.permutations(events))), st.sets(st.integers(0, 6)))
def test_B3_any_order_with_restarts_between_gives_the_same(tmp_path_factory, orders, restarts):
    found = []
    for order in orders:
        here = World(tmp_path_factory.mktemp("world"), *LIMITS)
        here.clock.at = MONDAY + DAY
        for number, (minutes, tokens, team, run) in enumerate(order):
            at = here.clock.at - minutes * MINUTE
            here.record(a_usage_event(tokens, key=f"e{minutes}", at=at, team=team, run=run))
            if number in restarts and order is orders[1]:
                here.kill()
                with here.store.transaction() as tx:
                    rebuild(tx, LIMITS)
            if number % 2:
                here.cycle()
        here.cycle()
        found.append(shown(here))
        here.store.close()
    assert found[0] == found[1]


@settings(max_examples=30)
@given(EVENTS)
def test_B3_a_restart_changes_nothing(tmp_path_factory, events):
    here = World(tmp_path_factory.mktemp("world"), *LIMITS)
    for minutes, tokens, team, run in events:
        here.record(a_usage_event(tokens, key=f"e{minutes}", at=MONDAY - minutes * MINUTE, team=team, run=run))
    here.cycle()
    before = shown(here)
    here.kill()
    with here.store.transaction() as tx:
        rebuild(tx, LIMITS)
    here.check()
    after = shown(here)
    here.store.close()
    assert before == after


@pytest.mark.parametrize(
    ("before", "after", "used"),
    [
        pytest.param([("a", -240, 1), ("c", 0, 1)], [("c", 62, 2)], [1, 2], id="B3: a correction over its end"),
        pytest.param([("a", -240, 1)], [("b", 59, 3), ("c", 61, 2)], [4, 2], id="B3: a batch over its end"),
    ],
)  # fmt: skip
def test_B3_what_comes_with_a_new_session_counts_in_the_old_one(tmp_path, before, after, used):
    """The session that begins at five is over at ten, an hour after the first events; minutes are from nine on."""
    here = World(tmp_path, a_session_limit())
    here.record(*(a_usage_event(tokens, key=key, at=MONDAY + at * MINUTE) for key, at, tokens in before))
    here.clock.advance(65 * MINUTE)
    here.record(*(a_usage_event(tokens, key=key, at=MONDAY + at * MINUTE) for key, at, tokens in after))
    with here.store.transaction() as tx:
        rows = tx.rows("SELECT used FROM windows ORDER BY starts_at")
    here.store.close()
    assert [row[0] for row in rows] == used
