"""The client for asyncio: the same verbs, each beside the event loop in a thread of its own pool."""

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from quota_scheduler.client.answers import Budget, Decision, UsageRow
from quota_scheduler.client.connection import Client
from quota_scheduler.client.lease import Lease

P = ParamSpec("P")
R = TypeVar("R")
MOST_AT_ONCE = 128
"""Tickets that may wait at once: each parks a thread, which costs some kilobytes."""


class AsyncClient:
    """Like ``Client``; arguments are the same.

    >>> async def main():
    ...     client = AsyncClient()
    ...     async with client.lease("docs-2", provider="anthropic", tokens=20_000) as lease:
    ...         lease.used("claude-sonnet-5", output=300)
    ...         return lease.tokens
    >>> asyncio.run(main())
    300
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """See ``Client``."""
        self.client = Client(*args, **options)
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="quota")

    @asynccontextmanager
    async def lease(self, key: str = "", **options: Any) -> AsyncIterator[Lease]:
        """A lease for the block; see ``Client.lease``. A cancelled wait gives its ticket up."""
        given_up = threading.Event()
        waiting = self._ask(self.client.lease, key, stop=given_up, **options)
        try:
            lease = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            given_up.set()
            waiting.add_done_callback(_release_unwanted)
            raise
        lease.start()
        status = "failed"
        try:
            yield lease
            status = "completed"
        finally:
            await asyncio.shield(self._ask(lease.release, status))

    def leased(self, **options: Any) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """Let every call of a coroutine function run under a lease; see ``Client.leased``."""

        def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            takes_lease = "lease" in inspect.signature(function).parameters

            @functools.wraps(function)
            async def call(*args: P.args, **kwargs: P.kwargs) -> R:
                async with self.lease(**options) as lease:
                    if takes_lease:
                        kwargs["lease"] = lease
                    return await function(*args, **kwargs)

            return call

        return decorate

    async def preflight(self, **options: Any) -> Decision:
        """See ``Client.preflight``."""
        return await self._ask(self.client.preflight, **options)

    async def limits(self) -> list[Budget]:
        """See ``Client.limits``."""
        return await self._ask(self.client.limits)

    async def remaining_budget(self, team: str, *, limit: str = "") -> Budget | None:
        """See ``Client.remaining_budget``."""
        return await self._ask(self.client.remaining_budget, team, limit=limit)

    async def set_team_budget(self, team: str, amount: float | str, **options: str) -> Any:
        """See ``Client.set_team_budget``."""
        return await self._ask(self.client.set_team_budget, team, amount, **options)

    async def usage_report(self, days: int = 7, by: Sequence[str] = ("day", "team")) -> list[UsageRow]:
        """See ``Client.usage_report``."""
        return await self._ask(self.client.usage_report, days, by)

    async def record(self, *events: Mapping[str, Any]) -> Mapping[str, Any]:
        """See ``Client.record``."""
        return await self._ask(self.client.record, *events)

    def _ask(self, call: Callable[..., R], *args: Any, **options: Any) -> "asyncio.Future[R]":
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, functools.partial(call, *args, **options))


def _release_unwanted(waiting: "asyncio.Future[Lease]") -> None:
    """A lease that came although nobody waits for it any more goes back at once."""
    if not waiting.cancelled() and waiting.exception() is None:
        lease = waiting.result()
        threading.Thread(target=lease.release, args=("failed",), daemon=True).start()
