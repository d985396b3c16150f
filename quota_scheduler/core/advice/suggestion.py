"""One piece of advice: what to do, what it saves, how sure that is, and the runs that show it."""

from collections.abc import Callable, Iterable
from heapq import nsmallest

from msgspec import Struct

from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.units import MICRO
from quota_scheduler.core.usage import Usage

LEAST_RUNS = 5
"""Runs that a suggestion needs on each side it compares, as an effect of flags does."""
MOST_EVIDENCE = 5
"""Runs that a suggestion names: the largest; their number says how many there are."""
HALF_SURE = 10
"""So many runs make a suggestion half sure: runs / (runs + 10)."""

NOTHING = Usage()
Price = Callable[[RunSummary, Usage], int]
"""What a part of a run's usage costs, in micro-dollars, with the run's own provider and model."""


class Suggestion(Struct, frozen=True):
    """``kind`` is a stable word, ``subject`` what it is about (a workflow, a limit), ``text`` one or two sentences.

    ``tokens`` and ``microusd`` are what it would have saved over the period, 0 where that is not known; ``confidence``
    is 0-1 and grows with the ``runs`` that show it, of which ``evidence`` names the largest. ``interval`` are the ends
    of what it saves, in micro-dollars (95 %), None where that is not known.
    """

    kind: str
    subject: str
    text: str
    runs: int
    evidence: tuple[str, ...] = ()
    tokens: int = 0
    microusd: int = 0
    confidence: float = 0.0
    interval: tuple[int, int] | None = None


def price_of(parts: Iterable[tuple[RunSummary, Usage]], price: Price) -> int:
    """Price parts of several runs, those of one model together: at the prices of its newest run, in micro-dollars.

    A part carries the requests of its run, by which the tier of a long context is known.
    """
    sums: dict[tuple[str, str], tuple[RunSummary, Usage]] = {}
    for run, part in parts:
        key = run.provider, run.model
        newest, usage = sums.get(key, (run, NOTHING))
        sums[key] = max(newest, run, key=lambda one: one.last_at), usage.plus(part)
    return sum(price(run, usage) for run, usage in sums.values())


def sure(runs: int) -> float:
    """How sure so many runs make one, 0-1."""
    return round(runs / (runs + HALF_SURE), 2)


def largest(runs: Iterable[RunSummary]) -> tuple[str, ...]:
    """The names of the largest runs."""
    first = nsmallest(MOST_EVIDENCE, ((-run.usage.tokens, run.run) for run in runs))
    return tuple(name for _, name in first)


def dollars(microusd: float) -> str:
    """An amount for a sentence."""
    return f"${microusd / MICRO:,.2f}"


def cost(run: RunSummary) -> int:
    """What a run cost, in micro-dollars."""
    return run.usage.cost_microusd
