"""Figures as time, in words: one table per sentence. What is not known is said as that."""

from datetime import timedelta

import pytest

from quota_scheduler.core.alerts.lasting import dry_spell, in_time, runway, span

ENDS_AT = "2026-11-30T08:00:00Z"
USED = {"used": 1, "amount": 10, "period": "week", "ends_at": ENDS_AT}
EARLY, MIDDLE, LATE = "2026-11-27T08:00:00Z", "2026-11-28T08:00:00Z", "2026-11-29T08:00:00Z"


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        pytest.param({"used": 10}, "Nothing is left until the reset.", id="used up"),
        pytest.param({"expected": 11, "out_early": EARLY, "out_at": MIDDLE, "out_late": LATE},
                     "The week runs out on Sat 28 Nov 08:00 UTC ± 24 h.", id="a forecast with both ends"),
        pytest.param({"expected": 11, "out_early": EARLY, "out_at": MIDDLE},
                     "The week runs out on Sat 28 Nov 08:00 UTC, at the earliest on Fri 27 Nov 08:00 UTC.",
                     id="a forecast that may last"),
        pytest.param({"expected": 9, "out_early": EARLY},
                     "The week should last to the reset, but may run out from Fri 27 Nov 08:00 UTC on.",
                     id="a forecast that should last"),
        pytest.param({"expected": 5, "out_pace": MIDDLE}, "The week should last to the reset.",
                     id="what a forecast says goes before the pace"),
        pytest.param({"out_pace": MIDDLE},
                     "At its pace so far the week runs out on Sat 28 Nov 08:00 UTC; there is no forecast yet.",
                     id="no forecast: the pace of the window"),
        pytest.param({"out_pace": "2026-12-01T08:00:00Z"},
                     "At its pace so far the week lasts to the reset; there is no forecast yet.",
                     id="no forecast, and it lasts"),
        pytest.param({"out_pace": None}, "When it runs out is not known yet: too little of this window has passed.",
                     id="neither a forecast nor a pace"),
        pytest.param({"ends_at": None}, "", id="no window is open: there is no reset to speak of"),
    ],
)  # fmt: skip
def test_until_when_a_limit_lasts(facts, sentence):
    assert runway({**USED, **facts}, "UTC") == sentence


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        pytest.param({"expected": 11, "out_at": MIDDLE}, "That is 2 days before its reset.", id="by the forecast"),
        pytest.param({"expected": 11, "out_at": "2026-11-30T02:00:00Z", "out_pace": EARLY},
                     "That is 6 h before its reset.", id="the forecast goes before the pace"),
        pytest.param({"out_pace": LATE}, "That is 24 h before its reset.", id="by the pace"),
        pytest.param({"out_pace": "2026-11-30T07:59:30Z"}, "", id="half a minute is as good as the reset"),
        pytest.param({"expected": 5, "out_pace": MIDDLE}, "", id="it is forecast to last"),
        pytest.param({}, "", id="not known"),
    ],
)  # fmt: skip
def test_how_long_nothing_is_left(facts, sentence):
    assert dry_spell({**USED, **facts}) == sentence


TAKEN = {"of_limit": "max", "of_unit": "tokens", "of_period": "week", "of_window_seconds": 604_800.0, "taken": 50_000,
         "taken_share": 0.05, "taken_seconds": 21_600.0}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        pytest.param({}, "It cost 50k tokens of max (5.0 %): 6 h of the week at its pace.", id="six hours of the week"),
        pytest.param({"of_unit": "usd", "of_period": "session", "taken": 2_500_000, "taken_share": 0.5},
                     "It cost $2.50 of max (50 %): 6 h of the session at its pace.", id="in dollars, of a session"),
        pytest.param({"of_period": "every 3 days"}, "It cost 50k tokens of max (5.0 %): 6 h of its window at its pace.",
                     id="a window of any other length"),
        pytest.param({"taken_seconds": 30.0, "taken_share": 0.0001},
                     "It cost 50k tokens of max (less than 0.1 %): less than a minute of the week at its pace.",
                     id="little is not nothing"),
        pytest.param({"taken_seconds": 700_000.0, "taken_share": 1.2},
                     "It cost 50k tokens of max (120 %): at its pace more than all of the week.",
                     id="more than a whole window"),
        pytest.param({"taken_seconds": None},
                     "It cost 50k tokens of max (5.0 %); what that is in time is not known yet: the limit has no pace.",
                     id="no pace: not known, and not 0"),
        pytest.param({"taken": 0}, "It takes no more out of max, which counts cached tokens as any other.",
                     id="a limit that counts each token once"),
        pytest.param({"of_limit": ""},
                     "What that is in time is not known: no limit with a window as long counts this work.",
                     id="no limit says anything"),
    ],
)  # fmt: skip
def test_what_was_taken_in_time(facts, sentence):
    assert in_time({**TAKEN, **facts}) == sentence


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "0 min"), (89, "89 min"), (90, "2 h"), (2870, "48 h"), (2880, "2 days"), (-5, "0 min")],
)
def test_span(minutes, text):
    assert span(timedelta(minutes=minutes)) == text
