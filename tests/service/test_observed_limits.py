"""Limits that a provider reports on: who is admitted and who waits, as reports come and windows pass."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from quota_scheduler.core.cycle.requests import Renew
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.schedule import Session
from quota_scheduler.core.observations.observation import ProviderWindow, Standing
from quota_scheduler.core.observations.points import POINT, WHOLE, Rate
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.tickets.estimate import declared
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.service.observe import record_word, rule_windows
from tests.builders import DAY, HOUR, MINUTE, MONDAY, SECOND, a_session_limit, a_usage_event, an_observation
from tests.service.world import fence, said

TWO_A_DOLLAR = Rate(low=2 * POINT, middle=2 * POINT, high=2 * POINT, spans=9, learned_at=MONDAY)
RESET = MONDAY + 3 * HOUR
KEY = ReportKey("anthropic", "max-1", ProviderWindow.FIVE_HOUR)
UNKNOWN = a_session_limit(
    WHOLE,
    id="max-session",
    unit=Unit.PERCENT,
    observed=KEY,
    match=match_of({"account": "max-1", "provider": "anthropic"}),
)
KNOWN = replace(UNKNOWN, rate=TWO_A_DOLLAR)


def dollars(amount):
    return Usage(output=100, requests=1, cost_microusd=round(amount * 1_000_000))


def told(here, *reports):
    with here.store.transaction() as tx:
        record_word(tx, reports, (), here.limits)
    here.check()


def tells(here, ratio, *, resets_at=RESET, **parts):
    told(here, an_observation(ratio, at=here.clock.at, resets_at=resets_at, **parts))


def asks(here, amount, **parts):
    """Ask to run what is said to cost so much."""
    return here.submit(account="max-1", estimate=declared(dollars(amount)), **parts)


def uses(here, amount, *, at=None, key=None):
    at = at or here.clock.at
    here.record(a_usage_event(key=key or str(at), at=at, usage=dollars(amount), account="max-1"))


def points(here):
    """(used, reserved) in percent points."""
    used, reported, reserved = here.windows()["max-session"]
    return (used + reported) / POINT, reserved / POINT


@pytest.mark.parametrize(
    ("limit", "ratio", "asked", "verdict"),
    [
        pytest.param(KNOWN, 0.79, 10, ("admit",), id="twenty points fit into twenty-one"),
        pytest.param(KNOWN, 0.81, 10, ("defer", "no_headroom"), id="and not into nineteen"),
        pytest.param(KNOWN, 1.0, 0.1, ("defer", "exhausted"), id="nothing fits when all is used"),
        pytest.param(KNOWN, 0.1, 60, ("reject", "never_fits"), id="what takes more than there is never fits"),
        pytest.param(UNKNOWN, 0.94, 10, ("admit",), id="five points are reserved while nobody knows"),
        pytest.param(UNKNOWN, 0.96, 10, ("defer", "no_headroom"), id="and do not fit into four"),
        pytest.param(replace(KNOWN, amount=90 * POINT), 0.79, 10, ("defer", "no_headroom"), id="a cap of one's own"),
    ],
)
def test_tickets_are_admitted_in_percent_points(world, limit, ratio, asked, verdict):
    here = world(limit)
    tells(here, ratio)
    assert said(asks(here, asked)) == verdict


def test_between_reports_usage_is_added_and_the_next_report_puts_it_right(world):
    here = world(KNOWN)
    tells(here, 0.5)
    here.wait(5 * MINUTE)
    uses(here, 10)
    assert points(here) == (70.0, 0.0)
    here.wait(MINUTE)
    tells(here, 0.66)
    assert points(here) == (66.0, 0.0)


def test_usage_that_is_read_late_is_in_the_report_already(world):
    here = world(KNOWN)
    tells(here, 0.5)
    uses(here, 10, at=MONDAY - MINUTE)
    assert points(here) == (50.0, 0.0)


def test_a_report_that_comes_late_counts_from_its_own_time(world):
    here = world(KNOWN)
    here.wait(10 * MINUTE)
    uses(here, 5, at=MONDAY + 2 * MINUTE)
    uses(here, 1, at=MONDAY + 8 * MINUTE)
    told(here, an_observation(0.4, at=MONDAY + 5 * MINUTE, resets_at=RESET))
    assert points(here) == (42.0, 0.0)
    told(here, an_observation(0.3, at=MONDAY + MINUTE, resets_at=RESET))
    assert points(here) == (42.0, 0.0)


def test_what_a_lease_uses_moves_from_reserved_to_used_and_counts_once(world):
    here = world(KNOWN)
    tells(here, 0.5)
    held = asks(here, 10, session="s")
    assert points(here) == (50.0, 20.0)
    here.wait(MINUTE)
    here.record(a_usage_event(key="e", at=here.clock.at, usage=dollars(4), account="max-1", session="s"))
    assert points(here) == (58.0, 12.0)
    here.wait(MINUTE)
    tells(here, 0.6)
    assert points(here) == (60.0, 12.0)
    here.release(held)
    assert points(here) == (60.0, 0.0)


def test_what_a_lease_says_of_itself_counts_until_the_provider_says_that_more_is_used(world):
    week = replace(
        KNOWN, id="max-weekly", schedule=Session(7 * DAY), observed=KEY._replace(window=ProviderWindow.WEEKLY)
    )
    here = world(KNOWN, week)
    of_week = {"window": ProviderWindow.WEEKLY, "resets_at": MONDAY + 2 * DAY}

    def tell(five, weekly):
        both = (
            an_observation(five, at=here.clock.at, resets_at=RESET),
            an_observation(weekly, at=here.clock.at, **of_week),
        )
        told(here, *both)

    tell(0.5, 0.2)
    held = asks(here, 10, ttl=6 * HOUR)
    here.ask(Renew(held.ticket.id, fence(held), (("", dollars(4)),)))
    assert points(here) == (58.0, 12.0)
    here.wait(MINUTE)
    tell(0.5, 0.2)  # the same once more: a door that repeats what it said
    tell(0.3, 0.1)  # and an idle client
    with here.store.transaction() as tx:
        rule_windows(tx, here.limits)  # learning judges everything anew
    assert points(here) == (58.0, 12.0)
    here.wait(MINUTE)
    tell(0.58, 0.21)
    assert points(here) == (58.0, 12.0)
    here.wait(MINUTE)
    here.ask(Renew(held.ticket.id, fence(held), (("", dollars(6)._replace(output=200)),)))
    assert points(here) == (62.0, 8.0)
    here.release(held)  # without a transcript its own reports are the usage, and the word holds a part of them
    assert points(here) == (62.0, 0.0)
    assert here.ledger() == {"lease:1:1:0:": 100, "lease:1:1:1:": 100}


def test_what_a_lease_says_of_itself_stays_where_only_the_reset_is_told(world):
    limit = a_session_limit(1000, id="max-session", observed=KEY, match=KNOWN.match)
    here = world(limit)
    held = here.submit(account="max-1", estimate=declared(Usage(output=300)), ttl=6 * HOUR)
    here.renew(held, 100)
    tells(here, 0.5)
    assert here.windows()["max-session"] == (0, 100, 200)


def test_a_reset_wakes_who_waits_and_the_window_is_unknown_until_the_next_report(world):
    here = world(KNOWN)
    tells(here, 0.99)
    waiting = asks(here, 1)
    assert (said(waiting), waiting.verdict.until) == (("defer", "no_headroom"), RESET)
    here.until(RESET - SECOND)
    assert here.tickets() == {"key-1": "waiting"}
    here.until(RESET + MINUTE)
    assert (here.tickets(), points(here)) == ({"key-1": "offered"}, (0.0, 5.0))
    tells(here, 0.02, resets_at=RESET + 5 * HOUR)
    assert points(here) == (2.0, 5.0)


def test_in_an_unknown_window_nobody_starts_blindly_and_nobody_waits_for_ever(world):
    here = world(KNOWN)
    started = [said(asks(here, 0.5)) for _ in range(21)]
    assert started == [("admit",)] * 20 + [("defer", "no_headroom")]
    here.wait(4 * HOUR + SECOND)  # the leases end
    assert here.tickets()["key-21"] == "offered"


def test_an_early_reset_lets_who_waits_go_on(world):
    here = world(KNOWN)
    tells(here, 0.99)
    assert said(asks(here, 1)) == ("defer", "no_headroom")
    here.wait(HOUR)
    tells(here, 0.01, resets_at=here.clock.at + 5 * HOUR)
    here.wait(3 * SECOND)
    assert here.tickets() == {"key-1": "offered"}


def test_an_early_reset_carries_what_runs_into_the_new_window(world):
    here = world(KNOWN)
    tells(here, 0.5)
    asks(here, 10)
    here.wait(HOUR)
    tells(here, 0.01, resets_at=here.clock.at + 5 * HOUR)
    here.wait(3 * SECOND)
    assert points(here) == (1.0, 20.0)
    assert [(start, end) for start, end, _ in here.spans("max-session")] == [
        (MONDAY - 2 * HOUR, MONDAY + HOUR),
        (MONDAY + HOUR, MONDAY + 6 * HOUR),
    ]


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        pytest.param({"standing": Standing.REJECTED}, ("defer", "exhausted"), id="what the provider refuses waits"),
        pytest.param(
            {"standing": Standing.REJECTED, "overage": True}, ("admit",), id="unless it lets work go on for money"
        ),
        pytest.param({"standing": Standing.WARNING}, ("admit",), id="a warning refuses nothing"),
    ],
)
def test_an_exhausted_window_holds_until_its_reset(world, report, verdict):
    here = world(KNOWN)
    tells(here, 0.5, **report)
    assert said(asks(here, 1)) == verdict
    here.until(RESET + 3 * MINUTE)
    assert "waiting" not in here.tickets().values()


def test_a_window_of_one_family_of_models_binds_only_those(world):
    opus = replace(
        KNOWN,
        observed=ReportKey("anthropic", "max-1", ProviderWindow.WEEKLY_MODEL, "opus"),
        match=match_of({"account": "max-1", "provider": "anthropic", "model": "*opus*"}),
    )
    here = world(opus)
    tells(here, 1.0, window=ProviderWindow.WEEKLY_MODEL, scope="opus", standing=Standing.REJECTED)
    verdicts = [said(asks(here, 1, model=f"claude-{name}-5")) for name in ("opus", "sonnet")]
    assert verdicts == [("defer", "exhausted"), ("admit",)]


def test_a_report_rules_the_window_of_what_is_counted_here(world):
    limit = a_session_limit(100, id="max-session", observed=KEY, match=KNOWN.match)
    here = world(limit)
    uses(here, 1, at=MONDAY - HOUR)
    tells(here, 0.5)
    assert here.spans("max-session") == [(MONDAY - 2 * HOUR, RESET, 100)]


def test_after_a_restart_everything_stands_as_before(world):
    here = world(KNOWN)
    tells(here, 0.5)
    here.wait(MINUTE)
    uses(here, 5)
    before = here.spans("max-session"), points(here)
    here.kill()
    assert (here.spans("max-session"), points(here)) == before


@pytest.mark.parametrize(
    "jitter", [timedelta(milliseconds=-50), timedelta(milliseconds=530), timedelta(minutes=1, seconds=55)]
)
def test_a_reset_that_jitters_opens_no_window(world, jitter):
    here = world(KNOWN)
    tells(here, 0.5)
    here.wait(MINUTE)
    tells(here, 0.51, resets_at=RESET + jitter)
    assert [(start, end, used) for start, end, used in here.spans("max-session")] == [
        (MONDAY - 2 * HOUR, RESET, 51 * POINT)
    ]


def test_old_reports_from_history_do_nothing(world):
    here = world(KNOWN)
    tells(here, 0.5)
    before = here.spans("max-session"), points(here)
    old = [an_observation(0.9, at=MONDAY - 2 * DAY + n * MINUTE, resets_at=MONDAY - 2 * DAY + HOUR) for n in range(5)]
    refused = an_observation(1.0, at=MONDAY - 6 * HOUR, resets_at=MONDAY - 5 * HOUR, standing=Standing.REJECTED)
    told(here, *old, refused)
    assert (here.spans("max-session"), points(here)) == before
    assert said(asks(here, 1)) == ("admit",)


def test_a_ticket_needs_room_in_five_hours_and_in_the_week(world):
    week = replace(
        KNOWN, id="max-weekly", schedule=Session(7 * DAY), observed=KEY._replace(window=ProviderWindow.WEEKLY)
    )
    here = world(KNOWN, week)
    tells(here, 0.1)
    told(here, an_observation(0.99, at=MONDAY, resets_at=MONDAY + 2 * DAY, window=ProviderWindow.WEEKLY))
    waiting = asks(here, 1)
    assert (said(waiting), waiting.verdict.until) == (("defer", "no_headroom"), MONDAY + 2 * DAY)
    here.until(RESET + MINUTE)  # the reset of the short window wakes nobody whom the longer one holds
    assert here.tickets() == {"key-1": "waiting"}
