"""Clocks of sentences, at the edges of days, years and summer time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from quota_scheduler.sources.word.clocks import reset_in

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "at", "zone", "instant"),
    [
        pytest.param("12am", "2026-10-02T15:00", UTC, "2026-10-03T00:00", id="12am is midnight"),
        pytest.param("12pm", "2026-10-02T15:00", UTC, "2026-10-03T12:00", id="12pm is noon"),
        pytest.param("3pm", "2026-10-02T15:00", UTC, "2026-10-03T15:00", id="this very instant is past"),
        pytest.param("3:01pm", "2026-10-02T15:00", UTC, "2026-10-02T15:01", id="a minute later is today"),
        pytest.param("17:40", "2026-10-02T15:00", UTC, "2026-10-02T17:40", id="a clock of 24 hours"),
        pytest.param("1am", "2026-10-02T23:30", NEW_YORK, "2026-10-03T05:00", id="the day is that of the zone"),
        pytest.param("Jan 2, 9am", "2026-12-30T10:00", UTC, "2027-01-02T09:00", id="over the end of the year"),
        pytest.param("Dec 31, 9am", "2027-01-01T00:30", NEW_YORK, "2027-12-31T14:00", id="past, so next year's"),
        pytest.param("Feb 29, 9am", "2028-02-27T10:00", UTC, "2028-02-29T09:00", id="leap day"),
        pytest.param("2:30am", "2026-03-28T20:00", BERLIN, "2026-03-29T01:30", id="skipped hour: the one after it"),
        pytest.param("2:30am", "2026-10-24T20:00", BERLIN, "2026-10-25T00:30", id="hour that comes twice: the first"),
        pytest.param("2:30am", "2026-10-25T00:45", BERLIN, "2026-10-25T01:30", id="the first is past: the second"),
        pytest.param(
            "Sun 12:00am", "2026-10-24T20:00", BERLIN, "2026-10-24T22:00", id="the weekday begins in two hours"
        ),
        pytest.param("Sep 19th, 2026 7:10 AM", "2026-09-18T20:00", UTC, "2026-09-19T07:10", id="ordinal day and year"),
        pytest.param("tomorrow at 9am", "2026-09-18T20:00", UTC, "2026-09-19T09:00", id="tomorrow"),
        pytest.param("in 2 hours 5 minutes.", "2026-09-18T20:00", UTC, "2026-09-18T22:05", id="from now on"),
        pytest.param("1790000000", "2026-09-18T20:00", UTC, "2026-09-21T14:13:20", id="epoch seconds"),
        pytest.param("1790000000000", "2026-09-18T20:00", UTC, "2026-09-21T14:13:20", id="epoch milliseconds"),
    ],
)
def test_the_next_occurrence(text, at, zone, instant):
    assert reset_in(text, datetime.fromisoformat(f"{at}+00:00"), zone) == datetime.fromisoformat(f"{instant}+00:00")


@pytest.mark.parametrize(
    "text", ["", "soon", "25pm", "13:75", "0am", "3", "Feb 30, 9am", "3pm (../../etc)", "in a while"]
)
def test_what_is_no_clock_is_unknown(text):
    assert reset_in(text, datetime(2026, 10, 2, tzinfo=UTC), UTC) is None
