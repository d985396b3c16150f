"""The four priority classes, most important first."""

from enum import StrEnum


class Priority(StrEnum):
    """Who may wait for whom. ``interactive`` is people: they ask for room too, and use what is held back for them."""

    INTERACTIVE = "interactive"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    rank: int
    """0 for the most important class; also its index in every per-class tuple of the core."""

    def __init__(self, _: str) -> None:
        """Kept as it is: a decision asks for it a dozen times."""
        self.rank = len(type(self).__members__)


CLASSES = tuple(Priority)
