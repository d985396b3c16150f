"""Events in order of their instant, and of two at one instant in that of their numbers, lie in one index of a server.

A SQLite index ends in the number of the row anyway. A server that has it by the instant alone sorts all that is left of
a span for each slice of it.
"""

from typing import Any

import peewee


def up(_migrator: Any, db: Any) -> None:
    """Let the index by instant know the number, where it does not."""
    if isinstance(db, peewee.PostgresqlDatabase):
        db.execute_sql("DROP INDEX events_at")
        db.execute_sql("CREATE INDEX events_at ON events (at, id)")
