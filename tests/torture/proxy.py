"""A TCP proxy that misbehaves on purpose, between clients and the service or between the service and its database.

Every fault is a plain attribute that may be set at any time from any thread; what is forwarded next obeys it.
"""

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

CHUNK_BYTES = 65_536
LAST_WORDS_SECONDS = 0.2
"""Between what is said last and the end: who reads it has not noticed the end yet."""

Wanted = Callable[[bytes], bool]
"""Which requests a fault is meant for, by what the client sent last."""


class Proxy:
    """Listens on a port of loopback and forwards to ``target``. Ends with the ``with`` block.

    ``delay_seconds`` holds every chunk back, each way. ``bytes_per_second`` is all that a direction carries; 0 is no
    limit. ``black_hole`` takes connections and bytes and forwards none: a partition. ``deaf`` forwards what clients
    send and holds back what they would hear: half open. ``refusing`` resets who connects. ``cut_share`` of the answers
    do not arrive: their connection is reset when the first byte of the answer has come, so the request has been
    carried out, and committed. ``cut_wanted`` narrows that down by what the client sent last. ``last_words`` are told
    in place of an answer that is cut, a moment before the end.
    """

    def __init__(self, target: tuple[str, int], *, port: int = 0, seed: int = 0) -> None:
        self.target, self.port = target, port
        self.delay_seconds, self.bytes_per_second = 0.0, 0
        self.black_hole = self.deaf = self.refusing = False
        self.cut_share = 0.0
        self.cut_wanted: Wanted = lambda _: True
        self.last_words = b""
        self.cuts = 0
        self._rng = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", self.port))
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut_now(self) -> int:
        """Reset every connection; returns how many there were, by their ends."""
        return self._call(self._reset_all())

    def heal(self) -> None:
        """Forward everything again. What was held back meanwhile is delivered late, as after a real partition."""
        self.delay_seconds, self.bytes_per_second, self.cut_share = 0.0, 0, 0.0
        self.black_hole = self.deaf = self.refusing = False

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _close(self) -> None:
        self._server.close()
        await self._reset_all()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reset_all(self) -> int:
        ends = list(self._open)
        for writer in ends:
            writer.transport.abort()
        return len(ends)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        said = [b""]
        try:
            await asyncio.gather(
                self._forward(reader, far_writer, writer, said, answers=False),
                self._forward(far_reader, writer, far_writer, said, answers=True),
            )
        finally:
            self._open -= {writer, far_writer}
            for end in (writer, far_writer):
                end.transport.abort()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        said: list[bytes],
        *,
        answers: bool,
    ) -> None:
        """Carry one direction until its end; ``other`` is where it comes from, ``said`` what the client sent last."""
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if answers and said[0]:
                    request, said[0] = said[0], b""
                    if self._rng.random() < self.cut_share and self.cut_wanted(request):
                        self.cuts += 1
                        await self._say_last(writer)
                        break
                elif not answers:
                    said[0] = (said[0] + chunk)[-CHUNK_BYTES:]
                await self._hold_back(len(chunk), answers=answers)
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()
        other.transport.abort()

    async def _say_last(self, writer: asyncio.StreamWriter) -> None:
        if self.last_words:
            writer.write(self.last_words)
            await writer.drain()
            await asyncio.sleep(LAST_WORDS_SECONDS)

    async def _hold_back(self, size: int, *, answers: bool) -> None:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if self.bytes_per_second:
            await asyncio.sleep(size / self.bytes_per_second)
        while self.black_hole or (self.deaf and answers):
            await asyncio.sleep(0.01)
