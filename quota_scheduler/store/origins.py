"""Which doors usage and providers' words came through lately, without reading all there is."""

from datetime import timedelta

from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.readings.origins import OriginActivity, WordActivity
from quota_scheduler.store import Transaction

LATELY = timedelta(hours=24)
MOST_LOOKED_AT = 50_000
"""The newest recorded events that are looked at: a tenth of a second. A door that has been silent for longer is told by
its files, its host or not at all."""
_ACTIVITY = (
    "SELECT origin, total(CASE WHEN recorded_at >= ?1 THEN 1 ELSE 0 END), "
    "total(CASE WHEN recorded_at >= ?1 THEN tokens ELSE 0 END), max(at), max(recorded_at) FROM ("
    "SELECT origin, at, recorded_at, input + cache_read + cache_write_5m + cache_write_1h + output AS tokens "
    "FROM events ORDER BY recorded_at DESC LIMIT ?2) AS newest GROUP BY origin ORDER BY origin"
)


def activity(tx: Transaction) -> list[OriginActivity]:
    """What came through each door in the last 24 hours, and when last."""
    rows = tx.rows(_ACTIVITY, (to_micros(tx.now - LATELY), MOST_LOOKED_AT))
    return [OriginActivity(row[0], int(row[1]), int(row[2]), from_micros(row[3]), from_micros(row[4])) for row in rows]


def files(tx: Transaction) -> dict[str, int]:
    """How many files of each source have been read."""
    return dict(tx.rows("SELECT source, count(*) FROM source_files GROUP BY source"))


def words(tx: Transaction) -> list[WordActivity]:
    """How many windows each door told about, and when last."""
    rows = tx.rows(
        "SELECT source, count(DISTINCT provider || '/' || account || '/' || window || '/' || scope), max(observed_at) "
        "FROM observations GROUP BY source ORDER BY source"
    )
    return [WordActivity(source, windows, from_micros(at)) for source, windows, at in rows]
