"""The balances: in which window usage counts, what reservations hold, and what a reset carries over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.labels import match_of
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from tests.builders import (
    DAY,
    HOUR,
    MICRO,
    MIDNIGHT,
    MINUTE,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_session_limit,
    a_usage_event,
    some_balances,
    some_labels,
)

TODAY, TOMORROW = Window(MIDNIGHT - DAY, MIDNIGHT), Window(MIDNIGHT, MIDNIGHT + DAY)
YESTERDAY = Window(MIDNIGHT - 2 * DAY, MIDNIGHT - DAY)


def a_day_balance(window=TODAY, number=1, **counters):
    return Balance(number, a_limit(), "", window, **counters)


def a_session_balance(start=MONDAY, number=1, **counters):
    return Balance(number, a_session_limit(), "", start and Window(start, start + 5 * HOUR), **counters)


def seen(balances):
    """Every window that counts something: (instance, start, used, reported, reserved)."""
    return [
        (
            balance.name,
            balance.window and balance.window.starts_at,
            balance.used,
            balance.reported,
            balance.reserved,
        )
        for balance in balances.all()
    ]


def daily_balances(*, now=MONDAY, rows=None):
    return some_balances(a_limit(), now=now, rows=[a_day_balance()] if rows is None else rows)


# where usage counts


@pytest.mark.parametrize(
    ("instant", "counted"),
    [
        pytest.param(MONDAY, [("day", TODAY.starts_at, 10, 0, 0)], id="in the window of its own time"),
        pytest.param(TODAY.starts_at, [("day", TODAY.starts_at, 10, 0, 0)], id="at its first instant"),
        pytest.param(MIDNIGHT - MICRO, [("day", TODAY.starts_at, 10, 0, 0)], id="at its last instant"),
        pytest.param(
            MIDNIGHT,
            [("day", TODAY.starts_at, 0, 0, 0), ("day", MIDNIGHT, 10, 0, 0)],
            id="the reset itself is the next window's, which opens",
        ),
        pytest.param(
            MONDAY - DAY,
            [("day", TODAY.starts_at, 0, 0, 0)],
            id="a window that is over and not loaded: rollups keep it",
        ),
    ],
)
def test_usage_counts_in_the_window_of_its_own_time(instant, counted):
    balances = daily_balances()
    balances.book(None, a_usage_event(10, at=instant), leased=False)
    assert seen(balances) == counted


def test_late_usage_corrects_a_closed_window_and_says_so():
    balances = daily_balances(rows=[a_day_balance(YESTERDAY, used=50, closed=True), a_day_balance(number=2)])
    balances.book(None, a_usage_event(10, at=MONDAY - DAY), leased=False)
    closed, today = balances.all()
    assert (closed.used, closed.late, closed.unleased, today.used) == (60, 10, 0, 0)


@pytest.mark.parametrize(
    ("age", "unleased"),
    [
        pytest.param(HOUR, 10, id="an hour late is use of now"),
        pytest.param(HOUR + MINUTE, 0, id="later it is a backfill: used, and nothing that happens now"),
    ],
)
def test_a_backfill_counts_as_used_and_not_as_unasked(age, unleased):
    balances = daily_balances()
    balances.book(None, a_usage_event(10, at=MONDAY - age), leased=False)
    (balance,) = balances.all()
    assert (balance.used, balance.unleased) == (10, unleased)


def test_leased_usage_is_not_counted_as_unasked():
    balances = daily_balances()
    balances.book(None, a_usage_event(10), leased=True)
    balances.book(None, a_usage_event(7, key="e2"), leased=False)
    (balance,) = balances.all()
    assert (balance.used, balance.unleased) == (17, 7)


def test_a_larger_total_corrects_by_the_difference():
    balances = daily_balances()
    old, new = a_usage_event(10), a_usage_event(25)
    balances.book(None, old, leased=False)
    balances.book(old, new, leased=False)
    assert seen(balances) == [("day", TODAY.starts_at, 25, 0, 0)]


def test_a_total_that_grew_over_midnight_moves_to_the_new_day():
    balances = daily_balances(
        now=MIDNIGHT + MINUTE, rows=[a_day_balance(used=10, closed=True), a_day_balance(TOMORROW, 2)]
    )
    balances.book(a_usage_event(10, at=MIDNIGHT - MINUTE), a_usage_event(25, at=MIDNIGHT), leased=False)
    assert seen(balances) == [("day", TODAY.starts_at, 0, 0, 0), ("day", MIDNIGHT, 25, 0, 0)]


def test_usage_that_changes_hands_moves_between_instances():
    limit = a_limit(id="team", per="team")
    balances = some_balances(limit)
    old = a_usage_event(10, team="growth")
    balances.book(None, old, leased=False)
    balances.book(old, replace(old, labels=some_labels(team="sales")), leased=True)
    assert seen(balances) == [("team/growth", TODAY.starts_at, 0, 0, 0), ("team/sales", TODAY.starts_at, 10, 0, 0)]


@pytest.mark.parametrize("limit", [a_limit(), a_session_limit()], ids=["calendar", "session"])
def test_what_is_taken_back_opens_no_window(limit):
    balances = some_balances(limit)
    balances.book(a_usage_event(10), None, leased=False)
    assert seen(balances) == []


def test_one_event_counts_in_every_limit_that_binds_it():
    limits = (a_limit(), a_session_limit(), a_limit(id="others", match=(("provider", frozenset({"openai"})),)))
    balances = some_balances(*limits)
    balances.book(None, a_usage_event(10), leased=False)
    assert seen(balances) == [("day", TODAY.starts_at, 10, 0, 0), ("session", MONDAY, 10, 0, 0)]


def test_past_the_cap_new_values_share_other():
    balances = some_balances(a_limit(id="team", per="team", max_instances=2))
    for number, team in enumerate("abcda"):
        balances.book(None, a_usage_event(10, key=f"e{number}", team=team), leased=False)
    assert [(instance, used) for instance, _, used, _, _ in seen(balances)] == [
        ("team/a", 20), ("team/b", 10), ("team/other", 20),
    ]  # fmt: skip


# sessions


@pytest.mark.parametrize(
    ("known", "minutes", "counted"),
    [
        pytest.param((), [0], [(0, 10)], id="the first use opens it at that exact instant"),
        pytest.param((), [-30], [(-30, 10)], id="also when it is told late"),
        pytest.param((), [-301], [], id="unless it would be over by now"),
        pytest.param((), [0, 20, -20], [(0, 20)], id="what comes late never moves it, and is history"),
        pytest.param((-100,), [0], [(-100, 10)], id="a use inside counts in it"),
        pytest.param((-300,), [0], [(-300, 0), (0, 10)], id="a use at its very end opens the next"),
        pytest.param((-300,), [-1], [(-300, 10)], id="a use just before its end counts in it"),
        pytest.param((-320,), [0, -10], [(-320, 0), (0, 10)], id="a late use in the break counts in neither"),
    ],
)
def test_sessions_open_with_first_use_and_never_move(known, minutes, counted):
    rows = [a_session_balance(MONDAY + start * MINUTE, closed=start <= -300) for start in known]
    balances = some_balances(a_session_limit(), rows=rows)
    for number, minute in enumerate(minutes):
        balances.book(None, a_usage_event(10, key=f"e{number}", at=MONDAY + minute * MINUTE), leased=False)
    assert [(start, used) for _, start, used, _, _ in seen(balances)] == [
        (MONDAY + start * MINUTE, used) for start, used in counted
    ]


@given(st.lists(st.integers(-290, 0), min_size=1, max_size=12))
def test_whatever_the_order_a_session_begins_with_what_was_heard_first(minutes):
    balances = some_balances(a_session_limit())
    for number, minute in enumerate(minutes):
        balances.book(None, a_usage_event(1, key=f"e{number}", at=MONDAY + minute * MINUTE), leased=False)
    inside = sum(minute >= minutes[0] for minute in minutes)
    assert seen(balances) == [("session", MONDAY + minutes[0] * MINUTE, inside, 0, 0)]


def test_a_decision_without_an_open_session_sees_one_from_now_and_opens_none():
    balances = some_balances(a_session_limit())
    found = balances.ruling(LimitInstance(a_session_limit(), ""))
    assert (found.window, found.spent, seen(balances)) == (Window(MONDAY, MONDAY + 5 * HOUR), 0, [])


# reservations


def balances_with_a_reservation(limit, *, now=MONDAY, amount=40, running=True, rows=()):
    """Balances with one reservation of ticket 1, and that reservation."""
    balances = some_balances(limit, now=now, rows=rows)
    return balances, balances.reserve(1, LimitInstance(limit, ""), amount, running=running)


def test_a_running_lease_opens_its_session_now():
    balances, _ = balances_with_a_reservation(a_session_limit())
    assert seen(balances) == [("session", MONDAY, 0, 0, 40)]


def test_an_offer_holds_in_a_session_that_has_not_begun():
    balances, held = balances_with_a_reservation(a_session_limit(), running=False)
    assert seen(balances) == [("session", None, 0, 0, 40)]
    balances.now = MONDAY + MINUTE
    balances.begin(held.ticket)
    assert seen(balances) == [("session", MONDAY + MINUTE, 0, 0, 40)]


def test_usage_opens_the_session_that_an_offer_holds_in():
    balances, _ = balances_with_a_reservation(a_session_limit(), running=False)
    balances.book(None, a_usage_event(10, at=MONDAY - MINUTE), leased=False)
    assert seen(balances) == [("session", MONDAY - MINUTE, 10, 0, 40)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (40, 0, 0), id="nothing used yet: all of it is held"),
        pytest.param({"reported": 15}, (25, 15, 0), id="what is reported moves from reserved to reported"),
        pytest.param({"ledgered": 15}, (25, 0, 0), id="what the transcript brought counts as used already"),
        pytest.param({"reported": 25, "ledgered": 15}, (15, 10, 0), id="the larger counts, not the sum"),
        pytest.param({"reported": 15, "ledgered": 25}, (15, 0, 0), id="whichever it is"),
        pytest.param({"reported": 55}, (0, 55, 15), id="beyond the reservation is overrun, and nothing is held"),
        pytest.param({"reported": 15, "open": False}, (0, 0, 0), id="closed, it holds and reports nothing"),
    ],
)
def test_what_a_reservation_holds(changes, expected):
    balances, held = balances_with_a_reservation(a_limit(), rows=[a_day_balance()])
    balances.update(held, **changes)
    (balance,) = balances.all()
    assert (balance.reserved, balance.reported, balance.overrun) == expected


REPORTS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100), st.booleans()), max_size=20)


@given(REPORTS)
def test_sums_follow_their_reservations_through_any_changes(steps):
    balances, held = balances_with_a_reservation(a_limit(), rows=[a_day_balance()])
    other = balances.reserve(2, LimitInstance(a_limit(), ""), 30, running=True)
    (balance,) = balances.all()
    for reported, ledgered, first in steps:
        balances.update(held if first else other, reported=reported, ledgered=ledgered)
        assert (balance.reserved, balance.reported) == (held.held + other.held, held.extra + other.extra)
    for each in (held, other):
        balances.update(each, open=False)
    assert (balance.reserved, balance.reported) == (0, 0)


# resets


def rolled(balances, now):
    """The instances whose windows a later look closes."""
    balances.now = now
    return [(balance.name, balance.window.ends_at) for balance in balances.roll()]


def test_a_reset_is_observed_at_its_instant_and_not_before():
    balances = daily_balances()
    assert rolled(balances, MIDNIGHT - MICRO) == []
    assert rolled(balances, MIDNIGHT) == [("day", MIDNIGHT)]
    assert rolled(balances, MIDNIGHT) == []
    assert [(balance.window, balance.closed) for balance in balances.all()] == [(TODAY, True), (TOMORROW, False)]


def test_after_a_long_silence_the_window_of_now_opens_and_none_between():
    balances = daily_balances()
    assert rolled(balances, MIDNIGHT + 3 * DAY + HOUR) == [("day", MIDNIGHT)]
    assert [balance.window.starts_at for balance in balances.all()] == [TODAY.starts_at, MIDNIGHT + 3 * DAY]


def test_a_reset_carries_the_unspent_part_and_leaves_the_rest():
    balances, held = balances_with_a_reservation(a_limit(), rows=[a_day_balance()])
    balances.update(held, reported=15)
    rolled(balances, MIDNIGHT)
    assert seen(balances) == [("day", TODAY.starts_at, 0, 15, 0), ("day", MIDNIGHT, 0, 0, 25)]


def test_a_lease_beyond_its_reservation_is_carried_too_so_that_its_reports_count_where_they_belong():
    balances, held = balances_with_a_reservation(a_limit(), rows=[a_day_balance()])
    balances.update(held, reported=55)
    rolled(balances, MIDNIGHT)
    *_, moved = balances.open_reservations(1)
    balances.update(moved, reported=5)
    assert seen(balances) == [("day", TODAY.starts_at, 0, 55, 0), ("day", MIDNIGHT, 0, 5, 0)]
    assert [balance.overrun for balance in balances.all()] == [15, 5]


def test_what_the_transcript_knew_before_the_reset_is_not_reported_after_it():
    """The lease's own reports lag behind: 10 of the 30 that its transcript had brought."""
    balances, held = balances_with_a_reservation(a_limit(), rows=[a_day_balance(used=30)])
    balances.update(held, reported=10, ledgered=30)
    rolled(balances, MIDNIGHT)
    *_, moved = balances.open_reservations(1)
    assert (moved.amount, moved.before) == (10, 30)


def test_leases_in_use_stay_in_use_whatever_resets():
    limit = a_concurrency_limit(2)
    balances, _ = balances_with_a_reservation(limit, amount=1)
    assert rolled(balances, MIDNIGHT) == []
    assert seen(balances) == [("leases", None, 0, 0, 1)]


@pytest.mark.parametrize(
    ("hours", "sessions"),
    [
        pytest.param(5, [(0, 0), (5, 40)], id="a running lease opens the next session at the reset"),
        pytest.param(7, [(0, 0), (5, 40)], id="also when the reset is seen late"),
        pytest.param(11, [(0, 0), (11, 40)], id="and now when that one would be over as well"),
    ],
)
def test_a_session_that_ends_under_a_running_lease(hours, sessions):
    balances, _ = balances_with_a_reservation(a_session_limit())
    rolled(balances, MONDAY + hours * HOUR)
    assert [(start, reserved) for _, start, _, _, reserved in seen(balances)] == [
        (MONDAY + hour * HOUR, reserved) for hour, reserved in sessions
    ]


def test_a_session_that_ends_with_nobody_in_it_opens_no_other():
    balances = some_balances(a_session_limit(), rows=[a_session_balance()])
    assert rolled(balances, MONDAY + 5 * HOUR) == [("session", MONDAY + 5 * HOUR)]
    assert seen(balances) == [("session", MONDAY, 0, 0, 0)]


def test_a_session_opened_a_moment_ahead_by_another_clock_takes_over_what_is_carried():
    balances, _ = balances_with_a_reservation(a_session_limit())
    end = MONDAY + 5 * HOUR
    balances.now = end
    balances.book(None, a_usage_event(10, at=end + MINUTE), leased=False)
    rolled(balances, end)
    assert seen(balances) == [("session", MONDAY, 0, 0, 0), ("session", end + MINUTE, 10, 0, 40)]


def test_an_offer_goes_on_holding_in_a_session_that_has_not_begun():
    """The session that was open when it was offered ends before anybody claims it."""
    balances, _ = balances_with_a_reservation(a_session_limit(), rows=[a_session_balance()], running=False)
    balances.now = MONDAY + 5 * HOUR
    balances.roll(offered={1})
    assert seen(balances) == [("session", MONDAY, 0, 0, 0), ("session", None, 0, 0, 40)]


def test_windows_that_end_together_close_in_order_of_end_then_name():
    limits = (a_limit(id="b"), a_limit(id="a"), a_session_limit())
    balances = some_balances(*limits)
    balances.book(None, a_usage_event(10), leased=False)
    assert rolled(balances, MIDNIGHT) == [("session", MONDAY + 5 * HOUR), ("a", MIDNIGHT), ("b", MIDNIGHT)]


# many at once

BATCH_LIMITS = (
    a_limit(10_000, weights=(333, 1000, 1000, 1000, 777)),
    a_limit(10_000, id="dollars", unit=Unit.USD),
    a_session_limit(10_000),
    a_session_limit(10_000, id="teams", per="team"),
    a_limit(10_000, id="sonnet", match=match_of({"model": "claude-sonnet-5"}), per="model"),
    a_limit(10_000, id="capped", per="team", max_instances=1),
)
NEW_EVENTS = st.lists(
    st.builds(
        lambda number, minutes, tokens, pico, team, model, run, estimated: a_usage_event(
            key=f"e{number}", at=MONDAY + minutes * MINUTE, team=team, model=model, run=run, estimated=estimated,
            usage=Usage(input=tokens, output=tokens // 3, requests=1).costing(pico),
        ),
        st.integers(0, 10**6), st.sampled_from([-2000, -400, -290, -30, -5, 0, 1, 2]), st.integers(0, 7),
        st.integers(0, 3 * 10**6), st.sampled_from(["a", "b"]), st.sampled_from(["claude-sonnet-5", "claude-opus-5"]),
        st.sampled_from(["", "mine"]), st.booleans(),
    ),
    max_size=8,
)  # fmt: skip


@given(NEW_EVENTS, st.sampled_from([None, MONDAY - 4 * HOUR]), st.booleans())
def test_new_events_at_once_count_as_one_by_one(events, opened_at, anchored):
    def counted(book):
        open_session = Balance(7, BATCH_LIMITS[2], "", opened_at and Window(opened_at, opened_at + 5 * HOUR))
        if anchored and opened_at:
            open_session.anchored_at = MONDAY - 3 * MINUTE
        balances = some_balances(*BATCH_LIMITS, rows=[open_session] if opened_at else [])
        book(balances)
        rows = [row for row in balances.all() if row.used or row.rest]
        return sorted((row.name, str(row.window), row.used, row.rest, row.unleased, row.estimated) for row in rows)

    def one_by_one(balances):
        for event in events:
            balances.book(None, event, leased=event.run == "mine", but=("dollars",))

    def at_once(balances):
        half = len(events) // 2
        for some in (events[:half], events[half:]):  # the second half finds windows open
            balances.book_new(some, leased=lambda event: event.run == "mine", but=("dollars",))

    assert counted(at_once) == counted(one_by_one)
