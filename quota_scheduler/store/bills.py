"""Bills: the lines of providers' usage and cost reports, and how far each report has been read."""

from collections.abc import Iterable
from datetime import datetime

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.observations.bill import BillCursor, BillLine, Ceiling, Report
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Row, Transaction

_KEY = "provider, account, report, starts_at, model, line_group"
_COUNTED = "input, cache_read, cache_write_5m, cache_write_1h, output, requests, cost, cost_rest"
_LATER = ", ".join(f"{name} = excluded.{name}" for name in ("ends_at", *_COUNTED.split(", ")))
_SAVE = (
    f"INSERT INTO bill_lines ({_KEY}, ends_at, {_COUNTED}) VALUES ({', '.join('?' * 15)}) "
    f"ON CONFLICT ({_KEY}) DO UPDATE SET {_LATER}"
)
_REMEMBER = (
    "INSERT INTO bill_cursors (provider, account, reader, read_to, asked_from, asked_to, page) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (provider, account, reader) DO UPDATE SET read_to = excluded.read_to, "
    "asked_from = excluded.asked_from, asked_to = excluded.asked_to, page = excluded.page"
)


def save(tx: Transaction, lines: Iterable[BillLine]) -> None:
    """Keep lines, each in place of what was read of its bucket before."""
    tx.many(
        _SAVE,
        [
            (
                line.provider, line.account, line.report.value, to_micros(line.starts_at), line.model, line.group,
                to_micros(line.ends_at), *line.usage[:6], line.usage.cost_microusd, line.usage.cost_rest,
            )
            for line in lines
        ],
    )  # fmt: skip


def between(tx: Transaction, start: datetime, end: datetime) -> list[BillLine]:
    """Lines of buckets that lie within a span, oldest first."""
    sql = (
        f"SELECT {_KEY}, ends_at, {_COUNTED} FROM bill_lines WHERE starts_at >= ? AND ends_at <= ? "
        "ORDER BY starts_at, provider, account, report, model, line_group"
    )
    return [_line(row) for row in tx.rows(sql, (to_micros(start), to_micros(end)))]


def _line(row: Row) -> BillLine:
    provider, account, report, starts, model, group, ends = row[:7]
    fresh, read, written_5m, written_1h, out, requests, cost, rest = row[7:]
    usage = Usage(fresh, read, written_5m, written_1h, out, requests, cost, cost_rest=rest)
    return BillLine(provider, account, Report(report), from_micros(starts), from_micros(ends), model, group, usage)


def cursor(tx: Transaction, provider: str, account: str, reader: str) -> BillCursor | None:
    """How far a report has been read; None when nothing of it was."""
    row = tx.row(
        "SELECT read_to, asked_from, asked_to, page FROM bill_cursors "
        "WHERE provider = ? AND account = ? AND reader = ?",
        (provider, account, reader),
    )
    return BillCursor(from_micros(row[0]), from_micros(row[1]), from_micros(row[2]), row[3]) if row else None


def remember(tx: Transaction, provider: str, account: str, reader: str, cursor: BillCursor) -> None:
    """Keep how far a report has been read."""
    spans = (to_micros(cursor.read_to), to_micros(cursor.asked_from), to_micros(cursor.asked_to))
    tx.send(_REMEMBER, (provider, account, reader, *spans, cursor.page))


def save_ceilings(tx: Transaction, ceilings: Iterable[Ceiling]) -> None:
    """Keep what providers allow in a moment, each in place of what was read of it before."""
    now = to_micros(tx.now)
    tx.many(
        "INSERT INTO provider_ceilings (provider, account, line_group, limiter, value, read_at) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (provider, account, line_group, limiter) DO UPDATE SET "
        "value = excluded.value, read_at = excluded.read_at",
        [(one.provider, one.account, one.group, one.limiter, one.value, now) for one in ceilings],
    )


def ceilings(tx: Transaction) -> list[tuple[Ceiling, datetime]]:
    """What providers allow in a moment, and when that was read."""
    rows = tx.rows(
        "SELECT provider, account, line_group, limiter, value, read_at FROM provider_ceilings "
        "ORDER BY provider, account, line_group, limiter"
    )
    return [(Ceiling(*row[:5]), from_micros(row[5])) for row in rows]


def prune(tx: Transaction, before: datetime) -> int:
    """Drop lines of buckets that ended before an instant; returns how many."""
    return tx.execute("DELETE FROM bill_lines WHERE ends_at < ?", (to_micros(before),))
