"""What providers said about their windows: kept once each, and no more of it than what is decided on needs.

A report that says the same as the two before it through the same door moves the last of them: then a status line that
speaks every second costs two rows for each thing it says, and both ends of the time it said so are known.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from quota_scheduler.core.instants import SKEW, from_micros, instant_or_none, micros_or_none, to_micros
from quota_scheduler.core.observations.observation import Observation, ProviderWindow, Standing
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.store import Row, Transaction

KEPT = timedelta(days=35)
"""As long as raw events are kept, with which reports are compared."""
MOST_PRUNED = 5_000
"""Reports that one transaction drops."""
_COLUMNS = "provider, account, window, scope, observed_at, source, ratio, resets_at, standing, overage"
_OF_KEY = "provider = ? AND account = ? AND window = ? AND scope = ?"
_LAST_TWO = (
    f"SELECT id, observed_at, ratio, resets_at, standing, overage FROM observations WHERE {_OF_KEY} AND source = ? "
    "ORDER BY observed_at DESC LIMIT 2"
)
_PUT = (
    f"INSERT INTO observations ({_COLUMNS}, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)


def record(tx: Transaction, observation: Observation) -> bool:
    """Keep a report; returns False for one that is kept already."""
    key = ReportKey.of(observation)
    same = [row for row in tx.rows(_LAST_TWO, (*key, observation.source)) if _says_the_same(row, observation)]
    at = to_micros(observation.observed_at)
    if len(same) == 2 and at > same[0][1]:
        tx.send("UPDATE observations SET observed_at = ? WHERE id = ?", (at, same[0][0]))
        return True
    said = observation.used_ratio, micros_or_none(observation.resets_at)
    standing = observation.standing.value, int(observation.overage)
    return tx.execute(_PUT, (*key, at, observation.source, *said, *standing, to_micros(tx.now))) > 0


def _says_the_same(row: Row, observation: Observation) -> bool:
    _, _, ratio, resets_at, standing, overage = row
    before, after = instant_or_none(resets_at), observation.resets_at
    same_reset = before == after or bool(before and after and abs(before - after) <= SKEW)
    said = observation.used_ratio, observation.standing.value, observation.overage
    return same_reset and (ratio, standing, bool(overage)) == said


def since(tx: Transaction, key: ReportKey, start: datetime) -> list[Observation]:
    """The reports about one window of one account from an instant on, in the order of their own time."""
    sql = f"SELECT {_COLUMNS} FROM observations WHERE {_OF_KEY} AND observed_at >= ? ORDER BY observed_at, source"
    return [_observation(row) for row in tx.rows(sql, (*key, to_micros(start)))]


def newest(tx: Transaction) -> list[Observation]:
    """The newest report about every window that any was ever about, whose rows are still there."""
    sql = (
        f"SELECT {_COLUMNS} FROM (SELECT {_COLUMNS}, row_number() OVER (PARTITION BY provider, account, window, scope "
        "ORDER BY observed_at DESC, id DESC) AS place FROM observations) AS ranked WHERE place = 1 "
        "ORDER BY provider, account, window, scope"
    )
    return [_observation(row) for row in tx.rows(sql)]


def seen(tx: Transaction, key: ReportKey) -> tuple[int, datetime | None]:
    """How many reports about a window are kept, and when the newest was made: what is new shows in one of them."""
    row = tx.row(f"SELECT count(*), max(observed_at) FROM observations WHERE {_OF_KEY}", tuple(key))
    return (row[0], instant_or_none(row[1])) if row else (0, None)


def newest_at(tx: Transaction) -> datetime | None:
    """When the newest report of all was made."""
    return instant_or_none(tx.scalar("SELECT max(observed_at) FROM observations"))


def keys_of(tx: Transaction) -> list[ReportKey]:
    """Every window of every account that was reported on."""
    rows = tx.rows("SELECT DISTINCT provider, account, window, scope FROM observations ORDER BY 1, 2, 3, 4")
    return [ReportKey(provider, account, ProviderWindow(window), scope) for provider, account, window, scope in rows]


def prune(tx: Transaction) -> int:
    """Drop some of the reports that are older than they are kept; returns how many."""
    return tx.execute(
        "DELETE FROM observations WHERE id IN (SELECT id FROM observations WHERE recorded_at < ? LIMIT ?)",
        (to_micros(tx.now - KEPT), MOST_PRUNED),
    )


def _observation(row: Sequence[object]) -> Observation:
    provider, account, window, scope, observed_at, source, ratio, resets_at, standing, overage = row
    return Observation(
        provider=str(provider),
        account=str(account),
        window=ProviderWindow(str(window)),
        observed_at=from_micros(int(str(observed_at))),
        source=str(source),
        used_ratio=None if ratio is None else float(str(ratio)),
        resets_at=None if resets_at is None else from_micros(int(str(resets_at))),
        scope=str(scope),
        standing=Standing(str(standing)),
        overage=bool(overage),
    )
