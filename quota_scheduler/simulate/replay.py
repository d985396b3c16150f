"""Replay: recorded runs under limits, by several policies, as things are and as they might be.

    recording ─► runs bound to meters, one a limit instance ─► each policy plays them ─► an answer (answer.py)

A unit of size is a million tokens: the core then counts the very tokens. A meter of dollars counts in dollars, one of
requests in millions; what a run takes out of it is in proportion to its tokens, at a constant rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.history.recorded_runs import RecordedRun, Recording
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Session
from quota_scheduler.core.usage import Usage
from quota_scheduler.simulate.answer import CaseAnswer, answer_of, document
from quota_scheduler.simulate.demand import TOKENS, Demand, demand_of, instant
from quota_scheduler.simulate.engine import Engine
from quota_scheduler.simulate.figures import SimOutcome
from quota_scheduler.simulate.policies import BEST, policy
from quota_scheduler.simulate.state import WINDOWS_OF_PATIENCE, Scenario, SimState
from quota_scheduler.simulate.what_if import (
    Reprice,
    WhatIf,
    changed_limits,
    changed_runs,
    chosen_limits,
    chosen_policies,
)
from quota_scheduler.simulate.windows import Meter, Span
from quota_scheduler.simulate.world import DAY, P80, PATIENCE, SHORTEST, Run, World

MOST_RUNS = 200_000
"""Runs that are replayed at once: some minutes of work."""
HISTORY = timedelta(days=7)
"""What forecasts need to say anything."""
HOUR = timedelta(hours=1)
Progress = Callable[[float], None]


class NothingToReplay(ValueError):
    """There are no runs, or no limits, to replay."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Runs of ``recording`` that asked from ``since`` to ``until``, under ``limits``; those before are history.

    Without ``since`` it begins after a week of history where the recording has one; without ``until`` it ends with the
    last run. ``zone`` is that of windows nobody has given one.
    """

    recording: Recording
    limits: tuple[Limit, ...]
    asked: WhatIf = field(default_factory=WhatIf)
    since: datetime | None = None
    until: datetime | None = None
    zone: str = "UTC"


def replay_document(one: Replay, *, reprice: Reprice | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Play everything that is asked and return the answer as JSON types (``answer.py``).

    Raises ValueError, with a sentence, for what cannot be meant or played.
    """
    since, until, said = _span_of(one)
    cases = replayed(one, since, until, reprice=reprice, progress=progress)
    return document(one.recording, cases, since=since, until=until, said=[*said, *ASSUMED])


NOTHING_BINDS = "No limit binds any of the runs: everything started when it asked."
"""What is said instead of a table of limits."""
ASSUMED = (
    "An empty limit stops everything it binds until its reset: people's runs are lost, others redo 30 % of their work.",
    "A run uses its tokens at a constant rate; one that waits longer than its patience is given up.",
)
"""What every replay takes for granted."""


def _span_of(one: Replay) -> tuple[datetime, datetime, list[str]]:
    """The span that is replayed, and what there is to say of the history before it."""
    runs = one.recording.runs
    if not runs:
        raise NothingToReplay("there are no runs to replay: nothing was recorded in that time")
    until = one.until or _hour(max(run.at + run.length for run in runs) + HOUR)
    first = _hour(runs[0].at)
    since = one.since or (first + HISTORY if until - first >= 2 * HISTORY else first)
    if not since < until:
        raise ValueError(f"nothing lies between {iso(since)} and {iso(until)}: turn them around")
    history = max(timedelta(0), since - first)
    if history >= HISTORY:
        return since, until, []
    days = history / timedelta(days=1)
    return (
        since,
        until,
        [
            f"{days:.1f} days of history lie before the start: until there are seven, nothing is forecast, and a tenth "
            "of each limit that has no holdback of its own is kept for people."
        ],
    )


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def replayed(
    one: Replay, since: datetime, until: datetime, *, reprice: Reprice | None = None, progress: Progress | None = None
) -> list[CaseAnswer]:
    """Play everything that is asked: as things are, and where something would be different, as they would be.

    ``reprice`` puts the cost of another model on a usage, ``progress`` hears which share is done. Raises ValueError,
    with a sentence, for what cannot be meant or played.
    """
    cases = _cases(one, since, until, reprice or _same_cost)
    names = list(dict.fromkeys([*chosen_policies(one.asked.policies), BEST]))
    known: dict[object, Demand] = {}
    answers = []
    for number, (title, runs, limits, said) in enumerate(cases):
        built = _Built(runs, limits, since.timestamp(), until.timestamp())
        outcomes: dict[str, SimOutcome] = {}
        for place, name in enumerate(names):
            played = built.scenario()
            outcomes[name] = Engine(played, policy(name, _Demands(built, known))).play()
            if progress:
                progress((number * len(names) + place + 1) / (len(cases) * len(names)))
        meters = [(meter.name, meter.limit) for meter in built.scenario().meters]
        said = said if meters else (*said, NOTHING_BINDS)
        answers.append(answer_of(title, [*said, *built.too_large()], meters, outcomes))
    return answers


Case = tuple[str, tuple[RecordedRun, ...], tuple[Limit, ...], tuple[str, ...]]


def _cases(one: Replay, since: datetime, until: datetime, reprice: Reprice) -> list[Case]:
    asked, runs = one.asked, one.recording.runs
    inside = [run for run in runs if since <= run.at < until]
    if not inside:
        raise NothingToReplay(
            f"no run asked to start between {since:%Y-%m-%d %H:%M}Z and {until:%Y-%m-%d %H:%M}Z: choose another time"
        )
    if len(runs) > MOST_RUNS:
        raise ValueError(
            f"{len(runs):,} runs are more than the {MOST_RUNS:,} that are replayed at once: ask for less time"
        )
    chosen, said = chosen_limits(one.limits, asked.limits)
    then = changed_limits(chosen, asked, zone=one.zone)
    if not then:
        why = f"{said[0]} " if said else ""
        raise NothingToReplay(f"{why}There is no limit to replay under: give one, such as --quota 50M/week")
    cases = [("as it is", runs, chosen, said)] if chosen else []
    if asked.changes:
        cases.append(("what if", changed_runs(runs, asked, reprice), then, said))
    return cases


def _same_cost(_labels: object, usage: Usage, _at: datetime) -> Usage:
    return usage


@dataclass(slots=True)
class _Demands:
    """What can be known of the demand on each meter: asked for as policies ask, computed once for each limit."""

    built: _Built
    known: dict[object, Demand]
    of_meter: dict[str, Demand] = field(default_factory=dict)

    def truth(self, state: SimState, meter: Meter) -> Outlook:
        return self._of(meter).truth(state, meter)

    def forecast(self, state: SimState, meter: Meter) -> Outlook:
        return self._of(meter).forecast(state, meter)

    def _of(self, meter: Meter) -> Demand:
        if meter.name not in self.of_meter:
            world = self.built.demand(meter.name)
            key = meter.name, meter.limit and meter.limit.schedule, hash(world.runs)
            self.of_meter[meter.name] = self.known.setdefault(key, demand_of(world))
        return self.of_meter[meter.name]


@dataclass(slots=True)
class _Built:
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
