"""Readings of a limit, measured from its balance, its history, its forecast and what waits."""

from datetime import timedelta

import pytest

from quota_scheduler.core.admission.headroom import Headroom
from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.ledger.balance import Balance, LimitInstance
from quota_scheduler.core.limits.limit import Mode
from quota_scheduler.core.limits.schedule import Window
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.waiting import WaitingTotals
from quota_scheduler.core.readings import measure
from quota_scheduler.core.readings.burn import RecentUse
from quota_scheduler.core.readings.readings import (
    BalanceReading,
    ClassReading,
    LimitQueueReading,
    LimitReading,
    Spending,
)
from quota_scheduler.core.readings.throttle_level import LevelFacts, LevelState, ThrottleLevel
from quota_scheduler.core.units import Unit
from tests.builders import (
    DAY,
    FIVE_HOURS,
    HOUR,
    MIDNIGHT,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_reading,
    a_run_cap,
    a_session_limit,
    some_balances,
    some_labels,
)

TODAY = Window(MIDNIGHT - DAY, MIDNIGHT)
GROWTH = (("team", frozenset({"growth"})),)


def a_headroom(limit=None, *, value="", outlook=None, **counters):
    limit = limit or a_limit(100)
    window = TODAY if limit.is_windowed else None
    return Headroom(LimitInstance(limit, value), Balance(1, limit, value, window, **counters), outlook)


def waiting(**classes):
    """What waits by class: how many, and the least that one needs."""
    return {
        Priority(name): WaitingTotals(count, count * least, least, MONDAY) for name, (count, least) in classes.items()
    }


@pytest.mark.parametrize(
    ("mode", "reserved", "waits", "sure"),
    [
        pytest.param(Mode.ENFORCE, 30, 20, 50, id="what runs, and what waits and fits"),
        pytest.param(Mode.ENFORCE, 30, 500, 60, id="of what waits only as much as the limit lets start"),
        pytest.param(Mode.ENFORCE, 90, 500, 90, id="nothing may start"),
        pytest.param(Mode.WARN, 30, 500, 530, id="a limit that only warns lets it all start"),
    ],
)
def test_certain_usage(mode, reserved, waits, sure):
    balance = a_headroom(a_limit(100, mode=mode), used=40, reserved=reserved).balance
    assert measure.certain_usage(balance, waits, allowance=100) == sure


def test_waiting_amounts_and_running_leases_by_instance():
    totals = {"day": waiting(high=(2, 10), low=(1, 5))}
    assert measure.waiting_amounts(totals) == {"day": 25}
    balances = some_balances(
        a_limit(), a_limit(id="team", per="team"), a_limit(id="ops", match=(("team", frozenset({"ops"})),))
    )
    running = {some_labels(team="growth"): 2, some_labels(team="ops"): 1}
    assert measure.running_by_instance(running, balances) == {"day": 3, "team/growth": 2, "team/ops": 1, "ops": 1}


@pytest.mark.parametrize(
    ("headroom", "waits", "holding"),
    [
        pytest.param(a_headroom(used=95), waiting(low=(1, 10)), True, id="no room for what waits"),
        pytest.param(a_headroom(used=90), waiting(low=(1, 10)), False, id="it fits: something else holds it"),
        pytest.param(a_headroom(used=95), {}, False, id="nothing waits"),
        pytest.param(a_headroom(used=100), waiting(low=(1, 10)), False, id="what is used up is paused, not throttled"),
    ],
)
def test_holding_a_class_back(headroom, waits, holding):
    facts = measure.queue_facts(waits, 0, headroom, MONDAY)
    assert facts.holding is holding
    assert measure.level_facts(headroom, facts, now=MONDAY) == LevelFacts(
        headroom.balance.spent, 100, 100, holding, starts_at=TODAY.starts_at
    )


def test_queue_facts_list_the_classes_most_important_first():
    facts = measure.queue_facts(waiting(low=(3, 10), high=(1, 10)), 2, a_headroom(), MONDAY, overshoot=7)
    classes = (ClassReading("high", 1, MONDAY), ClassReading("low", 3, MONDAY))
    assert facts.queue == LimitQueueReading(classes, leases=2, overshoot_bound=7)


def test_a_limit_as_everybody_sees_it():
    limit = a_limit(100, id="team", per="team", match=(("provider", frozenset({"anthropic"})),))
    headroom = a_headroom(
        limit, value="growth", used=50, reported=20, reserved=10, outlook=Outlook(MONDAY, risk="high")
    )
    facts = measure.LimitFacts(
        recent=RecentUse([(MONDAY - HOUR, 40.0)], MONDAY, HOUR),
        weighted_mean=90,
        spending=Spending("72 % by docs"),
        parent="pool",
        used_today=60,
    )
    level = LevelState(ThrottleLevel.THROTTLED, MONDAY - HOUR, MONDAY)
    queue = measure.queue_facts(waiting(low=(1, 50)), 1, headroom, MONDAY)
    reading = measure.read_limit(headroom, queue, level, facts, now=MONDAY)
    assert reading.projection.burns[0].lookback == "fast_long"
    assert reading == LimitReading(
        limit="team/growth", rule="team", value="growth", provider="anthropic", scope="provider=anthropic team=growth",
        unit=Unit.TOKENS, period="day", zone="UTC", mode="enforce",
        balance=BalanceReading(100, 100, 70, 10, TODAY.starts_at, TODAY.ends_at, used_today=60),
        projection=measure.ProjectionReading(None, 90, None, "high", reading.projection.burns),
        queue=LimitQueueReading((ClassReading("low", 1, MONDAY),), 1, 0), level="throttled", level_since=MONDAY - HOUR,
        level_caused_at=MONDAY, optimization="aggressive", spending=Spending("72 % by docs"), parent="pool",
        labels=(("provider", "anthropic"), ("team", "growth")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("used", "loan", "rate", "remaining"),
    [
        pytest.param(70, 0, 9.6, 20.0, id="of its own"),
        pytest.param(70, 60, 6.0, 6.666667, id="what it may borrow is left, too"),
        pytest.param(130, 60, 6.0, 20.0, id="a borrower has not run out"),
        pytest.param(100, 0, 9.6, 1000.0, id="one that may not borrow has"),
    ],
)
def test_burns_are_of_what_a_limit_may_borrow_too(used, loan, rate, remaining):
    headroom = a_headroom(a_limit(100), used=used)
    facts = measure.LimitFacts(recent=RecentUse([(MONDAY - HOUR, 40.0)], MONDAY, HOUR), loan=loan)
    burn = measure.read_projection(headroom, facts).burns[0]
    assert (burn.rate, burn.remaining) == pytest.approx((rate, remaining))


def test_an_open_limit_has_no_cause_and_one_of_nothing_no_burn():
    headroom = a_headroom(a_limit(0))
    level = LevelState(ThrottleLevel.OPEN, MONDAY, MONDAY)
    reading = measure.read_limit(
        headroom, measure.queue_facts({}, 0, headroom, MONDAY), level, measure.LimitFacts(), now=MONDAY
    )
    assert (reading.level_caused_at, reading.projection.burns, reading.projection.risk) == (None, (), "unknown")
    assert (reading.usage_ratio, reading.optimization) == (1.0, "emergency")


@pytest.mark.parametrize(
    ("limit", "scope", "period", "provider"),
    [
        pytest.param(a_limit(), "everything", "day", "", id="a limit on all"),
        pytest.param(a_limit(match=(("provider", frozenset({"anthropic"})), ("team", frozenset({"b", "a"})))),
                     "provider=anthropic team=a|b", "day", "anthropic", id="a scope of two labels"),
        pytest.param(a_limit(match=(("provider", frozenset({"a", "b"})),)), "provider=a|b", "day", "", id="two"),
        pytest.param(a_session_limit(), "everything", "session 5h", "", id="a session says how long it is"),
        pytest.param(a_run_cap(), "everything", "run", "", id="a run cap"),
        pytest.param(a_limit(per="team"), "each team", "day", "", id="M16: a limit per team is not about everything"),
        pytest.param(a_concurrency_limit(), "everything", "none", "", id="no window at all"),
    ],
)  # fmt: skip
def test_words_for_a_limit(limit, scope, period, provider):
    assert (measure.scope_text(limit), measure.period_text(limit), measure.provider_of(limit)) == (
        scope,
        period,
        provider,
    )


def test_M16_an_instance_is_about_its_value():
    assert measure.scope_text(a_limit(per="team"), "growth") == "team=growth"


def test_every_instance_is_shown_and_single_limits_before_their_first_use():
    limits = a_limit(id="b"), a_limit(id="team", per="team"), a_limit(id="a")
    rows = [Balance(number, limits[1], value, TODAY) for number, value in enumerate(("y", "x"), 1)]
    balances = some_balances(*limits, rows=rows)
    assert [instance.name for instance in measure.every_instance(balances)] == ["b", "team/x", "team/y", "a"]


@pytest.mark.parametrize(
    ("limit", "opened"),
    [
        pytest.param(a_limit(), True, id="a calendar window is there by itself"),
        pytest.param(a_session_limit(), False, id="a session is opened by its first use alone"),
    ],
)
def test_begin(limit, opened):
    balances = some_balances(limit)
    measure.begin(balances, LimitInstance(limit, ""), MONDAY)
    assert (balances.find(LimitInstance(limit, ""), MONDAY) is not None) is opened


def test_pools_and_concurrency():
    pool, member = a_limit(id="pool"), a_limit(id="a", match=GROWTH, parent="pool")
    balances = some_balances(pool, member)
    assert [measure.pool_of(balances, LimitInstance(limit, "")) for limit in (member, pool)] == ["pool", ""]
    slots = a_reading(
        limit="slots", rule="slots", value="", provider="anthropic", scope="provider=anthropic", unit=Unit.LEASES,
        period="none", zone="UTC", mode="enforce", amount=3, allowance=3, used=0, reserved=0,
    )  # fmt: skip
    fewer, narrow = a_reading(slots, amount=2), a_reading(slots, scope="provider=anthropic team=ops", amount=1)
    running = {some_labels(team="a"): 1, some_labels(team="b"): 2}
    assert measure.concurrency([slots, fewer, narrow], running) == (("anthropic", 3, 2),), "the least that binds all"
    assert measure.concurrency([], {some_labels(): 1}) == (("anthropic", 1, None),)


def test_used_today_begins_at_midnight_where_the_limit_lives():
    history = Histories(()).of("day")
    for hours, amount in ((0, 1), (8, 10), (9, 100)):
        history.add_usage(MONDAY - hours * HOUR, 0, amount)
    assert measure.used_today(history, "UTC", MONDAY + HOUR) == 111
    assert measure.used_today(history, "America/New_York", MONDAY + HOUR) == 1, "there it is five in the morning"
    assert FIVE_HOURS.length == timedelta(hours=5)
