"""How often work was admitted, deferred, throttled, woken and rejected: by civil day, limit, class and reason."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from quota_scheduler.core.cycle.tally import THROTTLES, Counted
from quota_scheduler.core.instants import iso
from quota_scheduler.store import Transaction, decision_counts
from quota_scheduler.store.decision_counts import DecisionCount

COUNTED_BY = ("day", "limit", "class", "reason")
"""What counts can be by."""


def decisions_document(
    tx: Transaction, days: int, by: Sequence[str], *, zone: str, sees: Callable[[str], bool] = lambda _: True
) -> dict[str, Any]:
    """Counts of the last ``days`` civil days, today included, in ``zone``; the totals are those of all rows.

    ``throttled`` is the part of ``deferred`` that a quota had no room for. A decision counts once, under the limit that
    held it, or else the first that binds it; ``""`` where none does. Those of limits that are not seen are left out.
    """
    begins_at = _begin(tx.now, days, zone)
    totals: Counter[str] = Counter()
    groups: dict[tuple[str, ...], Counter[str]] = {}
    for row in decision_counts.since(tx, begins_at):
        if not sees(row.instance):
            continue
        place = _place(row, zone)
        sums = groups.setdefault(tuple(place[name] for name in by), Counter())
        for word in (row.counted, *_also(row)):
            sums[word] += row.value
            totals[word] += row.value
    return {
        "since": iso(begins_at),
        "timezone": zone,
        "totals": _words(totals),
        "decisions": [
            {**dict(zip(by, group, strict=True)), **_words(sums)} for group, sums in sorted(groups.items()) if by
        ],
    }


def _begin(now: datetime, days: int, zone: str) -> datetime:
    today = now.astimezone(ZoneInfo(zone)).date()
    return datetime.combine(today - timedelta(days=days - 1), time(), ZoneInfo(zone))


def _place(row: DecisionCount, zone: str) -> dict[str, str]:
    day = row.hour.astimezone(ZoneInfo(zone)).date().isoformat()
    return {"day": day, "limit": row.instance, "class": row.priority, "reason": row.reason}


def _also(row: DecisionCount) -> tuple[Counted, ...]:
    return (Counted.THROTTLED,) if row.counted is Counted.DEFERRED and row.reason in THROTTLES else ()


def _words(sums: Counter[str]) -> dict[str, int]:
    return {word.value: sums[word] for word in Counted}
