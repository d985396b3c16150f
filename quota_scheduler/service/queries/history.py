"""What limits used before now, as the API and the command line show it: the last days of one, everything of all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from quota_scheduler.core.forecast.histories import Histories, moved, no_buckets
from quota_scheduler.core.forecast.series import Buckets
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import local_date
from quota_scheduler.core.readings.readings import DayOfUse
from quota_scheduler.store import Transaction, forecasts, ledger, rollups, windows

DAYS = 7
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def recent_days(tx: Transaction, limits: Sequence[Limit], name: str, *, zone: str) -> list[DayOfUse]:
    """The last seven civil days of a limit name, today included, newest first; days without use are there too."""
    balances, sets = windows.load(tx, limits, tickets=()), ledger.label_sets(tx)
    today = local_date(tx.now, zone)
    since = tx.now - (DAYS + 1) * DAY
    used = {today - n * DAY: 0 for n in range(DAYS)}
    runs = dict.fromkeys(used, 0)
    charges = {
        number: instance.limit
        for number, (labels, _) in sets.items()
        for instance in balances.instances(labels)
        if instance.name == name
    }
    for hour, number, usage in ledger.hours(tx, since):
        day = local_date(hour, zone)
        if day in used and number in charges:
            used[day] += charges[number].charge(usage)
    for number, began_at in forecasts.run_days(tx, since):
        day = local_date(began_at, zone)
        runs[day] = runs.get(day, 0) + (number in charges)
    return [DayOfUse(day, amount, runs[day]) for day, amount in used.items()]


def recorded(tx: Transaction, limits: Sequence[Limit]) -> list[tuple[LimitInstance, Buckets]]:
    """All that the ledger knows of each windowed limit instance, by hour, in the order of the configuration."""
    balances, sets = windows.load(tx, limits, tickets=()), ledger.label_sets(tx)
    book = Histories(limits)
    book.fold(rollups.slices(tx, EPOCH), sets, balances)
    instances = {b.name: b for labels, _ in sets.values() for b in book.bind(labels, balances)}
    order = {limit.id: place for place, limit in enumerate(limits)}
    used = [b for b in instances.values() if b.name in book.series]
    return [(b, book.of(b.name).all) for b in sorted(used, key=lambda b: (order[b.limit.id], b.value))]


def recorded_by_provider(tx: Transaction) -> list[tuple[str, Buckets]]:
    """All tokens that the ledger knows of each provider, by hour."""
    sets = ledger.label_sets(tx)
    buckets: dict[str, Buckets] = {}
    for hour, number, usage in ledger.hours(tx, EPOCH):
        provider = sets[number][0].provider
        buckets[provider] = moved(buckets.get(provider, no_buckets()), hour, usage.tokens)
    return sorted(buckets.items(), key=lambda pair: pair[0])
