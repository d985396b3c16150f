"""Sums by day beside those by hour, and which hours moved when: what is asked of a long past costs little."""

from typing import Any

from quota_scheduler.store.usage_columns import COLUMNS, NAMES


def up(_migrator: Any, db: Any) -> None:
    """Create both tables and add up what there is. ``day`` and ``hour`` count from 1970, in UTC."""
    columns = ", ".join(f"{name} BIGINT NOT NULL" for name in NAMES)
    db.execute_sql(
        "CREATE TABLE rollup_days (day BIGINT NOT NULL, label_set BIGINT NOT NULL REFERENCES label_sets (id), "
        f"{columns}, PRIMARY KEY (day, label_set)) WITHOUT ROWID"
    )
    sums = ", ".join(f"sum({name})" for name in NAMES)
    db.execute_sql(
        f"INSERT INTO rollup_days (day, label_set, {COLUMNS}) "
        f"SELECT (hour - (hour % 24 + 24) % 24) / 24, label_set, {sums} FROM rollups GROUP BY 1, 2"
    )
    db.execute_sql("CREATE TABLE changed_hours (hour BIGINT PRIMARY KEY, changed_at BIGINT NOT NULL)")
    db.execute_sql("CREATE INDEX changed_hours_at ON changed_hours (changed_at)")
