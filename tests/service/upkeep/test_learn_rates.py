"""What a percent point costs, learned from reports and what was used here, kept over restarts."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.observations.points import POINT
from quota_scheduler.service.observe import judged as judged_windows
from quota_scheduler.service.observe import record_word, used_elsewhere
from quota_scheduler.service.upkeep.learn_rates import learn_rates, with_rates
from quota_scheduler.store import observed_rates
from tests.builders import MINUTE, a_usage_event, an_observation
from tests.service.test_observed_limits import KEY, RESET, UNKNOWN, asks, dollars, points, said


def learns(here):
    """Learn, and let the rates rule as the service does."""
    with here.store.transaction() as tx:
        differs = learn_rates(tx, here.limits)
        limits = with_rates(tx, here.limits)
    if differs:
        here.limits, here.terms = limits, replace(here.terms, limits=limits)
        here.memory.forget()
    here.check()
    return differs


def a_step(here, ratio, spent, *, elsewhere=0.0):
    """Five minutes in which so many dollars are spent, and the report after them; returns the ratio then."""
    here.wait(5 * MINUTE)
    ratio += spent * 0.02 + elsewhere
    if spent:
        here.record(a_usage_event(key=str(here.clock.at), at=here.clock.at, usage=dollars(spent), account="max-1"))
    with here.store.transaction() as tx:
        record_word(tx, [an_observation(round(ratio, 4), at=here.clock.at, resets_at=RESET)], (), here.limits)
    return ratio


def grown(here, *spent, ratio=0.1, elsewhere=0.0):
    for each in spent:
        ratio = a_step(here, ratio, each, elsewhere=elsewhere)
    return ratio


def rate_of(here):
    with here.store.reading() as tx:
        learned = observed_rates.learned(tx).get("max-session")
    return learned and learned.rate.middle / POINT


@pytest.mark.parametrize(
    ("spent", "rate"),
    [
        pytest.param([1, 1], None, id="two reports are too few"),
        pytest.param([1, 0.4, 0.4], None, id="and so is little growth"),
        pytest.param([1, 1, 1], pytest.approx(2.0), id="three reports over two points teach"),
        pytest.param([0.5] * 12, pytest.approx(2.0), id="the more the surer"),
    ],
)
def test_a_rate_is_learned(world, spent, rate):
    here = world(UNKNOWN)
    grown(here, *spent)
    learns(here)
    assert rate_of(here) == rate


def test_once_learned_usage_counts_and_tickets_reserve_what_they_take(world):
    here = world(UNKNOWN)
    ratio = grown(here, 1, 1, 1)
    asks(here, 1)
    assert points(here) == (pytest.approx(ratio * 100), 5.0)
    assert learns(here)
    used, reserved = points(here)
    assert (used, reserved) == (pytest.approx(ratio * 100), 5.0)
    held = asks(here, 1)
    assert said(held) == ("admit",)
    assert 2.0 < points(here)[1] - reserved < 3.0
    here.wait(MINUTE)
    here.record(a_usage_event(key="more", at=here.clock.at, usage=dollars(2), account="max-1"))
    assert points(here)[0] == pytest.approx(ratio * 100 + 4)


def test_what_is_learned_survives_a_restart_and_is_forgotten_with_its_limit(world):
    here = world(UNKNOWN)
    grown(here, 1, 1, 1)
    learns(here)
    here.kill()
    assert rate_of(here) == pytest.approx(2.0)
    here.change(replace(UNKNOWN, match=()))
    learns(here)
    with here.store.reading() as tx:
        assert {limit.observed for limit in with_rates(tx, here.limits)} == {KEY}
    assert rate_of(here) == pytest.approx(2.0)  # learned anew, of what it selects now


def test_usage_that_is_read_after_the_report_that_counts_it_teaches_all_the_same(world):
    here = world(UNKNOWN)
    grown(here, 1, 1, 1)
    at = here.clock.at
    here.wait(MINUTE)
    here.record(a_usage_event(key="late", at=at - MINUTE, usage=dollars(1), account="max-1"))
    learns(here)
    with here.store.reading() as tx:
        costs = [span.cost for span in observed_rates.spans(tx, "max-session")]
    assert costs == [1_000_000, 2_000_000]


def test_use_elsewhere_is_told_after_two_spans_and_allowed_for(world):
    here = world(UNKNOWN)
    ratio = grown(here, *[1] * 6)
    learns(here)
    ratio = a_step(here, ratio, 0, elsewhere=0.04)
    learns(here)
    assert elsewhere_of(here) == (0.0, 0.0)
    ratio = a_step(here, ratio, 1, elsewhere=0.04)
    learns(here)
    assert elsewhere_of(here) == (pytest.approx(8.0, abs=0.5), pytest.approx(4.0, abs=0.3))
    here.wait(30 * MINUTE)
    balance = next(iter(here.memory.remembered.balances.all()))
    assert balance.spent / POINT == pytest.approx(ratio * 100 + 2.0, abs=0.2)


def elsewhere_of(here):
    with here.store.reading() as tx:
        return tuple(used_elsewhere(tx, here.limits[0], judged_windows(tx, KEY)[-1]))
