"""Where cumulative metrics of other programs stood at their last report, so that a restart counts nothing twice."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the table."""
    db.execute_sql(
        "CREATE TABLE metric_series (series TEXT PRIMARY KEY, start INTEGER NOT NULL, at INTEGER NOT NULL, "
        "value INTEGER NOT NULL, count INTEGER NOT NULL, seen_at INTEGER NOT NULL) WITHOUT ROWID"
    )
    db.execute_sql("CREATE INDEX metric_series_seen ON metric_series (seen_at)")
