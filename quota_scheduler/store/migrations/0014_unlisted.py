"""What sessions state of themselves, from whom they were forked, and what is no whole call by hour and labels."""

from typing import Any

from quota_scheduler.store.usage_columns import NAMES

STATEMENTS = f"""
CREATE TABLE session_totals (
    session TEXT NOT NULL, place INTEGER NOT NULL, at INTEGER NOT NULL, until INTEGER, origin TEXT NOT NULL,
    stated TEXT NOT NULL, PRIMARY KEY (session, place)
) WITHOUT ROWID;
CREATE TABLE inheritances (
    session TEXT NOT NULL, ancestor TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (session, ancestor)
) WITHOUT ROWID;
CREATE INDEX inheritances_ancestor ON inheritances (ancestor);
CREATE TABLE unsettled_sessions (session TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE pruned_uses (
    session TEXT NOT NULL, model TEXT NOT NULL, at INTEGER NOT NULL, beside INTEGER NOT NULL,
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL, output INTEGER NOT NULL, PRIMARY KEY (session, model, at, beside)
) WITHOUT ROWID;
CREATE TABLE rollups_apart (
    hour INTEGER NOT NULL, label_set INTEGER NOT NULL REFERENCES label_sets (id), extent TEXT NOT NULL,
    origin TEXT NOT NULL, backfill INTEGER NOT NULL, answers INTEGER NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL" for name in NAMES)},
    PRIMARY KEY (hour, label_set, extent, origin, backfill)
) WITHOUT ROWID;
CREATE TABLE door_hours (
    account TEXT NOT NULL, agent TEXT NOT NULL, host TEXT NOT NULL, session TEXT NOT NULL, telling TEXT NOT NULL,
    hour INTEGER NOT NULL, PRIMARY KEY (account, agent, host, session, telling, hour)
) WITHOUT ROWID;
CREATE INDEX events_without_calls ON events (at) WHERE origin GLOB 'otlp/*/metrics*' OR origin GLOB 'litellm*';
UPDATE events SET message = key WHERE message = '' AND (substr(key, 1, 5) = 'resp_' OR substr(key, 1, 9) = 'chatcmpl-');
"""


def up(_migrator: Any, db: Any) -> None:
    """Make the tables."""
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
