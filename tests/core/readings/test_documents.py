"""Readings as documents: what the API answers and the store keeps."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.admission.loans import Loan
from quota_scheduler.core.forecast.forecast import Forecast, PastAccuracy
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.forecast.track_record import HorizonReading, TrackReading
from quota_scheduler.core.readings.documents import (
    as_published,
    explained,
    forecast_document,
    level_state,
    limit_document,
    outlook_document,
    quality_document,
    read_outlook,
    track_document,
)
from quota_scheduler.core.readings.readings import Burn, ClassReading, Spending
from quota_scheduler.core.readings.scheduling_quality import ClassQuality, QualityReading
from quota_scheduler.core.readings.throttle_level import LevelState, ThrottleLevel
from quota_scheduler.core.units import MICRO, Unit
from tests.builders import a_reading

NOW = datetime(2026, 11, 22, 12, 0, 7, tzinfo=UTC)
DAY = timedelta(days=1)
STARTS, ENDS = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
FORECAST = Forecast(
    now=NOW, starts_at=STARTS, ends_at=ENDS, used=5.0 * MICRO, certain=1.0 * MICRO,
    knots=((0.0, 0.0, 0.0, 0.0), (43_200.0, 1.0 * MICRO, 2.0 * MICRO, 4.0 * MICRO)), rate=0.0, level=10.0 * MICRO,
    trend=-0.125, observed_days=30.0, confidence=0.6, method="days", record=PastAccuracy(9, 0.8, 0.2, 0.1),
)  # fmt: skip
TRACK = TrackReading(30, 0.8, 0.05, (HorizonReading("over_50", 30, 0.8, 0.2, None),))
MONEY = a_reading(
    limit="budget", rule="budget", value="", provider="", scope="everything", unit=Unit.USD, period="day", zone="UTC",
    mode="enforce", amount=10 * MICRO, allowance=9 * MICRO, used=5 * MICRO, reserved=MICRO, starts_at=STARTS,
    ends_at=ENDS, forecast=FORECAST, weighted_mean=8 * MICRO, track=TRACK, risk="medium", level="throttled",
    level_since=NOW - timedelta(hours=1), level_caused_at=NOW, burns=(Burn("fast_long", 2.0, 1.5),),
    waiting=(ClassReading("low", 2, NOW),), leases=1, spending=Spending("by docs", 1234.5, 0.75 * MICRO),
)  # fmt: skip
OWES = Loan(1, "pool", "ops", "budget", 5 * MICRO // 2, MICRO, NOW, ENDS)
LENDS = Loan(2, "pool", "budget", "growth", MICRO, MICRO, NOW, ENDS)


def test_a_limit_is_told_in_units_as_people_write_them():
    document = limit_document(replace(MONEY, loans=(OWES, LENDS)))
    assert document | {"forecast": "below"} == {
        "limit": "budget", "rule": "budget", "provider": "", "scope": "everything", "unit": "usd", "period": "day",
        "timezone": "UTC", "mode": "enforce", "amount": 10.0, "allowance": 9.0, "used": 5.0, "reserved": 1.0,
        "headroom": 3.0, "usage_ratio": 0.5, "starts_at": "2026-11-22T00:00:00Z", "ends_at": "2026-11-23T00:00:00Z",
        "level": "throttled", "level_since": "2026-11-22T11:00:07Z", "level_caused_at": "2026-11-22T12:00:00Z",
        "risk": "medium", "optimization_level": "minimal", "estimated": False, "leases": 1,
        "waiting": [{"class": "low", "waiting": 2, "oldest_at": "2026-11-22T12:00:07Z"}], "spent_by": "by docs",
        "run_tokens_mean": 1234.0, "runs_remaining": 4.0, "forecast": "below", "quality": None, "observed": None,
        "warn_at": None, "at_limit": None, "borrowed": [{"from": "ops", "amount": 2.5}],
        "lent": [{"to": "growth", "amount": 1.0}],
    }  # fmt: skip
    assert json.loads(json.dumps(document)) == document, "JSON types alone"


def test_a_forecast_keeps_the_names_that_readers_know():
    document = forecast_document(MONEY)
    assert document is not None
    assert (document["known"], document["seed"], document["expected"]) == (1.0, 8.0, 7.0)
    assert (document["low"], document["high"], document["trend"]) == (6.0, 9.0, -0.125)
    assert document["track_record"] == track_document(TRACK)
    assert forecast_document(a_reading(MONEY, forecast=None)) is None


def test_a_forecast_explains_itself_in_five_lines():
    assert explained(MONEY, FORECAST) == [
        "$5.00 used, $2.00 more expected before Mon 23 Nov 00:00 UTC; $1.00 of it already runs or waits.",
        "Usual level $10.00 a day, from 30 observed days; the last week -12% against the three before.",
        "80 % interval $6.00 to $9.00 (from the level, weekdays and hours of its own days).",
        "Of its last 30 judged intervals 80% held; off by 20% of the total at this distance from the reset.",
        "Lands within 10 % of the expected value with probability 60%.",
    ]
    young = replace(
        FORECAST, confidence=None, observed_days=3.0, method="insufficient history", certain=0.0, trend=None
    )
    assert explained(a_reading(MONEY, track=None), young)[2:] == [
        "80 % interval $6.00 to $9.00 (what was used so far, kept up).",
        "No forecast of this limit has been judged yet: believe the interval, not the number.",
        "No confidence and no risk: insufficient history, 3.0 of 7 days observed.",
    ]


def test_a_limit_that_only_time_passed_for_is_not_stored_again():
    later = a_reading(MONEY, burns=(), level_caused_at=NOW + timedelta(seconds=2))
    assert as_published(later) == as_published(MONEY)
    assert as_published(a_reading(MONEY, used=6 * MICRO)) != as_published(MONEY)


@pytest.mark.parametrize(
    ("document", "state"),
    [
        pytest.param(limit_document(MONEY),
                     LevelState(ThrottleLevel.THROTTLED, NOW - timedelta(hours=1), NOW.replace(second=0), STARTS),
                     id="its cause was last seen in this minute"),
        pytest.param({"level": "open", "level_since": "2026-11-22T12:00:00Z", "level_caused_at": None, "starts_at": ""},
                     LevelState(ThrottleLevel.OPEN, NOW.replace(second=0), NOW.replace(second=0)),
                     id="open, without a window"),
        pytest.param({"level": "open"}, None, id="a document of an earlier version"),
    ],
)  # fmt: skip
def test_level_state(document, state):
    assert level_state(document) == state


def test_track_and_quality():
    assert track_document(None) is quality_document(None) is None
    horizon = {"horizon": "over_50", "judged": 30, "coverage": 0.8, "error": 0.2, "brier": None}
    assert track_document(TRACK) == {"judged": 30, "coverage": 0.8, "calibration_error": 0.05, "by_horizon": [horizon]}
    quality = QualityReading(2, STARTS, 0.125, 0.0, 0.75, None, (ClassQuality("low", 0.33333, None),))
    assert quality_document(quality) == {
        "windows": 2, "since": "2026-11-22T00:00:00Z", "avoidable_harm_ratio": 0.125, "lost_ratio": 0.0,
        "utilisation_ratio": 0.75, "value_ratio": None,
        "classes": [{"class": "low", "denied_ratio": 0.3333, "stalled_ratio": None}],
    }  # fmt: skip


@pytest.mark.parametrize(
    "outlook",
    [
        pytest.param(Outlook(NOW), id="nothing is known"),
        pytest.param(Outlook(NOW, ENDS, 9 * DAY, ((), (1.0,) * 6, (), ()), "high", 0.9, True, DAY), id="everything is"),
    ],
)  # fmt: skip
def test_an_outlook_comes_back_equal(outlook):
    assert read_outlook(json.loads(json.dumps(outlook_document(outlook)))) == outlook


def test_an_outlook_of_an_earlier_version_knows_no_next_window():
    old = outlook_document(Outlook(NOW, ENDS))
    del old["length_seconds"], old["after"]
    assert read_outlook(old) == Outlook(NOW, ENDS)
