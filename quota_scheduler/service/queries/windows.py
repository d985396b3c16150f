"""Past and present windows of limits: what each came to."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.units import in_units
from quota_scheduler.store import Transaction, spans

MOST = 10_000
"""Windows of one answer."""


def windows_document(
    tx: Transaction,
    limits: Sequence[Limit],
    *,
    name: str,
    back: timedelta,
    sees: Callable[[str], bool] = lambda _: True,
) -> dict[str, Any]:
    """Windows that ended, or will, after an instant, the newest first; ``name`` is of a limit or an instance, or empty.

    Amounts are in the limit's unit. An open window is shown with the amount that holds now.
    """
    by_id = {limit.id: limit for limit in limits}
    windows = []
    for one in spans.windows_since(tx, tx.now - back, MOST):
        limit, instance = by_id.get(one.rule), f"{one.rule}/{one.value}" if one.value else one.rule
        if limit is None or name not in ("", one.rule, instance) or not sees(instance):
            continue
        of = one.amount or limit.amount_of(one.value)
        windows.append(
            {
                "limit": instance,
                "unit": limit.unit.value,
                "timezone": getattr(limit.schedule, "zone", "UTC"),
                "starts_at": iso(one.starts_at),
                "ends_at": iso(one.ends_at),
                "used": in_units(one.used, limit.unit),
                "amount": in_units(of, limit.unit),
                "usage_ratio": round(one.used / of, 4) if of else None,
                "open": one.ends_at > tx.now and not one.end_reason,
                "ended": one.end_reason or None,
            }
        )
    return {"at": iso(tx.now), "windows": windows}
