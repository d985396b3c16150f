"""Instants as integers and text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota_scheduler.core.instants import from_micros, iso, parse_instant, to_micros

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact_there_and_back(at):
    assert from_micros(to_micros(at)) == at


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(NOON, "2026-11-22T12:00:00Z", id="whole seconds are written as such"),
        pytest.param(NOON.replace(microsecond=250_000), "2026-11-22T12:00:00.250Z", id="parts as milliseconds"),
        pytest.param(NOON.astimezone(timezone(timedelta(hours=8))), "2026-11-22T12:00:00Z", id="any zone becomes UTC"),
    ],
)
def test_iso(at, text):
    assert iso(at) == text


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("2026-11-22T12:00:00Z", NOON, id="Z is UTC"),
        pytest.param("2026-11-22T20:00:00+08:00", NOON, id="an offset of +8 hours is kept in mind"),
        pytest.param("2026-11-22T07:00:00-05:00", NOON, id="and so is one of -5 hours"),
    ],
)
def test_parse_instant(text, at):
    assert parse_instant(text) == at
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("2026-11-22T12:00:00", "has no time zone: append Z", id="a naive time is not guessed at"),
        pytest.param("noon", "Invalid isoformat", id="not a time"),
    ],
)
def test_what_is_not_an_instant(text, says):
    with pytest.raises(ValueError, match=says):
        parse_instant(text)
