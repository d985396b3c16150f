"""Traces: where the time of a request, a ticket and a tick went, as spans of OpenTelemetry. Off unless configured.

    POST /v1/tickets ─ queued ─ cycle ─ commit        the trace of who asked, or one of its own
                                  ╎ link
    ticket ─ wait ─ lease                             one trace a ticket, for as long as it lives
    tick ─ cycle ─ commit                             one trace a run of a periodic task

A ticket lives for hours and may be admitted by one replica and released at another, after a restart: the ids of its
trace are made from what every one of them knows of it, so that all its spans meet. What was asked about it is linked to
that trace.

While traces are off nothing of OpenTelemetry is imported; a request pays for asking whether they are.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from quota_scheduler.core.tickets.ticket import Ticket

UNTRACED = ("/healthz", "/readyz", "/metrics", "/v1/logs", "/v1/metrics", "/v1/traces", "/v1/page", "/page")
"""Beginnings of paths that have no span: probes, scrapes, the page, and what exporters send, ours perhaps among it."""
TRACED_TASKS = frozenset({"tick", "learn", "rates", "prune", "bills"})
"""Periodic tasks that have spans; the others look every second whether there is anything to do."""
Place = Any
"""A span that others are children of; None while nothing is traced."""
_HERE: ContextVar[Place] = ContextVar("span", default=None)
"""The span of the request or task that is under way."""


class Ending(Protocol):
    """A span under way that learns how it ended."""

    def says(self, status: int, method: str, route: str) -> None:
        """Note the status of the answer, and the route that gave it, empty for none."""


class Nothing:
    """A span of nobody."""

    def says(self, status: int, method: str, route: str) -> None:
        """Say nothing."""


NOTHING = Nothing()


class Traces:
    """No traces: what is called where none are configured."""

    is_on = False

    @contextlib.contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[Ending]:
        """A request while it is answered."""
        del method, path, headers
        yield NOTHING

    @contextlib.contextmanager
    def task(self, name: str) -> Iterator[None]:
        """A run of a periodic task."""
        del name
        yield

    def here(self) -> Place:
        """The span under way, to be handed to another thread."""
        return None

    def served(self, places: Sequence[Place], times: "Times", tickets: Sequence["Ticket | None"]) -> None:
        """A transaction that answered requests is on the disk; ``tickets`` are those that the answers are about."""

    def started(self, tickets: Sequence["Ticket"]) -> None:
        """Tickets whose wait is over."""

    def closed(self, tickets: Sequence["Ticket"]) -> None:
        """Tickets whose life is over."""

    def close(self) -> None:
        """Send what is still to be sent."""


OFF = Traces()


class Times:
    """When a transaction began, was about to commit, and was over, in nanoseconds since 1970."""

    __slots__ = ("began", "committing", "ended")

    def __init__(self) -> None:
        self.began = self.committing = self.ended = time.time_ns()

    def commits(self) -> None:
        """All is decided and written, but for the commit."""
        self.committing = time.time_ns()

    def over(self) -> "Times":
        """The commit has reached the disk."""
        self.ended = time.time_ns()
        return self


def is_traced(path: str) -> bool:
    """Whether a path has a span."""
    return not path.startswith(UNTRACED)


@contextlib.contextmanager
def inside(place: Place) -> Iterator[None]:
    """Let ``place`` be the span under way."""
    token = _HERE.set(place)
    try:
        yield
    finally:
        _HERE.reset(token)


def span_here() -> Place:
    """The span under way in this task or thread."""
    return _HERE.get()
