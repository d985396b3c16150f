"""Usage in: counted once, in the window of its own time, whatever the order and however often it is told."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.service.record import Recorded, record_usage
from quota_scheduler.store import ledger, pruned
from tests.builders import (
    DAY,
    HOUR,
    MICRO,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    SECOND,
    a_limit,
    a_session_limit,
    a_usage_event,
    some_usage,
)
from tests.service.world import World

EVENING = MIDNIGHT - MINUTE


def used(here):
    """What the open windows count."""
    return {name: counted for name, (counted, _, _) in here.windows().items()}


# counting once


@pytest.mark.parametrize(
    ("again", "recorded", "counted"),
    [
        pytest.param(a_usage_event(10), Recorded(duplicate=1), 10, id="the same event again changes nothing"),
        pytest.param(a_usage_event(25), Recorded(updated=1), 25, id="a larger total corrects by the difference"),
        pytest.param(a_usage_event(5), Recorded(duplicate=1), 10, id="a smaller one is an earlier line of the stream"),
        pytest.param(a_usage_event(5, key="e2"), Recorded(accepted=1), 15, id="another key is another call"),
        pytest.param(a_usage_event(5, provider="openai"), Recorded(accepted=1), 15, id="and so is another provider's"),
    ],
)
def test_an_event_counts_once(world, again, recorded, counted):
    here = world(a_limit())
    assert here.record(a_usage_event(10)) == Recorded(accepted=1)
    assert (here.record(again), used(here)) == (recorded, {"day": counted})


@pytest.mark.parametrize("order", list(permutations([10, 25, 40])), ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_the_order_of_a_streams_lines_does_not_matter(world, together, order):
    here = world(a_limit())
    lines = [a_usage_event(tokens, at=MONDAY + tokens * SECOND) for tokens in order]
    for batch in [lines] if together else [[line] for line in lines]:
        here.record(*batch)
    assert (here.ledger(), used(here)) == ({"e1": 40}, {"day": 40})


def test_a_stream_that_grows_over_midnight_moves_to_the_new_day(world):
    here = world(a_limit())
    here.clock.at = EVENING
    here.record(a_usage_event(10, at=EVENING))
    here.until(MIDNIGHT + MINUTE)
    here.record(a_usage_event(30, at=MIDNIGHT + SECOND))
    assert here.spans("day") == [(MIDNIGHT - DAY, MIDNIGHT, 0), (MIDNIGHT, MIDNIGHT + DAY, 30)]


def test_usage_that_nobody_had_asked_for_is_shown_apart(world):
    here = world(a_limit())
    here.record(a_usage_event(10))
    held = here.submit(20, session="s1")
    here.record(a_usage_event(7, key="e2", session="s1"))
    here.release(held)
    with here.store.transaction() as tx:
        assert tx.rows("SELECT used, unleased FROM windows") == [(17, 10)]


def test_what_turns_out_to_be_a_leases_was_asked_for_all_along(world):
    here = world(a_limit())
    held = here.submit(20)
    here.record(a_usage_event(7, session="s1"))
    here.release(held, session="s1")
    with here.store.transaction() as tx:
        assert tx.rows("SELECT used, unleased FROM windows") == [(7, 0)]


# windows


@pytest.mark.parametrize(
    ("instant", "days"),
    [
        pytest.param(MIDNIGHT - MICRO, [10, 0], id="just before the reset"),
        pytest.param(MIDNIGHT, [0, 10], id="at the reset"),
        pytest.param(MIDNIGHT - 30 * HOUR, [0, 0], id="before there was a window: rollups keep it"),
    ],
)
def test_an_event_belongs_to_the_window_of_its_own_time(world, instant, days):
    here = world(a_limit())
    here.record(a_usage_event(0, key="opens"))
    here.submit(0)
    here.until(MIDNIGHT + HOUR)
    here.record(a_usage_event(10, at=instant))
    assert [counted for *_, counted in here.spans("day")] == days


def test_late_usage_corrects_the_closed_window_and_is_counted_as_late(world):
    here = world(a_limit())
    here.record(a_usage_event(10))
    here.until(MIDNIGHT + HOUR)
    here.record(a_usage_event(5, key="e2", at=EVENING), a_usage_event(3, key="e3", at=MIDNIGHT))
    assert [counted for *_, counted in here.spans("day")] == [15, 3]
    assert here.counter("quota_late_usage_tokens_total") == {("anthropic",): 5}


def test_a_window_that_nobody_has_closed_yet_is_not_mistaken_for_todays(world):
    here = world(a_limit())
    here.record(a_usage_event(10))
    here.clock.at = MIDNIGHT + HOUR
    here.record(a_usage_event(5, key="e2", at=MIDNIGHT))
    here.cycle()
    assert [counted for *_, counted in here.spans("day")] == [10, 5]


@pytest.mark.parametrize(
    ("ahead", "starts_at", "skewed"),
    [
        pytest.param(2 * MINUTE, MONDAY + 2 * MINUTE, {}, id="a clock two minutes ahead is believed"),
        pytest.param(2 * MINUTE + MICRO, MONDAY, {("anthropic",): 1}, id="more is taken as now, and counted"),
        pytest.param(HOUR, MONDAY, {("anthropic",): 1}, id="an hour too"),
    ],
)
def test_clocks_that_are_ahead(world, ahead, starts_at, skewed):
    here = world(a_session_limit())
    here.record(a_usage_event(10, at=MONDAY + ahead))
    assert here.spans("session") == [(starts_at, starts_at + 5 * HOUR, 10)]
    assert here.counter("quota_skewed_events_total") == skewed


def test_history_keeps_its_own_times_and_opens_no_session_ahead(world):
    here = world(a_session_limit())
    ahead = a_usage_event(10, at=MONDAY + 2 * DAY)
    with here.store.transaction() as tx:
        record_usage(tx, [ahead], here.limits, history=True)
    with here.store.reading() as tx:
        assert [event.at for event in ledger.between(tx, MONDAY, MONDAY + 3 * DAY)] == [ahead.at]
    assert (here.spans("session"), here.counter("quota_skewed_events_total")) == ([], {})


def test_a_moment_ahead_over_midnight_is_tomorrows_and_today_goes_on(world):
    here = world(a_limit())
    here.clock.at = EVENING
    here.record(a_usage_event(10, at=EVENING))
    here.record(a_usage_event(5, key="e2", at=MIDNIGHT + 30 * SECOND))
    held = here.submit(90)
    assert held.ticket.lease
    here.until(MIDNIGHT + MINUTE)
    assert [counted for *_, counted in here.spans("day")] == [10, 5]
    assert here.windows() == {"day": (5, 0, 90)}


def test_one_event_counts_in_every_limit_it_belongs_to(world):
    here = world(
        a_limit(),
        a_limit(id="money", unit=Unit.USD),
        a_limit(id="calls", unit=Unit.REQUESTS),
        a_limit(id="team", per="team", match=match_of({"provider": "anthropic"})),
        a_limit(id="off", mode=Mode.OFF),
        a_session_limit(match=match_of({"team": "growth"})),
    )
    usage = Usage(input=1, output=9, requests=2, cost_microusd=70)
    here.record(a_usage_event(usage=usage, team="growth"), a_usage_event(key="e2", usage=usage))
    assert used(here) == {
        "day": 20, "money": 140, "calls": 4, "team/growth": 10, "team/none": 10, "session": 10,
    }  # fmt: skip


def test_past_the_cap_further_values_share_one_instance_for_good(world):
    limit = a_limit(id="team", per="team", max_instances=2)
    here = world(limit)
    for number, team in enumerate("abcdab"):
        here.record(a_usage_event(10, key=f"e{number}", team=team))
    here.kill()
    here.record(a_usage_event(10, key="last", team="c"))
    assert used(here) == {"team/a": 20, "team/b": 20, "team/other": 30}


def test_B5_a_new_limits_window_is_filled_from_the_ledger_before_anybody_asks(world):
    here = world(a_limit())
    events = [a_usage_event(7, key=f"e{n}", team=team) for n, team in enumerate(("growth", "ops", "growth"))]
    here.record(*events)
    weights = (333, 333, 333, 333, 333)
    here.change(a_limit(id="light", weights=weights), a_limit(id="team", per="team", weights=weights))
    assert used(here) == {"light": 6, "team/growth": 4, "team/ops": 2}


WEIGHTS = st.tuples(*[st.integers(0, 1500)] * 5)
KINDS = st.tuples(*[st.integers(0, 50)] * 5)


@settings(max_examples=15)
@given(weights=WEIGHTS, usages=st.lists(KINDS, min_size=1, max_size=8))
def test_weights_round_alike_whether_booked_or_filled(tmp_path_factory, weights, usages):
    here = World(tmp_path_factory.mktemp("world"), a_limit(weights=weights))
    here.record(*(a_usage_event(key=f"e{n}", usage=Usage(*kinds)) for n, kinds in enumerate(usages)))
    booked = used(here)
    here.change(a_limit(id="again", weights=weights[::-1]), a_limit(id="third", weights=weights))
    filled = {name: counted for name, counted in used(here).items() if name == "third"}
    here.store.close()
    assert sum(filled.values()) == sum(booked.values())


# sessions


@pytest.mark.parametrize(
    ("minutes", "spans"),
    [
        pytest.param([0], [(0, 10)], id="opened by the first use, at that instant"),
        pytest.param([0, 120, 299], [(0, 30)], id="uses inside"),
        pytest.param([0, 300], [(0, 10), (300, 10)], id="a use at the end opens the next"),
        pytest.param([0, 420], [(0, 10), (420, 10)], id="after a break with its own first use"),
        pytest.param([30, 0], [(0, 20)], id="B3: what is told late moves it to where it began"),
    ],
)
def test_sessions_in_step_with_the_clock(world, minutes, spans):
    here = world(a_session_limit())
    for number, minute in enumerate(minutes):
        at = MONDAY + minute * MINUTE
        here.clock.at = max(here.clock.at, at)
        here.cycle()
        here.record(a_usage_event(10, key=f"e{number}", at=at))
    found = [(start, start + 5 * HOUR, counted) for start, counted in ((MONDAY + m * MINUTE, c) for m, c in spans)]
    assert here.spans("session") == found


IMPORTS = [
    pytest.param([0, 60, 120], 130, (0, 30), id="one session"),
    pytest.param([0, 200, 320, 400], 410, (320, 20), id="two, without a break"),
    pytest.param([0, 60, 700, 720], 730, (700, 20), id="two, with a break between"),
    pytest.param([0, 120], 420, None, id="over by now"),
    pytest.param([0, 290], 310, None, id="over by now, though its last use is recent"),
]


@pytest.mark.parametrize(("minutes", "now", "session"), IMPORTS)
@pytest.mark.parametrize("backwards", [True, False], ids=["newest first", "oldest first"])
def test_after_an_import_in_any_order_the_open_session_is_where_its_uses_say(world, backwards, minutes, now, session):
    here = world(a_session_limit())
    here.clock.at = MONDAY + now * MINUTE
    events = [a_usage_event(10, key=f"e{minute}", at=MONDAY + minute * MINUTE) for minute in minutes]
    for event in reversed(events) if backwards else events:
        here.record(event)
    for _ in range(2):
        with here.store.transaction() as tx:
            rebuild_sessions(tx, here.limits)
        here.cycle()
    assert used(here) == ({"session": session[1]} if session else {})
    if session:
        assert here.spans("session")[-1][0] == MONDAY + session[0] * MINUTE


@settings(max_examples=20)
@given(st.lists(st.integers(0, 1_500), min_size=1, max_size=8, unique=True).flatmap(st.permutations))
def test_the_order_of_an_import_does_not_matter(tmp_path_factory, minutes):
    limit = a_session_limit()
    here = World(tmp_path_factory.mktemp("world"), limit)
    here.clock.at = now = MONDAY + 1_500 * MINUTE
    for minute in minutes:
        here.record(a_usage_event(10, key=f"e{minute}", at=MONDAY + minute * MINUTE))
    with here.store.transaction() as tx:
        rebuild_sessions(tx, here.limits)
    here.cycle()
    found = used(here)
    here.store.close()
    start, end = limit.schedule.opened(MONDAY + minute * MINUTE for minute in minutes)[-1]
    inside = sum(start <= MONDAY + minute * MINUTE < end for minute in minutes)
    assert found == ({"session": 10 * inside} if end > now else {})


def test_a_session_that_a_lease_opened_stays_where_it_is(world):
    here = world(a_session_limit())
    held = here.submit(20)
    here.clock.advance(10 * MINUTE)
    here.release(held, 5)
    with here.store.transaction() as tx:
        rebuild_sessions(tx, here.limits)
    here.check()
    assert here.spans("session") == [(MONDAY, MONDAY + 5 * HOUR, 5)]


def test_a_new_session_limit_finds_the_session_that_is_open(world):
    here = world(a_limit())
    here.record(a_usage_event(10), a_usage_event(5, key="e2", at=MONDAY - HOUR))
    here.change(a_session_limit())
    with here.store.transaction() as tx:
        rebuild_sessions(tx, here.limits)
    assert here.spans("session") == [(MONDAY - HOUR, MONDAY + 4 * HOUR, 15)]


def test_a_line_that_grows_before_a_new_sessions_place_is_known(world):
    here = world(a_limit())
    held = here.submit(20, session="s1")
    here.release(held, 15)
    here.change(a_limit(), a_session_limit())
    here.clock.advance(MINUTE)
    here.record(a_usage_event(5, at=MONDAY, session="s1"))
    with here.store.transaction() as tx:
        rebuild_sessions(tx, here.limits)
    here.check()
    assert used(here) == {"day": 5, "session": 5}


# labels, runs and money


def test_the_labels_of_a_lease_win_over_rules(world):
    here = world(a_limit(id="team", per="team"))
    here.submit(50, team="growth", workflow="nightly", session="s1", priority=Priority.LOW, flags=("batching",))
    here.clock.advance(MINUTE)
    by_rule = a_usage_event(10, session="s1", run="s1", team="ops", workflow="site", model="opus", at=MONDAY + SECOND)
    before = a_usage_event(3, key="e2", session="s1", run="s1", team="ops", at=MONDAY - 3 * MINUTE)
    here.record(by_rule, before)
    with here.store.transaction() as tx:
        found = ledger.by_key(tx, [by_rule.identity, before.identity])
    mine = by_rule.labels._replace(team="growth", workflow="nightly")
    assert found[by_rule.identity] == replace(
        by_rule, labels=mine, run="ticket:1", priority=Priority.LOW, flags=("batching",)
    )
    assert found[before.identity] == before
    assert used(here) == {"team/growth": 10, "team/ops": 3}


def test_a_run_is_the_sum_of_its_events(world):
    here = world(a_limit())
    earlier = a_usage_event(7, key="e2", run="r1", at=MONDAY - HOUR)
    here.record(a_usage_event(10, run="r1"), earlier, a_usage_event(3, key="e3"))
    here.record(a_usage_event(12, run="r1"))
    with here.store.transaction() as tx:
        assert ledger.run_usage(tx, ["r1", "none"]) == {"r1": some_usage(19, requests=2)}
        (run,) = ledger.runs_since(tx, MONDAY - DAY)
    assert (run.run, run.started_at, run.last_at) == ("r1", MONDAY - HOUR, MONDAY)


def test_a_session_that_turns_out_to_be_a_leases_leaves_no_run_of_its_own(world):
    here = world(a_limit())
    held = here.submit(20)
    here.record(a_usage_event(7, session="s1", run="s1"))
    here.release(held, session="s1")
    with here.store.transaction() as tx:
        assert [(run.run, run.usage.tokens) for run in ledger.runs_since(tx, MONDAY - DAY)] == [("ticket:1", 7)]


def test_tokens_without_a_price_are_counted_and_corrected_once_priced(world):
    here = world(a_limit(10_000, unit=Unit.USD))
    here.record(a_usage_event(usage=some_usage(10, cost_microusd=900, unpriced_tokens=10), estimated=True))
    assert (used(here), here.counter("quota_unpriced_tokens_total")) == ({"day": 900}, {("anthropic",): 10})
    with here.store.transaction() as tx:
        assert tx.scalar("SELECT estimated FROM windows") == 1


# pruning


def prune_before(here, before):
    """Prune what was recorded before an instant."""
    with here.store.transaction() as tx:
        return pruned.prune(tx, recorded_before=before, keys_before=before - 400 * DAY)


def test_a_pruned_event_that_is_told_again_counts_once(world):
    here = world(a_limit(1_000, schedule=a_session_limit().schedule), a_limit(id="other"))
    here.record(a_usage_event(10), a_usage_event(20, key="e2"))
    here.clock.advance(36 * DAY)
    here.cycle()
    assert prune_before(here, here.clock.at - 35 * DAY) == 2
    assert here.ledger() == {}
    assert here.record(a_usage_event(10), a_usage_event(20, key="e2")) == Recorded(duplicate=2)
    with here.store.transaction() as tx:
        assert sum(usage.tokens for _, _, usage in ledger.hours(tx, MONDAY - DAY)) == 30


def test_a_pruned_event_that_grew_counts_its_growth_once(world):
    here = world(a_limit())
    here.record(a_usage_event(10))
    here.clock.advance(36 * DAY)
    here.cycle()
    prune_before(here, here.clock.at - 35 * DAY)
    for tokens, recorded in ((25, Recorded(accepted=1)), (25, Recorded(duplicate=1)), (10, Recorded(duplicate=1))):
        assert here.record(a_usage_event(tokens)) == recorded
    assert here.ledger() == {"e1~25": 15}
    prune_before(here, here.clock.at + DAY)
    assert here.record(a_usage_event(25)) == Recorded(duplicate=1)
    with here.store.transaction() as tx:
        assert sum(usage.tokens for _, _, usage in ledger.hours(tx, MONDAY - DAY)) == 25


def test_nothing_to_record_is_nothing(world):
    assert world(a_limit()).record() == Recorded()


EVENTS = st.lists(
    st.builds(
        lambda key, tokens, hour, team: a_usage_event(tokens, key=key, at=MONDAY - hour * HOUR, team=team),
        st.sampled_from("abcdef"), st.integers(0, 30), st.integers(0, 30), st.sampled_from(["", "growth"]),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=20)
@given(EVENTS, st.integers(1, 4))
def test_what_is_counted_does_not_depend_on_the_batches(tmp_path_factory, events, size):
    """The doctor looks after every batch; here: the largest of each key, and no more."""
    here = World(tmp_path_factory.mktemp("world"), a_limit(), a_limit(id="team", per="team"), a_session_limit())
    for start in range(0, len(events), size):
        here.record(*events[start : start + size])
    found = here.ledger()
    here.record(*events)
    again = here.ledger()
    here.store.close()
    largest = {}
    for event in events:
        largest[event.key] = max(event.usage.tokens, largest.get(event.key, 0))
    assert found == again == largest
