"""What was used over all windows, as counters, and what of it has no price."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.names import canonical_model, canonical_provider
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import Counter
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import KINDS, Usage

Totals = Sequence[tuple[Labels, Priority, Usage, datetime]]
"""All usage by labels and class, and when the last of it came."""
NOTHING = Usage()


def consumed(
    totals: Totals,
    backfilled: Mapping[tuple[Labels, Priority], Usage],
    bind: Callable[[Labels], Iterable[LimitInstance]],
) -> list[Counter]:
    """Return tokens and cost over all windows, by limit, provider and model, and without any limit.

    What is ``backfilled`` is counted apart: rates are made of these counters.
    """
    sums: dict[tuple[str, ...], Usage] = {}
    backfills = dict.fromkeys((canonical_provider(labels.provider) for labels, *_ in totals), 0)
    for labels, priority, whole, _ in totals:
        backfill = backfilled.get((labels, priority), NOTHING)
        provider, model = canonical_provider(labels.provider), canonical_model(labels.model)
        backfills[provider] += backfill.tokens
        usage = whole.minus(backfill)
        for names in ((), *((instance.name,) for instance in bind(labels))):
            slot = (*names, provider, model)
            sums[slot] = sums.get(slot, NOTHING).plus(usage)
    counters = [Counter("quota_backfilled_tokens_total", (name,), tokens) for name, tokens in sorted(backfills.items())]
    for slot, usage in sorted(sums.items()):
        name = "quota_consumed" if len(slot) > 2 else "quota_recorded"
        counters += [
            Counter(f"{name}_tokens_total", (*slot, kind), value)
            for kind, value in zip(KINDS, usage.kinds, strict=True)
        ]
        counters.append(Counter(f"{name}_usd_total", slot, usage.amount(Unit.USD)))
    return counters


def unpriced_models(totals: Totals, limits: Sequence[Limit]) -> dict[str, int]:
    """Return tokens without a price by model, where a limit counts dollars: elsewhere nobody needs one.

    Work that names no model has none that could be stated.
    """
    in_dollars = [limit for limit in limits if limit.unit is Unit.USD]
    tokens: dict[str, int] = {}
    for labels, _, usage, _ in totals:
        if usage.unpriced_tokens > 0 and labels.model and any(limit.selects(labels) for limit in in_dollars):
            name = f"{canonical_provider(labels.provider)}/{canonical_model(labels.model)}"
            tokens[name] = tokens.get(name, 0) + usage.unpriced_tokens
    return tokens
