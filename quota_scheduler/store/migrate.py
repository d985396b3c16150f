"""Migrations: numbered steps, each in a transaction of its own, noted in the database itself."""

from pathlib import Path

import peewee
from playhouse.migrations import MigrationError, Runner

from quota_scheduler.errors import NotOurDatabase, StoreError, first_line

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST = "0005_forecasts"
"""The first step with which tickets are written as they are read today."""


def bring_up_to_date(database: peewee.Database, name: str) -> None:
    """Apply the steps that are still to be made to a database that people know as ``name``.

    Raises NotOurDatabase for one that a newer version wrote, or one from before the first release whose steps were
    others; StoreError where a step fails.
    """
    runner = refuse_newer(database, name)
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
    runner = refuse_newer(database, name)
    return set(runner.applied()) == set(steps(runner))


def refuse_newer(database: peewee.Database, name: str) -> Runner:
    """What would bring a database up to date. Raises NotOurDatabase for one that a newer version wrote."""
    runner = Runner(database, str(MIGRATIONS))
    if newer := sorted(set(runner.applied()) - set(steps(runner))):
        raise NotOurDatabase(f"{name} was written by a newer version (schema {newer[-1]}): update this program")
    return runner


def _refuse_rewritten(runner: Runner, name: str) -> None:
    """Leave a file alone whose steps were others than those of today, as some were before the first release.

    Steps made upon it would seem to succeed, and the first statement about a column that is not there fail.
    """
    applied = set(runner.applied())
    if not applied or applied == set(steps(runner)):
        return
    as_known = peewee.SqliteDatabase(":memory:")
    today = Runner(as_known, str(MIGRATIONS))
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


def steps(runner: Runner) -> list[str]:
    """The names of all steps that this version knows, in order."""
    return [migration.name for migration in runner.migrations()]


def newest_step() -> str:
    """The name of the last step that this version knows, as databases note it."""
    return max(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
