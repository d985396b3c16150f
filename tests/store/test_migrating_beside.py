"""A step of the schema on PostgreSQL beside an older replica at work: writes wait, a view in its way is no end."""

import threading
from pathlib import Path

import psycopg
import pytest

from quota_scheduler.store import Store, steps

STEP = '''"""Locks two tables, in an order that a view may take the other way round."""


def up(_migrator, db):
    db.execute_sql("ALTER TABLE leases ADD COLUMN made_up BIGINT")
    db.execute_sql("ALTER TABLE tickets ADD COLUMN made_up TEXT NOT NULL DEFAULT ''")
'''


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tickets'::regclass"


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer version: the steps there are, and one more."""
    for step in steps.MIGRATIONS.glob("*.py"):
        (tmp_path / step.name).write_text(step.read_text())
    (tmp_path / "9000_made_up.py").write_text(STEP)
    monkeypatch.setattr(steps, "MIGRATIONS", tmp_path)


@pytest.mark.usefixtures("newer")
def test_a_write_under_way_is_waited_for(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(steps, "MIGRATIONS", Path(steps.__file__).parent / "migrations")
        Store(postgres_dsn).close()
    with psycopg.connect(postgres_dsn) as writer:
        writer.execute("SELECT * FROM turns FOR UPDATE")
        migrating = threading.Thread(target=lambda: Store(postgres_dsn).close())
        migrating.start()
        migrating.join(1.0)
        assert migrating.is_alive()
        writer.execute("INSERT INTO meta (name, value) VALUES ('a', 'b')")
    migrating.join(20)
    assert not migrating.is_alive()
    assert columns(postgres_dsn) == ["leases", "tickets"]


@pytest.mark.usefixtures("newer")
def test_a_view_that_locks_the_other_way_round_holds_it_up_and_no_more(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(steps, "MIGRATIONS", Path(steps.__file__).parent / "migrations")
        Store(postgres_dsn).close()
    with psycopg.connect(postgres_dsn) as view:
        view.execute("SET deadlock_timeout = '1min'")  # so that the step is the one that gives way
        view.execute("SELECT count(*) FROM tickets")
        migrating = threading.Thread(target=lambda: Store(postgres_dsn).close())
        migrating.start()
        with psycopg.connect(postgres_dsn, autocommit=True) as looking:
            while looking.execute(WAITING).fetchone() == (0,):
                assert migrating.is_alive()
        assert view.execute("SELECT count(*) FROM leases").fetchone() == (0,)
    migrating.join(20)
    assert not migrating.is_alive()
    assert columns(postgres_dsn) == ["leases", "tickets"]


def columns(dsn: str) -> list[str]:
    """The tables that the newer version has widened."""
    asked = "SELECT table_name::text FROM information_schema.columns WHERE column_name = 'made_up' ORDER BY 1"
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute(asked).fetchall()]
