"""Alert states, the outbox of notifications owed, and silences."""

from typing import Any

STATEMENTS = (
    """
    CREATE TABLE alert_states (
        id INTEGER PRIMARY KEY,
        rule TEXT NOT NULL,
        scope TEXT NOT NULL,
        episode TEXT NOT NULL,
        phase TEXT NOT NULL CHECK (phase IN ('pending', 'firing', 'resolved')),
        severity TEXT NOT NULL,
        since BIGINT NOT NULL,
        value REAL NOT NULL,
        facts TEXT NOT NULL,
        fired_at BIGINT,
        resolved_at BIGINT,
        cause TEXT,
        clear_since BIGINT,
        absent_since BIGINT,
        last_notified_at BIGINT,
        acknowledged_at BIGINT,
        acknowledged_by TEXT NOT NULL DEFAULT '',
        UNIQUE (rule, scope, episode)
    )
    """,
    """
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        target TEXT NOT NULL,
        rule TEXT NOT NULL,
        scope TEXT NOT NULL,
        episode TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('fired', 'repeat', 'resolved')),
        severity TEXT NOT NULL,
        subject TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        next_try_at BIGINT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL DEFAULT 'owed' CHECK (state IN ('owed', 'sending', 'delivered', 'dead')),
        settled_at BIGINT,
        detail TEXT NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX outbox_due ON outbox (target, id) WHERE state IN ('owed', 'sending')",
    "CREATE INDEX outbox_settled ON outbox (settled_at) WHERE state IN ('delivered', 'dead')",
    """
    CREATE TABLE silences (
        id INTEGER PRIMARY KEY,
        matchers TEXT NOT NULL,
        author TEXT NOT NULL,
        comment TEXT NOT NULL,
        starts_at BIGINT NOT NULL,
        ends_at BIGINT NOT NULL
    )
    """,
)


def up(_migrator: Any, db: Any) -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        db.execute_sql(statement)
