"""Histories that outlive a restart: a start reads them, and of the ledger only the hours that have moved since.

    folded, or a day later ─► some histories with each tick ─► all are there: mark

The mark says as of when. A row may be newer than it: the hours that moved since are read as a whole and put in the
place of what they were, so that it does no harm to read more of them than needed. One that is older, or that was
counted otherwise, was not written when we thought so: then all hours are read anew.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from quota_scheduler.core.forecast.histories import Histories
from quota_scheduler.core.forecast.packing import pack, unpack
from quota_scheduler.core.instants import from_micros, to_micros
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.store import Transaction, facts
from quota_scheduler.store import kept_histories as kept_store

MARK = "histories_kept"
"""Remembered fact: as of when all histories are kept, how many, when folded, their oldest hour, how limits count."""
PER_TICK = 8
"""Histories written with one tick: about a megabyte of 120 busy days, a few milliseconds of the writer."""
GOOD_FOR = timedelta(days=7)
"""Older ones are not gone on from: which hours have moved is known for a day longer."""


class KeptBook(Struct, frozen=True):
    """Histories to go on from: as of when they stand, and when they were folded whole."""

    book: Histories
    as_of: datetime
    folded_at: datetime


class _Round(Struct):
    """Histories being written: as of when they stood when it began, whose they are, and how many are written."""

    book: Histories
    as_of: datetime
    folded_at: datetime
    instances: list[str]
    written: int = 0


class KeptHistories:
    """Writes the histories of one process, and finds those of the one before."""

    def __init__(self) -> None:
        self._round: _Round | None = None

    def restored(self, tx: Transaction, limits: Sequence[Limit]) -> KeptBook | None:
        """What is kept, where it is whole, limits count as they did, and it is not too old."""
        mark, ours = json.loads(facts.fact(tx, MARK) or "{}"), fingerprint(limits)
        if mark.get("counting") != ours:
            return None
        as_of = from_micros(mark["as_of"])
        if not timedelta(0) <= tx.now - as_of <= GOOD_FOR:
            return None
        rows = kept_store.load(tx)
        if len(rows) != mark["histories"] or any(row.as_of < as_of or row.counting != ours for row in rows.values()):
            return None
        book = Histories(limits)
        book.first = from_micros(mark["first"]) if mark["first"] is not None else None
        try:
            book.series = {name: unpack(row.body) for name, row in rows.items()}
        except (ValueError, IndexError):  # bytes that we did not write
            return None
        return KeptBook(book, as_of, from_micros(mark["folded_at"]))

    def begin(self, book: Histories, as_of: datetime, folded_at: datetime) -> None:
        """Keep all histories, some with each save; they stand as of ``as_of`` now."""
        self._round = _Round(book, as_of, folded_at, sorted(book.series))

    def save(self, tx: Transaction, looked_at: datetime) -> None:
        """Write some of what is to be kept, as of ``looked_at``; after the last, that all are there."""
        if (one := self._round) is None:
            return
        some = one.instances[one.written : one.written + PER_TICK]
        one.written += len(some)
        ours, series = fingerprint(one.book.limits), one.book.series
        kept_store.save(tx, {name: kept_store.KeptHistory(looked_at, ours, pack(series[name])) for name in some})
        if one.written < len(one.instances):
            return
        self._round = None
        kept_store.forget_others(tx, set(one.instances))
        first = one.book.first
        mark = {
            "as_of": to_micros(one.as_of),
            "folded_at": to_micros(one.folded_at),
            "first": to_micros(first) if first else None,
            "histories": len(one.instances),
            "counting": ours,
        }
        facts.remember(tx, MARK, json.dumps(mark))


def counting(limits: Iterable[Limit]) -> list[tuple[object, ...]]:
    """What decides which usage counts in which limit instance."""
    return [(limit.id, limit.mode == "off", limit.shape(), limit.max_instances, limit.values) for limit in limits]


def fingerprint(limits: Iterable[Limit]) -> str:
    """The same in short."""
    return hashlib.sha256(repr(counting(limits)).encode()).hexdigest()[:16]
