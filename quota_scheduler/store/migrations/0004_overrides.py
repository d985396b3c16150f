"""What operators change at run time: fields of limits, with who, when and until when."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Make the table."""
    db.execute_sql(
        "CREATE TABLE limit_changes (rule TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, who TEXT NOT NULL, "
        "at INTEGER NOT NULL, expires_at INTEGER, PRIMARY KEY (rule, field)) WITHOUT ROWID"
    )
