"""Databases of older schemas, written by the program of their time, brought up to date; killed on the way, too.

The dumps are made by scripts/old_databases.py. Nothing has been released yet: states whose steps or rows were others on
the way to the first release (tickets before 0005, 0014 and 0015 before they were whole) are nobody's; they are refused.
"""

import gzip
import multiprocessing
import os
import re
import signal
import sqlite3
from pathlib import Path

import peewee
import psycopg
import pytest
from playhouse.migrations import Runner
from psycopg import sql

from quota_scheduler.config import load
from quota_scheduler.core.instants import from_micros
from quota_scheduler.errors import NotOurDatabase
from quota_scheduler.service.operate.limits import redefine
from quota_scheduler.service.upkeep.verify import verify
from quota_scheduler.store import Store, dialect, postgres_schema
from quota_scheduler.store.steps import MIGRATIONS
from tests.fakes import FixedClock
from tests.on_postgres import in_order

ALL = sorted((Path(__file__).parents[1] / "data/schemas").glob("*.sql.gz"))
OTHERWISE = {
    "03-0003_alerts": "schema 0003_alerts",
    "04-0004_overrides": "schema 0004_overrides",
    **dict.fromkeys(
        ("17-0021_bills", "18-0021_bills", "19-0021_bills", "20-0021_bills"), "there is no door_hours.account"
    ),
}
"""States from before the first release, and what is said of each."""
DUMPS = [dump for dump in ALL if dump.name.removesuffix(".sql.gz") not in OTHERWISE]
LIMITS = re.search(r'LIMITS = """(.*?)"""', (Path(__file__).parents[2] / "scripts/old_databases.py").read_text(), re.S)


@pytest.fixture
def limits(tmp_path):
    (tmp_path / "quota.yaml").write_text(LIMITS[1])
    return load(tmp_path / "quota.yaml", {"HOME": str(tmp_path)}, {}).limits


def written(dump, path):
    """The database of a dump."""
    with sqlite3.connect(path) as database:
        database.executescript(gzip.decompress(dump.read_bytes()).decode())
        database.execute("PRAGMA journal_mode = wal")
    database.close()
    return path


def answers(path):
    """What an upgrade must not change: usage by labels and run, windows, tickets, leases, and the numbers to come."""
    with sqlite3.connect(path) as database:
        found = [database.execute(query).fetchall() for query in ANSWERS]
    database.close()
    return found


ANSWERS = (
    "SELECT team, model, count(*), sum(input), sum(cache_read), sum(output), sum(cost) FROM events "
    "JOIN label_sets l ON l.id = label_set GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT run, input, output, cost FROM runs ORDER BY run",
    "SELECT rule, value, starts_at, used, reported, reserved FROM windows WHERE closed = 0 ORDER BY 1, 2",
    "SELECT key, state, fence FROM tickets ORDER BY id",
    "SELECT fence, expires_at, ended_at FROM leases ORDER BY fence",
    "SELECT name, next FROM sequences ORDER BY name",
)


def served(dump, dsn, tmp_path):
    """The database of a dump, had its service run on a server: the steps of its time, and its rows."""
    path = written(dump, tmp_path / "of_then.db")
    steps = tmp_path / "steps"
    steps.mkdir()
    with sqlite3.connect(path) as file, psycopg.connect(dsn) as server:
        for (step,) in file.execute("SELECT name FROM schema_migration"):
            (steps / f"{step}.py").write_bytes((MIGRATIONS / f"{step}.py").read_bytes())
        database = postgres_schema.Migrating(dsn, prefer_psycopg3=True)
        with database.connection_context():
            for statement in dialect.MIN_MAX.strip().split(";\n"):
                database.execute_sql(statement)
            Runner(database, str(steps)).up()
        tables = in_order(server)
        for table in reversed(tables):
            server.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for table in tables:
            rows = file.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in rows.description]
            columns, places = sql.SQL(", ").join(map(sql.Identifier, names)), ", ".join(["%s"] * len(names))
            insert = sql.SQL(f"INSERT INTO {{}} ({{}}) VALUES ({places})").format(sql.Identifier(table), columns)
            server.cursor().executemany(insert, rows.fetchall())
    return path


def answers_of(dsn):
    """The same of a server."""
    with psycopg.connect(dsn) as server:
        return [server.execute(query).fetchall() for query in ANSWERS]


def clock_of(path):
    """A clock that stands shortly after the newest write."""
    with sqlite3.connect(path) as database:
        (newest,) = database.execute("SELECT max(recorded_at) FROM events").fetchone()
    database.close()
    return FixedClock(from_micros(newest))


@pytest.mark.sqlite_only
@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.name.removesuffix(".sql.gz"))
def test_a_database_of_an_older_schema_goes_on_as_it_was(dump, tmp_path, limits):
    path = written(dump, tmp_path / "quota.db")
    before, clock = answers(path), clock_of(path)
    assert [len(rows) for rows in before] == [3, 5, 2, 3, 2, 2], before
    with Store(path, clock=clock) as store:
        assert answers(path) == before
        with store.transaction() as tx:
            redefine(tx, limits)
        with store.transaction() as tx:
            assert [found for found in verify(tx, limits) if found.wrong] == []
            used = tx.rows("SELECT rule, sum(used) FROM windows WHERE closed = 0 GROUP BY rule ORDER BY rule")
        windows = before[2]
        assert used == [(rule, used) for rule, _, _, used, _, _ in windows]


def test_there_is_a_dump_for_each_schema_that_a_service_had():
    newest = len(list((Path(__file__).parents[2] / "quota_scheduler/store/migrations").glob("0*.py")))
    assert (len(DUMPS), len(ALL)) == (17, 23)
    assert int(ALL[0].name[:2]) == 3, "the first program that served had three steps"
    assert newest - 1 <= int(DUMPS[-1].name[:2]) <= newest, "make the next one with scripts/old_databases.py"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("dump", "why"), OTHERWISE.items(), ids=OTHERWISE)
def test_a_state_that_was_written_otherwise_before_the_first_release_is_left_alone(dump, why, tmp_path):
    path = written(next(file for file in ALL if file.name.startswith(dump)), tmp_path / "quota.db")
    before = dump_of(path)
    with pytest.raises(NotOurDatabase, match=rf"before the first release, .*\({why}\): name another file with --data"):
        Store(path)
    assert dump_of(path) == before


def dump_of(path):
    """Everything that a file holds."""
    with sqlite3.connect(path) as database:
        lines = [*database.iterdump()]
    database.close()
    return lines


def killed_at(statement, address):
    """Open a database in a process that is killed before the nth statement; returns whether it was."""

    def run():
        kind = peewee.PostgresqlDatabase if isinstance(address, str) else peewee.SqliteDatabase
        left, real = [statement], kind.execute_sql

        def execute(self, sql, params=None, *args):
            if self.database == ":memory:":  # where the steps are made that are compared
                return real(self, sql, params, *args)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(self, sql, params, *args)

        kind.execute_sql = execute
        Store(address).close()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.sqlite_only
def test_an_upgrade_killed_at_any_statement_goes_on_at_the_next_start(tmp_path, limits):
    statement, killed = 3, 0
    while True:
        path = written(DUMPS[0], tmp_path / f"quota-{statement}.db")
        before = answers(path)
        if not killed_at(statement, path):
            break
        killed, statement = killed + 1, statement + 11
        with Store(path, clock=clock_of(path)) as store, store.transaction() as tx:
            redefine(tx, limits)
            assert tx.scalar("PRAGMA integrity_check") == "ok"
            assert [found for found in verify(tx, limits) if found.wrong] == []
        assert answers(path)[0] == before[0]
    assert killed >= 8


@pytest.mark.sqlite_only
def test_a_newer_schema_is_one_sentence_and_is_left_alone(tmp_path):
    path = written(DUMPS[-1], tmp_path / "quota.db")
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
    database.close()
    before = answers(path)
    with pytest.raises(
        NotOurDatabase, match=r"was written by a newer version \(schema 9999_later\): update this program"
    ):
        Store(path)
    assert answers(path) == before


@pytest.mark.parametrize("dump", [DUMPS[0], DUMPS[-1]], ids=["the oldest", "the newest"])
def test_a_database_of_an_older_schema_on_a_server_goes_on_as_it_was(dump, postgres_dsn, tmp_path, limits):
    path = served(dump, postgres_dsn, tmp_path)
    before = answers_of(postgres_dsn)
    assert before == answers(path)
    with Store(postgres_dsn, clock=clock_of(path)) as store:
        assert answers_of(postgres_dsn) == before
        with store.transaction() as tx:
            redefine(tx, limits)
        with store.reading() as tx:
            assert [found for found in verify(tx, limits) if found.wrong] == []


def test_an_upgrade_of_a_server_killed_at_any_statement_has_done_nothing(postgres_dsn, tmp_path):
    path = served(DUMPS[0], postgres_dsn, tmp_path)
    statement, killed = 3, 0
    while killed_at(statement, postgres_dsn):
        with psycopg.connect(postgres_dsn) as server:
            assert server.execute("SELECT max(name) FROM schema_migration").fetchone() == ("0005_forecasts",)
        assert answers_of(postgres_dsn) == answers(path)
        killed, statement = killed + 1, statement + 40
    assert killed >= 4


def test_a_newer_schema_on_a_server_is_one_sentence_and_is_left_alone(postgres_dsn):
    Store(postgres_dsn).close()
    with psycopg.connect(postgres_dsn) as server:
        server.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
    with pytest.raises(
        NotOurDatabase, match=r"was written by a newer version \(schema 9999_later\): update this program"
    ):
        Store(postgres_dsn)
