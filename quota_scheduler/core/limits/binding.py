"""Which limits bind, without asking each: a limit that names plain values of a label is found by the value."""

from collections.abc import Iterable

from quota_scheduler.core.labels import Labels, is_pattern
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.names import canonical

COARSE = ("provider",)
"""Labels whose values most limits share: another label of the same match tells more apart."""
OF_MANY = ("model",)
"""Labels by which nobody is found: work that names no model could call any, and is selected by each of them."""


class Binding:
    """Limits by what they select, in the order of the configuration."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._limits = tuple(limits)
        self._always: list[int] = []
        self._by_value: dict[tuple[str, str], list[int]] = {}
        for place, limit in enumerate(self._limits):
            telling = _telling(limit)
            if telling is None:
                self._always.append(place)
                continue
            name, values = telling
            for value in values:
                self._by_value.setdefault((name, value), []).append(place)
        self._names = sorted({name for name, _ in self._by_value})

    def of(self, labels: Labels) -> list[Limit]:
        """Every limit that selects these labels."""
        return [limit for limit in self.candidates(labels) if limit.selects(labels)]

    def candidates(self, labels: Labels) -> list[Limit]:
        """Those that have to be asked: found by a value of theirs, or named by nothing that tells."""
        places = [
            place
            for name in self._names
            for place in self._by_value.get((name, canonical(name, labels.value(name))), ())
        ]
        return [self._limits[place] for place in sorted(self._always + places)]


def _telling(limit: Limit) -> tuple[str, Iterable[str]] | None:
    """The clause of a match by whose values the limit is found; None where only asking tells."""
    plain = [
        (name, values)
        for name, values in limit.match
        if name not in OF_MANY and not any(is_pattern(value) for value in values)
    ]
    return min(plain, key=lambda clause: (clause[0] in COARSE, len(clause[1])), default=None)
