"""Usage: sums, weights, and which copy of a response is the true one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent, is_replay, relabelled, supersedes, total
from tests.builders import MINUTE, MONDAY, a_usage_event

COUNTS = st.integers(0, 10**12)
USAGES = st.builds(Usage, *[COUNTS] * 8, st.integers(0, 999_999))
ONE = Usage(1, 2, 3, 4, 5, requests=1, cost_microusd=70, unpriced_tokens=15)


def test_sums_of_a_usage():
    assert (ONE.kinds, ONE.tokens, ONE.input_side) == ((1, 2, 3, 4, 5), 15, 10)


@given(USAGES, USAGES)
def test_what_is_added_can_be_taken_away(a, b):
    assert a.plus(b).minus(b) == a
    assert total([a, b]) == a.plus(b) == b.plus(a)


@given(USAGES, USAGES)
def test_two_reports_agree_on_the_larger_of_each_member(a, b):
    both = a.at_least(b)
    assert all(whole == max(parts) for whole, *parts in zip(both[:6], a[:6], b[:6], strict=True))
    if bool(a.unpriced_tokens) is bool(b.unpriced_tokens):
        assert both.cost_pico == max(a.cost_pico, b.cost_pico)
        assert both.unpriced_tokens == max(a.unpriced_tokens, b.unpriced_tokens)


def test_B10_small_costs_and_weights_are_rounded_once_in_a_sum():
    one, third = Usage(input=20).costing(400_000), (333, 1000, 1000, 1000, 1000)
    assert (one.amount(Unit.USD), total([one] * 1_000).amount(Unit.USD), total([one] * 1_000).cost_usd) == (
        0,
        400,
        0.0004,
    )
    assert (Usage(1).amount(Unit.TOKENS, third), total([Usage(1)] * 1_000).amount(Unit.TOKENS, third)) == (0, 333)


@pytest.mark.parametrize(
    ("numerator", "denominator", "scaled"),
    [
        pytest.param(1, 2, Usage(0, 1, 1, 2, 2, requests=0, cost_microusd=35, unpriced_tokens=7), id="half of it"),
        pytest.param(1, 1, ONE, id="all of it"),
        pytest.param(1, 0, Usage(), id="a part of nothing is nothing"),
    ],
)
def test_scaled(numerator, denominator, scaled):
    assert ONE.scaled(numerator, denominator) == scaled


@pytest.mark.parametrize(
    ("unit", "weights", "amount"),
    [
        pytest.param(Unit.TOKENS, (1000,) * 5, 15, id="every token counts once"),
        pytest.param(
            Unit.TOKENS, (1000, 0, 1000, 1000, 1000), 13, id="cached reads are free where the provider says so"
        ),
        pytest.param(Unit.TOKENS, (100, 100, 100, 100, 100), 1, id="weights are rounded down once, over the whole"),
        pytest.param(Unit.USD, (0,) * 5, 70, id="dollars know no weights"),
        pytest.param(Unit.REQUESTS, (0,) * 5, 1, id="nor do requests"),
        pytest.param(Unit.LEASES, (1000,) * 5, 0, id="usage takes no lease"),
    ],
)
def test_what_a_usage_takes_out_of_a_limit(unit, weights, amount):
    assert ONE.amount(unit, weights) == amount


def copy(tokens=10, *, key="r1", minute=0, side=False, message="m1"):
    return a_usage_event(tokens, key=key, at=MONDAY + minute * MINUTE, sidechain=side, message=message)


@pytest.mark.parametrize(
    ("new", "old", "truer"),
    [
        pytest.param(copy(11), copy(10), True, id="streams grow: the larger total"),
        pytest.param(copy(9), copy(10), False, id="not a smaller one"),
        pytest.param(copy(10, minute=5), copy(10, side=True), True, id="at a tie the main conversation"),
        pytest.param(copy(10), copy(10, minute=1), True, id="then the earlier"),
        pytest.param(copy(10, key="a"), copy(10, key="b"), True, id="then the smaller key"),
        pytest.param(copy(10), copy(10), False, id="a copy does not replace its equal"),
    ],
)
def test_supersedes(new, old, truer):
    assert supersedes(new, old) is truer


@pytest.mark.parametrize(
    ("new", "other", "replay"),
    [
        pytest.param(copy(99, key="b", side=True), copy(10, key="a"), True, id="a side-chain copy, whatever its total"),
        pytest.param(
            copy(9, key="b", side=True), copy(10, key="a", side=True), True, id="the lesser of two side-chains"
        ),
        pytest.param(copy(11, key="b", side=True), copy(10, key="a", side=True), False, id="but not the larger"),
        pytest.param(copy(10, key="b"), copy(10, key="a"), False, id="the main conversation is never a replay"),
        pytest.param(copy(10, side=True), copy(10), False, id="the same record is not its own replay"),
        pytest.param(copy(10, key="b", side=True, message="m2"), copy(10, key="a"), False, id="another message"),
        pytest.param(
            copy(10, key="b", side=True, message=""), copy(10, key="a", message=""), False, id="no message id"
        ),
    ],
)
def test_is_replay(new, other, replay):
    assert is_replay(new, other) is replay


def test_an_event_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="usage event 'e1' has a time without a zone"):
        UsageEvent("e1", MONDAY.replace(tzinfo=None), Labels("anthropic"), Usage())


def test_a_lease_knows_better_than_rules_whose_event_it_is():
    event = a_usage_event(model="opus", workflow="site", run="s1", session="s1")
    lease = Labels("anthropic", team="growth", workflow="nightly")
    assert relabelled(event, lease, run="nightly-42", priority=Priority.LOW) == replace(
        event,
        labels=Labels("anthropic", model="opus", team="growth", workflow="nightly"),
        run="nightly-42",
        priority=Priority.LOW,
    )
