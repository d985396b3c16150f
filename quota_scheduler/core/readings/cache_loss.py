"""What a fallen cache hit rate takes more out of each limit than the usual one would have.

lost        (usual rate - rate) x input-side tokens of the lookback, 0 where the rate has not fallen
by model    in proportion to what was not read from the cache there, fresh input and writes alike
more        those tokens as they were counted, less the same tokens counted as cache reads
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from quota_scheduler.core.efficiency.cache import CacheReading
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.pricing import Priced
from quota_scheduler.core.readings.spending import Sets
from quota_scheduler.core.usage import Usage

PriceOf = Callable[[Labels, Usage, datetime], Priced]
Lookback = Iterable[tuple[int, Usage]]
"""What was used in the lookback, by label set."""


def with_losses(
    caches: Sequence[CacheReading],
    lookback: Lookback,
    sets: Sets,
    bind: Callable[[Labels], tuple[LimitInstance, ...]],
    price: PriceOf,
    now: datetime,
) -> tuple[CacheReading, ...]:
    """Add to each cache whose rate has fallen what that took out of each limit instance; others as they are."""
    used: dict[tuple[str, str], dict[Labels, Usage]] = defaultdict(dict)
    for number, usage in lookback:
        labels = sets[number][0]
        of_workflow = used[labels.provider, labels.workflow]
        of_workflow[labels] = of_workflow.get(labels, Usage()).plus(usage)
    return tuple(
        replace(cache, lost=_lost(cache, used[cache.provider, cache.workflow], bind, price, now))
        if cache.baseline is not None and cache.hit_rate < cache.baseline
        else cache
        for cache in caches
    )


def _lost(
    cache: CacheReading,
    used: Mapping[Labels, Usage],
    bind: Callable[[Labels], tuple[LimitInstance, ...]],
    price: PriceOf,
    now: datetime,
) -> tuple[tuple[str, int], ...]:
    unread = sum(usage.input_side - usage.cache_read for usage in used.values())
    lost = round(((cache.baseline or 0.0) - cache.hit_rate) * cache.input_tokens)
    charges: dict[str, int] = {}
    for labels, usage in used.items():
        more = _more(usage, min(lost, unread), unread, labels, price, now)
        for instance in bind(labels):
            charges[instance.name] = charges.get(instance.name, 0) + instance.limit.charge(more)
    return tuple(sorted(charges.items()))


def _more(usage: Usage, lost: int, unread: int, labels: Labels, price: PriceOf, now: datetime) -> Usage:
    """What the lost part of a usage takes beyond what its tokens would as cache reads; no more calls than before."""
    if not unread:
        return Usage()
    fresh, short, long = (kind * lost // unread for kind in (usage.input, usage.cache_write_5m, usage.cache_write_1h))
    written = Usage(fresh, 0, short, long, requests=usage.requests)
    read = Usage(cache_read=written.tokens, requests=usage.requests)
    pico = price(labels, written, now).pico - price(labels, read, now).pico
    return written.minus(read).costing(pico)
