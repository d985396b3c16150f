"""Bounds on label values: what a client can invent becomes ``other``, so that nobody can fill a Prometheus."""

from collections.abc import Collection, Iterable
from threading import Lock

from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Outcome, Reason

OTHER = "other"
DECISIONS = ("admit", "defer", "reject")
SKIPS = ("misfire", "overlap", "not_leader")
SPOOLED = ("kept", "replayed", "refused", "unreadable")
OPERATIONS = ("read", "write", "commit")
FAILURES = ("error", "timeout", "nomatch", "rejected")
FIRST_REASONS = (("admit", Reason.FITS), ("defer", Reason.NO_HEADROOM), ("reject", Reason.NEVER_FITS))
"""Decisions that each limit shows from the start at 0; rarer ones appear with their first time."""
HOLDING = (
    Reason.NO_HEADROOM,
    Reason.THROTTLED,
    Reason.PACED,
    Reason.PAUSED,
    Reason.EXHAUSTED,
    Reason.CONCURRENCY,
    Reason.PROVIDER_THROTTLED,
    Reason.HELD,
)
"""Reasons to wait that are shown from the start at 0, so that a line over time falls to it instead of ending."""
REASONS = frozenset(Reason)
CLASSES = frozenset(Priority)
OUTCOMES = frozenset(Outcome)


class Cap:
    """At most ``most`` values of one label, first come first kept, for as long as the process lives; then ``other``."""

    def __init__(self, most: int, values: Iterable[str] = ()) -> None:
        self._most = most
        self._kept = set(values)
        self._lock = Lock()

    @property
    def kept(self) -> tuple[str, ...]:
        """The values that are kept apart, by name."""
        with self._lock:
            return tuple(sorted(self._kept))

    def keep(self, values: Iterable[str]) -> None:
        """Keep these and no others apart, as another process does."""
        with self._lock:
            self._kept = set(values)

    def __call__(self, value: str) -> str:
        """The value as it may be exposed; empty text is ``other`` too."""
        with self._lock:
            if value and (value in self._kept or len(self._kept) < self._most):
                self._kept.add(value)
                return value
        return OTHER


def closed(value: str, values: Collection[str]) -> str:
    """The value when it is one of a closed set, else ``other``."""
    return value if value in values else OTHER
