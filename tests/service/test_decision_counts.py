"""Counts of decisions last: over kills, over the pruning of tickets, and until thirteen months have passed."""

from datetime import timedelta

import pytest

from quota_scheduler.core.priority import Priority
from quota_scheduler.service.queries.decisions import decisions_document
from quota_scheduler.service.upkeep import learn
from quota_scheduler.store.decision_counts import KEPT
from tests.builders import DAY, HOUR, MIDNIGHT, MINUTE, a_limit, a_usage_event

NORMAL, LOW = Priority.NORMAL, Priority.LOW


def counted(here, *by, days=7, zone="UTC"):
    with here.store.reading() as tx:
        return decisions_document(tx, days, by, zone=zone)


def a_day_of_decisions(here):
    """One starts, two wait for the reset, one never fits; after the reset both start."""
    here.record(a_usage_event(80))
    here.submit(10, key="fits", ttl=2 * DAY)
    here.submit(40, key="waits", priority=NORMAL, ttl=2 * DAY)
    here.submit(40, key="low", priority=LOW, ttl=2 * DAY)
    here.submit(500, key="never")
    here.until(MIDNIGHT + HOUR)


TOTALS = {"admitted": 3, "deferred": 2, "throttled": 2, "woken": 2, "rejected": 1}


def test_what_was_decided_by_day_limit_and_class(world):
    here = world(a_limit())
    a_day_of_decisions(here)
    document = counted(here, "day", "limit", "class")
    nothing = dict.fromkeys(TOTALS, 0)
    assert document["totals"] == TOTALS
    assert document["decisions"] == [
        {"day": "2026-11-23", "limit": "day", "class": "low", **nothing, "deferred": 1, "throttled": 1},
        {"day": "2026-11-23", "limit": "day", "class": "normal", **nothing, "admitted": 1, "deferred": 1,
         "throttled": 1, "rejected": 1},
        {"day": "2026-11-24", "limit": "day", "class": "low", **nothing, "admitted": 1, "woken": 1},
        {"day": "2026-11-24", "limit": "day", "class": "normal", **nothing, "admitted": 1, "woken": 1},
    ]  # fmt: skip


def test_a_kill_and_the_pruning_of_tickets_lose_none(world):
    here = world(a_limit())
    a_day_of_decisions(here)
    here.kill()
    here.clock.advance(3 * DAY)
    with here.store.transaction() as tx:
        learn.prune(tx, raw=DAY, keys=DAY)
    assert counted(here)["totals"] == TOTALS
    assert here.counter("quota_tickets_throttled_total") == {("day", "normal"): 1, ("day", "low"): 1}
    assert here.counter("quota_tickets_rejected_total") == {("day", "normal"): 1}


@pytest.mark.parametrize(
    ("later", "left"),
    [
        pytest.param(KEPT - 2 * DAY, TOTALS, id="a year and a month later all is there"),
        pytest.param(KEPT + 2 * DAY, dict.fromkeys(TOTALS, 0), id="then it goes"),
    ],
)
def test_counts_are_kept_for_400_days(world, later, left):
    here = world(a_limit())
    a_day_of_decisions(here)
    here.clock.advance(later - timedelta(hours=16))
    with here.store.transaction() as tx:
        learn.prune(tx, raw=DAY, keys=DAY)
    assert counted(here, days=400)["totals"] == left
    assert here.counter("quota_tickets_deferred_total") == {("day", "normal"): 1, ("day", "low"): 1}


def test_what_an_operator_holds_is_deferred_and_not_throttled(world):
    here = world(a_limit(), hold=True)
    here.submit(10, key="held")
    assert counted(here)["totals"] == dict.fromkeys(TOTALS, 0) | {"deferred": 1}
    assert [(row["reason"], row["deferred"]) for row in counted(here, "reason")["decisions"]] == [("held", 1)]


def test_days_are_those_of_the_zone(world):
    here = world(a_limit())
    here.clock.advance(MIDNIGHT - here.clock() - MINUTE)
    here.submit(10, key="late")
    assert [row["day"] for row in counted(here, "day", zone="Europe/Berlin")["decisions"]] == ["2026-11-24"]
    assert [row["day"] for row in counted(here, "day", zone="UTC")["decisions"]] == ["2026-11-23"]
