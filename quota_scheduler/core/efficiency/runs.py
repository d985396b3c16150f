"""Runs added up: where the tokens of runs and workflows go, and how many of them succeed.

cache hit rate = cache read ÷ (cache read + cache write + fresh input); output is not in the denominator
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.usage import Usage, total

COMPLETED = "completed"
"""The status of a run that did what was asked."""
PAUSED = "paused_quota"
"""The status of a run whose quota ended: neither done nor failed, and gone on with later."""


class RunSummary(NamedTuple):
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
    account: str = ""
    project: str = ""
    agent: str = ""

    @property
    def labels(self) -> Labels:
        """Who and what it was of."""
        return Labels(
            self.provider, self.account, self.model, self.team, self.project, self.workflow, self.task_type, self.agent
        )


class RunKind(NamedTuple):
    """Runs that were alike, by label set, flags and prompt version.

    Whether any was last active ``earlier`` than the lookback, and ``lately``, in it. None used more than
    ``most_tokens``.
    """

    label_set: int
    flags: tuple[str, ...]
    prompt_versions: tuple[str, ...]
    earlier: bool
    lately: bool
    most_tokens: int


class EfficiencyRow(Struct, frozen=True):
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


def cache_hit_rate(usage: Usage) -> float | None:
    """Return the cache-read share of the input side; None when nothing went in."""
    return usage.cache_read / usage.input_side if usage.input_side > 0 else None


def by_run(runs: Iterable[RunSummary]) -> tuple[EfficiencyRow, ...]:
    """Return one row for each run, the largest first."""
    return _rows(runs, lambda run: run.run)


def by_workflow(runs: Iterable[RunSummary]) -> tuple[EfficiencyRow, ...]:
    """Return one row for each workflow, the largest first; runs that name none come under ``none``."""
    return by_label(runs, "workflow")


def by_label(runs: Iterable[RunSummary], label: str) -> tuple[EfficiencyRow, ...]:
    """Return one row for each value of a label that runs carry, the largest first; without one it is ``none``."""
    return _rows(runs, lambda run: label_of(run, label))


def label_of(run: RunSummary, label: str) -> str:
    """The value of a label that a run carries, ``none`` without one."""
    return str(getattr(run, label)) or "none"


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
    """Return the completed share of the runs that have finished; None while none has."""
    finished = [run.status == COMPLETED for run in runs if run.status not in ("", PAUSED)]
    return sum(finished) / len(finished) if finished else None
