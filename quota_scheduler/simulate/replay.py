"""Replay: recorded runs under limits, by several policies, as things are and as they might be.

    recording ─► runs bound to meters, one a limit instance (bound_runs.py) ─► each policy plays ─► answer (answer.py)

A unit of size is a million tokens: the core then counts the very tokens. A meter of dollars counts in dollars, one of
requests in millions; what a run takes out of it is in proportion to its tokens, at a constant rate.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field

from quota_scheduler.core.history.recorded_runs import RecordedRun, Recording
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import Usage
from quota_scheduler.simulate.answer import CaseAnswer, answer_of, document
from quota_scheduler.simulate.bound_runs import BoundRuns, Demands
from quota_scheduler.simulate.demand import Demand
from quota_scheduler.simulate.engine import Engine
from quota_scheduler.simulate.figures import SimOutcome
from quota_scheduler.simulate.policies import BEST, policy
from quota_scheduler.simulate.what_if import (
    Reprice,
    WhatIf,
    changed_limits,
    changed_runs,
    chosen_limits,
    chosen_policies,
)

MOST_RUNS = 200_000
"""Runs that are replayed at once: some minutes of work."""
HISTORY = timedelta(days=7)
"""What forecasts need to say anything."""
HOUR = timedelta(hours=1)
Progress = Callable[[float], None]


class NothingToReplay(ValueError):
    """There are no runs, or no limits, to replay."""


class Replay(Struct, frozen=True):
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
        bound = BoundRuns(runs, limits, since.timestamp(), until.timestamp())
        outcomes: dict[str, SimOutcome] = {}
        for place, name in enumerate(names):
            played = bound.scenario()
            outcomes[name] = Engine(played, policy(name, Demands(bound, known))).play()
            if progress:
                progress((number * len(names) + place + 1) / (len(cases) * len(names)))
        meters = [(meter.name, meter.limit) for meter in bound.scenario().meters]
        said = said if meters else (*said, NOTHING_BINDS)
        answers.append(answer_of(title, [*said, *bound.too_large()], meters, outcomes))
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
