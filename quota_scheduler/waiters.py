"""Long polls: requests parked until their ticket changes. One future each, nothing running meanwhile.

A ticket that another replica changes wakes them too: ``service.lookout`` looks for those.
"""

import asyncio
from collections.abc import Iterable


class Waiters:
    """Parked requests by ticket. ``announce`` may be called from any thread."""

    def __init__(self) -> None:
        self._parked: dict[int, set[asyncio.Future[None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop that the requests live in."""
        self._loop = loop

    @property
    def parked(self) -> int:
        """How many requests wait."""
        return sum(len(futures) for futures in self._parked.values())

    @property
    def is_anybody_parked(self) -> bool:
        """Whether any request waits; from any thread."""
        return bool(self._parked)

    def park(self, ticket: int) -> "asyncio.Future[None]":
        """A future that the ticket's next change resolves; say ``leave`` at every end.

        Park first, then look: no change falls between.
        """
        future = asyncio.get_running_loop().create_future()
        self._parked.setdefault(ticket, set()).add(future)
        return future

    def leave(self, ticket: int, future: "asyncio.Future[None]") -> None:
        """Wait no longer."""
        future.cancel()
        futures = self._parked.get(ticket, set())
        futures.discard(future)
        if not futures:
            self._parked.pop(ticket, None)

    def announce(self, tickets: Iterable[int]) -> None:
        """Tell whoever waits for these tickets that they changed."""
        if self._loop and not self._loop.is_closed() and self._parked:
            self._loop.call_soon_threadsafe(self._wake, list(tickets))

    def release_all(self) -> None:
        """Answer everybody now: the service is about to stop."""
        self.announce(list(self._parked))

    def _wake(self, tickets: list[int]) -> None:
        for ticket in tickets:
            for future in self._parked.get(ticket, ()):
                if not future.done():
                    future.set_result(None)
