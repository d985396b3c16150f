"""Waiting for a ticket's turn, asked in plain words: parked without a task, a few small objects for each who waits.

    read ──waits──► parked ──changed, or time is over──► read once more ──► answered
      │               └─────the service is about to stop──────────────────────▲
      └─ runs, was refused, … ────────────────────────────────────────────────┘
    whoever hangs up ──► nothing is left of it

What is answered is what ``api.tickets.read`` answers, which takes whatever is not so plain.
"""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from quota_scheduler.api.access import ANSWER_SECONDS, Asker
from quota_scheduler.api.bounds import FREE_SECONDS, LONGEST_POLL
from quota_scheduler.api.plain_tickets import answered, plain_asker
from quota_scheduler.core.cycle.requests import Answer, Read, Reply
from quota_scheduler.core.tickets.ticket import State
from quota_scheduler.short_way import Asked

if TYPE_CHECKING:
    from quota_scheduler.facade import Facade

_PATH = re.compile(r"/v1/tickets/t(\d{1,18})", re.ASCII)
_WAIT = re.compile(rb"wait=(\d{1,3}(?:\.\d{1,6})?)")


class Poll:
    """One who waits. Lives in the event loop; ``decided`` is done when there is something to tell, or nobody left."""

    __slots__ = ("_asker", "_changed", "_read", "_reply", "_service", "_since", "_timer", "_wait", "decided")

    def __init__(self, service: "Facade", asker: Asker, read: Read, wait: float) -> None:
        """``wait`` is in seconds."""
        loop = asyncio.get_running_loop()
        self._service, self._asker, self._read, self._wait = service, asker, read, wait
        self._reply: Reply | None = None
        self._since = loop.time()
        self.decided: asyncio.Future[Reply] = loop.create_future()
        self.decided.add_done_callback(self._end)
        self._changed = service.park(read.ticket)  # first, so that no change falls between
        self._timer = self._ask()

    def _ask(self) -> asyncio.TimerHandle:
        """Put the question into the next cycle; what gives it up when it takes too long."""
        self._service.ask(self._read).add_done_callback(self._heard)
        return self.decided.get_loop().call_later(ANSWER_SECONDS, self._give_up)

    def _heard(self, asked: "asyncio.Future[Reply]") -> None:
        error = asked.exception()
        if self.decided.done():
            return
        self._timer.cancel()
        if error is not None:
            self.decided.set_exception(error)
            return
        reply = asked.result()
        waits = isinstance(reply, Answer) and reply.ticket.state is State.WAITING
        if self._reply is not None or not waits or self._service.draining:
            self.decided.set_result(reply)
            return
        self._reply = reply
        self._timer = self.decided.get_loop().call_later(self._wait, self._changed.cancel)
        self._changed.add_done_callback(self._wake)

    def _wake(self, _: "asyncio.Future[None]") -> None:
        """The ticket has changed, or time is over; who was parked a while has asked for nothing meanwhile."""
        if self.decided.done():
            return
        self._timer.cancel()
        if self._asker.is_token and self.decided.get_loop().time() - self._since >= FREE_SECONDS:
            self._service.rates.give_back(self._asker.name)
        if self._service.draining and self._reply is not None:
            self.decided.set_result(self._reply)
        else:
            self._timer = self._ask()

    def _give_up(self) -> None:
        if not self.decided.done():
            self.decided.set_exception(TimeoutError())

    def _end(self, _: "asyncio.Future[Reply]") -> None:
        self._timer.cancel()
        self._service.leave(self._read.ticket, self._changed)


class PlainPolls:
    """The desk of ``GET /v1/tickets/{ticket}?wait=…``."""

    def __init__(self, service: "Facade") -> None:
        self._service = service

    def wants(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request may be such a question; the routes make the spans of those that are traced."""
        is_poll = scope["method"] == "GET" and scope["query_string"] and _PATH.fullmatch(scope["path"])
        return bool(is_poll) and not self._service.traces.is_on

    def ask(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], body: bytes) -> "Asked | None":
        """Park whoever asks plainly."""
        service, path = self._service, _PATH.fullmatch(scope["path"])
        wait = _WAIT.fullmatch(scope["query_string"])
        if path is None or wait is None or not float(wait[1]) or body:
            return None
        asker = plain_asker(service, headers)
        if asker is None or (asker.is_token and service.rates.take(asker.name)):
            return None
        read = Read(int(path[1]), True, asker.by, asker.scope)
        poll = Poll(service, asker, read, min(LONGEST_POLL, float(wait[1])))
        return Asked(poll.decided, partial(answered, service, scope, asker, poll.decided), is_parked=True)
