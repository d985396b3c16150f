"""What was used over all windows, as counters, and what of it has no price."""

import pytest

from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.consumption import SetApart, consumed, unpriced_models
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Extent, Usage
from tests.builders import MONDAY, a_limit, some_labels

SONNET = some_labels(provider="anthropic", model="claude-sonnet-5")
DATED = SONNET._replace(model="claude-sonnet-5-20260101")
DAY = LimitInstance(a_limit(id="day"), "")


def a_total(labels=SONNET, **usage):
    return labels, Priority.NORMAL, Usage(**usage), MONDAY


def counted(totals, backfilled):
    return {
        (counter.name, *counter.labels): counter.value
        for counter in consumed(totals, backfilled, lambda _: [DAY])
        if counter.value
    }


@pytest.mark.parametrize(
    ("totals", "backfilled", "figures"),
    [
        pytest.param([], {}, {}, id="nothing was used"),
        pytest.param(
            [a_total(output=7), a_total(DATED, output=2)],
            {},
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
            },
            id="two spellings of a model are one, with and without the limit",
        ),
        pytest.param(
            [a_total(output=7)],
            {(SONNET, Priority.NORMAL): Usage(output=5)},
            {
                ("quota_backfilled_tokens_total", "anthropic"): 5,
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 2,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 2,
            },
            id="what was backfilled is counted apart",
        ),
    ],
)
def test_what_was_consumed(totals, backfilled, figures):
    assert counted(totals, backfilled) == figures


UNPRICED = a_total(output=7, unpriced_tokens=7)
DOLLARS = a_limit(unit=Unit.USD)


@pytest.mark.parametrize(
    ("totals", "limits", "models"),
    [
        pytest.param([UNPRICED], [DOLLARS], {"anthropic/claude-sonnet-5": 7}, id="where a limit counts dollars"),
        pytest.param([UNPRICED], [a_limit()], {}, id="elsewhere nobody needs a price"),
        pytest.param([a_total(output=7)], [DOLLARS], {}, id="it has one"),
        pytest.param(
            [a_total(SONNET._replace(model=""), output=7, unpriced_tokens=7)], [DOLLARS], {}, id="it names no model"
        ),
    ],
)
def test_what_has_no_price(totals, limits, models):
    assert unpriced_models(totals, limits) == models


def set_apart(extent, *, answers=1, origin="claude_code", is_backfill=False, **usage):
    return SetApart(SONNET, Priority.NORMAL, extent, origin, is_backfill, answers, Usage(**usage))


@pytest.mark.parametrize(
    ("apart", "figures"),
    [
        pytest.param(
            [set_apart(Extent.UNLISTED, output=3)],
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 6,
                ("quota_unlisted_tokens_total", "anthropic", "claude-sonnet-5", "output"): 3,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
            },
            id="what no call lists counts in limits, and apart from the calls",
        ),
        pytest.param(
            [set_apart(Extent.UNLISTED, output=3, is_backfill=True)],
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
            },
            id="less what was backfilled, which is in neither",
        ),
        pytest.param(
            [set_apart(Extent.PARTIAL, answers=2, output=2), set_apart(Extent.PARTIAL, origin="claude_code@b")],
            {
                ("quota_recorded_tokens_total", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_consumed_tokens_total", "day", "anthropic", "claude-sonnet-5", "output"): 9,
                ("quota_partial_answers_total", "claude_code"): 3,
            },
            id="interrupted answers are calls, and counted by source",
        ),
    ],
)
def test_what_is_no_whole_call(apart, figures):
    seen = consumed([a_total(output=9)], {}, lambda _: [DAY], apart)
    assert {(counter.name, *counter.labels): counter.value for counter in seen if counter.value} == figures
