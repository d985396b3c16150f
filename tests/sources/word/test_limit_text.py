"""Sentences of every era in which agents tell that a limit was reached."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing, Throttle
from quota_scheduler.sources.word.limit_text import PREFIXES, read_limit_text
from quota_scheduler.sources.word.word import Teller

AT = datetime(2026, 10, 2, 15, 6, 19, tzinfo=UTC)  # a Friday
TELLER = Teller("max-1", AT, "transcript")
BERLIN = ZoneInfo("Europe/Berlin")  # 17:06 there
FIVE_HOUR, WEEKLY = (ProviderWindow.FIVE_HOUR, ""), (ProviderWindow.WEEKLY, "")
SPEND = ProviderWindow.MONTHLY_SPEND


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+00:00")


def report(window, resets_at=None, standing=Standing.REJECTED, **said) -> Observation:
    kind, scope = window
    return Observation(
        "anthropic", "max-1", kind, AT, "transcript", scope=scope, resets_at=resets_at, standing=standing, **said
    )


REACHED = [
    pytest.param(
        "Claude AI usage limit reached|1790964000",
        FIVE_HOUR,
        utc("10-02T18:00"),
        id="epoch behind a bar, to autumn 2025",
    ),
    pytest.param(
        "Claude AI usage limit reached|1791200000", WEEKLY, utc("10-05T11:33:20"), id="epoch days ahead: a week"
    ),
    pytest.param("5-hour limit reached ∙ resets 9pm", FIVE_HOUR, utc("10-02T19:00"), id="2025, local clock, U+2219"),
    pytest.param("Session limit reached ∙ resets 6pm", FIVE_HOUR, utc("10-02T16:00"), id="2025, session"),
    pytest.param("weekly limit reached ∙ resets Oct 6, 9am", WEEKLY, utc("10-06T07:00"), id="2025, week"),
    pytest.param(
        "Opus weekly limit reached ∙ resets Oct 6, 9am", ("weekly_model", "opus"), utc("10-06T07:00"), id="opus"
    ),
    pytest.param(
        "You've hit your limit · resets 5pm (Europe/London)", FIVE_HOUR, utc("10-02T16:00"), id="early 2026, no name"
    ),
    pytest.param(
        "You've hit your limit · resets Oct 5, 5pm (Europe/London)",
        WEEKLY,
        utc("10-05T16:00"),
        id="no name, a week away",
    ),
    pytest.param(
        "You've hit your session limit · resets 5:40pm", FIVE_HOUR, utc("10-02T15:40"), id="clock of the machine"
    ),
    pytest.param(
        "You\u2019ve hit your session limit · resets 5:40pm (Europe/Madrid)", FIVE_HOUR, utc("10-02T15:40"), id="U+2019"
    ),
    pytest.param("You've hit your session limit - resets 5:40PM", FIVE_HOUR, utc("10-02T15:40"), id="hyphen, capitals"),
    pytest.param(
        "You've hit your 5-hour limit · resets 8:20pm (UTC)", FIVE_HOUR, AT + timedelta(hours=5), id="capped at 5 h"
    ),
    pytest.param(
        "You've hit your 5-hour limit · resets 7:20pm (UTC)", FIVE_HOUR, utc("10-02T19:20"), id="since late 2026"
    ),
    pytest.param("You've hit your weekly limit · resets Mon 12:00am", WEEKLY, utc("10-04T22:00"), id="weekday, 12am"),
    pytest.param(
        "You've hit your weekly limit · resets Sunday 12:00pm", WEEKLY, utc("10-04T10:00"), id="weekday, 12pm"
    ),
    pytest.param(
        "You've hit your weekly limit · resets Fri 4pm", WEEKLY, utc("10-09T14:00"), id="that weekday's clock is past"
    ),
    pytest.param(
        "You've hit your weekly limit · resets Oct 3, 4pm (Europe/London)", WEEKLY, utc("10-03T15:00"), id="date"
    ),
    pytest.param(
        "You've hit your weekly limit · resets Nov 30, 6pm (UTC)", WEEKLY, AT + timedelta(days=7), id="capped at 7 d"
    ),
    pytest.param(
        "You've hit your Opus limit · resets 6:45pm", ("weekly_model", "opus"), utc("10-02T16:45"), id="one model's"
    ),
    pytest.param(
        "You've hit your Fable 5 limit · resets 6:45pm", ("weekly_model", "fable"), utc("10-02T16:45"), id="Fable 5"
    ),
    pytest.param(
        "You've reached your Sonnet limit · resets Oct 4, 1am",
        ("weekly_model", "sonnet"),
        utc("10-03T23:00"),
        id="sonnet",
    ),
    pytest.param("You've hit your weekly limit · resets 3pm (Nowhere/Land)", WEEKLY, None, id="zone that nobody knows"),
    pytest.param("You've hit your org's monthly usage limit", (SPEND, ""), None, id="a month's, without a reset"),
    pytest.param(
        "spend limit reached (daily; resets 2026-10-03 00:00 UTC)",
        (SPEND, "daily"),
        utc("10-03T00:00"),
        id="apps gateway",
    ),
    pytest.param(
        "spend limit reached (monthly; resets 2026-11-01 00:00 UTC)", (SPEND, ""), utc("11-01T00:00"), id="its month"
    ),
    pytest.param(
        "API Error: Request rejected (429) · You have reached your specified API usage limits. "
        "You will regain access on 2026-11-01 at 00:00 UTC.",
        (SPEND, ""),
        utc("11-01T00:00"),
        id="a month's spend of an API key",
    ),
    pytest.param("Credit balance is too low", (SPEND, "credits"), None, id="prepaid credit"),
    pytest.param("You're out of usage credits", (SPEND, "credits"), None, id="paid credits"),
    pytest.param("Your org is out of usage · add funds to continue", (SPEND, "credits"), None, id="funds of the org"),
    pytest.param("Your group's usage limit is set to $0", (SPEND, "credits"), None, id="a group with nothing"),
    pytest.param("Your seat type doesn't include extra usage", (SPEND, "credits"), None, id="seat type"),
    pytest.param(
        "You\u2019ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit "
        "https://chatgpt.com/settings/usage to purchase more credits or try again at 8:23 PM.",
        FIVE_HOUR,
        utc("10-02T18:23"),
        id="Codex, today",
    ),
    pytest.param(
        "You've hit your usage limit. Visit x to purchase more credits or try again at Oct 9th, 2026 7:10 AM.",
        WEEKLY,
        utc("10-09T05:10"),
        id="Codex, ordinal day",
    ),
    pytest.param(
        "You've hit your usage limit. Try again in 3 days 4 hours 9 minutes.",
        WEEKLY,
        utc("10-05T19:15:19"),
        id="Codex, 2025",
    ),
]


@pytest.mark.parametrize(("text", "window", "resets_at"), REACHED)
def test_a_limit_was_reached(text, window, resets_at):
    word = read_limit_text(text, TELLER, BERLIN)
    assert (word.observations, word.throttles) == ([report((ProviderWindow(window[0]), window[1]), resets_at)], [])


SPENT_IN_CREDITS = {"standing": Standing.REJECTED, "overage": True}


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        pytest.param(
            "You've used 75% of your weekly limit · resets Mon 12:00am",
            [report(WEEKLY, utc("10-04T22:00"), Standing.WARNING, used_ratio=0.75)],
            id="a share of it",
        ),
        pytest.param(
            "You're close to your session limit · resets 7pm",
            [report(FIVE_HOUR, utc("10-02T17:00"), Standing.WARNING)],
            id="close, without a figure",
        ),
        pytest.param(
            "Now using extra usage · Your session limit resets 7pm",
            [report(FIVE_HOUR, utc("10-02T17:00"), **SPENT_IN_CREDITS)],
            id="goes on in paid credits, and which limit is spent",
        ),
        pytest.param(
            "You've hit your individual spend limit · ask your admin · your weekly limit resets Oct 3, 4pm (UTC)",
            [report((SPEND, "individual")), report(WEEKLY, utc("10-03T16:00"), Standing.UNKNOWN)],
            id="the reset is that of another window",
        ),
    ],
)
def test_what_else_sentences_say(text, reports):
    word = read_limit_text(text, TELLER, BERLIN)
    assert (word.observations, word.throttles) == (reports, [])


@pytest.mark.parametrize(
    "text",
    [
        "API Error: Server is temporarily limiting requests (not your usage limit) · slow down",
        "API Error: Request rejected (429) · rate limited",
        'API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        "API Error: Repeated 529 Overloaded errors",
        "exceeded retry limit, last status: 429 Too Many Requests",
        "Selected model is at capacity. Please try a different model.",
    ],
)
def test_a_moment_is_no_limit(text):
    word = read_limit_text(text, TELLER, BERLIN)
    assert (word.observations, word.throttles) == ([], [Throttle("anthropic", "max-1", AT, "transcript")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The test says: You've hit your session limit · resets 3pm",
        "API Error: 500 internal",
        "You've hit your limit",
        "You've hit your usage limit.",
        "You've used all the arguments" + " x" * 3000,
    ],
)
def test_what_names_no_limit_says_nothing(text):
    assert read_limit_text(text, TELLER, BERLIN).is_empty


def test_every_prefix_is_understood():
    """Each of the client's own prefixes comes to something, or is refused with a reason."""
    silent = [p for p in PREFIXES if (w := read_limit_text(p, TELLER, BERLIN)).is_empty and not w.refused]
    assert silent == []
