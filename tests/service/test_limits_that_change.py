"""B5: after a change of the file everything that is shown is there before anybody asks."""

import pytest

from quota_scheduler.alert_rules import load_rules
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage
from quota_scheduler.service.operate.limits import apply_limits
from quota_scheduler.store import alerts as alert_store
from tests.builders import DAY, HOUR, MINUTE, MONDAY, MONTHLY, a_limit, a_session_limit, a_usage_event
from tests.service.tick.ticking import House


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        pytest.param([a_limit(), a_limit(id="b")], {"day": 60, "b": 60}, id="B5: a new limit"),
        pytest.param([a_limit(schedule=MONTHLY)], {"day": 130}, id="B5: another window"),
        pytest.param([a_limit(match=match_of({"team": "growth"}))], {"day": 20}, id="B5: another match"),
        pytest.param([a_limit(unit=Unit.USD)], {"day": 600}, id="B5: another unit"),
        pytest.param(
            [a_limit(id="team", per="team")], {"team/growth": 20, "team/none": 40}, id="B5: instances of a label"
        ),
        pytest.param([a_session_limit()], {"session": 40}, id="B5: a session"),
        pytest.param(
            [a_limit(id="pool"), a_limit(id="team", per="team", parent="pool")],
            {"pool": 60, "team/growth": 20, "team/none": 40},
            id="B5: a pool and its members",
        ),
    ],
)
def test_B5_changed_limits_show_what_was_used(world, limits, shown):
    here = world(a_limit())
    for key, tokens, at, team in (
        ("old", 70, MONDAY - 2 * DAY, ""),
        ("early", 20, MONDAY - 8 * HOUR, "growth"),
        ("late", 40, MONDAY - HOUR, ""),
    ):
        usage = Usage(output=tokens, requests=1, cost_microusd=tokens * 10)
        here.record(a_usage_event(key=key, at=at, usage=usage, team=team))
    here.change(*limits)
    assert {name: used for name, (used, _, _) in here.windows().items()} == shown


def test_M16_a_limit_that_is_gone_was_not_redefined(world, caplog):
    caplog.set_level("INFO")
    here = world(a_limit(), a_limit(id="gone", match=match_of({"team": "growth"})))
    here.record(a_usage_event(5, team="growth"))
    with here.store.transaction() as tx:
        apply_limits(tx, (a_limit(schedule=MONTHLY),))
    told = sorted((record.levelname, record.getMessage()) for record in caplog.records if "limit." in record.msg)
    assert told == [("INFO", "limit.removed limit=gone"), ("WARNING", "limit.redefined limit=day")]


def test_B5_a_week_that_begins_on_another_day(world):
    here = world(a_limit(schedule=Calendar(Every.WEEK, day=0)))
    here.record(a_usage_event(70, at=MONDAY - 2 * DAY), a_usage_event(5, key="e2"))
    assert here.windows() == {"day": (5, 0, 0)}
    here.change(a_limit(schedule=Calendar(Every.WEEK, day=3)))
    assert here.windows() == {"day": (75, 0, 0)}


def test_B5_a_start_shows_what_a_restored_database_knows(world):
    """Windows that were not stored, as in a database of an earlier build, are opened at the start."""
    here = world(a_limit(), a_limit(id="team", per="team"))
    here.record(a_usage_event(10, team="growth"))
    with here.store.transaction() as tx:
        tx.execute("DELETE FROM windows")
        apply_limits(tx, here.limits, starting=True)
    assert here.windows() == {"day": (10, 0, 0), "team/growth": (10, 0, 0)}


OLD, NEW = a_limit(1_000, id="a"), a_limit(1_000, id="b")


def test_B5_a_renamed_limit_keeps_its_windows_and_what_runs_in_them(world):
    here = world(OLD)
    here.record(a_usage_event(100))
    held = here.submit(30)
    here.change(NEW)
    assert here.windows() == {"b": (100, 0, 30)}
    here.release(held, 20)
    assert here.windows() == {"b": (120, 0, 0)}


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        pytest.param(OLD, NEW, True, id="the same under another name"),
        pytest.param(OLD, a_limit(2_000, id="b"), True, id="with another amount, too"),
        pytest.param(OLD, a_limit(1_000, id="b", schedule=MONTHLY), False, id="another window is another limit"),
    ],
)
def test_B5_the_level_of_a_renamed_limit_goes_on(tmp_path, old: Limit, new: Limit, *, kept: bool) -> None:
    with House(tmp_path / "quota.db", [old]) as house:
        house.use(1_000)
        before = house.limit(house.tick(), "a")
        house.clock.advance(MINUTE)
        house.restart([new])
        with house.store.reading() as tx:
            names = [row[0] for row in tx.rows("SELECT name FROM readings")]
        after = house.limit(house.tick(), "b")
        assert names == (["b"] if kept else ["a"])
        if new.amount == old.amount and kept:
            assert (after.level, after.level_since) == (before.level, before.level_since)


def test_B5_the_alert_of_a_renamed_limit_goes_on(tmp_path) -> None:
    rule = _full()
    with House(tmp_path / "quota.db", [OLD]) as house:
        house.recompute.rules = (rule,)
        house.tick()
        house.use(1_000)
        house.tick(MINUTE)
        house.tick(MINUTE)
        with house.store.reading() as tx:
            (firing,) = alert_store.load_states(tx)
        house.restart([NEW])
        house.recompute.rules = (rule,)
        for _ in range(5):
            house.tick(MINUTE)
        with house.store.reading() as tx:
            (after,) = alert_store.load_states(tx)
        assert (firing.scope, firing.phase, after.scope, after.phase) == ("a", "firing", "b", "firing")
        assert (after.fired_at, after.resolved_at) == (firing.fired_at, None)


def _full() -> AlertRule:
    return next(rule for rule in load_rules({}, receivers=[]) if rule.reading == "usage_ratio")


def test_B5_two_limits_that_swap_names_are_not_one_renamed(world):
    here = world(a_limit(100, id="a"), a_limit(200, id="b"))
    here.record(a_usage_event(10))
    here.change(a_limit(200, id="c"), a_limit(100, id="d"))
    with here.store.transaction() as tx:
        rows = tx.rows("SELECT rule, amount FROM windows WHERE closed = 0 ORDER BY rule")
    assert rows == [("c", 200), ("d", 100)]


def test_the_log_tells_a_limit_that_was_redefined_from_one_that_was_removed(world, caplog):
    here = world(a_limit(), a_session_limit())
    caplog.set_level("INFO")
    with here.store.transaction() as tx:
        apply_limits(tx, [a_limit(schedule=MONTHLY)])
    assert caplog.messages == ["limit.redefined limit=day", "limit.removed limit=session"]
