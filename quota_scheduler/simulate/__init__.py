"""Simulate: what the admission test does to people's work and to the quota, on recorded usage.

    folder (daily.csv) ─► worlds: one developer each, and fleets of six ─► every kind of window, factor and policy
                                                                           ─► one table, the clairvoyant as measure

``two-sided`` calls the core as the service does. The world and the figures: docs/explanation/admission.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from quota_scheduler.simulate.demand import demand_of
from quota_scheduler.simulate.engine import Engine
from quota_scheduler.simulate.figures import PolicyRow, SimOutcome, row
from quota_scheduler.simulate.policies import BEST, POLICIES, current_name, policy
from quota_scheduler.simulate.run_files import read_traces
from quota_scheduler.simulate.state import scenario
from quota_scheduler.simulate.windows import WindowKind
from quota_scheduler.simulate.world import FLEET, DailyTrace, World, fleets, single

__all__ = [
    "FACTORS",
    "POLICIES",
    "WindowKind",
    "SimOutcome",
    "PolicyRow",
    "DailyTrace",
    "compare",
    "play",
    "read",
    "run",
    "to_text",
]

FACTORS = (0.7, 0.9, 1.1)
"""Quota as a share of the mean demand of a window."""
FLEETS = 6
"""Fleets that are drawn."""


def run(
    folder: Path | str,
    *,
    policies: Sequence[str] = POLICIES,
    kinds: Sequence[WindowKind] = tuple(WindowKind),
    factors: Sequence[float] = FACTORS,
    fleet_count: int = FLEETS,
    seed: int = 0,
) -> list[PolicyRow]:
    """Play every scenario of the traces in ``folder`` and return the table.

    Raises WrongFile when the folder holds no trace.
    """
    traces = read(folder)
    rows = compare("1", [single(trace, seed) for trace in traces], policies=policies, kinds=kinds, factors=factors)
    pooled = fleets(traces, fleet_count, seed)
    return rows + compare(str(FLEET), pooled, policies=policies, kinds=kinds, factors=factors)


def compare(
    label: str,
    worlds: Sequence[World],
    *,
    policies: Sequence[str] = POLICIES,
    kinds: Sequence[WindowKind] = tuple(WindowKind),
    factors: Sequence[float] = FACTORS,
    progress: Callable[[float], None] | None = None,
) -> list[PolicyRow]:
    """Pool the outcomes of these worlds and return one row for each kind of window and policy.

    ``progress`` hears which share has been played.
    """
    names = list(dict.fromkeys([*map(current_name, policies), BEST]))
    sums = {(kind, name): SimOutcome() for kind in kinds for name in names}
    played, whole = 0, len(worlds) * len(kinds) * len(factors) * len(names)
    for world in worlds:
        for (kind, name), outcome in play(world, names, kinds, factors):
            sums[kind, name].add(outcome)
            played += 1
            if progress:
                progress(played / whole)
    return [
        row(label, kind.value, name, sums[kind, name], sums[kind, BEST]) for kind in kinds for name in names if worlds
    ]


def play(
    world: World, policies: Iterable[str], kinds: Iterable[WindowKind], factors: Iterable[float]
) -> Iterator[tuple[tuple[WindowKind, str], SimOutcome]]:
    """Play one world in every scenario."""
    demand = demand_of(world)
    for kind in kinds:
        for factor in factors:
            for name in policies:
                yield (kind, name), Engine(scenario(world, kind, factor), policy(name, demand)).play()


def read(folder: Path | str) -> list[DailyTrace]:
    """Return the daily series of a folder of traces, idle days as zero. Raises WrongFile."""
    return read_traces(Path(folder))[0]


COLUMNS: tuple[tuple[str, int, Callable[[PolicyRow], str]], ...] = (
    ("", 10, lambda r: f"{r.worlds}, {r.kind}"),
    ("policy", 18, lambda r: r.policy),
    ("inter.", 7, lambda r: f"{r.denied_interactive:.1f}"),
    ("high", 7, lambda r: f"{r.denied_high:.1f}"),
    ("harm", 7, lambda r: f"{r.avoidable_harm:.1f}"),
    ("stalls", 8, lambda r: f"{r.stalls_important:.1f}"),
    ("autom.", 8, lambda r: f"{r.stalls_automation:.1f}"),
    ("lost", 6, lambda r: f"{r.lost_while_waited:.1f}"),
    ("over", 6, lambda r: f"{r.overshoot:.1f}"),
    ("normal", 7, lambda r: f"{r.normal_done:.0f}"),
    ("low", 5, lambda r: f"{r.low_done:.0f}"),
    ("normal wait", 12, lambda r: f"{r.normal_wait[0]:.0f} / {r.normal_wait[1]:.0f}"),
    ("low wait", 11, lambda r: f"{r.low_wait[0]:.0f} / {r.low_wait[1]:.0f}"),
    ("value", 7, lambda r: f"{r.value:.1f}"),
)


def to_text(rows: Sequence[PolicyRow]) -> str:
    """Return the table for a terminal: percent, stalls per 1,000 runs, waits in hours (median / P95)."""
    head = "".join(f"{name:>{width}}" for name, width, _ in COLUMNS)
    lines = [head, "-" * len(head)]
    lines += ["".join(f"{cell(row):>{width}}" for _, width, cell in COLUMNS) for row in rows]
    return "\n".join(lines)
