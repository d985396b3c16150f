"""What providers say they have counted and charged, and how far each of their reports has been read."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """``cost`` in micro-dollars with its rest in pico-dollars. ``read_to`` is the end of what no longer changes."""
    db.execute_sql(
        "CREATE TABLE bill_lines (provider TEXT NOT NULL, account TEXT NOT NULL, report TEXT NOT NULL, "
        "starts_at BIGINT NOT NULL, ends_at BIGINT NOT NULL, model TEXT NOT NULL, line_group TEXT NOT NULL, "
        "input BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write_5m BIGINT NOT NULL, "
        "cache_write_1h BIGINT NOT NULL, output BIGINT NOT NULL, requests BIGINT NOT NULL, "
        "cost BIGINT NOT NULL, cost_rest BIGINT NOT NULL, "
        "PRIMARY KEY (provider, account, report, starts_at, model, line_group))"
    )
    db.execute_sql(
        "CREATE TABLE bill_cursors (provider TEXT NOT NULL, account TEXT NOT NULL, reader TEXT NOT NULL, "
        "read_to BIGINT NOT NULL, asked_from BIGINT NOT NULL, asked_to BIGINT NOT NULL, page TEXT NOT NULL, "
        "PRIMARY KEY (provider, account, reader))"
    )
