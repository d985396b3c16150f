"""Short throttles on a real database: who waits, who tries, and that nobody is lost or forgotten."""

import pytest

from quota_scheduler.core.cycle.requests import Start
from quota_scheduler.core.observations.observation import Throttle
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Outcome
from quota_scheduler.service.observe import record_word
from quota_scheduler.store import breakers
from tests.builders import HOUR, MINUTE, SECOND, a_concurrency_limit, a_limit, a_usage_event
from tests.service.world import said

PEOPLE, HIGH, NORMAL, LOW = Priority
WAITS = ("defer", "provider_throttled")


def refused(here, *, account="max-1", asked=None):
    """The provider refuses, as a door has heard it."""
    with here.store.transaction() as tx:
        record_word(tx, [], [Throttle("anthropic", account, here.clock.at, "api", asked)], here.limits)


def states(here):
    return dict(sorted(here.tickets().items()))


def phases(here):
    with here.store.reading() as tx:
        return {one.account: one.phase(tx.now).value for one in breakers.load(tx)}


def test_starts_wait_people_and_running_work_do_not(world):
    here = world(a_limit(1000))
    running = here.submit(account="max-1")
    refused(here)
    waiting = here.submit(key="a", account="max-1")
    person = here.submit(account="max-1", priority=PEOPLE)
    elsewhere = here.submit(account="max-2")
    assert [said(answer) for answer in (waiting, person, elsewhere, here.renew(running, 5))] == [
        WAITS, ("admit",), ("admit",), ("admit",),
    ]  # fmt: skip
    assert 5 * SECOND <= waiting.verdict.until - here.clock.at <= 5.5 * SECOND
    assert waiting.expected.expected == waiting.verdict.until


def test_after_the_pause_one_in_order_tries_and_then_the_others_follow(world):
    here = world(a_limit(1000))
    refused(here)
    low = here.submit(key="low", account="max-1", priority=LOW)
    high, normal = (
        here.submit(key=key, account="max-1", priority=c) for key, c in (("high", HIGH), ("normal", NORMAL))
    )
    here.wait(6 * SECOND)
    assert states(here) == {"high": "offered", "low": "waiting", "normal": "waiting"}
    probe = here.read(high)
    assert [said(here.read(answer)) for answer in (low, normal)] == [WAITS, WAITS]
    here.renew(probe, 5)
    here.cycle()
    assert states(here) == {"high": "running", "low": "offered", "normal": "offered"}


def test_a_probe_that_is_refused_keeps_everybody_in_place_for_longer(world):
    here = world(a_limit(1000))
    refused(here)
    first, second = here.submit(key="first", account="max-1"), here.submit(key="second", account="max-1")
    here.wait(6 * SECOND)
    probe = here.read(first)
    here.wait(SECOND)
    refused(here)
    here.release(probe, 0, outcome=Outcome.FAILED)
    waiting = here.read(second)
    assert (said(waiting), waiting.position, here.tickets()["second"]) == (WAITS, 1, "waiting")
    assert 10 * SECOND <= waiting.verdict.until - here.clock.at <= 11 * SECOND
    here.wait(12 * SECOND)
    assert here.tickets()["second"] == "offered"


@pytest.mark.parametrize(
    ("event", "then"),
    [
        pytest.param({"account": "max-1"}, "offered", id="usage of the account after the pause"),
        pytest.param({"account": "max-2"}, "waiting", id="usage of another account"),
        pytest.param({"account": "max-1", "ago": -HOUR}, "waiting", id="usage of an hour ago"),
    ],
)
def test_usage_ends_it_without_waiting_for_the_probe_to_report(world, event, then):
    here = world(a_limit(1000))
    refused(here)
    here.submit(key="a", account="max-1")
    here.submit(key="b", account="max-1")
    here.wait(6 * SECOND)
    here.submit(key="a", account="max-1")
    assert states(here) == {"a": "running", "b": "waiting"}
    at = here.clock.at + event.get("ago", 0 * SECOND)
    here.record(a_usage_event(5, at=at, account=event["account"]))
    here.wait(2 * SECOND)
    assert states(here) == {"a": "running", "b": then}


def test_a_probe_that_nobody_claims_hands_over_to_the_next(world):
    here = world(a_limit(1000))
    refused(here)
    here.submit(key="a", account="max-1")
    here.submit(key="b", account="max-1")
    here.wait(6 * SECOND)
    here.wait(2 * MINUTE)
    assert sorted(here.tickets().values()) == ["offered", "waiting"]


def test_a_restart_forgets_no_pause(world):
    here = world(a_limit(1000))
    refused(here, asked=HOUR)
    here.submit(key="a", account="max-1")
    here.kill()
    here.wait(30 * MINUTE)
    assert states(here) == {"a": "waiting"}
    here.wait(37 * MINUTE)
    assert states(here) == {"a": "offered"}


def test_a_clock_put_back_by_a_day_lengthens_no_pause(world):
    here = world(a_limit(1000))
    refused(here, asked=MINUTE)
    here.submit(key="a", account="max-1")
    here.wait(-24 * HOUR)
    here.wait(67 * SECOND)
    assert states(here) == {"a": "offered"}


def test_an_operator_starts_whatever_the_breaker_says(world):
    here = world(a_limit(1000))
    refused(here)
    waiting = here.submit(key="a", account="max-1")
    here.cycle(Start(waiting.ticket.id))
    assert states(here) == {"a": "offered"}


def test_a_full_limit_is_the_reason_that_lasts_longer(world):
    here = world(a_limit(100))
    here.record(a_usage_event(100))
    refused(here)
    assert said(here.submit(account="max-1")) == ("defer", "exhausted")


def test_what_waits_without_any_limit_waits_too_and_a_thousand_start_together(world):
    here = world()
    refused(here)
    here.cycle(*(here.a_submit(account="max-1") for _ in range(1000)))
    here.wait(6 * SECOND)
    assert sorted(set(here.tickets().values())) == ["offered", "waiting"]
    assert list(here.tickets().values()).count("offered") == 1


def test_other_accounts_go_on_beside_it(world):
    here = world(a_concurrency_limit(2))
    refused(here)
    here.submit(key="mine", account="max-1")
    assert said(here.submit(key="other", account="max-2")) == ("admit",)
    assert phases(here) == {"max-1": "open"}
