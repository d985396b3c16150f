"""Ruling: the provider's word decides where a window begins and ends, and in percent how much of it is used."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.ledger.ruling import anchor_of, counted_from, has_grown, rebase, rule
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.observations.points import POINT, WHOLE, Rate
from quota_scheduler.core.observations.reported_window import ReportedWindow
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SECOND,
    a_lease,
    a_limit,
    a_session_limit,
    a_usage_event,
    some_balances,
)

TWO_A_DOLLAR = Rate(low=2 * POINT, middle=2 * POINT, high=2 * POINT, spans=9, learned_at=MONDAY)
PERCENT = a_session_limit(WHOLE, id="max-session", unit=Unit.PERCENT, rate=TWO_A_DOLLAR)
TOKENS = a_session_limit(1000)
MORNING = Window(MONDAY - 2 * HOUR, MONDAY + 3 * HOUR)


def reported(ratio=0.4, window=MORNING, *, first=MONDAY - HOUR, newest=MONDAY - 10 * MINUTE, **parts):
    """What reports came to."""
    span = window.starts_at, window.ends_at, window.ends_at
    return ReportedWindow(*span, newest, first, newest, "statusline", ratio, **parts)


def a_call(dollars, at):
    """Usage that cost so much."""
    usage = Usage(output=100, requests=1, cost_microusd=round(dollars * 1_000_000))
    return a_usage_event(key=str(at), at=at, usage=usage)


def rows(balances):
    return [(row.window, row.used, row.anchored_at) for row in balances.all()]


SINCE = [a_call(1, MONDAY - 90 * MINUTE), a_call(0.5, MONDAY - 10 * MINUTE), a_call(3, MONDAY - MINUTE)]


@pytest.mark.parametrize(
    ("limit", "word", "before", "after"),
    [
        pytest.param(
            PERCENT,
            reported(),
            [],
            [(MORNING, 46 * POINT, MONDAY - 10 * MINUTE)],
            id="the percentage as reported, and what was used here since",
        ),
        pytest.param(
            replace(PERCENT, rate=None),
            reported(),
            [],
            [(MORNING, 40 * POINT, MONDAY - 10 * MINUTE)],
            id="while nobody knows what usage takes, as reported",
        ),
        pytest.param(TOKENS, reported(), [], [(MORNING, 300, None)], id="of another unit only the bounds"),
        pytest.param(
            PERCENT, reported(None), [], [(MORNING, 9 * POINT, None)], id="without a percentage all that was used here"
        ),
        pytest.param(
            PERCENT,
            reported(),
            [Window(MONDAY - HOUR, MONDAY + 4 * HOUR)],
            [(MORNING, 46 * POINT, MONDAY - 10 * MINUTE)],
            id="what its first use had opened is put right",
        ),
        pytest.param(
            PERCENT, reported(), [None], [(MORNING, 46 * POINT, MONDAY - 10 * MINUTE)], id="what was held in begins"
        ),
        pytest.param(
            PERCENT,
            reported(0.4, Window(MONDAY - HOUR, MONDAY + 4 * HOUR), follows=MONDAY + HOUR),
            [Window(MONDAY - 4 * HOUR, MONDAY + HOUR)],
            [
                (Window(MONDAY - 4 * HOUR, MONDAY - HOUR), 0, None),
                (Window(MONDAY - HOUR, MONDAY + 4 * HOUR), 46 * POINT, MONDAY - 10 * MINUTE),
            ],
            id="an early reset ends the window before",
        ),
        pytest.param(
            replace(PERCENT, rate=None),
            reported(0.0, Window(MONDAY + SECOND, MONDAY + 5 * HOUR + SECOND), first=MONDAY, newest=MONDAY),
            [None],
            [(Window(MONDAY, MONDAY + 5 * HOUR + SECOND), 0, MONDAY)],
            id="what jitters begins now",
        ),
        pytest.param(
            PERCENT,
            reported(0.4, Window(MONDAY - 6 * HOUR, MONDAY - HOUR)),
            [Window(MONDAY - HOUR, MONDAY + 4 * HOUR)],
            [(Window(MONDAY - HOUR, MONDAY + 4 * HOUR), 0, None)],
            id="a window whose reset has passed rules nothing",
        ),
    ],
)
def test_a_reported_window_rules(limit, word, before, after):
    instance = LimitInstance(limit, "")
    balances = some_balances(limit, rows=[Balance(n + 1, limit, "", window) for n, window in enumerate(before)])
    rule(balances, instance, word, SINCE)
    assert rows(balances) == after


def test_what_the_provider_refuses_and_lets_go_on_for_money_is_kept():
    balances = some_balances(PERCENT)
    refused = rule(balances, LimitInstance(PERCENT, ""), reported(1.0, exhausted=True), [])
    assert (refused.exhausted, refused.overage) == (True, False)
    allowed = rule(balances, LimitInstance(PERCENT, ""), reported(1.0, overage=True), [])
    assert (allowed.exhausted, allowed.overage) == (False, True)


@pytest.mark.parametrize(
    ("ratio", "dollars", "at"),
    [
        pytest.param(0.4, 0.5, MONDAY - 10 * MINUTE, id="little was used: the newest report is true"),
        pytest.param(0.4, 2, MONDAY - HOUR, id="so much was used that the newest must be an echo of the first"),
        pytest.param(1.0, 2, MONDAY - 10 * MINUTE, id="all is used, and who passes it is told no more"),
    ],
)
def test_a_report_is_true_as_of_its_newest_unless_that_is_an_echo(ratio, dollars, at):
    assert anchor_of(reported(ratio), [a_call(dollars, MONDAY - 30 * MINUTE)], PERCENT) == at


@pytest.mark.parametrize(
    ("limit", "counted", "grown"),
    [
        pytest.param(PERCENT, None, True, id="the first word"),
        pytest.param(PERCENT, MONDAY - 2 * HOUR, True, id="more than before"),
        pytest.param(PERCENT, MONDAY - HOUR, False, id="the same, judged again"),
        pytest.param(PERCENT, MONDAY - 20 * MINUTE, False, id="the same, repeated since"),
        pytest.param(TOKENS, None, False, id="of another unit the word says nothing of usage"),
    ],
)
def test_a_word_holds_what_leases_reported_once_it_has_grown(limit, counted, grown):
    balances = some_balances(limit)
    balance = rule(balances, LimitInstance(limit, ""), reported(), [])
    assert has_grown(reported(), balance, counted) is grown


def test_usage_is_needed_from_where_it_is_counted():
    assert counted_from(reported(), PERCENT) == MONDAY - HOUR
    assert {counted_from(reported(), TOKENS), counted_from(reported(None), PERCENT)} == {MORNING.starts_at}


def test_what_a_lease_had_reported_is_in_the_providers_word():
    balances, instance = some_balances(PERCENT), LimitInstance(PERCENT, "")
    balance = rule(balances, instance, reported(), [])
    held = balances.reserve(1, instance, 10 * POINT, running=True)
    balances.update(held, reported=4 * POINT)
    assert (balance.reported, balance.reserved, balance.spent) == (4 * POINT, 6 * POINT, 44 * POINT)
    assert rebase(balances, balance, {1: a_lease(at=MONDAY)}) == set()  # granted after the word
    assert rebase(balances, balance, {1: a_lease(at=MONDAY - HOUR)}) == {1}
    assert (balance.reported, balance.reserved, balance.spent) == (0, 6 * POINT, 40 * POINT)
    assert (held.before, held.amount) == (4 * POINT, 6 * POINT)


def test_a_limit_by_the_day_counts_what_lies_in_the_reported_window():
    limit = a_limit(1000)
    balances = some_balances(limit)
    rule(balances, LimitInstance(limit, ""), reported(0.4, Window(MONDAY - DAY, MONDAY + HOUR)), SINCE)
    assert [row.used for row in balances.all()] == [300]
