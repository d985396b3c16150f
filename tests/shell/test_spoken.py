"""What people write about windows, percentages and times, and what they are told when it could mean two things."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from quota_scheduler.cli.spoken import percent_of, reset_of, window_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
"""A Friday, four in the afternoon in Berlin."""


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("claude/five_hour", ("anthropic", "five_hour", "")),
        ("claude/5h", ("anthropic", "five_hour", "")),
        ("Claude/session", ("anthropic", "five_hour", "")),
        ("codex/weekly", ("openai", "weekly", "")),
        ("chatgpt/week", ("openai", "weekly", "")),
        ("claude/weekly/opus", ("anthropic", "weekly_model", "opus")),
        ("claude/weekly_model/Opus", ("anthropic", "weekly_model", "opus")),
        ("openai/monthly", ("openai", "monthly_spend", "")),
        ("x-ai/month", ("x-ai", "monthly_spend", "")),
    ],
)
def test_a_window(text, window):
    assert tuple(str(part) for part in window_of(text)) == window


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        pytest.param("five_hour", "PROVIDER/WINDOW", id="no provider"),
        pytest.param("claude/", "PROVIDER/WINDOW", id="no window"),
        pytest.param("claude/weakly", "did you mean claude/weekly", id="misspelt"),
        pytest.param("claude/five_hour/opus", "weekly/MODEL", id="five hours of a model"),
        pytest.param("claude/daily", "there are five_hour, weekly", id="a window nobody has"),
    ],
)
def test_no_window_with_the_way_out(text, way_out):
    with pytest.raises(ValueError, match=way_out.replace("/", "/")):
        window_of(text)


@pytest.mark.parametrize(
    ("text", "percent"), [("43%", 43), ("43 %", 43), ("43", 43), ("0", 0), ("0.5%", 0.5), ("1%", 1), ("102%", 102)]
)
def test_a_percentage(text, percent):
    assert percent_of(text) == percent


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        pytest.param("0.43", "write 0.43% or 43%", id="a share or a percentage"),
        pytest.param("1", "write 1% or 100%", id="one"),
        pytest.param("43,5%", "write 43% or 43", id="a comma"),
        pytest.param("-3%", "no percentage", id="less than nothing"),
        pytest.param("nan", "no percentage", id="no number"),
        pytest.param("430%", "twice the window", id="a slip of the pen"),
    ],
)
def test_no_percentage_with_the_way_out(text, way_out):
    with pytest.raises(ValueError, match=way_out):
        percent_of(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("17:40", "2026-11-27T16:40", id="a clock is the next such one here"),
        pytest.param("5:40pm", "2026-11-27T16:40", id="in halves of the day"),
        pytest.param("5pm", "2026-11-27T16:00", id="a full hour"),
        pytest.param("15:30", "2026-11-28T14:30", id="one that has passed is tomorrow's"),
        pytest.param("mon 09:00", "2026-11-30T08:00", id="a weekday"),
        pytest.param("Monday 9:00", "2026-11-30T08:00", id="written out"),
        pytest.param("friday 09:00", "2026-12-04T08:00", id="today's that has passed is next week's"),
        pytest.param("tomorrow 9:00", "2026-11-28T08:00", id="tomorrow"),
        pytest.param("Oct 3, 4pm", "2027-10-03T14:00", id="a date"),
        pytest.param("17:40 (America/New_York)", "2026-11-27T22:40", id="another zone"),
        pytest.param("in 2h10m", "2026-11-27T17:10", id="a length of time"),
        pytest.param("in 3 days 4 hours", "2026-11-30T19:00", id="in words"),
        pytest.param("2026-11-30T18:00Z", "2026-11-30T18:00", id="an instant"),
        pytest.param("2026-11-30T18:00+01:00", "2026-11-30T17:00", id="with its offset"),
        pytest.param("2026-11-30 18:00", "2026-11-30T17:00", id="without a zone: here"),
    ],
)
def test_a_reset(text, at):
    assert reset_of(text, NOW, BERLIN) == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        pytest.param("soon", "is no time: write 17:40", id="no time"),
        pytest.param("17:40 tomorrow", "is no time", id="in another order"),
        pytest.param("17", "is no time", id="a bare number"),
        pytest.param("25:00", "is no time", id="an hour that is not there"),
        pytest.param("2026-11-27T14:00Z", "has passed", id="an instant that has passed"),
    ],
)
def test_no_reset_with_the_way_out(text, way_out):
    with pytest.raises(ValueError, match=way_out):
        reset_of(text, NOW, BERLIN)
