"""Backup and restore: whole or not there, also when killed at any step; what was handed out since is not again."""

import multiprocessing
import os
import signal
import sqlite3
import stat
from datetime import timedelta

import pytest

from quota_scheduler.errors import DatabaseBusy, NotOurDatabase, StoreError
from quota_scheduler.service.upkeep.backup import backup, loss, restore
from quota_scheduler.service.upkeep.doctor import examine
from quota_scheduler.store import Store, copies, facts, read_only, restored, sqlite
from tests.builders import DAY, HOUR, MONDAY, a_limit, a_usage_event
from tests.service.test_deliver import owe
from tests.service.world import World, fence, lease, said

pytestmark = pytest.mark.sqlite_only  # a server has backups of its own
SECOND = timedelta(seconds=1)


@pytest.fixture
def here(tmp_path):
    made = World(tmp_path, a_limit(1_000))
    made.record(a_usage_event(10, key="before"))
    yield made
    made.store.close()


@pytest.fixture
def file(here, tmp_path):
    """A backup of the present state."""
    backup(here.path, tmp_path / "kept.db", clock=here.clock)
    return tmp_path / "kept.db"


def put_back(here, file):
    here.store.close()
    aside = restore(here.path, file, clock=here.clock)
    here.open()
    here.check()
    return aside


def test_a_backup_beside_a_writer_is_one_file_of_ours_alone_and_what_is_under_way_is_not_in_it(here, tmp_path):
    with here.store.transaction() as tx:
        facts.remember(tx, "half", "done")
        done = backup(here.path, tmp_path / "kept.db", clock=here.clock)
    assert (done.events, done.taken_at, done.size) == (1, MONDAY, done.file.stat().st_size)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("kept")) == ["kept.db"]
    assert stat.S_IMODE(done.file.stat().st_mode) == 0o600
    with read_only(done.file) as tx:
        assert facts.fact(tx, "half") is None
        assert [finding for finding in examine(tx, here.limits) if finding.wrong] == []
        assert tx.scalar("PRAGMA journal_mode") == "delete"


def test_pages_written_between_two_steps_of_a_backup_are_not_in_it(here, tmp_path):
    with here.store.transaction() as tx:
        tx.many("INSERT INTO meta (name, value) VALUES (?, ?)", [(f"n{n}", "x" * 4_000) for n in range(10_000)])
    steps = []

    def write_more(done, of):
        steps.append((done, of))
        with here.store.transaction() as tx:
            tx.execute("DELETE FROM meta WHERE name = 'n9999'")
            facts.remember(tx, f"step {len(steps)}", "x")

    backup(here.path, tmp_path / "kept.db", further=write_more, clock=here.clock)
    assert len(steps) > 2
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    with read_only(tmp_path / "kept.db") as tx:
        assert tx.scalar("SELECT count(*) FROM meta WHERE name GLOB 'n[0-9]*'") == 10_000
        assert tx.scalar("SELECT count(*) FROM meta WHERE name GLOB 'step*'") == 0


def damage(path):
    """Spoil tables and indexes, and leave the schema as it is."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4096 * 4096 - 60 * 4096)
        file.write(b"\xa5" * 60 * 4096)


def test_a_backup_of_a_damaged_database_is_refused_and_leaves_nothing(here, tmp_path):
    with here.store.transaction() as tx:
        tx.many("INSERT INTO meta (name, value) VALUES (?, ?)", [(f"n{n}", "x" * 4_000) for n in range(100)])
    here.store.close()
    damage(here.path)
    with pytest.raises(StoreError, match=r"is damaged|cannot copy"):
        backup(here.path, tmp_path / "kept.db")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("kept")] == []


def test_two_backups_into_one_file_are_refused(here, tmp_path):
    target = tmp_path / "kept.db"
    refusals = []

    def again(*_):
        with pytest.raises(DatabaseBusy) as refusal:
            backup(here.path, target)
        refusals.append(str(refusal.value))

    backup(here.path, target, further=again)
    assert refusals[0].startswith(f"another process is writing {target}.partial: ")
    assert read_events(target) == 1


def read_events(path):
    with read_only(path) as tx:
        return tx.scalar("SELECT count(*) FROM events")


def test_the_database_is_no_place_for_its_own_backup(here):
    with pytest.raises(StoreError, match="is the database itself: name another file"):
        backup(here.path, here.path)


def test_what_a_restore_would_lose_is_said(here, file):
    here.clock.advance(HOUR)
    here.record(a_usage_event(20, key="after", at=here.clock.at), a_usage_event(5, key="later", at=here.clock.at))
    here.submit(10)
    seen = loss(here.path, file)
    assert (seen.events, seen.tickets, seen.deeds, seen.is_any) == (2, 1, 0, True)
    assert (seen.there.newest_event, seen.here.newest_event) == (MONDAY, MONDAY + HOUR)


def test_a_restore_gives_the_state_of_the_backup_and_keeps_the_replaced_file(here, file):
    here.record(a_usage_event(20, key="after"))
    aside = put_back(here, file)
    assert here.ledger() == {"before": 10}
    assert here.windows() == {"day": (10, 0, 0)}
    assert aside.name == "quota.db.replaced-20261123T090000Z"
    assert read_events(aside) == 2
    assert sorted(path.name for path in here.path.parent.iterdir()) == sorted(
        ["kept.db", "quota.db", "quota.db-shm", "quota.db-wal", "quota.db.lock", aside.name]
    )


def test_usage_read_again_after_a_restore_counts_once(here, file):
    later = [a_usage_event(20, key="after"), a_usage_event(30, key="more")]
    here.record(*later)
    put_back(here, file)
    here.record(a_usage_event(10, key="before"), *later)
    assert (here.windows(), here.ledger()) == ({"day": (60, 0, 0)}, {"before": 10, "after": 20, "more": 30})


def test_a_fence_that_was_handed_out_since_is_never_handed_out_again(here, file):
    since = here.submit(10)
    put_back(here, file)
    again = here.submit(10, key="another")
    assert fence(again) > fence(since) + restored.SPARE - 1
    assert again.ticket.id > since.ticket.id
    assert said(*here.cycle(here.a_renew(since, 5)))[0] == "refused"


def test_fences_jump_by_the_time_that_has_passed_where_the_database_is_gone(here, file):
    here.submit(10)
    here.store.close()
    here.path.unlink()
    copies.remove_beside(here.path)
    here.clock.advance(DAY)
    assert restore(here.path, file, clock=here.clock) is None
    here.open()
    assert fence(here.submit(10, key="another")) == 1 + DAY // SECOND * restored.SPARE_EACH_SECOND


def test_a_lease_that_ran_at_the_backup_may_still_renew(here, tmp_path):
    held = here.submit(10)
    backup(here.path, tmp_path / "running.db", clock=here.clock)
    here.clock.advance(DAY)
    put_back(here, tmp_path / "running.db")
    assert here.tickets() == {"key-1": "running"}
    assert said(here.renew(held, 4)) == ("admit",)
    here.wait(lease(held).ttl + HOUR)
    assert here.tickets() == {"key-1": "closed"}


def test_what_was_told_since_is_not_told_again(here, tmp_path):
    owe(here.store, "ops")
    backup(here.path, tmp_path / "owed.db", clock=here.clock)
    with here.store.transaction() as tx:
        tx.execute("UPDATE outbox SET state = 'delivered', settled_at = ?", (0,))
    owe(here.store, "ops", scope="other")
    put_back(here, tmp_path / "owed.db")
    with here.store.transaction() as tx:
        assert tx.rows("SELECT scope, state FROM outbox ORDER BY id") == [("weekly", "delivered"), ("other", "owed")]


def test_a_restore_is_written_down(here, file):
    here.record(a_usage_event(20, key="after", at=MONDAY))
    put_back(here, file)
    with here.store.transaction() as tx:
        assert tx.rows("SELECT who, what FROM audit") == [("restore", "restore")]


def newer(path):
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        pytest.param(
            lambda path: path.write_bytes(b"no database, " * 99),
            NotOurDatabase, "kept.db is not a Quota Scheduler database", id="something else",
        ),
        pytest.param(newer, NotOurDatabase, "kept.db was written by a newer version .schema 9999_later.", id="newer"),
        pytest.param(lambda path: path.unlink(), StoreError, "there is no backup at .*kept.db: name one", id="nothing"),
        pytest.param(damage, StoreError, "kept.db", id="damaged"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_backup_changes_nothing(here, file, spoil, error, says):
    spoil(file)
    here.store.close()
    with pytest.raises(error, match=says):
        restore(here.path, file)
    assert not [path for path in here.path.parent.iterdir() if "replaced" in path.name]
    here.open()
    assert here.ledger() == {"before": 10}


def test_a_database_in_use_is_not_replaced(here, file):
    with pytest.raises(DatabaseBusy, match=f"quota.db is in use by process {os.getpid()}: stop it"):
        restore(here.path, file)


def test_a_database_that_somebody_looks_into_is_not_replaced(here, file):
    here.record(a_usage_event(20, key="after"))
    here.store.close()
    with read_only(here.path) as tx:
        tx.rows("SELECT count(*) FROM events")
        with pytest.raises(StoreError, match="is being read by another process: end it"):
            restore(here.path, file)
    here.open()
    assert here.ledger() == {"before": 10, "after": 20}


def test_a_damaged_database_is_replaced_and_kept(here, file):
    here.store.close()
    damage(here.path)
    assert loss(here.path, file).is_any
    aside = restore(here.path, file, clock=here.clock)
    here.open()
    assert here.ledger() == {"before": 10}
    assert aside.exists()


STEPS = ("replace", "link", "fsync", "ftruncate", "fchmod", "unlink")
"""What backup and restore do to files themselves; SQLite's own steps are SQLite's to survive."""


def die_before(step, work):
    """Run work in a process that is killed before its nth step; returns whether it was."""

    def run():
        left = [step]

        def counted(name, real):
            def call(*args, **options):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*args, **options)

            setattr(os, name, call)

        for name in STEPS:
            counted(name, getattr(os, name))
        work()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_a_backup_killed_at_any_step_leaves_the_older_one(here, file):
    here.record(a_usage_event(20, key="after"))
    step, counts = 0, []
    while die_before(step, lambda: backup(here.path, file, clock=here.clock)):
        counts.append(read_events(file))
        step += 1
    assert counts == sorted(counts)
    assert {1, 2} == {*counts, read_events(file)}
    assert len(counts) >= 5


def test_a_restore_killed_at_any_step_leaves_the_present_state_or_the_backups(here, file):
    here.record(a_usage_event(20, key="after"))
    here.store.close()
    step, counts = 0, []
    while die_before(step, lambda: restore(here.path, file, clock=here.clock)):
        sqlite.check_ours(here.path)
        with Store(here.path, clock=here.clock) as store, store.transaction() as tx:
            assert tx.scalar("PRAGMA integrity_check") == "ok"
            counts.append(tx.scalar("SELECT count(*) FROM events"))
            assert [finding for finding in examine(tx, here.limits) if finding.wrong] == []
        step += 1
    assert counts == sorted(counts, reverse=True)
    assert set(counts) <= {1, 2}
    assert read_events(here.path) == 1
    assert len(counts) >= 8
    here.open()


def test_a_restore_killed_while_pages_are_copied_leaves_the_present_state(here, file):
    here.record(a_usage_event(20, key="after"))
    here.store.close()

    def work():
        restore(here.path, file, further=lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    assert die_before(10_000, work)
    here.open()
    assert here.ledger() == {"before": 10, "after": 20}
    put_back(here, file)
    assert here.ledger() == {"before": 10}
