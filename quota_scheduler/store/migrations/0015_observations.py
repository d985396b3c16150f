"""What providers said about their windows, and what was learned from it: see ``store.observations``."""

from typing import Any

STATEMENTS = """
CREATE TABLE observations (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL, account TEXT NOT NULL, window TEXT NOT NULL, scope TEXT NOT NULL,
    observed_at INTEGER NOT NULL, source TEXT NOT NULL,
    ratio REAL, resets_at INTEGER, standing TEXT NOT NULL, overage INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    UNIQUE (provider, account, window, scope, observed_at, source)
);
CREATE INDEX observations_recorded ON observations (recorded_at);
CREATE INDEX observations_observed ON observations (observed_at);
CREATE TABLE observed_rates (rule TEXT PRIMARY KEY, shape TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE observed_spans (
    rule TEXT NOT NULL, began_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
    points REAL NOT NULL, cost INTEGER NOT NULL, PRIMARY KEY (rule, began_at)
) WITHOUT ROWID
"""


def up(_migrator: Any, db: Any) -> None:
    """Create the tables, and let a window remember from when on a provider's word rules it."""
    for statement in STATEMENTS.split(";"):
        db.execute_sql(statement)
    db.execute_sql("ALTER TABLE windows ADD COLUMN anchored_at INTEGER")
    db.execute_sql("ALTER TABLE windows ADD COLUMN standing TEXT NOT NULL DEFAULT ''")
    db.execute_sql("ALTER TABLE windows ADD COLUMN drift INTEGER NOT NULL DEFAULT 0")
