"""What was used over all windows, as counters, and what of it has no price."""

import pytest

from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.consumption import consumed, unpriced_models
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
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
