"""One order of all writes: which revision a row is of, and what whoever remembers rows has to read again."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """``revision`` is that of the last write; the others are the revision of the last write of their kind.

    ``anew``: everything remembered is to be read again; ``open_windows``: those; ``terms``: limits or the hold;
    ``outlooks``: those. ``pass`` is where the pass over the queue stands, empty for one that is to begin. A ramp's
    ``next_at`` is when it lets the next one start, ``begins`` of which window, ``reset_at`` when an unused session was.
    """
    db.execute_sql(
        "CREATE TABLE turns (id INTEGER PRIMARY KEY, revision BIGINT NOT NULL, anew BIGINT NOT NULL, "
        "open_windows BIGINT NOT NULL, terms BIGINT NOT NULL, outlooks BIGINT NOT NULL, pass TEXT NOT NULL)"
    )
    db.execute_sql(
        "INSERT INTO turns (id, revision, anew, open_windows, terms, outlooks, pass) VALUES (1, 0, 0, 0, 0, 0, '')"
    )
    for table in ("tickets", "windows", "outlooks"):
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN revision BIGINT NOT NULL DEFAULT 0")
    for table in ("tickets", "windows"):
        db.execute_sql(f"CREATE INDEX {table}_revision ON {table} (revision)")
    db.execute_sql(
        "CREATE TABLE ramps (instance TEXT PRIMARY KEY, begins BIGINT, next_at BIGINT, reset_at BIGINT, "
        "revision BIGINT NOT NULL)"
    )
