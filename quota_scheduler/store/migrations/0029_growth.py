"""Sums by day beside those by hour, of runs by hour, and which hours moved when: a long past costs little.

Leases are found by their ticket and by their end: closed ones lie among them for a day.
"""

from typing import Any

from quota_scheduler.store.usage_columns import COLUMNS, NAMES

TOKENS = "input + cache_read + cache_write_5m + cache_write_1h + output"
HOUR = 3_600_000_000


def up(_migrator: Any, db: Any) -> None:
    """Create the tables and add up what there is. ``day`` and ``hour`` count from 1970, in UTC."""
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
    kind = "label_set, flags, prompt_version"
    db.execute_sql(
        "CREATE TABLE run_hours (hour BIGINT NOT NULL, label_set BIGINT NOT NULL REFERENCES label_sets (id), "
        f"flags TEXT NOT NULL, prompt_version TEXT NOT NULL, runs BIGINT NOT NULL, most BIGINT NOT NULL, {columns}, "
        f"PRIMARY KEY (hour, {kind})) WITHOUT ROWID"
    )
    db.execute_sql(
        f"INSERT INTO run_hours (hour, {kind}, runs, most, {COLUMNS}) "
        f"SELECT (last_at - (last_at % {HOUR} + {HOUR}) % {HOUR}) / {HOUR}, {kind}, count(*), max({TOKENS}), {sums} "
        f"FROM runs GROUP BY 1, {kind}"
    )
    db.execute_sql("CREATE INDEX leases_ticket ON leases (ticket)")
    db.execute_sql("CREATE INDEX leases_ended_at ON leases (ended_at) WHERE ended_at IS NOT NULL")
