"""Values that are kept for some moments: a hundred who look cost as much as one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

MOST = 64
"""Values kept at most; past it all are made anew."""


class KeptForAll:
    """Values by key, of one event loop. ``tick`` is a clock in seconds that never goes back."""

    def __init__(self, tick: Callable[[], float] = time.monotonic) -> None:
        self._tick = tick
        self._values: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, key: Hashable, seconds: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """The value of a key, made anew when it is older than ``seconds``; who comes meanwhile waits for the same.

        A failure is handed to all who wait for it, and not kept.
        """
        now = self._tick()
        made_at, value = self._values.get(key, (now, None))
        if value is None or now - made_at >= seconds or value.get_loop() is not asyncio.get_running_loop():
            value = asyncio.ensure_future(make())
            self._keep(key, now, value)
            value.add_done_callback(lambda done: self._drop_failed(key, done))
        return await asyncio.shield(value)

    def last(self, key: Hashable, seconds: float) -> Any:
        """The value of a key if it is there and not older than ``seconds``; None where it has to be made."""
        made_at, value = self._values.get(key, (0.0, None))
        if value is None or not value.done() or value.cancelled() or self._tick() - made_at > seconds:
            return None
        return value.result()

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value that was made for another key; of one event loop, as all."""
        made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        made.set_result(value)
        self._keep(key, self._tick(), made)

    def _keep(self, key: Hashable, made_at: float, value: "asyncio.Future[Any]") -> None:
        if len(self._values) >= MOST:
            self._values.clear()
        self._values[key] = made_at, value

    def forget(self) -> None:
        """Make everything anew: somebody has changed something by hand."""
        self._values.clear()

    def _drop_failed(self, key: Hashable, done: "asyncio.Future[Any]") -> None:
        is_failed = done.cancelled() or done.exception() is not None
        if is_failed and self._values.get(key, (0.0, None))[1] is done:
            del self._values[key]
