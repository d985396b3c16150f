"""Learning: what a percent point costs, and what was used elsewhere."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quota_scheduler.core.observations.judging import judge
from quota_scheduler.core.observations.learning import (
    Elsewhere,
    GrowthSpan,
    Learned,
    cuts,
    elsewhere,
    is_enough,
    learn,
)
from quota_scheduler.core.observations.points import POINT, Rate
from tests.builders import DAY, HOUR, MINUTE, MONDAY, an_observation


def spans(*pairs, start=MONDAY - DAY, each=10 * MINUTE):
    """Spans one after another: (points, dollars)."""
    return [
        GrowthSpan(start + n * each, start + (n + 1) * each, points, round(cost * 1_000_000))
        for n, (points, cost) in enumerate(pairs)
    ]


def a_day(dollars_a_point=0.5, count=20, **parts):
    return spans(*[(1.0, dollars_a_point)] * count, **parts)


def a_rate(low, middle, high, count=20):
    return Rate(round(low * POINT), round(middle * POINT), round(high * POINT), count, MONDAY)


def growth(*steps):
    """A window that grew so: (minutes, ratio)."""
    reports = [an_observation(r, at=MONDAY + m * MINUTE, resets_at=MONDAY + 4 * HOUR) for m, r in steps]
    return judge(reports, 5 * HOUR)[-1]


@pytest.mark.parametrize(
    ("steps", "bounds", "enough"),
    [
        pytest.param([(0, 0.1)], [], False, id="one report teaches nothing"),
        pytest.param([(0, 0.1), (5, 0.13)], [(0.1, 0.13)], False, id="nor do two"),
        pytest.param(
            [(0, 0.1), (5, 0.11), (9, 0.12)], [(0.1, 0.11), (0.11, 0.12)], True, id="three over two points do"
        ),
        pytest.param(
            [(0, 0.1), (5, 0.104), (9, 0.111), (12, 0.115)], [(0.1, 0.111)], False, id="a span is a point long"
        ),
        pytest.param([(0, 0.1), (5, 0.1), (9, 0.1)], [], False, id="what does not grow teaches nothing"),
    ],
)
def test_a_window_is_cut_into_spans(steps, bounds, enough):
    window = growth(*steps)
    assert ([(a.ratio, b.ratio) for a, b in cuts(window)], is_enough(window)) == (bounds, enough)


@pytest.mark.parametrize(
    ("seen", "middle", "low", "high"),
    [
        pytest.param(a_day(), 2.0, 1.8, 2.2, id="all alike"),
        pytest.param(a_day(count=2), 2.0, 1.5, 2.6, id="few are less sure"),
        pytest.param([*a_day(), *spans((8, 0.1), (9, 0.2), (5, 0))], 2.0, 1.8, 2.2, id="use elsewhere changes nothing"),
        pytest.param(spans(*[(1, 0.4), (1, 0.6)] * 10), 2.0, 1.6, 2.5, id="a mix of models has an interval"),
    ],
)
def test_a_rate_is_learned(seen, middle, low, high):
    learned = learn(seen, MONDAY)
    assert learned.rate.middle == pytest.approx(middle * POINT, rel=0.1)
    assert low * POINT <= learned.rate.low <= learned.rate.middle <= learned.rate.high <= high * POINT


def test_nothing_is_learned_from_nothing():
    assert learn([], MONDAY) is None
    assert learn(spans((3, 0)), MONDAY) is None
    before = Learned(a_rate(1, 2, 3))
    assert learn([], MONDAY, before=before) is before


def test_old_spans_are_forgotten_slowly():
    old, new = a_day(1.0, 20, start=MONDAY - 60 * DAY), a_day(0.5, 8)
    assert learn([*old, *new], MONDAY).rate.middle == 2 * POINT
    assert learn([*a_day(1.0, 20, start=MONDAY - 3 * DAY), *new], MONDAY).rate.middle == 1 * POINT


@pytest.mark.parametrize(
    ("newest", "changed"),
    [
        pytest.param([(1, 1.0)] * 3, True, id="a point costs twice as much: more is allowed"),
        pytest.param([(1, 0.25)] * 3, True, id="half as much: less is allowed"),
        pytest.param([(1, 1.0)] * 2, False, id="two spans are too few"),
        pytest.param([(1, 0.25), (1, 0.1), (1, 0.3)], False, id="what differs is use elsewhere"),
        pytest.param([(1, 0.55)] * 3, False, id="a little more is not news"),
    ],
)
def test_a_change_of_what_is_allowed_is_noticed(newest, changed):
    before = Learned(a_rate(1.9, 2, 2.1))
    learned = learn([*a_day(), *spans(*newest, start=MONDAY - HOUR)], MONDAY, before=before)
    assert (learned.since, learned.before) == ((MONDAY - HOUR, before.rate) if changed else (None, None))
    if changed:
        assert learned.rate.middle == pytest.approx(newest[0][0] / newest[0][1] * POINT)


@pytest.mark.parametrize(
    ("seen", "rate", "found"),
    [
        pytest.param([(1, 0.5), (1, 0.5)], a_rate(1.9, 2, 2.1), Elsewhere(), id="all was used here"),
        pytest.param([(5, 0.5)], a_rate(1.9, 2, 2.1), Elsewhere(), id="once is no news"),
        pytest.param([(3, 0.5), (3, 0.5)], a_rate(1.9, 2, 2.1), Elsewhere(4.0, 2.0), id="twice is"),
        pytest.param([(2, 0.5), (2, 0.5)], a_rate(1.9, 2, 2.1), Elsewhere(), id="unless it is little"),
        pytest.param([(3, 0.5), (3, 0.5)], a_rate(1, 2, 6), Elsewhere(), id="or may be explained"),
        pytest.param([(2, 0), (2, 0)], None, Elsewhere(4.0, 2.0), id="growth while nothing ran needs no rate"),
        pytest.param([(2, 0.1), (2, 0.1)], None, Elsewhere(), id="without a rate nothing else can be told"),
    ],
)
def test_use_elsewhere(seen, rate, found):
    assert elsewhere(spans(*seen, start=MONDAY - HOUR), rate, MONDAY) == found


def test_use_elsewhere_of_long_ago_is_shown_and_not_expected_to_go_on():
    assert elsewhere(spans((3, 0), (3, 0), start=MONDAY - 4 * HOUR), None, MONDAY) == Elsewhere(6.0, 0.0)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0.2, 20),
    st.lists(st.floats(0.9, 1.1), min_size=12, max_size=40),
    st.sampled_from([0.0, 2.0, 10.0]),
    st.randoms(),
)
def test_a_rate_is_near_the_truth_whatever_a_minority_of_spans_says(points_a_dollar, noise, extra, random):
    seen = spans(*[(1.0, n / points_a_dollar) for n in noise])
    foreign = [span._replace(points=span.points + extra) for span in random.sample(seen, len(seen) // 4)]
    mixed = {span.began_at: span for span in [*seen, *foreign]}.values()
    rate = learn(mixed, MONDAY + timedelta(hours=1)).rate
    assert rate.middle == pytest.approx(points_a_dollar * POINT, rel=0.12)
    assert rate.low <= points_a_dollar * POINT * 1.12
    assert rate.high >= points_a_dollar * POINT * 0.9
