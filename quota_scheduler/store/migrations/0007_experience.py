"""Finished runs that teach about the next estimate, and finding a run's open tickets."""

from typing import Any

STATEMENTS = (
    """
    CREATE TABLE finished_runs (
        ticket INTEGER PRIMARY KEY,
        ended_at BIGINT NOT NULL,
        workflow TEXT NOT NULL,
        task_type TEXT NOT NULL,
        words INTEGER NOT NULL,
        expected BIGINT NOT NULL,
        guessed INTEGER NOT NULL,
        input BIGINT NOT NULL,
        cache_read BIGINT NOT NULL,
        cache_write_5m BIGINT NOT NULL,
        cache_write_1h BIGINT NOT NULL,
        output BIGINT NOT NULL,
        requests BIGINT NOT NULL
    )
    """,
    "CREATE INDEX tickets_run ON tickets (run) WHERE state != 'closed' AND run != ''",
)


def up(_migrator: Any, db: Any) -> None:
    """``words`` is the length of the description; ``expected`` the tokens guessed before any correction."""
    for statement in STATEMENTS:
        db.execute_sql(statement)
