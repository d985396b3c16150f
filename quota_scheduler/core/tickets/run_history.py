"""What finished runs teach about the next one: estimates from runs of alike size, and how far guesses were off.

description ──► runs of the same workflow, of alike length ──► else of the same task type ──► else a guess,
    │                                                                  corrected by how far guesses were off
    └── without a text: the newest runs, whatever their length
a bare number ──► split as work of the same workflow was, else of its task type, else of its provider
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from msgspec import Struct, field

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.tickets.estimate import (
    GUESS_CONFIDENCE,
    TASK_ALIASES,
    TASK_TOKENS,
    Description,
    described,
    says_nothing,
    split,
)
from quota_scheduler.core.tickets.ticket import Estimate
from quota_scheduler.core.usage import Usage

ALIKE = 0.30
"""Runs teach about one another when their descriptions are within this share of each other's length (design, 4)."""
NEWEST = 20
"""Only the newest of them: work changes."""
LEAST = 3
"""Fewer say nothing: two runs have no 80th percentile."""
RESERVED_SHARE = 0.8
"""The share of such runs that stay within the reservation: P80 (design, 4)."""
MOST_CONFIDENT = 0.9
"""Confidence in twenty runs that agree; no estimate is surer."""
FURTHEST = 5.0
"""A guess is corrected by at most this factor either way: beyond it the description, not the number, is wrong."""

USUAL_LENGTH = timedelta(minutes=40)
"""How long a lease takes while nothing is known (reference figures: 40 min per mean run)."""


def usual_length(lengths: Iterable[timedelta]) -> timedelta:
    """The median of how long leases lasted; 40 minutes when none has ended yet."""
    in_order = sorted(lengths)
    return in_order[len(in_order) // 2] if in_order else USUAL_LENGTH


class Finished(Struct, frozen=True):
    """One completed run: whose work it was, how long its description was, what was expected, and what it took.

    ``expected`` are the tokens of the estimate's median before any correction, ``guessed`` whether that was a guess.
    """

    ended_at: datetime
    workflow: str
    task_type: str
    words: int
    expected: int
    guessed: bool
    usage: Usage


class RunHistory(Struct, frozen=True):
    """What is known of finished runs, newest first, by workflow and by task type."""

    by_workflow: dict[str, list[Finished]] = field(default_factory=dict)
    by_task_type: dict[str, list[Finished]] = field(default_factory=dict)

    def estimate(self, task: Description, workflow: str) -> Estimate:
        """Return the best estimate for a described task; 0 tokens for one that says nothing and has no history."""
        ways: tuple[tuple[str, Sequence[Finished]], ...] = (
            ("workflow", self.by_workflow.get(workflow, ())),
            ("task_type", self.by_task_type.get(task.task_type, ())),
        )
        for source, runs in ways:
            if len(alike := _alike(runs, task.words)) >= LEAST:
                return _from_runs(alike, task.words, source)
        return self._corrected(described(task), task.task_type)

    def error(self, task_type: str) -> float | None:
        """Return actual over expected tokens of the newest guesses for a task type, their median; None for too few."""
        ratios = [
            run.usage.tokens / run.expected
            for run in self.by_task_type.get(task_type, ())
            if run.guessed and run.expected
        ]
        return median(ratios[:NEWEST]) if len(ratios) >= LEAST else None

    def _corrected(self, guess: Estimate, task_type: str) -> Estimate:
        error = self.error(task_type)
        if error is None:
            return guess
        factor = round(min(FURTHEST, max(1 / FURTHEST, error)) * 1000)
        middle, reserve = (
            usage.scaled(factor, 1000)._replace(requests=usage.requests) for usage in (guess.median, guess.reserve)
        )
        return guess._replace(median=middle, reserve=reserve)


class EstimateBasis(Struct, frozen=True):
    """What is known of past work when a new ticket comes: finished runs, and how work splits over the token kinds."""

    runs: RunHistory = field(default_factory=RunHistory)
    mixes: Mapping[str, Usage] = field(default_factory=dict)

    def of_task(self, task: Description, labels: Labels) -> Estimate | str:
        """Estimate a task in words; a sentence for one that neither its words nor history say anything about."""
        estimate = self.runs.estimate(task, labels.workflow)
        if estimate.median.tokens or not says_nothing(task):
            return estimate
        types = ", ".join(sorted({*TASK_TOKENS, *TASK_ALIASES}))
        what = f"the task type {task.task_type!r} is not known yet" if task.task_type else "it says nothing"
        return f"{what}: describe the task in a text, give an estimate, or name one of the types {types}"

    def of_tokens(self, tokens: int, labels: Labels, *, requests: int = 1) -> Usage:
        """Return a bare number of tokens, split over the kinds as work like it was."""
        names = (f"workflow:{labels.workflow}", f"task_type:{labels.task_type}", f"provider:{labels.provider}")
        mix = next((self.mixes[name] for name in names if name in self.mixes), None)
        return split(tokens, mix, requests=requests)


def run_history_of(runs: Iterable[Finished]) -> RunHistory:
    """Sort finished runs by what they teach about; order of arrival does not matter."""
    history = RunHistory()
    for run in sorted(runs, key=lambda run: run.ended_at, reverse=True):
        if run.workflow:
            history.by_workflow.setdefault(run.workflow, []).append(run)
        if run.task_type:
            history.by_task_type.setdefault(run.task_type, []).append(run)
    return history


def _alike(runs: Sequence[Finished], words: int) -> list[Finished]:
    """The newest runs whose descriptions are about as long; all of them for a task that has no text."""
    if not words:
        return [run for run in runs if run.usage.tokens][:NEWEST]
    low, high = words * (1 - ALIKE), words * (1 + ALIKE)
    return [run for run in runs if run.words and low <= run.words <= high][:NEWEST]


def _from_runs(runs: Sequence[Finished], words: int, source: str) -> Estimate:
    """Median and P80 of runs scaled to this length; split over the kinds as they were together.

    Confidence grows with how many there are and how alike: 0.3 for nothing known, up to 0.9 for twenty that agree.
    """
    sizes = sorted(run.usage.tokens * words / run.words if words else run.usage.tokens for run in runs)
    middle, high = median(sizes), sizes[min(len(sizes) - 1, int(RESERVED_SHARE * len(sizes)))]
    agreement = middle / high if high else 0.0
    confidence = GUESS_CONFIDENCE + (MOST_CONFIDENT - GUESS_CONFIDENCE) * len(runs) / NEWEST * agreement
    spread = _spreader([run.usage for run in runs])
    return Estimate(
        spread(round(middle)), spread(round(high)), source, declared=False, confidence=round(confidence, 2), words=words
    )


def _spreader(usages: Sequence[Usage]) -> Callable[[int], Usage]:
    """Spreads tokens over the kinds as these usages have them together, with their usual number of requests."""
    sums = Usage(*map(sum, zip(*usages, strict=True)))
    requests = max(1, round(sums.requests / len(usages)))

    def spread(tokens: int) -> Usage:
        parts = [tokens * kind // max(1, sums.tokens) for kind in sums.kinds]
        parts[max(range(len(parts)), key=lambda kind: sums.kinds[kind])] += tokens - sum(parts)
        return Usage(*parts[:5])._replace(requests=requests)

    return spread
