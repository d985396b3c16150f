"""Breakers: accounts whose provider refuses for a moment, so that a restart does not forget a pause."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """Create the table: a row an account, instants in microseconds, 0 for no probe."""
    db.execute_sql(
        "CREATE TABLE breakers (provider TEXT NOT NULL, account TEXT NOT NULL, opened_at BIGINT NOT NULL, "
        "moved_at BIGINT NOT NULL, until BIGINT NOT NULL, pause BIGINT NOT NULL, refusals BIGINT NOT NULL, "
        "probe BIGINT NOT NULL, probing_since BIGINT, closed_at BIGINT, PRIMARY KEY (provider, account))"
    )
