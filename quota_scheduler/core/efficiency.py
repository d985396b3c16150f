"""Efficiency: where the tokens of runs and workflows go, how well the cache works, and what an optimization brought.

cache hit rate = cache read ÷ (cache read + cache write + fresh input); output is not in the denominator
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from statistics import median

from quota_scheduler.core.limits.thresholds import DEFAULT, Marks
from quota_scheduler.core.readings import CacheReading
from quota_scheduler.core.usage import Usage, total

BASELINE_DAYS = 14
"""Days before the lookback whose median is the baseline; the lookback itself never drags it down."""
BASELINE_LEAST_DAYS = 7
"""Days with enough traffic that a baseline needs."""
BASELINE_DAY_TOKENS = 100_000
"""Input-side tokens that a day needs to count: the rate of a handful of calls says nothing."""
DROP_LEAST_TOKENS = 1_000_000
"""Input-side tokens that the lookback needs before a drop is one."""
DROP_MARK, DROP_POINTS, DROP_FACTOR = 0.90, 0.03, 0.70
"""A drop passes 90 % from above by at least 3 points, or loses 30 % of the baseline (design, section 4)."""
COMPLETED = "completed"
"""The status of a run that did what was asked."""


class Optimization(StrEnum):
    """What is asked of runners, by how much headroom is left."""

    MINIMAL = "minimal"
    BALANCED = "balanced"
    AGGRESSIVE = "aggressive"
    EMERGENCY = "emergency"


"""Headroom ÷ amount above which a level applies; below all of them it is an emergency."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a level asks: the optimization ``flags`` to put in force, and one sentence for people."""

    flags: tuple[str, ...]
    text: str


_ALL = ("context_pruning", "external_tools", "structured_state", "compact_errors", "stable_prompts", "batching")
ADVICE = {
    Optimization.MINIMAL: Advice((), "Plenty is left: use full context and the best quality."),
    Optimization.BALANCED: Advice(
        ("context_pruning", "external_tools"),
        "Load snapshots and changed files instead of the whole history, and run tests and builds in external tools.",
    ),
    Optimization.AGGRESSIVE: Advice(
        _ALL,
        "Put every optimization in force: snapshots, external tools, structured state, compact errors, stable prompts, "
        "batched calls.",
    ),
    Optimization.EMERGENCY: Advice(
        _ALL, "Start only what cannot wait, with every optimization in force; leave the rest for the next reset."
    ),
}


def optimization_level(headroom: int, amount: int, marks: Marks = DEFAULT) -> Optimization:
    """The level for what is left of a limit; an amount of 0 leaves nothing."""
    ratio = headroom / amount if amount > 0 else 0.0
    if ratio > marks.optimization_balanced:
        return Optimization.MINIMAL
    if ratio > marks.optimization_aggressive:
        return Optimization.BALANCED
    return Optimization.AGGRESSIVE if ratio > marks.optimization_emergency else Optimization.EMERGENCY


@dataclass(frozen=True, slots=True)
class DayUsage:
    """The usage of one workflow with one provider on one UTC day."""

    workflow: str
    day: date
    usage: Usage
    provider: str = ""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run: what it was, what was in force, and the sum of its usage. An empty ``status`` is still running."""

    run: str
    workflow: str
    task_type: str
    team: str
    provider: str
    model: str
    flags: tuple[str, ...]
    prompt_versions: tuple[str, ...]
    usage: Usage
    started_at: datetime
    last_at: datetime
    status: str = ""


@dataclass(frozen=True, slots=True)
class EfficiencyRow:
    """Runs added up under one name: a run's, a workflow's, or whatever they were grouped by.

    ``success_rate`` is the completed share of the finished runs, None while none has finished.
    """

    name: str
    runs: int
    usage: Usage
    success_rate: float | None
    flags: tuple[str, ...]

    @property
    def cache_hit_rate(self) -> float | None:
        """Of everything that went in; None when nothing did."""
        return cache_hit_rate(self.usage)

    @property
    def tokens_per_run(self) -> float:
        """Mean over the runs."""
        return self.usage.tokens / self.runs

    def share_of(self, amount: int) -> float:
        """The tokens as a share of a limit's amount in tokens; an amount of 0 is all used."""
        return self.usage.tokens / amount if amount > 0 else 1.0


def cache_hit_rate(usage: Usage) -> float | None:
    """Cache-read share of the input side; None when nothing went in."""
    return usage.cache_read / usage.input_side if usage.input_side > 0 else None


def by_run(runs: Iterable[RunSummary]) -> tuple[EfficiencyRow, ...]:
    """One row for each run, the largest first."""
    return _rows(runs, lambda run: run.run)


def by_workflow(runs: Iterable[RunSummary]) -> tuple[EfficiencyRow, ...]:
    """One row for each workflow, the largest first; runs that name none come under ``none``."""
    return _rows(runs, lambda run: run.workflow or "none")


def _rows(runs: Iterable[RunSummary], name_of: Callable[[RunSummary], str]) -> tuple[EfficiencyRow, ...]:
    groups: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        groups[name_of(run)].append(run)
    rows = (_row(name, group) for name, group in groups.items())
    return tuple(sorted(rows, key=lambda row: (-row.usage.tokens, row.name)))


def _row(name: str, runs: Sequence[RunSummary]) -> EfficiencyRow:
    return EfficiencyRow(
        name=name,
        runs=len({run.run for run in runs}),
        usage=total(run.usage for run in runs),
        success_rate=success_rate(runs),
        flags=tuple(sorted({flag for run in runs for flag in run.flags})),
    )


def success_rate(runs: Iterable[RunSummary]) -> float | None:
    """The completed share of the runs that have finished; None while none has."""
    finished = [run.status == COMPLETED for run in runs if run.status]
    return sum(finished) / len(finished) if finished else None


def cache_baseline(days: Iterable[DayUsage], *, before: date) -> float | None:
    """The median daily cache hit rate of one workflow over the 14 days before a day.

    Rows of one day are added up; days with little traffic are left out. None with fewer than seven days left.
    """
    first, usage_by_day = before - timedelta(days=BASELINE_DAYS), defaultdict(list)
    for row in days:
        if first <= row.day < before:
            usage_by_day[row.day].append(row.usage)
    usages = map(total, usage_by_day.values())
    rates = [rate for u in usages if u.input_side >= BASELINE_DAY_TOKENS and (rate := cache_hit_rate(u)) is not None]
    return median(rates) if len(rates) >= BASELINE_LEAST_DAYS else None


def cache_readings(
    days: Iterable[DayUsage], runs: Iterable[RunSummary], *, lookback: Iterable[DayUsage], since: datetime
) -> tuple[CacheReading, ...]:
    """Compare each workflow's cache hit rate over the lookback with its own past.

    ``lookback`` is the usage from ``since`` to now (its ``day`` is not looked at), ``days`` the past by UTC day and
    ``runs`` those of both, from which what changed is read. Workflows come in order of provider and name; those into
    which nothing went are left out.
    """
    past, recent, traits = defaultdict(list), defaultdict(list), defaultdict(list)
    for row in days:
        past[row.provider, row.workflow].append(row)
    for row in lookback:
        recent[row.provider, row.workflow].append(row.usage)
    for run in runs:
        traits[run.provider, run.workflow].append(run)
    found = []
    for provider, workflow in sorted(recent):
        key, usage = (provider, workflow), total(recent[provider, workflow])
        if (rate := cache_hit_rate(usage)) is None:
            continue
        baseline = cache_baseline(past[key], before=since.astimezone(UTC).date())
        changed = what_changed(traits[key], since=since)
        found.append(CacheReading(workflow, provider, rate, baseline, usage.input_side, changed))
    return tuple(found)


def what_changed(runs: Iterable[RunSummary], *, since: datetime) -> tuple[str, ...]:
    """Name the models, prompt versions and flags of runs at or after ``since`` that those before it did not have.

    A flag that no recent run has any more is named too. Nothing has changed where there is no past to compare with.
    """
    before: set[str] = set()
    after: set[str] = set()
    for run in runs:
        (after if run.last_at >= since else before).update(_traits(run))
    if not before or not after:
        return ()
    gone = {f"{trait} no longer set" for trait in before - after if trait.startswith("flag ")}
    return tuple(sorted(after - before)) + tuple(sorted(gone))


def _traits(run: RunSummary) -> Iterable[str]:
    yield f"model {run.model or 'unknown'}"
    yield from (f"prompt version {version}" for version in run.prompt_versions if version)
    yield from (f"flag {flag}" for flag in run.flags)


def cache_dropped(reading: CacheReading) -> bool:
    """Whether a cache hit rate is far enough below its baseline, with enough traffic, to tell somebody.

    Without a baseline this is never so; that a rate is low is then only worth a note.
    """
    rate, baseline = reading.hit_rate, reading.baseline
    if baseline is None or reading.input_tokens < DROP_LEAST_TOKENS:
        return False
    passed_mark = baseline >= DROP_MARK > rate and rate < baseline - DROP_POINTS
    return passed_mark or rate < DROP_FACTOR * baseline
