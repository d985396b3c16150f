"""A replay in a process of its own: it takes seconds of a processor, which nobody who waits for a decision has.

    service ──job──► child: plays, says how far it is ──answer──► service; whoever leaves ends the child

The child sees runs and limits, never the database. ``MOST`` play at a time; the next asker is told to come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

from msgspec import Struct

from quota_scheduler.core.pricing import OwnPrice
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.queries.replay import priced_by
from quota_scheduler.simulate.replay import Replay, replay_document

MOST = 2
"""Replays at a time: more would only slow each other down."""
SECONDS = 120.0
"""A replay that takes longer is ended: ten times what a month of ten thousand runs takes under six policies."""
NICER = 10
"""How much a child yields to whatever else runs here."""
LONGEST_LINE = 64 * 1024 * 1024
"""An answer on a line: two hundred limits under six policies are a megabyte."""


class TooBusy(Exception):
    """As many replays as may are being played."""


class ReplayJob(Struct, frozen=True):
    """What a child is handed; ``prices`` are the operator's own."""

    replay: Replay
    prices: Mapping[str, OwnPrice]


class Simulations:
    """Children of one service."""

    def __init__(self) -> None:
        self.playing = 0

    def is_full(self) -> bool:
        """Tell whether the next asker has to come again."""
        return self.playing >= MOST

    async def play(self, job: ReplayJob) -> AsyncIterator[dict[str, Any]]:
        """Yield ``{"done": share}`` as it goes, and at last ``{"answer": …}`` or ``{"problem": sentence}``.

        Whoever stops listening ends the child. Raises TooBusy.
        """
        if self.is_full():
            raise TooBusy
        self.playing += 1
        try:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "quota_scheduler.simulated"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
            )
            try:
                async for line in _lines(child, pickle.dumps(job)):
                    yield line
            finally:
                if child.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        child.kill()
                    await child.wait()
        finally:
            self.playing -= 1


async def _lines(child: asyncio.subprocess.Process, job: bytes) -> AsyncIterator[dict[str, Any]]:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                child.stdin.write(job)
                await child.stdin.drain()
                child.stdin.close()
            while raw := await child.stdout.readline():
                line: dict[str, Any] = json.loads(raw)
                yield line
                if "done" not in line:
                    return
    except TimeoutError:
        yield {"problem": f"this takes more than {SECONDS:.0f} s: ask for less time, or for fewer policies or limits"}
        return
    raise RuntimeError(f"a replay ended with {await child.wait()} and no answer")


def main() -> None:
    """Be the child: read a job, play it, write lines."""
    with contextlib.suppress(OSError):
        os.nice(NICER)
    job: ReplayJob = pickle.load(sys.stdin.buffer)  # what the parent has just written
    try:
        answer = replay_document(
            job.replay, reprice=priced_by(Prices(job.prices)), progress=lambda share: _say({"done": round(share, 3)})
        )
    except ValueError as error:
        _say({"problem": str(error)})
    else:
        _say({"answer": answer})


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
