"""A SQLite file moves to a real server: all of it, or nothing."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from quota_scheduler.addresses import without_password
from quota_scheduler.cli import quota_scheduler_command
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.usage import Usage
from quota_scheduler.errors import StoreError
from quota_scheduler.service.queries.queue import queue_document
from quota_scheduler.service.queries.usage import usage_document
from quota_scheduler.service.queries.windows import windows_document
from quota_scheduler.store import Store, read_only
from quota_scheduler.store.moving import Since, move, tables_of
from tests.builders import MINUTE, MONDAY, a_limit, a_usage_event
from tests.fakes import FixedClock
from tests.service.world import World

LIMITS = (a_limit(1500),)
pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def world(tmp_path):
    """Tickets that run, wait and are over; usage of several labels; large numbers and odd texts."""
    world = World(tmp_path, *LIMITS)
    world.record(
        *(
            a_usage_event(
                key=f"k{number}", usage=Usage(1, 2, 3, 4, number, 1, 10, 0, 5), at=MONDAY - number * MINUTE,
                agent=f"a{number % 3}", run=f"r{number % 4}", priority=Priority.LOW,
            )
            for number in range(40)
        )
    )  # fmt: skip
    held = world.submit(100)
    world.release(held, 90)
    world.submit(100, key="schlüssel \N{SNOWMAN} '\\\t\n")
    world.submit(450)
    with world.store.transaction() as tx:
        tx.execute("INSERT INTO meta (name, value) VALUES ('nul', ?)", ("a\0b",))
        tx.execute("INSERT INTO pruned_keys (hash, tokens, at) VALUES ('large', ?, 0)", (2**63 - 1,))
        tx.execute(
            "INSERT INTO pruned_keys (hash, tokens, at) VALUES ('larger', ?, 0), ('small', ?, 0)", (2**63 - 1, -(2**63))
        )
    yield world
    world.store.close()


def documents(address: Path | str) -> list[dict]:
    with read_only(address, clock=FixedClock(MONDAY)) as tx:
        return [
            windows_document(tx, LIMITS, name="", back=timedelta(days=30)),
            queue_document(tx, Terms(LIMITS).policy),
            usage_document(tx, 7, ["team", "agent", "model"]),
        ]


def held(dsn: str) -> dict[str, int]:
    """Tables on the server that hold rows, and how many."""
    with psycopg.connect(dsn) as connection:
        names = [name for name in tables_of(connection) if name != "schema_migration"]
        counts = [connection.execute(f'SELECT count(*) FROM "{name}"'.encode()).fetchone() for name in names]
    return {name: count for name, (count,) in zip(names, counts, strict=True) if count}


def test_the_documents_of_both_are_equal_and_the_next_row_has_a_number_of_its_own(world, postgres_dsn):
    moved, since = move(world.path, postgres_dsn)
    assert since == Since(0, 0, False)
    with world.store.reading() as tx:
        assert {one.table: one.written for one in moved} == {
            one.table: tx.scalar(f'SELECT count(*) FROM "{one.table}"') for one in moved
        }
    assert documents(postgres_dsn) == documents(world.path)
    with psycopg.connect(postgres_dsn) as connection:
        names = [column.name for column in tables_of(connection)["label_sets"] if column.name != "id"]
    with Store(postgres_dsn) as store, store.transaction() as tx:
        last = tx.scalar("SELECT max(id) FROM label_sets")
        values = ", ".join("'new'" for _ in names)
        assert tx.insert(f"INSERT INTO label_sets ({', '.join(names)}) VALUES ({values})") == last + 1
        assert tx.scalar("SELECT value FROM meta WHERE name = 'nul'") == "a\ufffdb"
        assert tx.rows("SELECT tokens FROM pruned_keys ORDER BY hash") == [(2**63 - 1,), (2**63 - 1,), (-(2**63),)]


def test_what_is_written_meanwhile_is_told_and_a_second_run_takes_it_over(world, postgres_dsn):
    written = []

    def writes_once(_share: float) -> None:
        if not written:
            written.append(1)
            world.record(*(a_usage_event(key=f"late{number}", at=MONDAY) for number in range(3)))
            world.submit(1)

    _, since = move(world.path, postgres_dsn, progress=writes_once)
    assert since == Since(3, 1, True)
    assert documents(postgres_dsn) != documents(world.path)
    with pytest.raises(
        StoreError, match=r"holds data already \(.*\): name an empty database, or replace it with --again"
    ):
        move(world.path, postgres_dsn)
    assert move(world.path, postgres_dsn, again=True)[1] == Since(0, 0, False)
    assert documents(postgres_dsn) == documents(world.path)


def test_a_move_that_is_killed_leaves_nothing(world, postgres_dsn):
    script = (
        "import sys, time; from pathlib import Path; from quota_scheduler.store.moving import move\n"
        "def stop(share):\n    if share > 0.5: print('half', flush=True); time.sleep(60)\n"
        "move(Path(sys.argv[1]), sys.argv[2], progress=stop)"
    )
    mover = subprocess.Popen([sys.executable, "-c", script, world.path, postgres_dsn], stdout=subprocess.PIPE)
    assert mover.stdout
    assert mover.stdout.readline() == b"half\n"
    mover.send_signal(signal.SIGKILL)
    mover.communicate()
    assert held(postgres_dsn) == {"sequences": 2, "turns": 1}
    move(world.path, postgres_dsn)
    assert documents(postgres_dsn) == documents(world.path)


def test_a_number_that_is_none_stops_it_before_anything_arrives(world, postgres_dsn):
    with world.store.transaction() as tx:
        tx.execute("INSERT INTO pruned_keys (hash, tokens, at) VALUES ('odd', 1.5, 0)")
    with pytest.raises(
        StoreError, match=r"^pruned_keys.tokens holds 1.5, which is no whole number; nothing was moved$"
    ):
        move(world.path, postgres_dsn)
    assert held(postgres_dsn) == {"sequences": 2, "turns": 1}


def test_a_database_that_a_service_works_on_is_left_alone(world, postgres_dsn):
    Store(postgres_dsn).close()
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute(
            "INSERT INTO replicas SELECT 'r', 'host', 7, '', '', '', 0, extract(epoch FROM now()) * 1000000, '', '[]'"
        )
    with pytest.raises(StoreError, match=r"a service runs on .* \(process 7 on host\): stop it, then move the data$"):
        move(world.path, postgres_dsn, again=True)


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        pytest.param("0001_initial", "has schema 0001_initial and this version has", id="an older file"),
        pytest.param("9999_later", "has schema 9999_later and this version has", id="a newer file"),
    ],
)
def test_a_file_of_another_version_is_refused(world, postgres_dsn, step, sentence):
    with world.store.transaction() as tx:
        tx.execute("DELETE FROM schema_migration")
        tx.execute("INSERT INTO schema_migration (name, applied) VALUES (?, '2026-01-01')", (step,))
    with pytest.raises(StoreError, match=sentence):
        move(world.path, postgres_dsn)
    assert held(postgres_dsn) == {}


def test_the_verb_says_table_by_table_what_arrived(world, postgres_dsn):
    line = ["--database", f"sqlite:///{world.path}", "migrate-data", "--to", postgres_dsn]
    done = CliRunner().invoke(quota_scheduler_command, line, catch_exceptions=False)
    lines = done.output.splitlines()
    with world.store.reading() as tx:
        assert f"ok  events: {tx.scalar('SELECT count(*) FROM events')} rows, all sums equal" in lines
    assert lines[-1] == f"moved {world.path} to {without_password(postgres_dsn)}; the file is as it was"
