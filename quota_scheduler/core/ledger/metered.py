"""Metered usage: sums that a program reports over and over, and what each report adds to what is known of its series.

    points ──cumulative?──► less what the series stood at ──► by group and time ──► one event each
                 │ no: as they are ────────────────────────────────┘

A cumulative series that begins anew, or stands lower than before, has been reset and counts from 0. A report that was
seen before adds nothing, and one that was lost is made up for by the next. Delta points have no memory: their event's
key is made of the group and its time, so the same export twice counts once.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.usage import KINDS, Usage, UsageEvent

Weights = tuple[int, int, int, int, int]
"""What one token of a series adds to each of the five kinds; -1 where another series' figure includes it."""


class SeriesState(NamedTuple):
    """Where a cumulative series stood at its last report: nanoseconds, and its value and number of calls since."""

    start: int
    at: int
    value: int
    calls: int


class Metered(Struct, frozen=True):
    """One point: how many tokens of one type a program has counted from ``start`` to ``at``, in nanoseconds.

    ``draft`` is the event that all points of its ``group`` and time become, without usage. ``calls`` is how many
    calls the value is of, None where the program does not count them: then an event stands for one at least.
    """

    series: str
    group: str
    start: int
    at: int
    value: int
    calls: int | None
    is_cumulative: bool
    weights: Weights
    draft: UsageEvent


class Settled(NamedTuple):
    """What points become: events, and where their cumulative series stand now."""

    events: list[UsageEvent]
    states: dict[str, SeriesState]


def settle(points: Iterable[Metered], known: Mapping[str, SeriesState]) -> Settled:
    """Return the events that points become, given where their series stood."""
    states: dict[str, SeriesState] = {}
    kinds: dict[tuple[str, int, int], list[int]] = {}
    drafts: dict[tuple[str, int, int], UsageEvent] = {}
    calls: dict[tuple[str, int, int], int] = {}
    for point in points:
        value, made, since = point.value, point.calls, point.start
        if point.is_cumulative:
            before = states.get(point.series) or known.get(point.series)
            added = _added(point, before)
            if added is None:
                continue
            value, made = added
            since = before.at if before and before.start == point.start else point.start
            states[point.series] = SeriesState(point.start, point.at, point.value, point.calls or 0)
        slot = (point.group, point.at, since if not point.is_cumulative else 0)
        sums = kinds.setdefault(slot, [0] * len(KINDS))
        for number, weight in enumerate(point.weights):
            sums[number] += weight * value
        drafts.setdefault(slot, point.draft)
        calls[slot] = max(calls.get(slot, 0), 1 if made is None else made)
    events = [_event(drafts[slot], slot, sums, calls[slot]) for slot, sums in kinds.items()]
    return Settled([event for event in events if event.usage.tokens], states)


def _added(point: Metered, before: SeriesState | None) -> tuple[int, int | None] | None:
    """What a cumulative point adds, None where it was overtaken by a later one."""
    if before is None or point.start > before.start:
        return point.value, point.calls
    if point.start < before.start or point.at <= before.at:
        return None
    if point.value < before.value:
        return point.value, point.calls
    made = None if point.calls is None else max(0, point.calls - before.calls)
    return point.value - before.value, made


def grown(state: SeriesState, before: SeriesState | None) -> int | None:
    """What a cumulative series has grown by since its last report; None where it was overtaken by a later one."""
    if before is None or state.start > before.start:
        return state.value
    if state.start < before.start or state.at <= before.at:
        return None
    return state.value - before.value if state.value >= before.value else state.value


def _event(draft: UsageEvent, slot: tuple[str, int, int], sums: list[int], calls: int) -> UsageEvent:
    group, at, since = slot
    fresh, read, write_5m, write_1h, output = (max(0, number) for number in sums)
    usage = Usage(fresh, read, write_5m, write_1h, output, calls)
    return replace(draft, key=f"metric:{group}:{at:x}:{since:x}", usage=usage)
