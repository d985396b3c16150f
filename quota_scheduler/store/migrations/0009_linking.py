"""Finding what belongs together: events and tickets of a named run, windows that were closed before their end."""

from typing import Any

STATEMENTS = (
    "CREATE INDEX events_run ON events (run) WHERE run != '' AND run != session",
    "CREATE INDEX tickets_of_run ON tickets (run) WHERE run != ''",
    "CREATE INDEX windows_ended ON windows (ends_at) WHERE closed = 1",
)


def up(_migrator: Any, db: Any) -> None:
    """Make the indexes; runs that are sessions, as transcripts name them, are found by their session."""
    for statement in STATEMENTS:
        db.execute_sql(statement)
