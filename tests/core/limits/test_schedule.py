"""Windows: where each begins and ends, on every calendar, and how lengths and starts are written."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.limits.schedule import (
    Calendar,
    Every,
    PerRun,
    Session,
    Unwindowed,
    Window,
    check_zone,
    local_time,
    parse_span,
    parse_starts,
    window_at,
)
from tests.builders import HOUR, MICRO, MINUTE, MONDAY, at

BERLIN, NEW_YORK, SYDNEY = "Europe/Berlin", "America/New_York", "Australia/Sydney"
SHANGHAI, LIMA, KATHMANDU = "Asia/Shanghai", "America/Lima", "Asia/Kathmandu"
"""Eight hours ahead, five behind, and five and three quarters ahead, all year round."""


def daily(zone="UTC", clock=time()):
    return Calendar(Every.DAY, zone, clock=clock)


def weekly(day=0, zone="UTC", clock=time()):
    return Calendar(Every.WEEK, zone, day, clock)


def monthly(day=1, zone="UTC", clock=time()):
    return Calendar(Every.MONTH, zone, day, clock)


@pytest.mark.parametrize(
    ("schedule", "instant", "starts_at", "ends_at"),
    [
        pytest.param(daily(), "2026-11-22T09:00Z", "2026-11-22T00:00Z", "2026-11-23T00:00Z", id="a day in UTC"),
        pytest.param(daily(), "2026-11-22T00:00Z", "2026-11-22T00:00Z", "2026-11-23T00:00Z", id="its first instant"),
        pytest.param(
            daily(), "2026-11-22T23:59:59.999999Z", "2026-11-22T00:00Z", "2026-11-23T00:00Z", id="its last instant"
        ),
        pytest.param(
            daily(), "2026-11-23T00:00Z", "2026-11-23T00:00Z", "2026-11-24T00:00Z", id="the reset is the next day's"
        ),
        pytest.param(
            daily(SHANGHAI), "2026-11-22T20:00Z", "2026-11-22T16:00Z", "2026-11-23T16:00Z", id="eight hours ahead"
        ),
        pytest.param(
            daily(LIMA), "2026-11-22T04:59Z", "2026-11-21T05:00Z", "2026-11-22T05:00Z", id="five hours behind"
        ),
        pytest.param(daily(KATHMANDU), "2026-11-22T18:14Z", "2026-11-21T18:15Z", "2026-11-22T18:15Z", id="5:45 ahead"),
        pytest.param(
            daily(clock=time(9)),
            "2026-11-22T08:59Z",
            "2026-11-21T09:00Z",
            "2026-11-22T09:00Z",
            id="before a day's own start it is still yesterday",
        ),
        pytest.param(
            daily(BERLIN),
            "2026-03-29T12:00Z",
            "2026-03-28T23:00Z",
            "2026-03-29T22:00Z",
            id="Berlin's short day: 23 hours",
        ),
        pytest.param(
            daily(BERLIN),
            "2026-10-25T12:00Z",
            "2026-10-24T22:00Z",
            "2026-10-25T23:00Z",
            id="Berlin's long day: 25 hours",
        ),
        pytest.param(
            daily(NEW_YORK), "2026-03-08T12:00Z", "2026-03-08T05:00Z", "2026-03-09T04:00Z", id="New York's short day"
        ),
        pytest.param(
            daily(NEW_YORK), "2026-11-01T12:00Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z", id="New York's long day"
        ),
        pytest.param(
            daily(SYDNEY),
            "2026-10-04T00:00Z",
            "2026-10-03T14:00Z",
            "2026-10-04T13:00Z",
            id="Sydney's spring is October",
        ),
        pytest.param(
            daily(SYDNEY), "2026-04-05T00:00Z", "2026-04-04T13:00Z", "2026-04-05T14:00Z", id="Sydney's autumn is April"
        ),
        pytest.param(
            daily(BERLIN, time(2, 30)),
            "2026-03-29T12:00Z",
            "2026-03-29T01:30Z",
            "2026-03-30T00:30Z",
            id="a start that spring skips comes when the clocks have jumped",
        ),
        pytest.param(
            daily(BERLIN, time(2, 30)),
            "2026-03-29T01:00Z",
            "2026-03-28T01:30Z",
            "2026-03-29T01:30Z",
            id="and the day before lasts until then",
        ),
        pytest.param(
            daily(BERLIN, time(2, 30)),
            "2026-10-25T01:45Z",
            "2026-10-25T00:30Z",
            "2026-10-26T01:30Z",
            id="a start that autumn repeats comes with its first hour, once",
        ),
        pytest.param(
            daily("America/Santiago"),
            "2026-09-06T12:00Z",
            "2026-09-06T04:00Z",
            "2026-09-07T03:00Z",
            id="where midnight itself is skipped",
        ),
        pytest.param(weekly(), "2026-11-22T23:59Z", "2026-11-16T00:00Z", "2026-11-23T00:00Z", id="a week from Monday"),
        pytest.param(
            weekly(0, BERLIN, time(9)),
            "2026-11-23T07:59Z",
            "2026-11-16T08:00Z",
            "2026-11-23T08:00Z",
            id="a week from Monday nine o'clock in Berlin, a minute before",
        ),
        pytest.param(weekly(6), "2026-11-22T00:00Z", "2026-11-22T00:00Z", "2026-11-29T00:00Z", id="a week from Sunday"),
        pytest.param(
            weekly(2, NEW_YORK, time(17, 30)),
            "2026-11-04T12:00Z",
            "2026-10-28T21:30Z",
            "2026-11-04T22:30Z",
            id="a week over New York's autumn change has an hour more",
        ),
        pytest.param(monthly(), "2026-11-30T23:59Z", "2026-11-01T00:00Z", "2026-12-01T00:00Z", id="a month"),
        pytest.param(
            monthly(), "2026-12-31T23:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z", id="over the year's end"
        ),
        pytest.param(monthly(), "2028-02-29T12:00Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z", id="29 February"),
        pytest.param(
            monthly(29), "2028-02-29T00:00Z", "2028-02-29T00:00Z", "2028-03-29T00:00Z", id="billed on leap day"
        ),
        pytest.param(
            monthly(29), "2027-02-28T00:00Z", "2027-02-28T00:00Z", "2027-03-29T00:00Z", id="29 in a common February"
        ),
        pytest.param(
            monthly(31), "2026-11-30T12:00Z", "2026-11-30T00:00Z", "2026-12-31T00:00Z", id="31 in a month of 30 days"
        ),
        pytest.param(
            monthly(31),
            "2027-02-27T12:00Z",
            "2027-01-31T00:00Z",
            "2027-02-28T00:00Z",
            id="31 until the last of February",
        ),
        pytest.param(
            monthly(31), "2028-02-29T12:00Z", "2028-02-29T00:00Z", "2028-03-31T00:00Z", id="31 from the leap day"
        ),
        pytest.param(
            monthly(1, BERLIN),
            "2026-03-31T21:59Z",
            "2026-02-28T23:00Z",
            "2026-03-31T22:00Z",
            id="Berlin's March is an hour short",
        ),
        pytest.param(
            monthly(15, SHANGHAI, time(9)),
            "2026-11-15T00:59Z",
            "2026-10-15T01:00Z",
            "2026-11-15T01:00Z",
            id="a billing day and hour, ahead of UTC",
        ),
        pytest.param(
            monthly(1, LIMA), "2026-12-01T04:59Z", "2026-11-01T05:00Z", "2026-12-01T05:00Z", id="a month behind UTC"
        ),
    ],
)
def test_calendar_windows(schedule, instant, starts_at, ends_at):
    assert window_at(schedule, at(instant)) == Window(at(starts_at), at(ends_at))


ZONES = st.sampled_from(
    [
        *(BERLIN, NEW_YORK, SYDNEY, SHANGHAI, LIMA, KATHMANDU, "UTC", "Asia/Tehran", "Australia/Lord_Howe"),
        *("Pacific/Apia", "Pacific/Chatham", "Africa/Casablanca", "America/Santiago", "Asia/Beirut", "Europe/Dublin"),
    ]
)
CLOCKS = st.builds(time, st.integers(0, 23), st.integers(0, 59))
CALENDARS = (
    st.builds(Calendar, st.just(Every.DAY), ZONES, clock=CLOCKS)
    | st.builds(Calendar, st.just(Every.WEEK), ZONES, st.integers(0, 6), CLOCKS)
    | st.builds(Calendar, st.just(Every.MONTH), ZONES, st.integers(1, 31), CLOCKS)
)
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(CALENDARS, INSTANTS)
def test_windows_tile_the_time_line(schedule, instant):
    window = window_at(schedule, instant)
    assert window.contains(instant)
    assert window_at(schedule, window.starts_at) == window == window_at(schedule, window.ends_at - MICRO)
    following, previous = window_at(schedule, window.ends_at), window_at(schedule, window.starts_at - MICRO)
    assert (previous.ends_at, following.starts_at) == (window.starts_at, window.ends_at)


LEAST = {Every.DAY: 22 * HOUR, Every.WEEK: 166 * HOUR, Every.MONTH: 26 * 24 * HOUR}
MOST = {Every.DAY: 26 * HOUR, Every.WEEK: 170 * HOUR, Every.MONTH: 33 * 24 * HOUR}


@given(CALENDARS.filter(lambda schedule: schedule.zone != "Pacific/Apia"), INSTANTS)
def test_no_window_is_longer_or_shorter_than_its_period_by_more_than_a_change_of_clocks(schedule, instant):
    assert LEAST[schedule.every] <= window_at(schedule, instant).length <= MOST[schedule.every]


@given(CALENDARS, INSTANTS)
def test_every_window_starts_at_its_hour_unless_a_change_of_clocks_skips_it(schedule, instant):
    start = window_at(schedule, instant).starts_at
    wall = start.astimezone(ZoneInfo(schedule.zone))
    exists = wall.replace(hour=schedule.clock.hour, minute=schedule.clock.minute, fold=0).astimezone(UTC) == start
    assert (wall.time() == schedule.clock) is exists or wall.time() > schedule.clock


def test_a_day_that_a_country_skipped_is_no_window():
    """Samoa went from 29 to 31 December 2011."""
    assert window_at(daily("Pacific/Apia"), at("2011-12-30T09:59Z")).ends_at == at("2011-12-30T10:00Z")
    assert window_at(daily("Pacific/Apia"), at("2011-12-30T10:00Z")) == Window(
        at("2011-12-30T10:00Z"), at("2011-12-31T10:00Z")
    )


FIVE = Session(5 * HOUR)


@pytest.mark.parametrize(
    ("uses", "last_end", "opened"),
    [
        pytest.param([], None, [], id="nothing used, nothing opened"),
        pytest.param([0], None, [(0, 300)], id="the first use opens it at that instant"),
        pytest.param([0, 299], None, [(0, 300)], id="uses inside open nothing"),
        pytest.param([0, 300], None, [(0, 300), (300, 600)], id="a use at the very end opens the next"),
        pytest.param([0, 470], None, [(0, 300), (470, 770)], id="a break: the next begins with its own first use"),
        pytest.param([470, 0, 100], None, [(0, 300), (470, 770)], id="the order they are told in does not matter"),
        pytest.param([100, 250], 200, [(250, 550)], id="what lies before the last known end opens nothing"),
    ],
)
def test_sessions_open_with_their_first_use(uses, last_end, opened):
    def minute(number):
        return MONDAY + number * MINUTE

    found = FIVE.opened([minute(use) for use in uses], last_end=None if last_end is None else minute(last_end))
    assert found == [(minute(start), minute(end)) for start, end in opened]


@given(st.lists(st.integers(0, 20_000), max_size=40))
def test_sessions_cover_every_use_once_and_never_overlap(uses):
    spans = FIVE.opened([MONDAY + use * MINUTE for use in uses])
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    for use in uses:
        assert sum(start <= MONDAY + use * MINUTE < end for start, end in spans) == 1


@pytest.mark.parametrize(
    ("schedule", "window"),
    [
        pytest.param(FIVE, Window(MONDAY, MONDAY + 5 * HOUR), id="a session: the one a use would open now"),
        pytest.param(PerRun(), None, id="a cap for each run has none"),
        pytest.param(Unwindowed(), None, id="nor has what limits concurrency"),
    ],
)
def test_windows_of_other_schedules(schedule, window):
    assert window_at(schedule, MONDAY) == window


def test_a_window_is_half_open():
    window = Window(MONDAY, MONDAY + HOUR)
    assert [window.contains(MONDAY + each) for each in (-MICRO, 0 * MICRO, HOUR - MICRO, HOUR)] == [
        False,
        True,
        True,
        False,
    ]
    assert window.length == HOUR


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("5h", 5 * HOUR), ("90m", 90 * MINUTE), ("1h30m", 90 * MINUTE), ("1h 30min", 90 * MINUTE), ("2d", 48 * HOUR),
        ("1w", 168 * HOUR), ("1.5H", 90 * MINUTE), ("45 sec", timedelta(seconds=45)), (90, timedelta(seconds=90)),
        (0.5, timedelta(seconds=0.5)), (HOUR, HOUR),
    ],
)  # fmt: skip
def test_lengths_of_time(text, span):
    assert parse_span(text) == span


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("soon", "not a length of time: write 5h", id="a word"),
        pytest.param("5", "not a length of time", id="a number without a unit, as text"),
        pytest.param("-5h", "not a length of time", id="backwards"),
        pytest.param("5h later", "not a length of time", id="something behind it"),
        pytest.param("", "not a length of time", id="nothing"),
        pytest.param("9" * 500_000, "not a length of time", id="R6, R15: digits without end"),
        pytest.param(True, "not a length of time", id="a truth value"),
        pytest.param("0h", "must be more than nothing", id="no time at all"),
        pytest.param(-60, "must be more than nothing", id="less than no time"),
        pytest.param(float("inf"), "not a length of time", id="for ever"),
        pytest.param(float("nan"), "not a length of time", id="not a number"),
        pytest.param("999999999w", "not a length of time", id="longer than any calendar"),
    ],
)
def test_what_is_not_a_length_of_time(text, says):
    with pytest.raises(ValueError, match=says):
        parse_span(text)


@pytest.mark.parametrize(
    ("every", "text", "parsed"),
    [
        (Every.DAY, "09:00", (0, time(9))),
        (Every.DAY, "9:30", (0, time(9, 30))),
        (Every.DAY, "", (0, time())),
        (Every.WEEK, "monday 09:00", (0, time(9))),
        (Every.WEEK, "Sun", (6, time())),
        (Every.WEEK, "9:00", (0, time(9))),
        (Every.MONTH, 15, (15, time())),
        (Every.MONTH, "31 23:59", (31, time(23, 59))),
        (Every.MONTH, "", (1, time())),
    ],
)
def test_where_a_period_starts(every, text, parsed):
    assert parse_starts(every, text) == parsed


@pytest.mark.parametrize(
    ("every", "text", "says"),
    [
        (Every.DAY, "monday", "does not say where a day starts: write 09:00"),
        (Every.DAY, "24:00", "does not say where a day starts"),
        (Every.WEEK, "t", "does not say where a week starts: write monday 09:00"),
        (Every.WEEK, "someday", "does not say where a week starts"),
        (Every.MONTH, "0", "does not say where a month starts: write 15 or 15 09:00"),
        (Every.MONTH, "32", "does not say where a month starts"),
        (Every.MONTH, "first 09:00", "does not say where a month starts"),
    ],
)
def test_what_does_not_say_where_a_period_starts(every, text, says):
    with pytest.raises(ValueError, match=says):
        parse_starts(every, text)


@pytest.mark.parametrize("zone", [BERLIN, "UTC", "Pacific/Chatham"])
def test_known_zones(zone):
    assert check_zone(zone) == zone


@pytest.mark.parametrize("zone", ["Berlin", "", "../etc/passwd", "+02:00"])
def test_unknown_zones(zone):
    with pytest.raises(ValueError, match="is not a known time zone: write a name such as Europe/Berlin"):
        check_zone(zone)


def test_people_read_times_in_their_zone_and_its_name():
    assert local_time(MONDAY, BERLIN) == "Mon 23 Nov 10:00 Europe/Berlin"
