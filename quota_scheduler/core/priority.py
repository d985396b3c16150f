"""The four priority classes, most important first."""

from enum import StrEnum


class Priority(StrEnum):
    """Who may wait for whom. ``interactive`` is people: they ask for room too, and use what is held back for them."""

    INTERACTIVE = "interactive"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the most important class."""
        return RANKS[self]


RANKS = {priority: rank for rank, priority in enumerate(Priority)}
"""Rank by class; also the index of a class in every per-class tuple of the core."""

CLASSES = tuple(Priority)
