"""``doctor --verify``: the histories that a start would go on from, against all hours folded anew; and the way out.

    what is kept ─the hours that moved since─► as a start would have it ─┐
    every rollup ─────────────────folded anew──────────────────────────┴─► compared, hour by hour and class by class

Histories in percent points are charged at rates that are learned anew each day, and of values past a limit's number of
instances it depends on who came first which one they share: those are not compared.
"""

from collections.abc import Sequence

from quota_scheduler.core.forecast.histories import HOUR_SECONDS, Histories, UsageHistory
from quota_scheduler.core.forecast.packing import unpack
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.instants import HOUR_MICROS, from_micros, iso
from quota_scheduler.core.limits.limit import OTHER, Limit
from quota_scheduler.core.units import Unit
from quota_scheduler.service.tick.forecasts import HISTORY, OVERLAP
from quota_scheduler.service.tick.kept_histories import MARK, KeptBook, KeptHistories
from quota_scheduler.service.upkeep.doctor import Finding, some
from quota_scheduler.store import Transaction, facts, forecasts, ledger, rollups, windows
from quota_scheduler.store import kept_histories as kept_store

CHECK = "kept histories"
WAY_OUT = (
    "starts go on from them for up to a week: stop the service, run quota-scheduler doctor --mend, and start it again"
)
ANEW = "the next start reads every hour"


def kept_histories(tx: Transaction, limits: Sequence[Limit]) -> Finding:
    """What forecasts would go on from after a start, and where it is not what rollups say."""
    if facts.fact(tx, MARK) is None:
        return Finding(CHECK, False, f"none yet: {ANEW}")
    if damaged := [instance for instance, row in kept_store.load(tx).items() if not _is_readable(row.body)]:
        return Finding(CHECK, True, f"no history can be read of {', '.join(some(damaged))}: {ANEW}")
    kept = KeptHistories().restored(tx, limits)
    if kept is None:
        return Finding(CHECK, False, f"nothing that a start would go on from: {ANEW}")
    brought, anew = _brought_up(tx, limits, kept), _folded(tx, limits)
    names = sorted(name for name in brought.series.keys() | anew.series.keys() if _is_comparable(name, limits, anew))
    wrong = [f"{name} {what}" for name in names if (what := _by(brought.of(name), anew.of(name)))]
    detail = f"{'; '.join(some(wrong))}; {WAY_OUT}" if wrong else f"{len(names)} compared"
    return Finding(CHECK, bool(wrong), detail)


def mend(tx: Transaction) -> None:
    """Let go of every kept history, so that the next start reads all hours anew; forecasts alone are made of them."""
    kept_store.forget_others(tx, ())
    facts.forget(tx, MARK)


def _is_readable(body: bytes) -> bool:
    try:
        unpack(body)
    except (ValueError, IndexError):
        return False
    return True


def _brought_up(tx: Transaction, limits: Sequence[Limit], kept: KeptBook) -> Histories:
    """What is kept, brought up to now as a start does it."""
    since, lately = tx.now - HISTORY, kept.as_of - OVERLAP
    if hours := rollups.changed_hours(tx, since=since, changed_since=lately):
        balances = windows.load(tx, limits)
        kept.book.update(rollups.of_hours(tx, hours), hours, ledger.label_sets(tx), balances)
    kept.book.demand(forecasts.unmet(tx, since=since, changed_since=lately))
    kept.book.let_go(since)
    return kept.book


def _folded(tx: Transaction, limits: Sequence[Limit]) -> Histories:
    since, book = tx.now - HISTORY, Histories(limits)
    book.fold(rollups.slices(tx, since), ledger.label_sets(tx), windows.load(tx, limits))
    book.demand(forecasts.unmet(tx, since=since, changed_since=None))
    book.let_go(since)
    return book


def _is_comparable(name: str, limits: Sequence[Limit], anew: Histories) -> bool:
    """Whether both ways must come to the same."""
    return not any(
        name in (limit.id, limit.instance_id(name.removeprefix(f"{limit.id}/")))
        and (limit.unit is Unit.PERCENT or limit.instance_id(OTHER) in anew.series)
        for limit in limits
    )


def _by(kept: UsageHistory, made: UsageHistory) -> str:
    """The first hour that differs, by how much, and how many more do; empty where none does."""
    pairs = [(kept.all, made.all), *zip(kept.above, made.above, strict=True)]
    wrong: dict[int, str] = {}
    for one, other in pairs:
        before, after = _hours(one), _hours(other)
        for hour in before.keys() | after.keys():
            if before.get(hour, 0) != after.get(hour, 0):
                wrong.setdefault(hour, f"{before.get(hour, 0):,} kept and {after.get(hour, 0):,} there")
    if not wrong:
        return ""
    first = min(wrong)
    more = f" (and {len(wrong) - 1} more hours)" if len(wrong) > 1 else ""
    return f"{iso(from_micros(first * HOUR_MICROS))}: {wrong[first]}{more}"


def _hours(buckets: Buckets) -> dict[int, int]:
    """What each hour since 1970 has; amounts are whole."""
    hours = (int(at) // HOUR_SECONDS for at in buckets.starts.tolist())
    return dict(zip(hours, map(int, buckets.values.tolist()), strict=True))
