"""Migrations: numbered steps, each in a transaction of its own, noted in the database itself."""

import sqlite3

import peewee
from playhouse.migrations import MigrationError, Runner

from quota_scheduler.errors import NotOurDatabase, StoreError, first_line
from quota_scheduler.store import steps

OLDEST = "0005_forecasts"
"""The first step with which tickets are written as they are read today."""


class _File(peewee.SqliteDatabase):
    """A file that is open already: two connections never write it at once."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        super().__init__(name, thread_safe=False)
        self._open = connection

    def _connect(self) -> sqlite3.Connection:
        return self._open


def bring_file_up_to_date(connection: sqlite3.Connection, name: str) -> None:
    """Apply the steps that are still to be made to a file. Raises like ``bring_up_to_date``."""
    bring_up_to_date(_File(connection, name), name)


def bring_up_to_date(database: peewee.Database, name: str) -> None:
    """Apply the steps that are still to be made to a database that people know as ``name``.

    Raises NotOurDatabase for one that a newer version wrote, or one from before the first release whose steps were
    others; StoreError where a step fails.
    """
    runner = Runner(database, str(steps.MIGRATIONS))
    steps.missing(set(runner.applied()), name)
    if isinstance(database, peewee.SqliteDatabase):  # servers came after the last step that was rewritten
        _refuse_rewritten(runner, name)
    try:
        runner.up()
    except (MigrationError, peewee.DatabaseError) as error:
        raise StoreError(
            f"cannot bring {name} up to date: {first_line(error)}; nothing was changed by the failed step"
        ) from None


def is_up_to_date(database: peewee.Database, name: str) -> bool:
    """Whether every step has been applied. Raises NotOurDatabase for a database that a newer version wrote."""
    return not steps.missing(set(Runner(database, str(steps.MIGRATIONS)).applied()), name)


def _refuse_rewritten(runner: Runner, name: str) -> None:
    """Leave a file alone whose steps were others than those of today, as some were before the first release.

    Steps made upon it would seem to succeed, and the first statement about a column that is not there fail.
    """
    applied = set(runner.applied())
    if not applied or applied == set(steps.steps()):
        return
    as_known = peewee.SqliteDatabase(":memory:")
    today = Runner(as_known, str(steps.MIGRATIONS))
    today.fake()
    today.History.delete().where(today.History.name.in_(applied)).execute()
    today.up()
    missing = sorted(_columns(as_known) - _columns(runner.database))
    as_known.close()
    why = f"there is no {missing[0]}" if missing else f"schema {max(applied)}" if OLDEST not in applied else ""
    if why:
        raise NotOurDatabase(
            f"{name} was written before the first release, by steps that were changed later ({why}): "
            "name another file with --database, and what transcripts hold is read again"
        )


def _columns(database: peewee.Database) -> set[str]:
    """Every column of a file's tables, as ``table.column``."""
    tables = (
        "SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
    )
    return {column for (column,) in database.execute_sql(tables)}
