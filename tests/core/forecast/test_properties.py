"""What holds for the forecast of any history, in any window: idle for a year, ten to the fifteen tokens, one event."""

import json
import math
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quota_scheduler.core.forecast.calibration import Calibration
from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.project import Projectable, project, project_many
from quota_scheduler.core.forecast.series import buckets
from tests.core.forecast.forecasting import DAY, HOUR, MONTH, NOW, Pairs, Window, daily, month

AMOUNTS = st.one_of(st.just(0.0), st.floats(1e-6, 1e15), st.integers(0, 10**15).map(float))
GAPS = st.one_of(st.integers(1, 30), st.integers(1, 24 * 366))


def spaced(rows: list[tuple[int, float]]) -> Pairs:
    """A history whose rows say how many hours lie before the next one, or before now."""
    at, found = NOW, []
    for gap, tokens in rows:
        at -= gap * HOUR
        found.append((at, tokens))
    return found[::-1]


DAYS = st.lists(AMOUNTS, max_size=130).map(lambda usage: daily(*usage))
SPACED = st.lists(st.tuples(GAPS, AMOUNTS), max_size=60).map(spaced)
HISTORIES = st.one_of(DAYS, SPACED)
"""Days without a gap, and events hours or up to a year apart."""
STEPS = st.sampled_from([HOUR, 6 * HOUR, DAY])
LENGTHS = st.one_of(st.integers(1, 26), st.integers(1, 800))
WINDOWS = st.tuples(st.integers(0, 800), LENGTHS).map(lambda ends: Window(NOW - ends[0] * HOUR, NOW + ends[1] * HOUR))
CALIBRATIONS = st.one_of(st.none(), st.builds(Calibration, low=st.floats(-1.4, 1.4), high=st.floats(-1.4, 1.4)))
examples = settings(max_examples=60, deadline=None)


def numbers(found: Forecast) -> list[float]:
    """Every number that a forecast holds."""
    own = [found.used, found.certain, found.rate, found.level, found.trend or 0.0, found.confidence or 0.0]
    return [*own, found.observed_days, *(n for knot in found.knots for n in knot)]


@settings(max_examples=200, deadline=None)
@given(HISTORIES, WINDOWS, STEPS, st.floats(0, 1e15), CALIBRATIONS)
def test_any_history_gives_a_finite_ordered_forecast(history, window, step, known, calibration):
    found = project(history, window, now=NOW, step=step, certain=known, calibration=calibration)
    assert all(math.isfinite(n) for n in numbers(found))
    assert found.used <= found.low <= found.expected <= found.high, "the median lies within the interval"
    assert found.low >= found.used + known - 1e-6 * known, "what is known is certain"
    assert all(a <= b for early, late in zip(found.knots, found.knots[1:], strict=False)
               for a, b in zip(early, late, strict=True)), "more time never takes usage back"  # fmt: skip
    assert found.confidence is None or 0 <= found.confidence <= 1
    assert (found.confidence is None) == (found.observed_days < 7)


@examples
@example(spaced([(138, 1e90), (32, 1e-218), (600, 0.0)]), Window(NOW, NOW + HOUR), HOUR)
@given(st.lists(st.tuples(GAPS, st.floats(0, allow_infinity=False)), max_size=40).map(spaced), WINDOWS, STEPS)
def test_even_the_largest_finite_input_stays_finite(history, window, step):
    found = project(history, window, now=NOW, step=step)
    assert all(math.isfinite(n) for n in numbers(found))
    assert found.used <= found.low <= found.expected <= found.high


@pytest.mark.parametrize("step", [HOUR, DAY], ids=["hourly", "daily"])
@pytest.mark.parametrize(
    "history",
    [
        pytest.param([], id="no history at all"),
        pytest.param(daily(*[0.0] * 30), id="all zeros left out"),
        pytest.param([(NOW - n * DAY, 0.0) for n in range(30, 0, -1)], id="all zeros written down"),
        pytest.param([(NOW - timedelta(seconds=3), 10**15)], id="one huge event three seconds ago"),
        pytest.param([(NOW - 400 * DAY, 5), (NOW - DAY, 5)], id="a year of gaps"),
        pytest.param([(NOW - 400 * DAY, 5)], id="nothing for a year"),
        pytest.param(daily(*[10**15] * 120), id="10^15 tokens a day"),
        pytest.param(daily(*[1e-12] * 120), id="almost nothing a day"),
        pytest.param(daily(*[5e-324] * 120), id="the least there is a day"),
    ],
)
def test_extreme_histories_stay_finite(history, step):
    found = month(history, step=step)
    assert all(math.isfinite(n) for n in numbers(found))
    assert found.used <= found.low <= found.expected <= found.high


@examples
@given(HISTORIES, WINDOWS, STEPS, st.floats(1e-6, 1e6))
def test_scaling_all_usage_scales_the_answer(history, window, step, factor):
    plain = project(history, window, now=NOW, step=step)
    scaled = project([(at, tokens * factor) for at, tokens in history], window, now=NOW, step=step)
    rounding = 1e-8 * factor * max([tokens for _, tokens in history], default=0.0)
    for name in ("used", "low", "expected", "high", "level"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name) * factor, rel=1e-5, abs=rounding + 1e-300)


@examples
@given(HISTORIES, st.integers(27, 700), st.integers(1, 700), CALIBRATIONS)
def test_a_longer_remaining_time_never_narrows_the_interval(history, hours, more, calibration):
    for step in (HOUR, DAY):
        short, long = (
            project(history, Window(NOW - 5 * HOUR, NOW + h * HOUR), now=NOW, step=step, calibration=calibration)
            for h in (hours, hours + more)
        )
        assert long.high - long.low >= (short.high - short.low) * (1 - 1e-9)


@examples
@given(HISTORIES, st.integers(1, 26), st.integers(1, 700), CALIBRATIONS)
def test_nor_in_short_windows_of_a_daily_history(history, hours, more, calibration):
    short, long = (
        project(history, Window(NOW - 15 * DAY, NOW + h * HOUR), now=NOW, step=DAY, calibration=calibration)
        for h in (hours, hours + more)
    )
    assert long.high - long.low >= (short.high - short.low) * (1 - 1e-9)


@examples
@given(HISTORIES, WINDOWS, STEPS, st.floats(0, 1e12), st.floats(0, 1e12))
def test_more_usage_so_far_never_lowers_the_floor(history, window, step, used, more):
    less, most = (project(history, window, now=NOW, step=step, used=u) for u in (used, used + more))
    assert most.low >= less.used + more * (1 - 1e-9)
    assert most.low - most.used >= 0
    if less.method == "days":
        assert most.low >= less.low


@examples
@given(HISTORIES, WINDOWS, STEPS, st.floats(0, 1e3))
def test_never_above_what_the_rate_allows(history, window, step, cap):
    found = project(history, window, now=NOW, step=step, rate_cap=cap)
    left = found.remaining.total_seconds()
    assert found.high <= (found.used + cap * left) * (1 + 1e-9)
    assert found.to_come(0.999) <= cap * left * (1 + 1e-9)


@examples
@given(HISTORIES, WINDOWS, STEPS, st.lists(st.floats(0, 1), min_size=2, max_size=8).map(sorted), st.floats(0, 1e15))
def test_quantiles_rise_and_the_chance_to_exceed_falls(history, window, step, points, amount):
    found = project(history, window, now=NOW, step=step)
    quantiles = [found.quantile(q) for q in points]
    assert quantiles == sorted(quantiles)
    assert 0 <= found.p_exceed(amount * 2) <= found.p_exceed(amount) <= 1
    assert found.p_exceed(found.used - 1) == 1


@examples
@given(HISTORIES, WINDOWS, STEPS, st.floats(1, 1e15))
def test_exhaustion_is_within_its_interval_and_the_window(history, window, step, amount):
    found = project(history, window, now=NOW, step=step)
    never = window.ends_at + DAY
    earliest, latest = found.exhaustion_interval(amount)
    assert NOW <= (earliest or never) <= (found.exhaustion(amount) or never) <= (latest or never)
    assert earliest is None or earliest <= window.ends_at


@examples
@given(st.lists(HISTORIES, min_size=1, max_size=6))
def test_many_at_once_gives_the_numbers_of_one_by_one(histories):
    many = project_many([Projectable(history, MONTH) for history in histories], now=NOW, step=DAY)
    for found, history in zip(many, histories, strict=True):
        alone = month(history)
        for name in ("low", "expected", "high"):
            assert getattr(found, name) == pytest.approx(getattr(alone, name), rel=1e-9, abs=1e-9)


ASKED = st.lists(st.tuples(st.integers(0, 1), WINDOWS, CALIBRATIONS, st.sampled_from([0.0, 7.0])), max_size=8)


@examples
@given(HISTORIES, ASKED, STEPS)
def test_limits_that_share_a_history_each_have_the_numbers_of_their_own_window(history, asked, step):
    """Equal arrays are one history, whoever holds them; what is asked of it stays each limit's own."""
    histories = history, [(at, 1 + 2 * amount) for at, amount in history]
    windows = [
        Projectable(buckets(histories[which]), window, certain, calibration)
        for which, window, calibration, certain in asked
    ]
    many = project_many([*windows, *windows], now=NOW, step=step)
    for found, window in zip(many, [*windows, *windows], strict=True):
        alone = project_many([window], now=NOW, step=step)[0]
        assert (found.starts_at, found.ends_at, found.certain) == (alone.starts_at, alone.ends_at, alone.certain)
        for name in ("used", "low", "expected", "high"):
            assert getattr(found, name) == pytest.approx(getattr(alone, name), rel=1e-9, abs=1e-9)


@examples
@given(HISTORIES, WINDOWS, STEPS, CALIBRATIONS)
def test_the_same_question_gets_the_same_answer_and_survives_storage(history, window, step, calibration):
    found = project(history, window, now=NOW, step=step, calibration=calibration)
    assert project(list(history), window, now=NOW, step=step, calibration=calibration) == found
    assert Forecast.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert replace(found, used=-1.0) != found
    assert hash(replace(found)) == hash(found)


@examples
@given(HISTORIES, STEPS)
def test_what_happens_later_is_not_looked_at(history, step):
    later = [*history, (NOW, 7e9), (NOW + DAY, 5e9)]
    assert month(later, step=step) == month(history, step=step)
