"""Optimization: what is asked of runners, by how much of a limit is left."""

from enum import StrEnum

from msgspec import Struct

from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds


class Optimization(StrEnum):
    """What is asked of runners, by how much headroom is left."""

    MINIMAL = "minimal"
    BALANCED = "balanced"
    AGGRESSIVE = "aggressive"
    EMERGENCY = "emergency"


class Advice(Struct, frozen=True):
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


def optimization_level(headroom: int, amount: int, thresholds: Thresholds = DEFAULT) -> Optimization:
    """Return the level for what is left of a limit; an amount of 0 leaves nothing.

    ``thresholds`` hold the headroom ÷ amount above which each level applies; below all of them it is an emergency.
    """
    ratio = headroom / amount if amount > 0 else 0.0
    if ratio > thresholds.optimization_balanced:
        return Optimization.MINIMAL
    if ratio > thresholds.optimization_aggressive:
        return Optimization.BALANCED
    return Optimization.AGGRESSIVE if ratio > thresholds.optimization_emergency else Optimization.EMERGENCY
