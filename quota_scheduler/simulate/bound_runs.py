"""Recorded runs bound to the meters of limits: what each takes out of which, and all as it is before a run starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.history.recorded_runs import RecordedRun
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Session
from quota_scheduler.simulate.demand import TOKENS, Demand, demand_of, instant
from quota_scheduler.simulate.state import WINDOWS_OF_PATIENCE, Scenario, SimState
from quota_scheduler.simulate.windows import Meter, Span
from quota_scheduler.simulate.world import DAY, P80, PATIENCE, SHORTEST, Run, World


class BoundRuns(Struct):
    """Runs bound to the instances of limits; ``scenario`` makes fresh meters each time, for they are what moves."""

    recorded: Sequence[RecordedRun]
    limits: Sequence[Limit]
    start: float
    end: float
    runs: tuple[Run, ...] = ()
    groups: dict[tuple[str, ...], int] = field(default_factory=dict)
    instances: dict[str, Limit] = field(default_factory=dict)
    _demand: dict[str, World] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values: dict[str, set[str]] = {limit.id: set() for limit in self.limits}
        self.runs = tuple(self._bound(number, run, values) for number, run in enumerate(self.recorded))

    def _bound(self, number: int, recorded: RecordedRun, values: Mapping[str, set[str]]) -> Run:
        labels = recorded.labels.asking
        size = max(recorded.usage.tokens, 1) / TOKENS
        names, charges = [], []
        for limit in self.limits:
            if limit.selects(labels) and (charge := limit.charge(recorded.usage)):
                value = limit.value_of(labels, values[limit.id])
                values[limit.id].add(value)
                name = limit.instance_id(value)
                if name not in self.instances:
                    self.instances[name] = replace(limit, amount=limit.amount_of(value))
                names.append(name)
                charges.append(charge / TOKENS / size)
        return _run(number, recorded, size, self.groups.setdefault(tuple(names), len(self.groups)), tuple(charges))

    def scenario(self) -> Scenario:
        """Return everything as it is before anything has started."""
        start = self.start
        meters = {name: _meter(name, limit, start) for name, limit in self.instances.items()}
        places = {name: place for place, name in enumerate(meters)}
        for name, meter in meters.items():
            _carry_in(meter, self.demand(name).runs, start)
        longest = max((meter.length for meter in meters.values()), default=DAY)
        return Scenario(
            self.runs,
            start,
            self.end,
            tuple(meters.values()),
            tuple(tuple(places[name] for name in names) for names in self.groups),
            members=1,
            patience=WINDOWS_OF_PATIENCE * longest,
        )

    def too_large(self) -> list[str]:
        """Say how many runs ask for more than a whole window holds: the service would turn them away at once."""
        amounts = [[self.instances[name].amount / TOKENS for name in names] for names in self.groups]
        count = sum(
            any(
                run.reserve * charge > amount
                for charge, amount in zip(
                    run.charges or (1.0,) * len(amounts[run.group]), amounts[run.group], strict=True
                )
            )
            for run in self.runs
            if run.at >= self.start
        )
        return (
            [f"More than a whole window of a limit holds is asked for by {count:,} of the runs: they wait in vain."]
            if count
            else []
        )

    def demand(self, name: str) -> World:
        """Return the runs that one meter binds, in its own unit, as a world whose demand can be forecast."""
        if name not in self._demand:
            self._demand[name] = self._world(name)
        return self._demand[name]

    def _world(self, name: str) -> World:
        places = {group: names.index(name) for names, group in self.groups.items() if name in names}
        runs = tuple(
            replace(run, size=run.size * charge, rate=run.rate * charge, estimate=run.estimate * charge, charges=())
            for run in self.runs
            if run.group in places and (charge := run.charges[places[run.group]] if run.charges else 1.0) > 0
        )
        begin = min(self.start, self.runs[0].at) // DAY * DAY
        days = int((self.end - begin) // DAY) + 1
        return World(name, begin, days, runs, 1.0)


class Demands(Struct):
    """What can be known of the demand on each meter: asked for as policies ask, computed once for each limit."""

    bound: BoundRuns
    known: dict[object, Demand]
    of_meter: dict[str, Demand] = field(default_factory=dict)

    def truth(self, state: SimState, meter: Meter) -> Outlook:
        """Return what will be asked of a meter, as only the recording knows."""
        return self._of(meter).truth(state, meter)

    def forecast(self, state: SimState, meter: Meter) -> Outlook:
        """Return what a forecast of now expects to be asked of a meter."""
        return self._of(meter).forecast(state, meter)

    def _of(self, meter: Meter) -> Demand:
        if meter.name not in self.of_meter:
            world = self.bound.demand(meter.name)
            key = meter.name, meter.limit and meter.limit.schedule, hash(world.runs)
            self.of_meter[meter.name] = self.known.setdefault(key, demand_of(world))
        return self.of_meter[meter.name]


def _run(number: int, recorded: RecordedRun, size: float, group: int, charges: tuple[float, ...]) -> Run:
    reserve = recorded.reserve.tokens / TOKENS if recorded.reserve and recorded.reserve.tokens else size
    rank = recorded.priority.rank
    return Run(
        number,
        recorded.at.timestamp(),
        rank,
        size,
        size / (recorded.length.total_seconds() or SHORTEST),
        reserve / P80,
        PATIENCE[rank] if recorded.patience is None else recorded.patience.total_seconds(),
        group=group,
        charges=() if all(charge == 1.0 for charge in charges) else charges,
    )


def _meter(name: str, limit: Limit, start: float) -> Meter:
    amount, schedule = limit.amount / TOKENS, limit.schedule
    if isinstance(schedule, Session):
        length = schedule.length.total_seconds()
        return Meter(amount, length, start, start, session=True, is_open=False, name=name, limit=limit)
    assert isinstance(schedule, Calendar), schedule
    span = _span(schedule)
    begins, ends = span(start)
    return Meter(amount, ends - begins, begins, ends, name=name, limit=limit, span=span)


def _span(schedule: Calendar) -> Span:
    def span(at: float) -> tuple[float, float]:
        begins, ends = schedule.span(instant(at))
        return begins.timestamp(), ends.timestamp()

    return span


def _carry_in(meter: Meter, runs: Sequence[Run], start: float) -> None:
    """Let a window that is under way at the start hold what was used in it; a session is open if its end is to come."""
    before = [run for run in runs if run.at < start]
    if meter.session:
        spans = Session(timedelta(seconds=meter.length)).opened(instant(run.at) for run in before)
        if not spans or spans[-1][1].timestamp() <= start:
            return
        meter.starts_at, meter.ends_at, meter.is_open = spans[-1][0].timestamp(), spans[-1][1].timestamp(), True
    meter.used = min(meter.amount, sum(run.size for run in before if run.at >= meter.starts_at))
    meter.tally.carried = meter.used
