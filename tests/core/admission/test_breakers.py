"""The breakers of all accounts: whom they bind, who is let in, and what a decision is beside limits."""

import pytest

from quota_scheduler.core.admission.breaker import Breaker
from quota_scheduler.core.admission.breakers import Breakers
from quota_scheduler.core.admission.decide import decide
from quota_scheduler.core.admission.headroom import Headrooms
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Outcome
from tests.builders import MINUTE, MONDAY, SECOND, a_limit, a_ticket, a_window, some_balances

RESET = a_window().ends_at
LATER = MONDAY + 6 * SECOND
"""When the pauses of ``some_breakers`` are over."""


def some_breakers(*accounts: str, now=MONDAY) -> Breakers:
    """Accounts that were refused on Monday at nine, as of ``now``."""
    first = Breakers()
    first.refuse([Throttle("anthropic", account, MONDAY, "api") for account in accounts], MONDAY)
    return Breakers(first, now=now)


@pytest.mark.parametrize(
    ("ticket", "waits"),
    [
        pytest.param({"account": "max-1"}, True, id="of the account"),
        pytest.param({}, True, id="of no account, since it may come to use it"),
        pytest.param({"account": "max-2"}, False, id="of another account"),
        pytest.param({"account": "max-1", "provider": "openai"}, False, id="of another provider"),
        pytest.param({"account": "max-1", "priority": Priority.INTERACTIVE}, False, id="of people, who are told only"),
        pytest.param({"account": "max-1", "priority": Priority.HIGH}, True, id="of high priority"),
    ],
)
def test_a_breaker_binds_a_ticket(ticket, waits):
    assert (some_breakers("max-1").waits_until(a_ticket(**ticket), MONDAY) is not None) is waits


def test_a_refusal_that_names_no_account_is_of_the_default_one():
    assert [one.account for one in some_breakers("")] == ["default"]


def test_exactly_one_is_let_in():
    breakers = some_breakers("max-1", now=LATER)
    tickets = [a_ticket(number=n, account="max-1") for n in (1, 2, 3)]
    let_in = []
    for ticket in tickets:
        if breakers.waits_until(ticket, LATER) is None:
            let_in.append(ticket.id)
            breakers.let_in(ticket, LATER, running=True)
    assert let_in == [1]


@pytest.mark.parametrize(
    ("outcome", "next_waits"),
    [
        pytest.param(Outcome.COMPLETED, None, id="completed: everybody may start"),
        pytest.param(Outcome.FAILED, 5 * SECOND, id="failed: the pause again"),
        pytest.param(Outcome.WITHDRAWN, None, id="withdrawn: the next one tries"),
        pytest.param(None, None, id="an offer nobody claimed: the next one tries"),
    ],
)
def test_how_a_probe_ends(outcome, next_waits):
    breakers = some_breakers("max-1", now=LATER)
    breakers.let_in(a_ticket(number=1, account="max-1"), LATER, running=True)
    breakers.ended(1, outcome, LATER)
    until = breakers.waits_until(a_ticket(number=2, account="max-1"), LATER)
    assert (until and until - LATER) == next_waits


def test_another_ticket_that_ends_is_no_probe():
    breakers = some_breakers("max-1", now=LATER)
    breakers.let_in(a_ticket(number=1, account="max-1"), LATER, running=True)
    breakers.ended(2, Outcome.COMPLETED, LATER)
    breakers.reported(2, LATER)
    assert [one.probe for one in breakers] == [1]


def test_a_probe_that_was_offered_begins_when_it_is_claimed():
    breakers = some_breakers("max-1", now=LATER)
    breakers.let_in(a_ticket(number=1, account="max-1"), LATER, running=False)
    breakers.begins(1, LATER + MINUTE)
    assert [one.probing_since for one in breakers] == [LATER + MINUTE]


def test_usage_of_the_account_closes_it_and_says_that_somebody_may_start():
    breakers = some_breakers("max-1", "max-2", now=LATER)
    breakers.answer({("anthropic", "max-1"): LATER, ("openai", "max-2"): LATER}, LATER)
    assert ({one.account: one.closed_at for one in breakers}, breakers.eased) == (
        {"max-1": LATER, "max-2": None},
        True,
    )


def test_what_is_forgotten_is_told_to_the_store():
    late = MONDAY + 60 * MINUTE
    assert (list(some_breakers("max-1", now=late)), some_breakers("max-1", now=late).changed) == (
        [],
        {("anthropic", "max-1"): None},
    )


def decided(*, used: int, pause_until) -> tuple[str, str, object]:
    """The word, the reason and until when, for ten tokens of a hundred with a refusal that lasts so long."""
    day = a_limit(100)
    balances = some_balances(day, now=MONDAY, rows=[Balance(1, day, "", a_window(), used=used)])
    row = Breaker("anthropic", "default", MONDAY, MONDAY, pause_until)
    verdict = decide(a_ticket(10), Headrooms(balances, {}, breakers=Breakers([row], now=MONDAY)), now=MONDAY)
    return type(verdict).__name__, verdict.reason.value, verdict.until


@pytest.mark.parametrize(
    ("used", "until", "verdict"),
    [
        pytest.param(0, MONDAY + SECOND, ("Defer", "provider_throttled", MONDAY + SECOND), id="only the provider"),
        pytest.param(100, MONDAY + SECOND, ("Defer", "exhausted", RESET), id="a limit that holds it longer"),
        pytest.param(100, RESET + SECOND, ("Defer", "provider_throttled", RESET + SECOND),
                     id="the provider, longer than a limit"),
    ],
)  # fmt: skip
def test_beside_limits_whoever_holds_longer_is_the_reason(used, until, verdict):
    assert decided(used=used, pause_until=until) == verdict
