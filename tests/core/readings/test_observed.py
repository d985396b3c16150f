"""What the provider says of a limit: how fresh it is, and why not fresher."""

import pytest
from msgspec.structs import replace

from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.observations.learning import Elsewhere, Learned
from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.points import POINT, WHOLE, Rate
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.observations.reported_window import Noticed, ReportedWindow, WindowChange
from quota_scheduler.core.readings.observed import NO_WORD, Freshness, ObservedWord, is_estimated, read_observed
from quota_scheduler.core.units import Unit
from tests.builders import HOUR, MINUTE, MONDAY, a_session_limit

KEY = ReportKey("anthropic", "max-1", ProviderWindow.FIVE_HOUR)
LIMIT = a_session_limit(WHOLE, id="max-session", unit=Unit.PERCENT, observed=KEY)
SPAN = Window(MONDAY - 2 * HOUR, MONDAY + 3 * HOUR)
RATE = Rate(POINT, 2 * POINT, 3 * POINT, 7, MONDAY)


def reported(ago=MINUTE, ratio=0.4, window=SPAN, **parts):
    at = MONDAY - ago
    return ReportedWindow(window.starts_at, window.ends_at, window.ends_at, at, at, at, "statusline", ratio, **parts)


def a_balance(used=40 * POINT, *, anchored=MINUTE, limit=LIMIT):
    return Balance(1, limit, "", SPAN, used=used, anchored_at=MONDAY - anchored if anchored else None)


@pytest.mark.parametrize(
    ("word", "anchored", "freshness", "why"),
    [
        pytest.param(ObservedWord(reported()), MINUTE, "live", "", id="a minute old"),
        pytest.param(
            ObservedWord(reported(10 * MINUTE)),
            10 * MINUTE,
            "cached",
            "Nobody has reported on it since Mon 23 Nov 08:50 UTC; the last was statusline.",
            id="ten minutes old",
        ),
        pytest.param(
            ObservedWord(reported(40 * MINUTE)),
            40 * MINUTE,
            "stale",
            "Nobody has reported on it since Mon 23 Nov 08:20 UTC; the last was statusline.",
            id="forty minutes old",
        ),
        pytest.param(
            ObservedWord(reported()),
            20 * MINUTE,
            "cached",
            "Reports by statusline repeat since Mon 23 Nov 08:40 UTC what cannot be true any more.",
            id="an echo",
        ),
        pytest.param(
            NO_WORD,
            None,
            "unavailable",
            "Nobody has reported on it yet: see that a status line or another door sends reports.",
            id="no report ever",
        ),
        pytest.param(
            ObservedWord(reported(window=Window(MONDAY - 6 * HOUR, MONDAY - HOUR))),
            None,
            "unavailable",
            "Its window was reset on Mon 23 Nov 08:00 UTC and nobody has reported on it since.",
            id="none since the reset",
        ),
        pytest.param(
            ObservedWord(reported(ratio=None)),
            None,
            "unavailable",
            "The provider only said what it does with requests (statusline).",
            id="a standing alone",
        ),
    ],
)
def test_how_fresh_it_is(word, anchored, freshness, why):
    reading = read_observed(a_balance(anchored=anchored), word, now=MONDAY)
    assert (reading.freshness, reading.why) == (freshness, why)
    assert (reading.ratio is None) is (freshness == Freshness.UNAVAILABLE)


@pytest.mark.parametrize(
    ("balance", "word", "estimated"),
    [
        pytest.param(a_balance(), ObservedWord(reported()), False, id="as reported"),
        pytest.param(a_balance(41 * POINT), ObservedWord(reported()), True, id="with what was used since"),
        pytest.param(
            a_balance(anchored=40 * MINUTE), ObservedWord(reported(40 * MINUTE)), True, id="as reported, but long ago"
        ),
        pytest.param(a_balance(0, anchored=None), NO_WORD, True, id="nobody knows"),
        pytest.param(
            a_balance(limit=replace(LIMIT, unit=Unit.TOKENS)), ObservedWord(reported()), False, id="counted here"
        ),
    ],
)
def test_what_is_estimated(balance, word, estimated):
    assert is_estimated(balance, read_observed(balance, word, now=MONDAY)) is estimated


def test_no_provider_reports_on_other_limits():
    assert read_observed(a_balance(limit=a_session_limit()), NO_WORD, now=MONDAY) is None


def test_what_the_provider_changed_is_said_and_what_was_learned():
    notices = (
        Noticed(WindowChange.EARLY_RESET, MONDAY - HOUR, MONDAY + HOUR, MONDAY + 3 * HOUR),
        Noticed(WindowChange.MOVED_RESET, MONDAY - HOUR, MONDAY + HOUR, MONDAY + 3 * HOUR),
        Noticed(WindowChange.LOWERED, MONDAY - HOUR, 0.8, 0.4),
    )
    learned = Learned(RATE, MONDAY - HOUR, replace(RATE, middle=4 * POINT))
    word = ObservedWord(reported(notices=notices), learned, Elsewhere(4.5, 1.0))
    reading = read_observed(a_balance(), word, now=MONDAY)
    assert reading.noticed == (
        "It was reset early, by Mon 23 Nov 08:00 UTC: the reset had been announced for Mon 23 Nov 10:00 UTC.",
        "Its reset was moved from Mon 23 Nov 10:00 UTC to Mon 23 Nov 12:00 UTC.",
        "What is used of it went down from 80% to 40% without a reset.",
        "Since Mon 23 Nov 08:00 UTC a point costs 2 times as much as before: more is allowed.",
    )
    assert (reading.points_per_usd, reading.learned_from, reading.elsewhere) == ((1.0, 2.0, 3.0), 7, 4.5)


def test_the_reading_as_a_document():
    reading = read_observed(a_balance(), ObservedWord(reported()), now=MONDAY)
    assert reading.document() == {
        "about": "anthropic/five_hour of max-1",
        "freshness": "live",
        "why": "",
        "reported_ratio": 0.4,
        "observed_at": "2026-11-23T08:59:00Z",
        "heard_at": "2026-11-23T08:59:00Z",
        "source": "statusline",
        "exhausted": False,
        "overage": False,
        "points_per_usd": None,
        "learned_from": 0,
        "elsewhere_points": 0.0,
        "noticed": [],
    }
