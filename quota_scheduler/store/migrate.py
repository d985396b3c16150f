"""Migrations: numbered steps, each in a transaction of its own, noted in the database itself."""

from pathlib import Path

import peewee
from playhouse.migrations import MigrationError, Runner

from quota_scheduler.errors import NotOurDatabase, StoreError, first_line

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(database: peewee.Database, name: str) -> None:
    """Apply the steps that are still to be made to a database that people know as ``name``.

    Raises NotOurDatabase for one that a newer version wrote, StoreError where a step fails.
    """
    runner = refuse_newer(database, name)
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


def steps(runner: Runner) -> list[str]:
    """The names of all steps that this version knows, in order."""
    return [migration.name for migration in runner.migrations()]


def newest_step() -> str:
    """The name of the last step that this version knows, as databases note it."""
    return max(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
