"""Answers of a replay: what each policy did to people's work and to the limits, as JSON types.

tokens of runs in tokens, amounts of limits in their own unit, waits in hours, shares in percent
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, to_builtins

from quota_scheduler.core.history.recorded_runs import Recording
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Schedule, Session, span_text
from quota_scheduler.core.priority import CLASSES
from quota_scheduler.core.units import Unit, in_units
from quota_scheduler.simulate.demand import TOKENS
from quota_scheduler.simulate.figures import IMPORTANT, SimOutcome, hours
from quota_scheduler.simulate.policies import BEST
from quota_scheduler.simulate.windows import Tally


class ClassFigures(Struct, frozen=True):
    """What became of the runs of a class. ``demand`` is ``done``, ``denied``, or ``unfinished`` at the end.

    Denied is what was refused, given up or broken off; ``cut_off`` how often an empty limit stopped a run.
    """

    runs: int
    demand: int
    done: int
    denied: int
    unfinished: int
    cut_off: int
    wait_median_hours: float
    wait_p95_hours: float
    wait_mean_hours: float


class LimitFigures(Struct, frozen=True):
    """What became of the windows of a limit. ``amount`` of them all is ``used``, ``unused`` or ``unfinished``.

    ``lost`` of what was unused somebody waited for; of what was used ``redone`` was for nothing, and ``carried`` used
    before the start. ``over`` is what had been started and the limit could not give.
    """

    limit: str
    unit: str
    window: str
    windows: int
    amount: float
    used: float
    unused: float
    unfinished: float
    lost: float
    redone: float
    carried: float
    over: float


class PolicyAnswer(Struct, frozen=True):
    """One policy: ``harm`` is the share of interactive and high tokens that were denied, ``avoidable_harm`` in points.

    Avoidable is what the clairvoyant did not deny; ``value`` is 8, 4, 2, 1 x finished tokens by class over the
    clairvoyant's; ``lost`` that of the limit that lost the largest share; ``cut_off_important`` per 1,000 runs.
    """

    policy: str
    harm: float
    avoidable_harm: float
    value: float
    lost: float
    cut_off_important: float
    classes: Mapping[str, ClassFigures]
    limits: tuple[LimitFigures, ...]


class CaseAnswer(Struct, frozen=True):
    """Every policy under the same limits; the clairvoyant, which knows what is to come, is always among them."""

    case: str
    assumed: tuple[str, ...]
    policies: tuple[PolicyAnswer, ...]


BELOW_NOTHING = (
    "Avoidable harm below 0: that policy denied fewer interactive and high tokens than the clairvoyant, which is no "
    "upper bound but the two-sided test with the truth for a forecast; its value says what that cost other classes."
)
"""What is said where a policy beats the measure."""


def answer_of(
    case: str,
    assumed: Sequence[str],
    meters: Sequence[tuple[str, Limit | None]],
    outcomes: Mapping[str, SimOutcome],
) -> CaseAnswer:
    """Return what the policies did; ``outcomes`` has the clairvoyant's."""
    best = outcomes[BEST]
    rows = tuple(_policy(name, outcome, best, meters) for name, outcome in outcomes.items())
    return CaseAnswer(case, tuple(assumed), rows)


def _policy(
    name: str, outcome: SimOutcome, best: SimOutcome, meters: Sequence[tuple[str, Limit | None]]
) -> PolicyAnswer:
    runs = sum(outcome.runs[:IMPORTANT])
    return PolicyAnswer(
        policy=name,
        harm=_digits(100 * outcome.harm),
        avoidable_harm=_digits(100 * (outcome.harm - best.harm)),
        value=_digits(100 * outcome.value / best.value if best.value else 100.0),
        lost=max((_digits(_share(tally.lost + tally.redone, tally.amount)) for tally in outcome.limits), default=0.0),
        cut_off_important=_digits(1000 * sum(outcome.stalls[:IMPORTANT]) / runs if runs else 0.0),
        classes={priority.value: _class(priority.rank, outcome) for priority in CLASSES},
        limits=tuple(_limit(*meter, tally) for meter, tally in zip(meters, outcome.limits, strict=True)),
    )


def _class(rank: int, outcome: SimOutcome) -> ClassFigures:
    demand, done, denied = (round(TOKENS * part[rank]) for part in (outcome.demand, outcome.done, outcome.denied))
    return ClassFigures(
        int(outcome.runs[rank]),
        demand,
        done,
        denied,
        demand - done - denied,
        int(outcome.stalls[rank]),
        *map(_digits, hours(outcome.waits[rank])),
    )


def _limit(name: str, limit: Limit | None, tally: Tally) -> LimitFigures:
    unit = limit.unit if limit else Unit.TOKENS
    whole, unused, unfinished = (round(TOKENS * part) for part in (tally.amount, tally.unused, tally.unfinished))

    def amount(part: float) -> float:
        return in_units(round(TOKENS * part), unit)

    return LimitFigures(
        limit=name,
        unit=unit.value,
        window=window_text(limit.schedule) if limit else "",
        windows=tally.windows,
        amount=in_units(whole, unit),
        used=in_units(whole - unused - unfinished, unit),
        unused=in_units(unused, unit),
        unfinished=in_units(unfinished, unit),
        lost=amount(tally.lost),
        redone=amount(tally.redone),
        carried=amount(tally.carried),
        over=amount(tally.over),
    )


def window_text(schedule: Schedule) -> str:
    """Say how long windows are: ``week``, ``5h``."""
    if isinstance(schedule, Calendar):
        return schedule.every.value
    return span_text(schedule.length) if isinstance(schedule, Session) else ""


def _share(part: float, whole: float) -> float:
    return 100 * part / whole if whole > 0 else 0.0


def _digits(value: float) -> float:
    """Rounded to what can be told apart, and never a minus before a nought."""
    return round(value, 3) + 0.0


def document(
    recording: Recording, cases: Sequence[CaseAnswer], *, since: Any, until: Any, said: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the whole answer as JSON types; ``said`` are sentences on how it was understood."""
    inside = [run for run in recording.runs if since <= run.at < until]
    sentences = [*said, *recording.assumed, *(sentence for case in cases for sentence in case.assumed)]
    if any(row.avoidable_harm < 0 for case in cases for row in case.policies):
        sentences.append(BELOW_NOTHING)
    return {
        "since": iso(since),
        "until": iso(until),
        "runs": len(inside),
        "tokens": sum(run.usage.tokens for run in inside),
        "assumed": list(dict.fromkeys(sentences)),
        "cases": [{"case": case.case, "policies": [to_builtins(row) for row in case.policies]} for case in cases],
    }
