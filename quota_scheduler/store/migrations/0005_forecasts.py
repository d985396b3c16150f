"""Forecasts that await judgement, what judged ones taught, and demand that could not be met."""

from typing import Any

STATEMENTS = (
    """
    CREATE TABLE tracks (
        instance TEXT PRIMARY KEY,
        shape TEXT NOT NULL,
        body TEXT NOT NULL,
        changed_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE predictions (
        instance TEXT NOT NULL,
        starts_at BIGINT NOT NULL,
        part INTEGER NOT NULL,
        amount BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (instance, starts_at, part)
    )
    """,
    """
    CREATE TABLE unmet (
        hour BIGINT NOT NULL,
        instance TEXT NOT NULL,
        rank INTEGER NOT NULL,
        amount BIGINT NOT NULL,
        changed_at BIGINT NOT NULL,
        PRIMARY KEY (hour, instance, rank)
    )
    """,
    "CREATE INDEX unmet_changed_at ON unmet (changed_at)",
)


def up(_migrator: Any, db: Any) -> None:
    """``hour`` counts from 1970 as in rollups, ``part`` is per mille of a window, amounts are in the limit's unit."""
    for statement in STATEMENTS:
        db.execute_sql(statement)
