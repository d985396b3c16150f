"""What was used over all windows, as counters, and what of it has no price."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.names import canonical_model, canonical_provider
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.readings import Counter
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import KINDS, Extent, Usage

Totals = Sequence[tuple[Labels, Priority, Usage, datetime]]
"""All usage by labels and class, and when the last of it came."""
NOTHING = Usage()


class SetApart(NamedTuple):
    """A part of the totals that is no whole call: how many ``answers``, and what was used."""

    labels: Labels
    priority: Priority
    extent: Extent
    origin: str
    is_backfill: bool
    answers: int
    usage: Usage


def consumed(
    totals: Totals,
    backfilled: Mapping[tuple[Labels, Priority], Usage],
    bind: Callable[[Labels], Iterable[LimitInstance]],
    apart: Sequence[SetApart] = (),
) -> list[Counter]:
    """Return tokens and cost over all windows, by limit, provider and model, and without any limit.

    What is ``backfilled`` is counted apart: rates are made of these counters. So is what was used beyond the calls that
    are listed, but in limits, where it counts like all else.
    """
    unlisted = _unlisted(apart)
    sums: dict[tuple[str, ...], Usage] = {}
    backfills = dict.fromkeys((canonical_provider(labels.provider) for labels, *_ in totals), 0)
    for labels, priority, whole, _ in totals:
        backfill = backfilled.get((labels, priority), NOTHING)
        provider, model = canonical_provider(labels.provider), canonical_model(labels.model)
        backfills[provider] += backfill.tokens
        usage = whole.minus(backfill)
        for names in ((), *((instance.name,) for instance in bind(labels))):
            slot = (*names, provider, model)
            counting = usage if names else usage.minus(unlisted.get((labels, priority), NOTHING))
            sums[slot] = sums.get(slot, NOTHING).plus(counting)
    counters = [Counter("quota_backfilled_tokens_total", (name,), tokens) for name, tokens in sorted(backfills.items())]
    for slot, usage in sorted(sums.items()):
        name = "quota_consumed" if len(slot) > 2 else "quota_recorded"
        counters += [
            Counter(f"{name}_tokens_total", (*slot, kind), value)
            for kind, value in zip(KINDS, usage.kinds, strict=True)
        ]
        counters.append(Counter(f"{name}_usd_total", slot, usage.amount(Unit.USD)))
    return counters + _apart(unlisted, apart)


def _unlisted(apart: Iterable[SetApart]) -> dict[tuple[Labels, Priority], Usage]:
    """What was used beyond the calls that are listed, backfills aside."""
    sums: dict[tuple[Labels, Priority], Usage] = {}
    for one in apart:
        if one.extent is Extent.UNLISTED and not one.is_backfill:
            sums[one.labels, one.priority] = sums.get((one.labels, one.priority), NOTHING).plus(one.usage)
    return sums


def _apart(unlisted: Mapping[tuple[Labels, Priority], Usage], apart: Iterable[SetApart]) -> list[Counter]:
    sums: dict[tuple[str, str], Usage] = {}
    for (labels, _), usage in unlisted.items():
        slot = canonical_provider(labels.provider), canonical_model(labels.model)
        sums[slot] = sums.get(slot, NOTHING).plus(usage)
    counters = [
        Counter("quota_unlisted_tokens_total", (*slot, kind), value)
        for slot, usage in sorted(sums.items())
        for kind, value in zip(KINDS, usage.kinds, strict=True)
    ]
    counters += [Counter("quota_unlisted_usd_total", slot, u.amount(Unit.USD)) for slot, u in sorted(sums.items())]
    answers: dict[str, int] = {}
    for one in apart:
        if one.extent is Extent.PARTIAL:
            source = one.origin.partition("@")[0]
            answers[source] = answers.get(source, 0) + one.answers
    return counters + [Counter("quota_partial_answers_total", (source,), n) for source, n in sorted(answers.items())]


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
