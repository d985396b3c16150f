"""What a cost depends on, and what it is beyond whole micro-dollars: old rows have no such rest."""

from typing import Any

TABLES = ("events", "rollups", "label_totals", "runs", "backfilled")


def up(_migrator: Any, db: Any) -> None:
    """``cost_rest`` in pico-dollars, ``rest`` in parts of a limit's base, ``terms`` empty for what was not kept."""
    for table in TABLES:
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN cost_rest INTEGER NOT NULL DEFAULT 0")
    db.execute_sql("ALTER TABLE windows ADD COLUMN rest INTEGER NOT NULL DEFAULT 0")
    db.execute_sql("ALTER TABLE events ADD COLUMN terms TEXT NOT NULL DEFAULT ''")
