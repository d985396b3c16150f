"""Limits: whom they bind, under which instance, and what they hold back for people."""

from datetime import timedelta
from time import process_time

import pytest

from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import AtLimit, Holdback, Mode
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from tests.builders import (
    DAY,
    HOUR,
    MONDAY,
    a_concurrency_limit,
    a_limit,
    a_run_cap,
    a_session_limit,
    a_window,
    some_labels,
)

GROWTH = match_of({"team": "growth"})


@pytest.mark.parametrize(
    ("limit", "labels", "selected"),
    [
        pytest.param(a_limit(), some_labels(), True, id="a limit without a scope binds everything"),
        pytest.param(a_limit(match=GROWTH), some_labels(team="growth"), True, id="its scope"),
        pytest.param(a_limit(match=GROWTH), some_labels(team="ops"), False, id="not what lies outside"),
        pytest.param(a_limit(mode=Mode.WARN), some_labels(), True, id="mode warn counts all the same"),
        pytest.param(a_limit(mode=Mode.OFF), some_labels(), False, id="mode off binds nothing"),
    ],
)
def test_selects(limit, labels, selected):
    assert limit.selects(labels) is selected


PER_TEAM = a_limit(id="team-daily", per="team", max_instances=2)


@pytest.mark.parametrize(
    ("limit", "labels", "known", "instance"),
    [
        pytest.param(a_limit(), some_labels(team="growth"), (), "day", id="a limit without per is its own instance"),
        pytest.param(PER_TEAM, some_labels(team="growth"), (), "team-daily/growth", id="one for each value"),
        pytest.param(PER_TEAM, some_labels(), (), "team-daily/none", id="what gives no value has one of its own"),
        pytest.param(PER_TEAM, some_labels(team="c"), ("a", "b"), "team-daily/other", id="past the cap they share one"),
        pytest.param(PER_TEAM, some_labels(team="b"), ("a", "b"), "team-daily/b", id="who has one keeps it"),
        pytest.param(
            a_limit(id="team", per="team", values=("a", "b")), some_labels(team="c"), (), "team/other",
            id="a closed set sends the rest to other",
        ),
        pytest.param(
            a_limit(id="team", per="team", values=("a", "b")), some_labels(team="b"), (), "team/b",
            id="a value of the closed set has its own",
        ),
        pytest.param(a_run_cap(), some_labels(), (), "run-cap", id="a cap for each run keeps no instances"),
    ],
)  # fmt: skip
def test_instances(limit, labels, known, instance):
    assert limit.instance_id(limit.value_of(labels, known)) == instance


def test_an_override_rules_its_value_alone():
    limit = a_limit(10, per="team", overrides=(("sales", 25),))
    assert {value: limit.amount_of(value) for value in ("sales", "growth", "other")} == {
        "sales": 25,
        "growth": 10,
        "other": 10,
    }


def test_what_usage_takes_out_of_a_limit_follows_its_unit_and_weights():
    usage = Usage(input=10, cache_read=90, requests=2, cost_microusd=5)
    limits = (
        a_limit(),
        a_limit(weights=(1000, 0, 1000, 1000, 1000)),
        a_limit(unit=Unit.USD),
        a_limit(unit=Unit.REQUESTS),
        a_concurrency_limit(),
    )
    assert [limit.charge(usage) for limit in limits] == [100, 10, 5, 2, 0]


TENTH, TWENTY = Holdback(per_mille=100), Holdback(amount=20)
NEW, SEASONED = timedelta(days=6, hours=23), timedelta(days=7)
WINDOW = a_window(MONDAY, 10 * HOUR)


@pytest.mark.parametrize(
    ("holdback", "history", "hours_left", "held_back"),
    [
        pytest.param(TENTH, SEASONED, 10, 100, id="a share of the amount"),
        pytest.param(TWENTY, SEASONED, 10, 20, id="an amount"),
        pytest.param(Holdback(amount=5_000), SEASONED, 10, 1_000, id="never more than there is"),
        pytest.param(TENTH, SEASONED, 1, 100, id="whole until the last tenth begins"),
        pytest.param(TENTH, SEASONED, 0.5, 50, id="half in the middle of the last tenth"),
        pytest.param(TENTH, SEASONED, 0.25, 25, id="then a quarter"),
        pytest.param(TENTH, SEASONED, 0, 0, id="nothing at the reset"),
        pytest.param(TENTH, SEASONED, -1, 0, id="nor after it"),
        pytest.param(None, NEW, 10, 100, id="by default a tenth while there is little history"),
        pytest.param(None, NEW, 0.5, 50, id="which fades too"),
        pytest.param(None, SEASONED, 10, 0, id="by default nothing from seven days on"),
        pytest.param(Holdback(), SEASONED, 10, 0, id="nothing by decree"),
    ],
)
def test_holdback(holdback, history, hours_left, held_back):
    limit, now = a_limit(1_000, holdback=holdback), WINDOW.ends_at - hours_left * HOUR
    assert limit.held_back(1_000, history=history, window=WINDOW, now=now) == held_back


@pytest.mark.parametrize("limit", [a_concurrency_limit(10, holdback=TENTH), a_run_cap(10, holdback=TENTH)])
def test_concurrency_and_run_caps_hold_nothing_back(limit):
    assert limit.held_back(10, history=NEW, window=WINDOW, now=MONDAY) == 0


@pytest.mark.parametrize(
    ("limit", "per_run", "windowed"),
    [
        (a_limit(), False, True),
        (a_session_limit(), False, True),
        (a_run_cap(), True, False),
        (a_concurrency_limit(), False, False),
    ],
    ids=["calendar", "session", "run", "leases"],
)
def test_which_limits_have_windows(limit, per_run, windowed):
    assert (limit.is_per_run, limit.is_windowed) == (per_run, windowed)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"amount": 7, "holdback": TENTH, "mode": Mode.WARN}, True, id="amounts and modes change in place"),
        pytest.param({"unit": Unit.USD}, False, id="another unit counts something else"),
        pytest.param({"match": GROWTH}, False, id="so does another scope"),
        pytest.param({"per": "team"}, False, id="and another split"),
        pytest.param({"weights": (1, 1, 1, 1, 1)}, False, id="and other weights"),
        pytest.param({"schedule": a_session_limit().schedule}, False, id="another schedule resets elsewhere"),
    ],
)
def test_what_ends_a_running_window(changes, same):
    assert (a_limit(**changes).shape() == a_limit().shape()) is same


def test_a_day_has_the_same_holdback_at_any_hour_before_its_last_tenth():
    limit, window = a_limit(holdback=TENTH), a_window(MONDAY, DAY)
    hours = [limit.held_back(100, history=NEW, window=window, now=MONDAY + hour * HOUR) for hour in range(22)]
    assert hours == [10] * 22


def test_R6_thousands_of_overrides_are_not_gone_through_for_each_amount():
    names = [f"team-{number}" for number in range(3_000)]
    limit = a_limit(id="team", per="team", overrides=tuple((name, number) for number, name in enumerate(names)))
    begun = process_time()
    assert [limit.amount_of(name) for name in names] == list(range(3_000))
    assert process_time() - begun < 3  # a millisecond; one by one they are nine million names


@pytest.mark.parametrize(
    ("warn_at", "value", "share"),
    [
        pytest.param((), "sales", None, id="the tracker's own"),
        pytest.param((("", 800),), "sales", 0.8, id="one for all"),
        pytest.param((("", 800), ("sales", 900)), "sales", 0.9, id="a team's own"),
        pytest.param((("", 800), ("sales", 900)), "growth", 0.8, id="the others"),
        pytest.param((("sales", 900),), "growth", None, id="the others have none"),
    ],
)
def test_from_which_share_a_team_is_warned(warn_at, value, share):
    limit = a_limit(100, per="team", warn_at=warn_at, at_limit=tuple((name, AtLimit.BLOCK) for name, _ in warn_at))
    assert (limit.warn_at_of(value), limit.at_limit_of(value)) == (share, AtLimit.BLOCK if share else None)
