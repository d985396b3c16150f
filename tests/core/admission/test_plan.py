"""A whole plan: what it costs together, and which items will fit."""

import pytest

from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.admission.plan import P80_SIGMAS, plan
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.tickets.ticket import Estimate
from quota_scheduler.core.units import Unit
from tests.builders import DAY, MONDAY, a_concurrency_limit, a_limit, a_ticket, a_window, some_balances, some_usage

TODAY = a_window(MONDAY, DAY)
DAY_LIMIT = (a_limit(),)
TEAM = a_limit(30, id="team", per="team")


def a_plan(*tokens, limits=DAY_LIMIT, used=0, **labels):
    rows = [Balance(1, limits[0], "", TODAY, used=used)]
    tickets = [a_ticket(amount, number=n, **labels) for n, amount in enumerate(tokens, 1)]
    return plan(tickets, Headrooms(some_balances(*limits, rows=rows), {}), now=MONDAY)


@pytest.mark.parametrize(
    ("result", "short_of"),
    [
        pytest.param(a_plan(), [], id="an empty plan"),
        pytest.param(a_plan(40, 60), ["", ""], id="both fit"),
        pytest.param(a_plan(40, 61), ["", "day"], id="the second finds less"),
        pytest.param(a_plan(40, 61, 60), ["", "day", ""], id="one that does not fit is passed over"),
        pytest.param(a_plan(10, used=95), ["day"], id="what was used is gone"),
        pytest.param(
            a_plan(20, 20, limits=(a_limit(), TEAM), team="x"), ["", "team/x"], id="the first limit without room"
        ),
        pytest.param(a_plan(200, limits=(a_limit(mode=Mode.WARN),)), [""], id="a limit that only warns"),
        pytest.param(
            a_plan(1, 1, limits=(a_limit(), a_concurrency_limit(1))), ["", ""], id="one after another is enough"
        ),
    ],
)
def test_which_items_fit(result, short_of):
    assert [item.short_of for item in result.items] == short_of
    assert result.fitting == short_of.count("")


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        pytest.param(a_plan(40, 60), "2 tasks, estimated 100 tokens ± 0 tokens, remaining 100 tokens", id="in tokens"),
        pytest.param(
            a_plan(40, 61),
            "2 tasks, estimated 101 tokens ± 0 tokens, remaining 100 tokens; "
            "1 unlikely to complete: skip or postpone them",
            id="some do not fit",
        ),
        pytest.param(
            a_plan(40, limits=(a_concurrency_limit(1),)),
            "1 tasks, estimated 40 tokens ± 0 tokens, remaining not limited",
            id="no limit",
        ),
        pytest.param(
            a_plan(40, limits=(a_limit(8_200_000, unit=Unit.USD),)),
            "1 tasks, estimated $0.00 ± 0.00, remaining $8.20",
            id="in dollars where a limit counts them",
        ),
    ],
)
def test_its_sentence(result, sentence):
    assert result.sentence() == sentence


def test_errors_of_items_are_independent():
    estimate = Estimate(some_usage(100), some_usage(130))
    tickets = [a_ticket(number=n, estimate=estimate) for n in range(4)]
    result = plan(tickets, Headrooms(some_balances(a_limit(1000)), {}), now=MONDAY)
    assert result.tokens_sigma == pytest.approx(2 * 30 / P80_SIGMAS)
