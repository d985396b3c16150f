"""The steps of the schema by name: which this version knows, and which a database still lacks.

Making them takes a library (``store.migrate``); that nothing is to be done is known without it.
"""

from collections.abc import Set
from pathlib import Path

from quota_scheduler.errors import NotOurDatabase

MIGRATIONS = Path(__file__).parent / "migrations"
NOTED = "schema_migration"
"""The table in which a database notes its steps: what peewee's runner calls it."""


def steps() -> list[str]:
    """The names of all steps that this version knows, in order."""
    return sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))


def newest_step() -> str:
    """The name of the last step that this version knows, as databases note it."""
    return steps()[-1]


def missing(noted: Set[str], name: str) -> list[str]:
    """The steps that are still to be made, in order, of a database that people know as ``name``.

    Raises NotOurDatabase for one that a newer version wrote.
    """
    ours = steps()
    if newer := sorted(noted - set(ours)):
        raise NotOurDatabase(f"{name} was written by a newer version (schema {newer[-1]}): update this program")
    return [step for step in ours if step not in noted]
