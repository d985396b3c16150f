"""Usage that arrived long after its own time, by labels: a part of ``label_totals`` that rates leave out."""

from typing import Any

STATEMENT = """
    CREATE TABLE backfilled (
        label_set INTEGER PRIMARY KEY REFERENCES label_sets (id),
        input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
        cache_write_1h INTEGER NOT NULL, output INTEGER NOT NULL,
        requests INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL
    )
"""


def up(_migrator: Any, db: Any) -> None:
    """What was recorded before counts as it did, so that no counter falls."""
    db.execute_sql(STATEMENT)
