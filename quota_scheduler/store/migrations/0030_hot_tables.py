"""What is looked for among all events, or reservations, lies in an index; on a server, hot tables are swept more often.

A server sweeps a table when a fifth of it is dead: of a million closed tickets that is days too late for the few that
are open. Rows that change in place get room beside them, so that a change touches one page and no index.
"""

from typing import Any

import peewee

HOT = {
    "turns": "fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200",
    "windows": "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05",
    "label_totals": "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05",
    "rollups": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05",
    "rollup_days": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05",
    "tickets": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02",
    "leases": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02",
    "reservations": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02",
    "events": "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05",
}
"""Settings of storage by table."""


def up(_migrator: Any, db: Any) -> None:
    """Create the indexes, and set what only a server knows."""
    db.execute_sql("CREATE INDEX events_unsure ON events (id) WHERE unpriced > 0 OR estimated = 1")
    db.execute_sql("DROP INDEX reservations_open")
    db.execute_sql("CREATE INDEX reservations_window ON reservations (open, window)")
    if isinstance(db, peewee.PostgresqlDatabase):
        for table, settings in HOT.items():
            db.execute_sql(f"ALTER TABLE {table} SET ({settings})")
