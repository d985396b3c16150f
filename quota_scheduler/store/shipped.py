"""Sources on other hosts: one row for each, as its shipper said last."""

from collections.abc import Iterable
from datetime import timedelta

from quota_scheduler.core.instants import MICROSECOND, from_micros, to_micros
from quota_scheduler.core.ledger.source_batch import ShippedSource
from quota_scheduler.store import Row, Transaction

_COLUMNS = "host, source, seen_at, lag, catching_up, errors, files, done_bytes, total_bytes, clock_difference, program"
_SAVE = (
    f"INSERT INTO shipped_sources ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (host, source) DO UPDATE SET seen_at = excluded.seen_at, lag = excluded.lag, "
    "catching_up = excluded.catching_up, errors = excluded.errors, files = excluded.files, "
    "done_bytes = excluded.done_bytes, total_bytes = excluded.total_bytes, "
    "clock_difference = excluded.clock_difference, program = excluded.program"
)
MILLISECOND = timedelta(milliseconds=1)


def save(tx: Transaction, sources: Iterable[ShippedSource]) -> None:
    """Keep what shippers said, each in place of what it said before."""
    tx.many(
        _SAVE,
        [
            (
                s.host, s.source, to_micros(s.seen_at), s.lag // MILLISECOND, int(s.catching_up), s.errors, s.files,
                s.done_bytes, s.total_bytes, s.clock_difference // MICROSECOND, s.program,
            )
            for s in sources
        ],
    )  # fmt: skip


def load(tx: Transaction) -> list[ShippedSource]:
    """Every source that was ever shipped, by host and name."""
    return [_source(row) for row in tx.rows(f"SELECT {_COLUMNS} FROM shipped_sources ORDER BY host, source")]


def _source(row: Row) -> ShippedSource:
    host, source, seen, lag, catching_up, errors, files, done, total, difference, program = row
    return ShippedSource(
        host, source, from_micros(seen), lag * MILLISECOND, bool(catching_up), errors, files, done, total,
        difference * MICROSECOND, program,
    )  # fmt: skip
