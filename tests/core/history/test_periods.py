"""Civil periods over UTC hours: the clocks change, zones lie half an hour off, months and weeks begin where they do."""

from datetime import UTC, datetime, timedelta

import pytest

from quota_scheduler.core.history.periods import Period, begin_of, named, names_between, offset_text, slot_of, stretches
from tests.builders import at

H = timedelta(hours=1)


@pytest.mark.parametrize(
    ("since", "until", "zone", "offsets"),
    [
        pytest.param("2026-10-24T00:00Z", "2026-10-27T00:00Z", "UTC", [("2026-10-24T00:00Z", 0)], id="UTC is one span"),
        pytest.param(
            "2026-10-24T00:00Z",
            "2026-10-27T00:00Z",
            "Europe/Berlin",
            [("2026-10-24T00:00Z", 2), ("2026-10-25T01:00Z", 1)],
            id="the clocks go back in Berlin",
        ),
        pytest.param(
            "2026-03-29T01:00Z",
            "2026-03-29T02:00Z",
            "Europe/Berlin",
            [("2026-03-29T01:00Z", 2)],
            id="a span that begins where they go forward",
        ),
        pytest.param(
            "2026-01-01T00:00Z",
            "2027-01-01T00:00Z",
            "America/New_York",
            [("2026-01-01T00:00Z", -5), ("2026-03-08T07:00Z", -4), ("2026-11-01T06:00Z", -5)],
            id="a whole year",
        ),
        pytest.param("2026-10-24T00:00Z", "2026-10-24T00:00Z", "UTC", [], id="nothing has no spans"),
    ],
)
def test_spans_of_one_offset(since, until, zone, offsets):
    spans = stretches(at(since), at(until), zone)
    assert [(s.starts_at, s.offset) for s in spans] == [(at(start), hours * H) for start, hours in offsets]
    assert [s.ends_at for s in spans] == [*(s.starts_at for s in spans[1:]), at(until)][: len(spans)]


@pytest.mark.parametrize(
    ("period", "instant", "offset", "name"),
    [
        pytest.param(Period.DAY, "2026-11-27T23:30Z", 0, "2026-11-27", id="a day"),
        pytest.param(Period.DAY, "2026-11-27T23:30Z", 1, "2026-11-28", id="a day further east"),
        pytest.param(Period.DAY, "2026-11-27T02:00Z", -5, "2026-11-26", id="a day further west"),
        pytest.param(Period.WEEK, "2026-11-29T12:00Z", 0, "2026-11-23", id="a week is called by its Monday"),
        pytest.param(Period.WEEK, "2027-01-01T12:00Z", 0, "2026-12-28", id="also across the year"),
        pytest.param(Period.MONTH, "2026-11-30T23:30Z", 1, "2026-12", id="a month"),
        pytest.param(Period.HOUR, "2026-10-25T00:00Z", 2, "2026-10-25 02:00+02:00", id="the hour before the change"),
        pytest.param(Period.HOUR, "2026-10-25T01:00Z", 1, "2026-10-25 02:00+01:00", id="and the same hour again"),
        pytest.param(Period.HOUR, "2026-11-27T18:00Z", 5.5, "2026-11-27 23:30+05:30", id="half an hour off"),
        pytest.param(Period.DAY, "1969-12-31T23:00Z", 0, "1969-12-31", id="before the epoch"),
    ],
)
def test_how_periods_are_called(period, instant, offset, name):
    assert named(period, slot_of(period, at(instant), offset * H), offset * H) == name


@pytest.mark.parametrize(
    ("period", "instant", "zone", "begin"),
    [
        pytest.param(Period.HOUR, "2026-11-27T09:17Z", "UTC", "2026-11-27T09:00Z", id="an hour"),
        pytest.param(Period.DAY, "2026-11-27T23:17Z", "Europe/Berlin", "2026-11-27T23:00Z", id="midnight in Berlin"),
        pytest.param(Period.DAY, "2026-10-25T12:00Z", "Europe/Berlin", "2026-10-24T22:00Z", id="on the day of change"),
        pytest.param(
            Period.WEEK, "2026-11-29T23:30Z", "Europe/Berlin", "2026-11-29T23:00Z", id="Monday is there first"
        ),
        pytest.param(Period.MONTH, "2026-11-27T09:17Z", "UTC", "2026-11-01T00:00Z", id="a month"),
    ],
)
def test_where_periods_begin(period, instant, zone, begin):
    assert begin_of(period, at(instant), zone) == at(begin)


def test_every_period_of_a_span_is_named_once():
    hours = names_between(Period.HOUR, at("2026-10-24T22:00Z"), at("2026-10-25T23:00Z"), "Europe/Berlin")
    assert (len(hours), hours[0], hours[2:4]) == (
        25,
        "2026-10-25 00:00+02:00",
        ["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00"],
    )
    assert names_between(Period.DAY, at("2026-10-24T22:00Z"), at("2026-10-26T23:00Z"), "Europe/Berlin") == [
        "2026-10-25",
        "2026-10-26",
    ]
    assert names_between(Period.MONTH, datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), "UTC") == [
        "2026-01",
        "2026-02",
        "2026-03",
    ]


@pytest.mark.parametrize(("hours", "text"), [(0, "Z"), (2, "+02:00"), (-3.5, "-03:30")])
def test_offsets_as_text(hours, text):
    assert offset_text(hours * H) == text
