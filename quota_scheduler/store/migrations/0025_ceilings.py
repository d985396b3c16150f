"""What providers allow an organisation in a moment."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """``value`` is a count per minute, as the limiter's name says."""
    db.execute_sql(
        "CREATE TABLE provider_ceilings (provider TEXT NOT NULL, account TEXT NOT NULL, line_group TEXT NOT NULL, "
        "limiter TEXT NOT NULL, value BIGINT NOT NULL, read_at BIGINT NOT NULL, "
        "PRIMARY KEY (provider, account, line_group, limiter))"
    )
