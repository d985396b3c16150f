"""Scheduling quality: what closed windows did to work, and what windows turned away so far."""

from typing import Any

STATEMENTS = (
    """
    CREATE TABLE turned_away (
        rule TEXT NOT NULL,
        value TEXT NOT NULL,
        starts_at BIGINT NOT NULL,
        rank INTEGER NOT NULL,
        amount BIGINT NOT NULL,
        stalls INTEGER NOT NULL,
        PRIMARY KEY (rule, value, starts_at, rank)
    )
    """,
    """
    CREATE TABLE quality (
        rule TEXT NOT NULL,
        value TEXT NOT NULL,
        starts_at BIGINT NOT NULL,
        ends_at BIGINT NOT NULL,
        amount BIGINT NOT NULL,
        used BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (rule, value, starts_at)
    )
    """,
    "CREATE INDEX quality_ends_at ON quality (ends_at)",
)


def up(_migrator: Any, db: Any) -> None:
    """Amounts are in the limit's unit; ``rank`` is 0 for the most important class; ``body`` is by rank."""
    for statement in STATEMENTS:
        db.execute_sql(statement)
