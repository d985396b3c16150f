"""Where the pass over the throttle queue stands, as text: whichever replica's turn it is goes on from there."""

import json
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from quota_scheduler.core.admission.headroom import Shadow
from quota_scheduler.core.cycle.snapshot import Unfinished
from quota_scheduler.core.instants import instant_or_none, micros_or_none
from quota_scheduler.core.ledger.balance import LimitInstance
from quota_scheduler.core.ledger.balances import Balances


class PassState(Struct, frozen=True):
    """When all were last looked at, when a ramp lets the next one start, and what a pass cut short has left."""

    seen_all_at: datetime | None = None
    next_slot: datetime | None = None
    unfinished: Unfinished = field(default_factory=Unfinished)


def written(state: PassState) -> str:
    """A state as text."""
    left = state.unfinished
    document: dict[str, Any] = {"seen": micros_or_none(state.seen_all_at), "slot": micros_or_none(state.next_slot)}
    if left.groups:
        document["groups"] = [[list(names), *more, place] for (names, *more), place in left.groups.items()]
        document["shadows"] = [[number, rank, _amounts(amounts)] for number, (rank, amounts) in left.shadows.items()]
    return json.dumps(document, separators=(",", ":"))


def _amounts(amounts: Any) -> list[list[Any]]:
    return [[instance.limit.id, instance.value, amount] for instance, amount in amounts]


def read(text: str, balances: Balances) -> PassState:
    """The state that a text stands for; a pass that begins anew where it speaks of limits that do not hold here."""
    document: dict[str, Any] = json.loads(text or "{}")
    seen, slot = instant_or_none(document.get("seen")), instant_or_none(document.get("slot"))
    groups = {(tuple(names), *more): place for names, *more, place in document.get("groups", ())}
    shadows: dict[int, Shadow] = {}
    for number, rank, rows in document.get("shadows", ()):
        limits = [balances.limit(rule) for rule, _, _ in rows]
        if not all(limits):
            return PassState()
        amounts = [(LimitInstance(limit, v), n) for limit, (_, v, n) in zip(limits, rows, strict=True) if limit]
        shadows[number] = rank, tuple(amounts)
    return PassState(seen, slot, Unfinished(groups, shadows))
