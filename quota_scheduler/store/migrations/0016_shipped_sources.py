"""How sources on other hosts are doing, by what their shipper said last."""

from typing import Any


def up(_migrator: Any, db: Any) -> None:
    """``clock_difference`` in microseconds: how far our clock is ahead of the host's. ``lag`` in milliseconds."""
    db.execute_sql(
        "CREATE TABLE shipped_sources (host TEXT NOT NULL, source TEXT NOT NULL, seen_at BIGINT NOT NULL, "
        "lag BIGINT NOT NULL, catching_up INTEGER NOT NULL, errors BIGINT NOT NULL, files BIGINT NOT NULL, "
        "done_bytes BIGINT NOT NULL, total_bytes BIGINT NOT NULL, clock_difference BIGINT NOT NULL, "
        "program TEXT NOT NULL, PRIMARY KEY (host, source))"
    )
