"""What was decided, counted by hour, limit, class and reason; and the limit under which each ticket waits."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add both tables. ``hour`` is the beginning of a UTC hour in microseconds since 1970."""
    db.execute_sql(
        "CREATE TABLE decision_counts (hour BIGINT NOT NULL, instance TEXT NOT NULL, class TEXT NOT NULL, "
        "decision TEXT NOT NULL, reason TEXT NOT NULL, value BIGINT NOT NULL, "
        "PRIMARY KEY (hour, instance, class, decision, reason)) WITHOUT ROWID"
    )
    db.execute_sql("CREATE TABLE deferred_under (ticket INTEGER PRIMARY KEY, instance TEXT NOT NULL)")
