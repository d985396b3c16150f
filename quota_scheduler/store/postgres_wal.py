"""When a write is durable: where several write, the turn goes on before the server's log is on its disk.

    the turn ── questions ── what is written ── COMMIT ── FLUSH ─► answers
    one has it ───────────────────────────────────┘ the next one has it while this one waits for the disk

A commit that waits for the disk holds the turn as long. Where somebody else wrote before (``LETS_GO``), it does not
wait, and a commit behind it does, which brings the log to the disk up to there. Nobody is answered before. What a
server that dies in between loses is the end of its log: what nobody was told, and what was decided after that.

A view may see what is not on the disk yet: it says how far the log was then, and nobody is told before it is on the
disk up to there (``wait_for``). A server that waits for standbys keeps the turn until they have answered.
"""

from typing import Any

import psycopg

LETS_GO = (
    "(SELECT set_config('synchronous_commit', 'off', true) "
    "WHERE revision <> $1 AND current_setting('synchronous_standby_names') = '')"
)
"""Something where the turn is let go before the disk, else NULL: a column beside the row of ``turns``. Takes the
revision that was left here last, or NULL. Whoever writes alone would pay for two commits and gain nothing."""
FLUSH = b"SELECT pg_logical_emit_message(true, 'quota_scheduler', '')"
"""A commit that waits as the operator lets commits wait, and so for all before it; a few bytes that nobody reads.
One that writes nothing would wait for nothing (PostgreSQL's xact.c, RecordTransactionCommit)."""
BEGIN_VIEW = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
VIEW = f"{BEGIN_VIEW}; SELECT clock_timestamp(), NULL"
"""A view of a server that cannot tell how far its log is: nobody lets the turn go early there."""
VIEW_OF_LOG = (
    f"{BEGIN_VIEW}; SELECT clock_timestamp(), CASE WHEN NOT pg_is_in_recovery() "
    "AND pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn() THEN CAST(pg_current_wal_insert_lsn() AS text) END"
)
"""The time, and how far the log is where not all of it is on the disk; after the view's snapshot, and so no less."""


def is_known(connection: "psycopg.Connection[Any]") -> bool:
    """Whether we may ask how far the log is, and bring it to the disk; outside of any transaction."""
    try:
        row = connection.execute("SELECT pg_is_in_recovery() OR pg_current_wal_insert_lsn() > '0/0'").fetchone()
        if row and row[0]:
            connection.execute(FLUSH)
    except psycopg.DatabaseError:
        if connection.broken:
            raise
        return False
    return True


def wait_for(connection: "psycopg.Connection[Any]", log: str) -> None:
    """Wait until the log is on the disk up to a place; outside of any transaction."""
    row = connection.execute("SELECT pg_current_wal_flush_lsn() >= CAST(%s AS pg_lsn)", (log,)).fetchone()
    if not row or not row[0]:
        connection.execute(FLUSH)
