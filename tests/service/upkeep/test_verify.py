"""``doctor --verify``: each kept sum, spoilt once, is named with by how much; a sound database is left in peace."""

from contextlib import suppress

import pytest

from quota_scheduler.core.usage import Extent
from quota_scheduler.service.upkeep import verify as upkeep
from quota_scheduler.store import pruned
from tests.builders import DAY, HOUR, MONDAY, a_limit, a_session_limit, a_usage_event
from tests.service.world import World


def a_day(folder):
    """A day with usage of an agent, a backfill, a record of part of a call, and a running lease that has reported."""
    made = World(folder, a_limit(1_000), a_session_limit(1_000))
    made.record(
        a_usage_event(10, run="run-1", agent="codex"),
        a_usage_event(7, key="late", at=MONDAY - 3 * HOUR, run="run-1"),
        a_usage_event(5, key="part", extent=Extent.PARTIAL, origin="otlp/x/metrics"),
    )
    made.renew(made.submit(30), 5)
    made.release(made.submit(20))
    return made


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    made = a_day(tmp_path_factory.mktemp("sound"))
    yield made
    made.store.close()


def wrong(here, damage=""):
    with here.store.transaction() as tx:
        if damage:
            tx.execute(damage)
        return {found.check: found.detail for found in upkeep.verify(tx, here.limits) if found.wrong}


def test_a_sound_database_has_nothing_wrong(here):
    assert wrong(here) == {}


def test_a_sound_database_is_described(here):
    with here.store.reading() as tx:
        details = {found.check: found.detail for found in upkeep.verify(tx, here.limits)[-13:]}
    assert details == {
        "every page and index": "ok",
        "rows that belong together": "none points at nothing",
        "rollups by hour": "2 compared",
        "sums by day": "1 compared",
        "totals by labels": "1 compared",
        "usage that came late": "a part of the totals",
        "runs": "1 compared",
        "runs by hour": "1 compared",
        "records that are no whole call": "as events tell",
        "closed windows": "nothing is left in any",
        "who holds reservations": "work that runs or is offered, and nobody else",
        "numbers to come": "above all that are in use",
        "kept histories": "none yet: the next start reads every hour",
    }


@pytest.mark.parametrize(
    ("damage", "check", "detail"),
    [
        pytest.param(
            "UPDATE rollups SET output = output + 3 WHERE hour = (SELECT max(hour) FROM rollups)", "rollups by hour",
            "2026-11-23T09:00:00Z ", id="a rollup",
        ),
        pytest.param("DELETE FROM rollups", "rollups by hour", "2026-11-23T06:00:00Z ", id="all rollups"),
        pytest.param(
            "UPDATE rollups SET hour = hour + 1 WHERE hour = (SELECT max(hour) FROM rollups)", "rollups by hour",
            "2026-11-23T10:00:00Z ", id="a rollup in the wrong hour",
        ),
        pytest.param(
            "UPDATE rollup_days SET input = input + 4", "sums by day",
            "2026-11-23T00:00:00Z anthropic/", id="a day",
        ),
        pytest.param("DELETE FROM rollup_days", "sums by day", "(kept 0)", id="all days"),
        pytest.param(
            "UPDATE run_hours SET runs = 3", "runs by hour", ": 3 runs kept and 1 there", id="how many runs",
        ),
        pytest.param(
            "UPDATE run_hours SET output = output + 7", "runs by hour", "output +7", id="what runs of an hour used",
        ),
        pytest.param(
            "UPDATE label_totals SET cost = cost + 1", "totals by labels", "cost_microusd +1 (kept 1)", id="a total",
        ),
        pytest.param(
            "UPDATE backfilled SET input = input + 90", "usage that came late", "75 tokens more", id="backfills",
        ),
        pytest.param(
            "UPDATE runs SET requests = 0 WHERE run = 'run-1'", "runs", "run-1: requests -2 (kept 0)", id="a run",
        ),
        pytest.param("DELETE FROM runs WHERE run = 'run-1'", "runs", "run-1: ", id="a run that is gone"),
        pytest.param(
            "UPDATE rollups_apart SET answers = 9", "records that are no whole call",
            "9 answers kept and 1 there", id="what is no whole call",
        ),
        pytest.param(
            "UPDATE windows SET used = used - 1 WHERE rule = 'day'", "window day from 2026-11-23T00:00:00Z",
            "counted 21 tokens, the ledger adds up to 22 tokens", id="a window",
        ),
        pytest.param(
            "UPDATE windows SET reserved = 0 WHERE rule = 'day'", "reservations", "do not add up in day",
            id="what is reserved",
        ),
        pytest.param(
            "UPDATE reservations SET open = 0; UPDATE windows SET closed = 1 WHERE rule = 'day'", "closed windows",
            "day is closed with 25 reserved and 5 reported", id="a window that was closed with what it holds",
        ),
        pytest.param(
            "UPDATE tickets SET state = 'closed' WHERE state = 'running'", "who holds reservations",
            "ticket 1 (closed) holds 2", id="a leak",
        ),
        pytest.param(
            "UPDATE sequences SET next = 1 WHERE name = 'fence'", "numbers to come",
            "the next fence is 1, and 2 is in use", id="a fence that would come again",
        ),
        pytest.param(
            "PRAGMA defer_foreign_keys = 1; UPDATE tickets SET id = 99 WHERE id = 2", "rows that belong together",
            "leases at tickets", id="a lease without its ticket", marks=pytest.mark.sqlite_only,  # a server has none
        ),
    ],
)  # fmt: skip
def test_what_is_spoilt_is_named(here, damage, check, detail):
    with suppress(Undo), here.store.transaction() as tx:
        for statement in damage.split(";"):
            tx.execute(statement)
        found = {one.check: one.detail for one in upkeep.verify(tx, here.limits) if one.wrong}
        raise Undo
    assert detail in found.get(check, ""), found


class Undo(Exception):
    """Takes a damage back that the database would not commit."""


@pytest.mark.parametrize(
    "keys", [pytest.param(400 * DAY, id="keys are kept"), pytest.param(-DAY, id="their keys are forgotten, too")]
)
def test_what_was_pruned_is_not_missed_and_what_came_since_is_compared(tmp_path, keys):
    here = a_day(tmp_path)
    here.clock.advance(36 * DAY)
    here.cycle()
    with here.store.transaction() as tx:
        assert pruned.prune(tx, recorded_before=tx.now - 35 * DAY, keys_before=tx.now - keys)
    here.clock.advance(HOUR)
    here.record(a_usage_event(3, key="since", at=here.clock.at, run="run-2"))
    assert wrong(here) == {}
    with here.store.transaction() as tx:
        (said,) = [found.detail for found in upkeep.verify(tx, here.limits) if found.check == "rollups by hour"]
    assert said.endswith("has no rows any more and cannot be checked")
    found = wrong(here, "UPDATE rollups SET output = output + 1 WHERE hour = (SELECT max(hour) FROM rollups)")
    assert list(found) == ["totals", "rollups by hour", "sums by day", "totals by labels"]
