"""The store: whose file it is, who may write it, and what a transaction promises."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.limits.changes import LimitChange
from quota_scheduler.errors import DatabaseBusy, NotOurDatabase, StoreError
from quota_scheduler.store import Store, engine, facts, limit_changes, read_only, sqlite, turns
from tests.builders import HOUR, MONDAY
from tests.fakes import FixedClock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "down" / "quota.db"


@pytest.mark.sqlite_only
def test_a_new_database_is_made_with_the_folders_it_needs_and_opens_again(path):
    for _ in range(2):
        with Store(path) as store, store.transaction() as tx:
            assert tx.scalar("PRAGMA application_id") == sqlite.APPLICATION_ID
            assert tx.scalar("PRAGMA journal_mode") == "wal"
            assert tx.scalar("PRAGMA synchronous") == 2
            assert tx.scalar("PRAGMA foreign_keys") == 1


def test_a_transaction_has_one_now(path):
    clock = FixedClock(MONDAY)
    with Store(path, clock=clock) as store, store.transaction() as tx:
        clock.advance(HOUR)
        assert tx.now == MONDAY


KEPT = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@pytest.mark.parametrize("count", [0, 1, 3, 4, 15, 16, 63, 64, 65, 149])
def test_a_set_of_rows_is_the_same_as_row_by_row_however_many(path, count):
    with Store(path) as store, store.transaction() as tx:
        tx.many_whole(KEPT, [(f"set {n}", "before") for n in range(0, count, 3)])
        tx.many_whole(KEPT, [(f"set {n}", f"{n}") for n in range(count)])
        kept = dict(tx.rows("SELECT name, value FROM meta WHERE name LIKE 'set %'"))
    assert kept == {f"set {n}": f"{n}" for n in range(count)}


def fail_half_way(store):
    with store.transaction() as tx:
        facts.remember(tx, "a", "1")
        raise ZeroDivisionError


def test_a_revision_and_marks_that_were_taken_back_are_as_before(path):
    """The row of turns is kept from write to write; what comes to nothing must not be remembered."""

    def fail(store, move):
        with store.transaction() as tx:
            move(tx)
            raise ZeroDivisionError

    def look(store):
        with store.transaction() as tx:
            return turns.look(tx)

    with Store(path) as store:
        with store.transaction() as tx:
            taken = turns.take(tx)
        before = look(store)
        for move in (turns.take, turns.everything_moved):
            with pytest.raises(ZeroDivisionError):
                fail(store, move)
            with store.reading() as tx:
                assert (taken, look(store), turns.look(tx)) == (before.revision, before, before)
        with store.transaction() as tx:
            turns.terms_moved(tx)
        with store.reading() as tx:
            assert look(store) == turns.look(tx) == before._replace(revision=taken + 1, terms=taken + 1)


def test_what_fails_half_way_leaves_nothing(path):
    with Store(path) as store:
        with pytest.raises(ZeroDivisionError):
            fail_half_way(store)
        with store.transaction() as tx:
            assert facts.fact(tx, "a") is None


@pytest.mark.sqlite_only
def test_a_reader_sees_what_is_committed_and_cannot_write(path):
    with Store(path) as store:
        with store.transaction() as tx:
            facts.remember(tx, "a", "1")
        with store.transaction() as tx:
            facts.remember(tx, "a", "2")
            with store.reading() as other:
                assert facts.fact(other, "a") == "1"
        with store.reading() as other:
            assert facts.fact(other, "a") == "2"
        with pytest.raises(Exception, match="readonly database"), read_only(path) as other:
            facts.remember(other, "a", "3")


@pytest.mark.sqlite_only
def test_a_second_writer_is_told_who_holds_the_file(path):
    with Store(path):
        with pytest.raises(DatabaseBusy, match=rf"quota.db is in use by process {os.getpid()}: stop it"):
            Store(path)
        with read_only(path) as tx:
            assert tx.scalar("SELECT count(*) FROM tickets") == 0
    Store(path).close()


@pytest.mark.sqlite_only
def test_what_was_committed_survives_a_killed_process(path):
    script = (
        "import os, sys; from pathlib import Path; from quota_scheduler.store import Store, facts\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.transaction() as tx: facts.remember(tx, 'a', '1')\n"
        "with store.transaction() as tx:\n"
        "    facts.remember(tx, 'a', '2'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -9
    with Store(path) as store, store.transaction() as tx:
        assert facts.fact(tx, "a") == "1"


def a_foreign_database(path):
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA application_id = 7")
        other.execute("CREATE TABLE theirs (id)")


def a_newer_database(path):
    Store(path).close()
    with sqlite3.connect(path) as newer:
        (table,) = newer.execute("SELECT name FROM sqlite_master WHERE name LIKE '%migration%'").fetchone()
        columns = [row[1] for row in newer.execute(f"PRAGMA table_info({table})")]
        row = list(newer.execute(f"SELECT * FROM {table}").fetchone())
        row[columns.index("name")] = "9999_later"
        if "id" in columns:
            row[columns.index("id")] = 9999
        newer.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        pytest.param(
            lambda path: path.write_text("hello, this is no database " * 10), NotOurDatabase,
            "is not a Quota Scheduler database; name another file with --database", id="a text",
        ),
        pytest.param(a_foreign_database, NotOurDatabase, "is not a Quota Scheduler database", id="another program's"),
        pytest.param(
            a_newer_database, NotOurDatabase, "was written by a newer version .schema 9999_later.: update this program",
            id="a newer version's",
        ),
        pytest.param(Path.mkdir, StoreError, "cannot open", id="a folder"),
    ],
)  # fmt: skip
def test_what_is_not_ours_is_refused_and_left_alone(tmp_path, make, error, says):
    path = tmp_path / "quota.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=says):
        Store(path)
    assert (path.read_bytes() if path.is_file() else None) == before
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    Store(path).close()  # the right to write it was given back


@pytest.mark.sqlite_only
def test_an_empty_file_becomes_ours(tmp_path):
    path = tmp_path / "quota.db"
    path.touch()
    Store(path).close()
    sqlite.check_ours(path)


@pytest.mark.sqlite_only
def test_reading_what_is_not_there_says_what_to_do(path):
    with pytest.raises(StoreError, match=r"no database at .*quota\.db: start the service once"), read_only(path):
        pass


@pytest.mark.sqlite_only
def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot create .*lock: .*; choose another place with --database"):
        Store(tmp_path / "file" / "quota.db")


@pytest.mark.sqlite_only
def test_a_copied_database_opens_elsewhere(tmp_path):
    with Store(tmp_path / "a.db") as store, store.transaction() as tx:
        facts.remember(tx, "a", "1")
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")
    with read_only(tmp_path / "b.db") as tx:
        assert facts.fact(tx, "a") == "1"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("text", "full"),
    [("database or disk is full", True), ("disk I/O error", True), ("attempt to write a readonly database", True),
     ("UNIQUE constraint failed", False)],
)  # fmt: skip
def test_a_full_disk_is_told_from_other_failures(text, full):
    assert engine.is_disk_full(sqlite3.OperationalError(text)) is full


@pytest.mark.sqlite_only
def test_R9_one_file_under_two_names_is_one_database(tmp_path):
    path = tmp_path / "quota.db"
    with Store(path):
        for link, name in ((os.symlink, "soft.db"), (os.link, "hard.db")):
            link(path, tmp_path / name)
            with pytest.raises(DatabaseBusy, match="is in use by process"):
                Store(tmp_path / name)


@pytest.mark.sqlite_only
def test_R9_a_lock_file_that_was_removed_lets_nobody_in(tmp_path):
    path = tmp_path / "quota.db"
    with Store(path):
        (tmp_path / "quota.db.lock").unlink()
        with pytest.raises(DatabaseBusy):
            Store(path)
    Store(path).close()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("name", ["a#b.db", "a?b.db", "my%20db.db", "a b.db", "ä.db"])
def test_R11_any_name_of_a_file_is_read_where_it_is_written(tmp_path, name):
    with Store(tmp_path / name) as store:
        with store.transaction() as tx:
            facts.remember(tx, "where", name)
        with store.reading() as tx:
            assert facts.fact(tx, "where") == name
    with read_only(tmp_path / name) as tx:
        assert facts.fact(tx, "where") == name
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {
        name,
        f"{name}.lock",
    }


@pytest.mark.sqlite_only
def test_R4_the_files_are_their_owners_only(tmp_path):
    with Store(tmp_path / "quota.db") as store:
        with store.transaction() as tx:
            facts.remember(tx, "a", "b")
        assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == dict.fromkeys(
            ("quota.db", "quota.db-wal", "quota.db-shm", "quota.db.lock"), "0o600"
        )


@pytest.mark.sqlite_only
def test_R22_a_file_that_was_replaced_is_noticed(tmp_path):
    path = tmp_path / "quota.db"
    with Store(path) as store:
        assert not store.is_replaced()
        path.rename(tmp_path / "moved.db")
        assert store.is_replaced()
        path.write_bytes(b"")
        assert store.is_replaced()


def test_R5_a_change_of_a_limit_that_cannot_be_read_keeps_no_other_out(path, caplog):
    sound = LimitChange("day", "amount", 5, "ops", MONDAY)
    with Store(path) as store, store.transaction() as tx:
        limit_changes.save(tx, replace(sound, rule="another"))
        tx.execute("UPDATE limit_changes SET value = 'no JSON'")
        limit_changes.save(tx, sound)
        assert limit_changes.load(tx) == [sound]
    assert [line.partition(" error=")[0] for line in caplog.messages] == [
        "limit.change_unreadable limit=another field=amount"
    ]
