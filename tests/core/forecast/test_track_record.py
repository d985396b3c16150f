"""Forecasts kept at fixed parts of a window, and verified when it has closed."""

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.forecast.forecast import Forecast
from quota_scheduler.core.forecast.series import buckets
from quota_scheduler.core.forecast.track_record import (
    RECENT,
    REPLAYED,
    Prediction,
    TrackReading,
    TrackRecord,
    closed_windows,
    grace,
    part_reached,
    replay,
)
from quota_scheduler.core.limits.schedule import Calendar, Every, PerRun, Session, Window
from tests.builders import DAY, HOUR, MICRO, MIDNIGHT, MINUTE, MONDAY

WINDOW = Window(MONDAY, MONDAY + DAY)
FORECAST = Forecast(
    now=MONDAY + 12 * HOUR, starts_at=MONDAY, ends_at=MONDAY + DAY, used=50.0, certain=0.0,
    knots=((0.0, 0.0, 0.0, 0.0), (43_200.0, 30.0, 50.0, 80.0)), rate=0.0, level=100.0, trend=None,
    observed_days=30.0, confidence=0.5, method="days",
)  # fmt: skip
"""80 to 130, expected 100."""


@pytest.mark.parametrize(
    ("hours", "part"),
    [
        pytest.param(0, None, id="before a tenth nothing is kept"),
        pytest.param(2.4, 100, id="a tenth"),
        pytest.param(6, 250, id="a quarter"),
        pytest.param(17.9, 500, id="still the half"),
        pytest.param(23.9, 900, id="nine tenths"),
        pytest.param(24, None, id="the reset is not in the window"),
    ],
)
def test_part_reached(hours, part):
    assert part_reached(WINDOW, MONDAY + hours * HOUR) == part


@pytest.mark.parametrize(
    ("length", "waits"),
    [
        pytest.param(HOUR, 10 * MINUTE, id="at least ten minutes"),
        pytest.param(10 * HOUR, 30 * MINUTE, id="a twentieth"),
        pytest.param(30 * DAY, 6 * HOUR, id="at most six hours"),
    ],
)
def test_grace(length, waits):
    assert grace(length) == waits


def test_a_prediction_is_ripe_when_late_usage_has_come_in():
    prediction, waits = Prediction("day", 500, FORECAST, 120), timedelta(hours=1.2)
    assert prediction.key == ("day", MONDAY, 500)
    assert not prediction.ripe(WINDOW.ends_at + waits - MICRO)
    assert prediction.ripe(WINDOW.ends_at + waits)


@pytest.mark.parametrize(
    ("actual", "held", "error", "brier"),
    [
        pytest.param(100, True, 0.0, pytest.approx(0.016, abs=0.01), id="right, and below the limit"),
        pytest.param(130, True, 30 / 130, pytest.approx(0.75, abs=0.05), id="at the upper bound it held"),
        pytest.param(131, False, 31 / 131, pytest.approx(0.75, abs=0.05), id="one above it did not"),
        pytest.param(79, False, 21 / 79, pytest.approx(0.016, abs=0.01), id="one below"),
    ],
)
def test_verify(actual, held, error, brier):
    track = TrackRecord().verify(FORECAST, actual, amount=125)
    (horizon,) = track.reading().horizons
    assert (track.recent, track.coverage) == ((held,), float(held))
    assert (horizon.horizon, horizon.verified, horizon.coverage) == ("over_25", 1, float(held))
    assert horizon.error == pytest.approx(error)
    assert horizon.brier == brier


def test_the_rolling_coverage_is_of_the_last_thirty():
    track = TrackRecord(recent=(False,) * RECENT)
    for _ in range(15):
        track = track.verify(FORECAST, 100, amount=125)
    assert (len(track.recent), track.coverage, track.calibration.verified) == (RECENT, 0.5, 15)


def test_before_anything_was_verified_nothing_is_claimed():
    assert TrackRecord().reading() == TrackReading(0, None, None, ())


def test_what_is_stored_comes_back_equal():
    track = TrackRecord().verify(FORECAST, 100, amount=125).verify(replace(FORECAST, used=0.0), 500, amount=125)
    assert TrackRecord.from_dict(json.loads(json.dumps(track.to_dict()))) == track


USES = buckets([(MONDAY, 1.0), (MONDAY + 2 * HOUR, 1.0), (MONDAY + 7 * HOUR, 1.0)])


@pytest.mark.parametrize(
    ("schedule", "since", "before", "windows"),
    [
        pytest.param(Calendar(Every.DAY), MIDNIGHT - 3 * DAY, MIDNIGHT + HOUR,
                     [(MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY), (MIDNIGHT - 2 * DAY, MIDNIGHT - DAY),
                      (MIDNIGHT - DAY, MIDNIGHT)], id="whole days, oldest first"),
        pytest.param(Calendar(Every.DAY), MIDNIGHT - DAY + HOUR, MIDNIGHT, [], id="a day begun before is not whole"),
        pytest.param(Session(5 * HOUR), MONDAY, MONDAY + 12 * HOUR,
                     [(MONDAY, MONDAY + 5 * HOUR), (MONDAY + 7 * HOUR, MONDAY + 12 * HOUR)],
                     id="sessions, by the rule that opens them"),
        pytest.param(Session(5 * HOUR), MONDAY, MONDAY + 11 * HOUR, [(MONDAY, MONDAY + 5 * HOUR)],
                     id="one that still runs has not closed"),
        pytest.param(PerRun(), MONDAY, MONDAY + DAY, [], id="a run cap has no windows"),
    ],
)  # fmt: skip
def test_closed_windows(schedule, since, before, windows):
    assert closed_windows(schedule, USES, since=since, before=before) == [Window(*span) for span in windows]


def test_at_most_thirty_windows_of_an_imported_past():
    year = closed_windows(Calendar(Every.DAY), USES, since=MIDNIGHT - 365 * DAY, before=MIDNIGHT)
    assert (len(year), year[-1].ends_at) == (REPLAYED, MIDNIGHT)


def test_replay_earns_a_track_from_the_past_and_sees_only_what_lay_before():
    past = [(MIDNIGHT - 40 * DAY + hour * HOUR, 10.0) for hour in range(40 * 24)]
    windows = closed_windows(Calendar(Every.DAY), buckets(past), since=MIDNIGHT - 40 * DAY, before=MIDNIGHT)
    track = replay(buckets(past), windows, amount=300, since=MIDNIGHT - 40 * DAY)
    assert track.calibration.verified == 5 * REPLAYED
    assert track.coverage == 1.0, "steady usage is easy"
    changed = [*past[:-12], *((at, 9999.0) for at, _ in past[-12:])]
    before_it = replay(buckets(changed), windows[:-1], amount=300, since=MIDNIGHT - 40 * DAY)
    assert before_it == replay(buckets(past), windows[:-1], amount=300, since=MIDNIGHT - 40 * DAY)
