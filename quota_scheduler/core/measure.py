"""Readings of a limit, measured from its window, its history and its forecast."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quota_scheduler.core.admission import admits
from quota_scheduler.core.board import Binding, Board
from quota_scheduler.core.burn import burns
from quota_scheduler.core.efficiency import optimization_level
from quota_scheduler.core.forecast import Forecast, is_spike, risk_band
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.level import LevelFacts, LevelState
from quota_scheduler.core.limits import Limit
from quota_scheduler.core.outlook import KNOTS, Outlook
from quota_scheduler.core.priority import CLASSES, Priority
from quota_scheduler.core.readings import ClassReading, LimitReading
from quota_scheduler.core.rooms import Room, need
from quota_scheduler.core.tickets import Reason, State, Ticket
from quota_scheduler.core.usage import Usage
from quota_scheduler.core.windows import Calendar, PerRun, Session

HOUR = timedelta(hours=1)
SPIKE_USAGE = 0.85
"""A spike matters for the seed policy only when the P80 at the reset passes this share (design, section 4)."""
History = list[tuple[datetime, int]]


@dataclass(frozen=True, slots=True)
class Histories:
    """Hourly usage of one limit instance in its unit: all of it, and the classes above each rank."""

    all: History
    above: tuple[History, History, History, History]


def histories(hours: Iterable[tuple[datetime, Labels, Priority, Usage]], board: Board) -> dict[str, Histories]:
    """Fold hourly rollups, oldest first, into the histories of the limit instances that they count in."""
    sums: dict[str, tuple[dict[datetime, int], list[dict[datetime, int]]]] = {}
    for hour, labels, priority, usage in hours:
        for binding in board.bindings(labels):
            charge = binding.limit.charge(usage)
            if not charge or not binding.limit.is_windowed:
                continue
            every, above = sums.setdefault(binding.instance, ({}, [{} for _ in CLASSES]))
            every[hour] = every.get(hour, 0) + charge
            for rank in range(priority.rank + 1, len(CLASSES)):
                above[rank][hour] = above[rank].get(hour, 0) + charge
    return {
        instance: Histories(list(every.items()), tuple(list(one.items()) for one in above))  # type: ignore[arg-type]
        for instance, (every, above) in sums.items()
    }


def outlook(
    forecast: Forecast | None,
    above: Sequence[Forecast | None],
    history: Histories | None,
    *,
    amount: int,
    previous: str,
    now: datetime,
) -> Outlook:
    """What the admission test may know of a limit's future: nothing but its age while that is under seven days."""
    if forecast is None:
        return Outlook(now)
    observed = timedelta(days=forecast.observed_days)
    if not forecast.sufficient or amount <= 0:
        return Outlook(now, forecast.ends_at, observed)
    knots = tuple(tuple(each.rest(q) for q in KNOTS) if each else () for each in above)
    p80 = forecast.p80 / amount
    spike = bool(history) and p80 > SPIKE_USAGE and is_spike(history.all if history else [], now, HOUR)
    return Outlook(
        now, forecast.ends_at, observed, knots, str(risk_band(p80, previous)), forecast.expected / amount, spike
    )


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits and runs in one limit instance."""

    waiting: tuple[ClassReading, ...]
    leases: int
    holding: bool


def queued(
    open_tickets: Iterable[Ticket], board: Board, outlooks: Mapping[str, Outlook], *, now: datetime
) -> dict[str, Queued]:
    """Count the tickets of each limit instance, and see whether it is holding a class back."""
    waiting: dict[str, dict[Priority, list[Ticket]]] = {}
    running: dict[str, int] = {}
    bindings: dict[str, Binding] = {}
    for ticket in open_tickets:
        for binding in board.bindings(ticket.labels):
            bindings[binding.instance] = binding
            if ticket.state is State.WAITING:
                waiting.setdefault(binding.instance, {}).setdefault(ticket.priority, []).append(ticket)
            elif ticket.state is State.RUNNING:
                running[binding.instance] = running.get(binding.instance, 0) + 1
    return {
        instance: _queued(
            waiting.get(instance, {}), running.get(instance, 0), Room(b, board.current(b), outlooks.get(instance)), now
        )
        for instance, b in bindings.items()
    }


def _queued(waiting: Mapping[Priority, list[Ticket]], running: int, room: Room, now: datetime) -> Queued:
    classes = tuple(
        ClassReading(priority.value, len(own), min(t.waiting_since for t in own))
        for priority, own in sorted(waiting.items(), key=lambda kv: kv[0].rank)
    )
    holding = False
    for priority, own in waiting.items():
        smallest = min(need(ticket, room.binding) for ticket in own)
        holding |= admits(room, smallest, priority, now) in (Reason.PACED, Reason.THROTTLED, Reason.NO_HEADROOM)
    return Queued(classes, running, holding)


NOTHING_QUEUED = Queued((), 0, False)


def level_facts(room: Room, own: Queued, *, now: datetime) -> LevelFacts:
    """What the throttle level of a limit follows from."""
    tally = room.tally
    starts_at = tally.window.starts_at if tally.window else None
    return LevelFacts(tally.spent, room.allowance(now), tally.amount, own.holding, starts_at=starts_at)


def read_limit(
    room: Room,
    own: Queued,
    level: LevelState,
    forecast: Forecast | None,
    seed: int | None,
    history: Histories | None,
    *,
    overshoot: int,
    now: datetime,
) -> LimitReading:
    """One limit instance as everybody sees it at ``now``."""
    tally, limit = room.tally, room.tally.limit
    window, allowance = tally.window, room.allowance(now)
    burn = (
        burns(history.all if history else [], window, tally.spent, tally.amount, now, HOUR)
        if window and tally.amount
        else ()
    )
    return LimitReading(
        limit=tally.instance,
        rule=limit.id,
        value=tally.value,
        provider=provider_of(limit),
        scope=scope_text(limit),
        unit=limit.unit,
        period=period_text(limit),
        zone=limit.zone,
        mode=limit.mode.value,
        amount=tally.amount,
        allowance=allowance,
        used=tally.spent,
        reserved=tally.reserved,
        starts_at=window.starts_at if window else None,
        ends_at=window.ends_at if window else None,
        level=level.level.value,
        risk=room.outlook.risk if room.outlook else "unknown",
        optimization=optimization_level(allowance - tally.spent - tally.reserved, tally.amount).value,
        estimated=tally.estimated,
        forecast=forecast,
        seed_forecast=seed,
        burns=burn,
        waiting=own.waiting,
        leases=own.leases,
        overshoot_bound=overshoot,
        history_days=round(forecast.observed_days, 2) if forecast else 0.0,
    )


def scope_text(limit: Limit) -> str:
    """What a limit selects, for people: ``provider=anthropic team=growth|sales``; ``everything`` without a match."""
    return " ".join(f"{name}={'|'.join(sorted(values))}" for name, values in limit.match) or "everything"


def period_text(limit: Limit) -> str:
    """How long a limit's window is, in one word."""
    match limit.schedule:
        case Calendar(every):
            return every.value
        case Session(length):
            return f"session {length.total_seconds() / 3600:g}h"
        case PerRun():
            return "run"
        case _:
            return "none"


def provider_of(limit: Limit) -> str:
    """The one provider a limit is about, empty when it is about several."""
    values = dict(limit.match).get("provider", frozenset())
    return next(iter(values)) if len(values) == 1 else ""


def every_instance(board: Board) -> list[Binding]:
    """Every limit instance there is: those with a window, and single limits even before their first use."""
    found = {t.instance: Binding(t.limit, t.value) for t in board.all() if not t.closed}
    for limit in board.limits:
        if not limit.per:
            found.setdefault(limit.id, Binding(limit, ""))
    order = {limit.id: place for place, limit in enumerate(board.limits)}
    return sorted(found.values(), key=lambda binding: (order[binding.limit.id], binding.value))


def begin(board: Board, binding: Binding, now: datetime) -> None:
    """Show a single calendar limit with an empty window before anything is used."""
    if isinstance(binding.limit.schedule, Calendar) and not board.at(binding, now):
        board.opened(binding, now)
