"""Whose ticket it is: the name of the token that sent it; empty for what came before, or without tokens."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Add the column."""
    db.execute_sql("ALTER TABLE tickets ADD COLUMN owner TEXT NOT NULL DEFAULT ''")
