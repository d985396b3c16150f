"""Where a window ends: properties that hold for any history, and what plain histories lead to."""

import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quota_scheduler.core.calibration import Calibration
from quota_scheduler.core.forecast import Forecast, buckets, is_spike, project, project_many, risk_band

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime(2026, 5, 16, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    starts_at: datetime
    ends_at: datetime


MONTH = Window(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))


def daily(*usage: float, until: datetime = NOW) -> list[tuple[datetime, float]]:
    """Return a daily history that ends at ``until``; idle days are left out, as the ledger does."""
    first = until - len(usage) * DAY
    return [(first + i * DAY, tokens) for i, tokens in enumerate(usage) if tokens]


def hourly(*usage: float, until: datetime = NOW) -> list[tuple[datetime, float]]:
    first = until - len(usage) * HOUR
    return [(first + i * HOUR, tokens) for i, tokens in enumerate(usage) if tokens]


def month(history, *, now=NOW, window=MONTH, step=DAY, **known) -> Forecast:
    return project(history, window, now=now, step=step, **known)


AMOUNTS = st.one_of(st.just(0.0), st.floats(0, 1e15), st.integers(0, 10**15).map(float))
HISTORIES = st.lists(AMOUNTS, max_size=130).map(lambda usage: daily(*usage))
WINDOWS = st.tuples(st.integers(0, 800), st.integers(1, 800)).map(
    lambda ends: Window(NOW - ends[0] * HOUR, NOW + ends[1] * HOUR)
)


@settings(max_examples=200, deadline=None)
@given(HISTORIES, WINDOWS, st.sampled_from([HOUR, 6 * HOUR, DAY]), st.floats(0, 1e15))
def test_any_history_gives_a_finite_ordered_forecast(history, window, step, known):
    found = project(history, window, now=NOW, step=step, known=known)
    numbers = [found.used, found.rate, found.level, found.trend or 0.0, found.observed_days]
    numbers += [n for knot in found.knots for n in knot]
    assert all(math.isfinite(n) and n >= -1 for n in numbers)
    assert found.used <= found.low <= found.expected <= found.high
    assert found.low >= found.used + known - 1e-6 * known
    assert all(
        a <= b
        for early, late in zip(found.knots, found.knots[1:], strict=False)
        for a, b in zip(early, late, strict=True)
    )
    assert found.confidence is None or 0 <= found.confidence <= 1
    assert len(found.explain()) <= 5


@settings(max_examples=60, deadline=None)
@given(HISTORIES, WINDOWS, st.floats(1e-6, 1e6))
def test_scaling_all_usage_scales_the_answer(history, window, factor):
    plain = project(history, window, now=NOW, step=DAY)
    scaled = project([(at, tokens * factor) for at, tokens in history], window, now=NOW, step=DAY)
    rounding = 1e-12 * factor * max([tokens for _, tokens in history], default=0.0)
    for name in ("used", "low", "expected", "high", "level"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name) * factor, rel=1e-6, abs=rounding + 1e-300)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(1, 700), st.integers(1, 700), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_longer_remaining_time_never_narrows_the_interval(history, hours, more, low, high):
    earned = Calibration(low=low, high=high)
    short, long = (
        project(history, Window(NOW - 15 * DAY, NOW + h * HOUR), now=NOW, step=DAY, calibration=earned)
        for h in (hours, hours + more)
    )
    assert long.high - long.low >= (short.high - short.low) * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.floats(0, 1e12), st.floats(0, 1e12))
def test_more_usage_so_far_never_lowers_the_floor(history, used, more):
    assert month(history, used=used + more).low >= month(history, used=used).low


@settings(max_examples=40, deadline=None)
@given(HISTORIES, st.lists(st.floats(0, 1), min_size=2, max_size=8).map(sorted), st.floats(0, 1e15))
def test_quantiles_rise_and_the_chance_to_exceed_falls(history, points, amount):
    found = month(history)
    quantiles = [found.quantile(q) for q in points]
    assert quantiles == sorted(quantiles)
    assert 0 <= found.p_exceed(amount * 2) <= found.p_exceed(amount) <= 1


@settings(max_examples=40, deadline=None)
@given(st.lists(HISTORIES, min_size=1, max_size=6))
def test_many_at_once_gives_the_numbers_of_one_by_one(histories):
    many = project_many(histories, [MONTH] * len(histories), now=NOW, step=DAY)
    for found, history in zip(many, histories, strict=True):
        alone = month(history)
        assert found.expected == pytest.approx(alone.expected, rel=1e-9, abs=1e-9)
        assert found.low == pytest.approx(alone.low, rel=1e-9, abs=1e-9)
        assert found.high == pytest.approx(alone.high, rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(HISTORIES, WINDOWS)
def test_the_same_question_gets_the_same_answer_and_survives_storage(history, window):
    found = project(history, window, now=NOW, step=DAY)
    assert project(history, window, now=NOW, step=DAY) == found
    assert Forecast.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@settings(max_examples=40, deadline=None)
@given(HISTORIES)
def test_what_happens_later_is_not_looked_at(history):
    later = [*history, (NOW, 7e9), (NOW + DAY, 5e9)]
    assert month(later) == month(history)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([], id="no history at all"),
        pytest.param(daily(*[0.0] * 30), id="all zeros"),
        pytest.param([(NOW - timedelta(seconds=3), 10**15)], id="one huge event three seconds ago"),
        pytest.param([(NOW - 400 * DAY, 5), (NOW - DAY, 5)], id="a year of gaps"),
        pytest.param([(NOW - 400 * DAY, 5)], id="nothing for a year"),
        pytest.param(daily(*[10**15] * 120), id="10^15 tokens a day"),
        pytest.param(daily(*[1e-12] * 120), id="almost nothing a day"),
    ],
)
@pytest.mark.parametrize("step", [HOUR, DAY], ids=["hourly", "daily"])
def test_extreme_histories_stay_finite(history, step):
    found = month(history, step=step)
    assert all(math.isfinite(n) for knot in found.knots for n in knot)
    assert found.used <= found.low <= found.expected <= found.high


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param([100] * 60, 15 * 100 + 16 * 100, id="a steady level is kept up"),
        pytest.param([100] * 53 + [1000] + [100] * 6, 14 * 100 + 1000 + 16 * 100, id="an outlier day is not believed"),
        pytest.param([100] * 53 + [200] * 7, 8 * 100 + 7 * 200 + 16 * 200, id="a week of double is believed"),
        pytest.param([100] * 55 + [200] * 5, 10 * 100 + 5 * 200 + 16 * 200, id="five days of double are believed"),
        pytest.param([200] * 55 + [100] * 5, 10 * 200 + 5 * 100 + 16 * 100, id="five days of half are believed"),
        pytest.param([0] * 5 + [100] * 55 + [0], 14 * 100 + 16 * 100, id="one idle day changes little"),
    ],
)
def test_a_level_is_kept_a_lasting_change_believed_and_an_outlier_not(usage, expected):
    assert month(daily(*usage)).expected == pytest.approx(expected, rel=0.12)


def test_working_days_are_told_from_weekends():
    monday = datetime(2026, 5, 18, tzinfo=UTC)
    history = daily(*([100, 100, 100, 100, 100, 0, 0] * 9), until=monday)
    friday, week = monday + 5 * DAY, Window(monday, monday + 7 * DAY)
    history += [(monday + i * DAY, 100.0) for i in range(5)]
    assert month(history, now=friday, window=week).expected == pytest.approx(500, rel=0.03)
    assert month(history[:-3], now=monday + 2 * DAY, window=week).expected == pytest.approx(500, rel=0.12)


def test_hours_of_the_day_are_told_apart():
    working = [100.0 if 9 <= hour < 17 else 0.0 for hour in range(24)]
    history = hourly(*(working * 40))
    morning, evening = NOW + 8 * HOUR, NOW + 17 * HOUR
    week = Window(NOW - 6 * DAY, NOW + DAY)
    assert month(history, now=morning, window=week, step=HOUR).expected == pytest.approx(7 * 800, rel=0.06)
    done = history + [(NOW + h * HOUR, 100.0) for h in range(9, 17)]
    assert month(done, now=evening, window=week, step=HOUR).expected == pytest.approx(7 * 800, rel=0.06)


@pytest.mark.parametrize("passed", [timedelta(minutes=1), 6 * HOUR, 12 * HOUR, timedelta(hours=23, minutes=59)])
def test_a_half_finished_day_counts_with_its_part(passed):
    share = passed / DAY
    history = [*daily(*[2400.0] * 40), (NOW, 2400.0 * share)]
    found = month(history, now=NOW + passed)
    assert found.used == pytest.approx(2400 * (15 + share))
    assert found.expected == pytest.approx(2400 * 31, rel=0.03)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_days_of_any_zone_across_its_change_of_clocks(zone):
    here = ZoneInfo(zone)
    days = [datetime(2026, 2, 1, tzinfo=here) + i * DAY for i in range(79)]
    history = [(day.astimezone(UTC), 100.0) for day in days]
    now = (days[-1] + DAY).astimezone(UTC)
    april = Window(datetime(2026, 4, 1, tzinfo=here).astimezone(UTC), datetime(2026, 5, 1, tzinfo=here).astimezone(UTC))
    assert month(history, now=now, window=april).expected == pytest.approx(3000, rel=0.03)


def test_a_window_that_has_just_begun_and_one_that_is_over():
    history = daily(*[100] * 40)
    fresh = month(history, window=Window(NOW, NOW + 30 * DAY))
    assert fresh.used == 0
    assert fresh.expected == pytest.approx(3000, rel=0.05)
    over = month(history, window=Window(NOW - 30 * DAY, NOW))
    assert (over.low, over.expected, over.high) == (3000, 3000, 3000)
    coming = month(history, window=Window(NOW + 2 * DAY, NOW + 9 * DAY))
    assert coming.expected == pytest.approx(700, rel=0.05)


def test_known_usage_is_certain_and_not_counted_twice():
    history = daily(*[100, 140, 60, 90, 110] * 12)
    plain = month(history)
    assert month(history, known=50).expected == pytest.approx(plain.expected, rel=1e-6), "within a usual day"
    much = month(history, known=10_000)
    assert much.low >= plain.used + 10_000
    assert much.expected == pytest.approx(plain.expected + 10_000 - 100, rel=0.02)


def test_never_above_what_the_rate_allows():
    history = daily(*[1000, 0, 5000] * 20)
    capped = month(history, rate_cap=0.001)
    assert capped.high <= capped.used + 16 * 86_400 * 0.001


def test_the_exact_usage_so_far_wins_over_the_buckets():
    history = daily(*[100] * 40)
    assert month(history, used=1234.5).used == 1234.5


def test_under_seven_days_there_is_a_number_but_no_confidence():
    young = month(daily(*[100] * 6), window=Window(NOW - 6 * DAY, NOW + 24 * DAY))
    assert (young.sufficient, young.confidence, young.method) == (False, None, "insufficient history")
    assert young.expected == pytest.approx(3000, rel=0.05)
    assert "Insufficient" in young.explain()[-1]
    quiet = month(daily(*[100] * 6), since=NOW - 20 * DAY)
    assert quiet.sufficient


def test_exhaustion_pace_and_burn_rate():
    found = month(daily(*[100] * 60))
    assert found.exhaustion(1000) == NOW
    at = found.exhaustion(2500)
    assert at is not None
    assert abs(at - (NOW + 10 * DAY)) < 12 * HOUR
    earliest, latest = found.exhaustion_interval(2500)
    assert earliest is not None
    assert earliest <= at
    assert latest is None or latest >= at
    assert found.exhaustion(10**9) is None
    assert found.burn_rate(3100) == pytest.approx(1.0, rel=0.01)
    assert found.burn_rate(1550) == pytest.approx(2.0, rel=0.01)
    assert found.pace(3100) * 86_400 == pytest.approx(100)
    assert found.remaining_pace(3100) * 86_400 == pytest.approx(100)
    assert found.trend == pytest.approx(0.0)


def test_what_is_still_to_come_shrinks_with_the_time_left():
    found = month(daily(*[100, 200, 50, 0, 300] * 12))
    until = [NOW, NOW + DAY, NOW + 8 * DAY, MONTH.ends_at, MONTH.ends_at + DAY]
    rests = [found.rest(0.9, at) for at in until]
    assert rests[0] == 0
    assert rests == sorted(rests)
    assert rests[-1] == found.rest(0.9) == pytest.approx(found.high - found.used)
    assert found.p_exceed(found.quantile(0.7)) == pytest.approx(0.3)


def test_a_pool_is_narrower_than_the_sum_of_its_members():
    members = [daily(*[((7919 * (i + 3) * (d + 11)) % 997) ** 2 for d in range(90)]) for i in range(6)]
    total: dict[datetime, float] = {}
    for member in members:
        for at, tokens in member:
            total[at] = total.get(at, 0.0) + tokens
    pool = month(sorted(total.items()))
    alone = [month(member) for member in members]
    assert pool.high - pool.low < 0.9 * sum(found.high - found.low for found in alone)


def test_arrays_do_as_well_as_pairs():
    history = daily(*[100, 0, 250] * 30)
    assert month(buckets(history)) == month(history)


def test_a_naive_now_is_refused():
    with pytest.raises(ValueError, match="aware"):
        month([], now=datetime(2026, 5, 16))


def test_five_lines_say_where_the_number_comes_from():
    lines = month(daily(*[100] * 60), known=500).explain()
    assert len(lines) == 5
    assert lines[0].startswith("1,500 used so far; ")


@pytest.mark.parametrize(
    ("ratio", "previous", "risk"),
    [
        pytest.param(None, "high", "unknown", id="insufficient history is unknown"),
        pytest.param(0.69, "unknown", "low", id="under 70 % is low"),
        pytest.param(0.70, "low", "medium", id="70 % is medium"),
        pytest.param(0.85, "medium", "high", id="85 % is high"),
        pytest.param(0.95, "low", "critical", id="95 % is critical, at once"),
        pytest.param(0.94, "critical", "critical", id="a point below the mark it stays critical"),
        pytest.param(0.929, "critical", "high", id="over two points below it is high"),
        pytest.param(0.50, "critical", "low", id="far below it falls at once"),
        pytest.param(0.84, "high", "high", id="84 % after high stays high"),
        pytest.param(0.84, "medium", "medium", id="84 % after medium is medium"),
    ],
)
def test_risk(ratio, previous, risk):
    assert risk_band(ratio, previous) == risk


@pytest.mark.parametrize(
    ("today", "now", "days", "spike"),
    [
        pytest.param([0] * 9 + [100, 100], NOW + 11 * HOUR, 20, False, id="a usual morning"),
        pytest.param([0] * 9 + [100, 301], NOW + 11 * HOUR, 20, True, id="over twice the usual by eleven"),
        pytest.param([0] * 9 + [100, 301], NOW + 11 * HOUR, 13, False, id="too few days seen"),
        pytest.param([0] * 9 + [100] * 8, NOW + 17 * HOUR, 20, False, id="a usual whole day"),
        pytest.param([150], NOW + HOUR, 20, True, id="any use at an hour that is always idle"),
        pytest.param([], NOW + HOUR, 20, False, id="nothing yet"),
    ],
)
def test_a_spike_is_judged_by_the_time_of_day(today, now, days, spike):
    usual = [100.0 if 9 <= hour < 17 else 0.0 for hour in range(24)]
    first = NOW - days * DAY
    history = [(first, 0.0), *hourly(*(usual * days))]
    history += [(NOW + i * HOUR, float(tokens)) for i, tokens in enumerate(today) if tokens]
    assert is_spike(history, now, HOUR) is spike


def test_a_forecast_is_a_value():
    found = month(daily(*[100] * 40))
    assert replace(found, used=0.0) != found
    assert hash(found) == hash(month(daily(*[100] * 40)))
