"""Where a window ends: what plain histories lead to."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.risk import is_spike, risk_band
from quota_scheduler.core.forecast.series import buckets
from tests.core.forecast.forecasting import DAY, HOUR, MONTH, NOW, Window, daily, hourly, month


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
    assert month(history, certain=50).expected == pytest.approx(plain.expected, rel=1e-6), "within a usual day"
    much = month(history, certain=10_000)
    assert much.low >= plain.used + 10_000
    assert much.expected == pytest.approx(plain.expected + 10_000 - 100, rel=0.02)


def test_the_exact_usage_so_far_wins_over_the_buckets():
    history = daily(*[100] * 40)
    assert month(history, used=1234.5).used == 1234.5


def test_under_seven_days_there_is_a_number_but_no_confidence():
    young = month(daily(*[100] * 6), window=Window(NOW - 6 * DAY, NOW + 24 * DAY))
    assert (young.sufficient, young.confidence, young.method) == (False, None, "insufficient history")
    assert young.expected == pytest.approx(3000, rel=0.05)
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
    rests = [found.to_come(0.9, at) for at in until]
    assert rests[0] == 0
    assert rests == sorted(rests)
    assert rests[-1] == found.to_come(0.9) == pytest.approx(found.high - found.used)
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


@pytest.mark.parametrize(
    ("amount", "previous", "risk"),
    [
        pytest.param(10_000, "unknown", "low", id="far more than will be used"),
        pytest.param(1_000, "unknown", "critical", id="less than is used already"),
        pytest.param(0, "critical", "unknown", id="a limit of nothing has no band"),
    ],
)
def test_risk_is_the_band_of_the_80th_percentile(amount, previous, risk):
    found = month(daily(*[100] * 60))
    assert found.risk(amount, previous) == risk
    assert month(daily(*[100] * 6)).risk(amount, previous) == "unknown", "under seven days"


def test_the_mark_of_a_band_lies_at_the_80th_percentile_and_holds_two_points_below():
    found = month(daily(*[100, 300, 0, 50] * 15))
    assert found.risk(found.p80 / 0.851) == "high"
    assert found.risk(found.p80 / 0.849) == "medium"
    assert found.risk(found.p80 / 0.849, "high") == "high"
    assert found.risk(found.p80 / 0.82, "high") == "medium"


def test_a_rate_cap_is_part_of_every_answer():
    found = month(daily(*[1000, 0, 5000] * 20), rate_cap=0.001)
    most = found.used + 16 * 86_400 * 0.001
    assert found.quantile(0.999) <= most
    assert found.p_exceed(most) == 0
    assert found.exhaustion(most + 1, 0.999) is None
    assert max(found.fan((0.99,))[-1][1]) <= most
    assert Forecast.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    older = {name: value for name, value in found.to_dict().items() if name != "rate_cap"}
    assert Forecast.from_dict(older).rate_cap is None, "forecasts stored before there was one"


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


@pytest.mark.parametrize(
    ("change", "zone"),
    [
        pytest.param(datetime(2026, 3, 29), "Europe/Berlin", id="an hour lost"),
        pytest.param(datetime(2026, 11, 1), "America/New_York", id="an hour gained"),
    ],
)
def test_a_usual_morning_after_a_change_of_clocks_is_no_spike(change, zone):
    here = ZoneInfo(zone)
    days = [(change + back * DAY).replace(tzinfo=here) for back in range(-20, 3)]
    history = [
        ((day + hour * HOUR).astimezone(UTC), 100.0)
        for day in days
        for hour in (8, 9, 10)
        if day + hour * HOUR <= days[-1]
    ]
    today = days[-1]
    history += [((today + hour * HOUR).astimezone(UTC), 100.0) for hour in (8, 9)]
    now = (today + 10 * HOUR).astimezone(UTC)
    begins = [day.astimezone(UTC) for day in days[::-1]][:15]
    assert not is_spike(history, now, HOUR, begins=begins)
    assert is_spike([*history, (now - HOUR / 2, 201.0)], now, HOUR, begins=begins)
    even = [begins[0] - back * DAY for back in range(15)]
    false_alarm = is_spike(history, (today + 9 * HOUR).astimezone(UTC), HOUR, begins=even)
    assert false_alarm is (zone == "Europe/Berlin"), "what days of 24 hours would say in spring"
