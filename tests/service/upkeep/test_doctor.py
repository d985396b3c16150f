"""The doctor: silent about a sound database, and clear about one that is not."""

import sqlite3

import pytest

from quota_scheduler.core.labels import match_of
from quota_scheduler.service.upkeep.doctor import examine
from quota_scheduler.store import pruned
from tests.builders import DAY, a_limit, a_session_limit, a_usage_event
from tests.service.world import World


@pytest.fixture
def here(tmp_path):
    """A day with usage, a session, and a running lease that has reported."""
    made = World(tmp_path, a_limit(), a_session_limit(), a_limit(id="idle", match=match_of({"team": "nobody"})))
    made.record(a_usage_event(10))
    made.renew(made.submit(30), 5)
    yield made
    made.store.close()


def findings(here):
    with here.store.transaction() as tx:
        return examine(tx, here.limits)


def test_a_sound_database_is_described(here):
    assert [(found.check, found.wrong, found.detail) for found in findings(here)[:-1]] == [
        ("database", False, "ok"),
        ("window day from 2026-11-23T00:00:00Z", False, "counted 10 tokens, the ledger adds up to 10 tokens"),
        ("window session from 2026-11-23T09:00:00Z", False, "counted 10 tokens, the ledger adds up to 10 tokens"),
        ("reservations", False, "2 open, all add up"),
        ("rollups", False, "10 tokens rolled up, 10 in events"),
        ("totals", False, "10 tokens in totals, 10 in rollups"),
        ("limits in use", False, "no event of the last 7 days has bound idle"),
        ("spellings", False, "every limit has taken what it names"),
        ("letter case", False, "no two values differ in case alone"),
        ("usage without a team", False, "none that counts in no limit per team"),
        ("comments at issues", False, "none is held up"),
    ]


@pytest.mark.sqlite_only
def test_it_names_the_sqlite_it_runs_on(here):
    found = findings(here)[-1]
    assert (found.check, found.wrong, found.detail.split(" ")[0]) == ("SQLite", False, sqlite3.sqlite_version)


@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        pytest.param(
            "UPDATE windows SET used = used + 1 WHERE rule = 'day'",
            [("window day from 2026-11-23T00:00:00Z", "counted 11 tokens, the ledger adds up to 10 tokens")],
            id="a counter that is off by one",
        ),
        pytest.param(
            "UPDATE windows SET reserved = reserved + 1 WHERE rule = 'session'",
            [("reservations", "do not add up in session")],
            id="room that nobody holds",
        ),
        pytest.param(
            "UPDATE windows SET reported = 0 WHERE rule = 'day'",
            [("reservations", "do not add up in day")],
            id="a report that is lost",
        ),
        pytest.param(
            "UPDATE reservations SET open = 0", [("reservations", "do not add up in day, session")], id="a leak"
        ),
        pytest.param(
            "DELETE FROM events",
            [
                ("window day from 2026-11-23T00:00:00Z", "counted 10 tokens, the ledger adds up to 0 tokens"),
                ("window session from 2026-11-23T09:00:00Z", "counted 10 tokens, the ledger adds up to 0 tokens"),
            ],
            id="events that are gone without their keys",
        ),
        pytest.param(
            "UPDATE rollups SET output = output + 1",
            [
                ("rollups", "11 tokens rolled up, 10 in events"),
                ("totals", "10 tokens in totals, 11 in rollups"),
            ],
            id="a rollup that says more than the ledger",
        ),
        pytest.param(
            "UPDATE label_totals SET output = output - 1",
            [("totals", "9 tokens in totals, 10 in rollups")],
            id="a total",
        ),
    ],
)
def test_what_is_wrong_is_named(here, damage, wrong):
    with here.store.transaction() as tx:
        tx.execute(damage)
    assert [(found.check, found.detail) for found in findings(here) if found.wrong] == wrong


def test_what_was_pruned_is_not_missed(here):
    here.clock.advance(36 * DAY)
    here.cycle()
    with here.store.transaction() as tx:
        pruned.prune(tx, recorded_before=tx.now - 35 * DAY, keys_before=tx.now - 400 * DAY)
    assert [found for found in findings(here) if found.wrong] == []
