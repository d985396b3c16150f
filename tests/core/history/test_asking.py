"""Questions from words: spans that begin with their period, whole hours, and one sentence for what cannot be meant."""

import re

import pytest

from quota_scheduler.core.history.asking import ADDED_BY, Question, Words, question
from tests.builders import at

NOW = at("2026-11-27T09:17:03Z")


def asked(**words):
    return question(Words(**words), zone="Europe/Berlin", now=NOW)


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        pytest.param({}, "2026-10-27T23:00Z", "2026-11-27T10:00Z", id="days: 30 of them, from a midnight on"),
        pytest.param({"by": ["hour"]}, "2026-11-26T09:00Z", "2026-11-27T10:00Z", id="hours: since yesterday"),
        pytest.param({"by": ["week"]}, "2026-08-30T22:00Z", "2026-11-27T10:00Z", id="weeks: from a Monday on"),
        pytest.param({"by": ["month"]}, "2025-10-31T23:00Z", "2026-11-27T10:00Z", id="months: from a first on"),
        pytest.param({"by": ["model"]}, "2026-10-28T09:00Z", "2026-11-27T10:00Z", id="labels: 30 days"),
        pytest.param({"by": ["session"]}, "2026-11-26T09:00Z", "2026-11-27T10:00Z", id="sessions: a day"),
        pytest.param({"last": "7d"}, "2026-11-19T23:00Z", "2026-11-27T10:00Z", id="the last seven days"),
        pytest.param(
            {"since": "2026-11-01", "until": "2026-11-02"},
            "2026-10-31T23:00Z",
            "2026-11-02T23:00Z",
            id="days, the last one too",
        ),
        pytest.param(
            {"since": "2026-11-01", "until": "2026-11-02", "zone": "UTC"},
            "2026-11-01T00:00Z",
            "2026-11-03T00:00Z",
            id="days of another zone",
        ),
        pytest.param(
            {"since": "2026-11-01T10:20:00+01:00"},
            "2026-11-01T09:00Z",
            "2026-11-27T10:00Z",
            id="an instant, to the hour",
        ),
        pytest.param(
            {"until": "2026-11-02T10:00Z", "last": "1d"},
            "2026-10-31T23:00Z",
            "2026-11-02T10:00Z",
            id="so long before an end",
        ),
    ],
)
def test_spans(words, since, until):
    found = asked(**words)
    assert (found.since, found.until) == (at(since), at(until))


def test_a_question_whole():
    assert asked(
        by=["day", "model", "day"], since="2026-11-26", labels={"model": ["claude-opus-5[1m]"]}, top=3
    ) == Question(
        ("day", "model"),
        at("2026-11-25T23:00Z"),
        at("2026-11-27T10:00Z"),
        "Europe/Berlin",
        (("model", frozenset({"claude-opus-5"})),),
        3,
    )


@pytest.mark.parametrize(
    ("words", "events"),
    [
        pytest.param({"by": ["day", "model"]}, False, id="sums by hour know labels"),
        pytest.param({"by": ["agent"]}, True, id="but not the agent"),
        pytest.param({"by": ["model"], "labels": {"agent": "codex"}}, True, id="nor to select by"),
        pytest.param({"by": ["session"]}, True, id="nor the session"),
        pytest.param({"by": ["origin"]}, True, id="nor the door"),
    ],
)
def test_what_needs_raw_events(words, events):
    assert asked(**words).needs_events is events


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(
            {"by": ["weather"]}, f"'weather' is nothing to add up by: choose from {', '.join(ADDED_BY)}", id="by"
        ),
        pytest.param({"by": ["day", "month"]}, "one period at a time: hour, day, week or month", id="two periods"),
        pytest.param(
            {"zone": "Mars/Base"},
            "'Mars/Base' is not a known time zone: write a name such as Europe/Berlin or UTC",
            id="no zone",
        ),
        pytest.param(
            {"since": "2026-11-30"},
            "nothing lies between 2026-11-29 23:00Z and 2026-11-27 10:00Z: turn them around",
            id="the wrong way round",
        ),
        pytest.param(
            {"since": "yesterday"},
            "'yesterday' is no time: write a day such as 2026-11-27, or an instant such as 2026-11-27T09:00Z",
            id="no time",
        ),
        pytest.param({"since": "0001-01-01"}, "'0001-01-01' is no time that can be meant", id="the year 1"),
        pytest.param(
            {"last": "9999999d"},
            "more than ten years cannot be looked at once: give --since and --until",
            id="longer than the ledger",
        ),
        pytest.param(
            {"last": "3d", "since": "2026-11-01"}, "say either since when or how long back, not both", id="both"
        ),
        pytest.param({"last": "soon"}, "'soon' is not a length of time: write 5h, 30m or 1h30m", id="no length"),
        pytest.param(
            {"by": ["hour"], "last": "800d"},
            "more than a year cannot be looked at by the hour: choose day, or a shorter time",
            id="too many hours",
        ),
    ],
)
def test_what_cannot_be_meant(words, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        asked(**words)
