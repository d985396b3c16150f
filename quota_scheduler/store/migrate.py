"""Migrations: numbered steps, each in a transaction of its own, noted in the database itself."""

import sqlite3

import peewee
from playhouse.migrations import MigrationError, Runner

from quota_scheduler.errors import StoreError, first_line
from quota_scheduler.store import steps


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

    Raises NotOurDatabase for one that a newer version wrote, StoreError where a step fails.
    """
    runner = Runner(database, str(steps.MIGRATIONS))
    steps.missing(set(runner.applied()), name)
    try:
        runner.up()
    except (MigrationError, peewee.DatabaseError) as error:
        raise StoreError(
            f"cannot bring {name} up to date: {first_line(error)}; nothing was changed by the failed step"
        ) from None


def is_up_to_date(database: peewee.Database, name: str) -> bool:
    """Whether every step has been applied. Raises NotOurDatabase for a database that a newer version wrote."""
    return not steps.missing(set(Runner(database, str(steps.MIGRATIONS)).applied()), name)
