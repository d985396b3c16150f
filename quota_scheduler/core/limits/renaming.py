"""Which limits count the same: what ends the window of one that changed, and which one only has another name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.usage import EVEN_WEIGHTS


def shape_of(limit: Limit) -> list[Any]:
    """Return the parts of a limit whose change ends its window, as values that JSON can hold."""
    match = [(name, sorted(values)) for name, values in limit.match]
    counts = limit.mode is not Mode.OFF  # what is off counts nothing: switched on again it is rebuilt
    shape = [match, limit.per, limit.unit, limit.weights, repr(limit.schedule), counts]
    # earlier versions counted one spelling of a model only, and rounded weighed tokens one by one
    by_name = "model" in dict(limit.match) or limit.per in ("model", "provider")
    counted = ["by name"] * by_name + ["exact"] * (limit.weights != EVEN_WEIGHTS)
    observed = [str(limit.observed)] if limit.observed else []
    return [*shape, *counted, *observed]


def renamed_among(
    stored: Mapping[str, str],
    limits: Sequence[Limit],
    shapes: Mapping[str, str],
    last_amount: Callable[[str], int | None],
) -> dict[str, str]:
    """Return the limits that only have another id, old to new: one went, one came, and both count the same.

    ``stored`` are the shapes of the limits so far by id, ``shapes`` those from now on, both as text. Where several did,
    those with the amount of the last window belong together; what stays in doubt is no renaming.
    """
    ids = {limit.id for limit in limits}
    gone: dict[str, list[str]] = {}
    for rule, shape in stored.items():
        if rule not in ids:
            gone.setdefault(shape, []).append(rule)
    come: dict[str, list[Limit]] = {}
    for limit in limits:
        if limit.id not in stored:
            come.setdefault(shapes[limit.id], []).append(limit)
    pairs: dict[str, str] = {}
    for shape, old in gone.items():
        fresh = come.get(shape, [])
        if len(old) == len(fresh) == 1:
            pairs[old[0]] = fresh[0].id
        for rule in old if len(old) + len(fresh) > 2 else ():
            amount = last_amount(rule)
            same = [limit.id for limit in fresh if limit.amount == amount]
            if len(same) == 1 and same[0] not in pairs.values():
                pairs[rule] = same[0]
    return pairs
