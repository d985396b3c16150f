"""Several processes on one database: who leads, who is there, and what the leader lets all of them know."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """``leader`` has one row. ``rules`` is a fingerprint; ``shape`` says which version can read a body."""
    db.execute_sql(
        "CREATE TABLE leader (id INTEGER PRIMARY KEY CHECK (id = 1), holder TEXT NOT NULL, epoch BIGINT NOT NULL, "
        "ends_at BIGINT NOT NULL, address TEXT NOT NULL, rules TEXT NOT NULL)"
    )
    db.execute_sql(
        "CREATE TABLE replicas (name TEXT PRIMARY KEY, host TEXT NOT NULL, pid BIGINT NOT NULL, address TEXT NOT NULL, "
        "version TEXT NOT NULL, rules TEXT NOT NULL, started_at BIGINT NOT NULL, seen_at BIGINT NOT NULL, "
        "problem TEXT NOT NULL, sources TEXT NOT NULL)"
    )
    db.execute_sql(
        "CREATE TABLE published (name TEXT PRIMARY KEY, epoch BIGINT NOT NULL, at BIGINT NOT NULL, "
        "shape TEXT NOT NULL, body TEXT NOT NULL)"
    )
