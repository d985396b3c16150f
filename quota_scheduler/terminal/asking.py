"""The service is asked in a thread of its own: a service that hangs or is away stops no key and no clock."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.terminal.deeds import Deed
from quota_scheduler.terminal.facts import Facts

HUNG_SECONDS = 5.0
"""A question without an answer for so long is said: a service that hangs takes half a minute to be given up."""
Ask = Callable[[str, str, Any], Any]
"""Method, path, body → the answer. Raises QuotaSchedulerError."""
MOST_TICKETS = 12
"""Waiting tickets that are asked about one by one: those at the head, which a screen shows."""
TICKETS_EVERY = 5
"""Rounds between two questions about the same ticket, each of which is a decision made anew."""


def asked(ask: Ask, before: Facts, tick: Callable[[], float], *, tickets: Sequence[str] | None = None) -> Facts:
    """Ask for everything once; what could not be had stays as it was before, with the problem.

    ``tickets`` are asked about one by one; None keeps what was said of them.
    """
    try:
        limits, line, alerts = (ask("GET", path, None) for path in ("/v1/limits", "/v1/queue", "/v1/alerts"))
        at = tick()
        waiting = {row["id"] for row in line["waiting"]}
        known = {name: said for name, said in before.tickets.items() if name in waiting}
        for name in tickets if tickets is not None else sorted(waiting - known.keys(), key=_number)[:MOST_TICKETS]:
            if name in waiting:
                known[name] = _ticket(ask, name)
        return Facts(before.source, limits, line, alerts, known, at)
    except (QuotaSchedulerError, KeyError, TypeError) as error:
        problem = str(error) if isinstance(error, QuotaSchedulerError) else "what answers is another version's service"
        is_refused = getattr(error, "code", "unreachable") != "unreachable"
        since = before.since if before.problem else tick()
        return replace(before, problem=problem, since=since, is_refused=is_refused)


def _ticket(ask: Ask, name: str) -> dict[str, Any]:
    """What holds a ticket; one that has gone since has nothing to say."""
    try:
        answer: dict[str, Any] = ask("GET", f"/v1/tickets/{name}?claim=no", None)
    except QuotaSchedulerError as error:
        if error.code == "unreachable":
            raise
        return {"reason": "", "message": str(error), "binding": [], "expected_start": None}
    return answer


def _number(name: str) -> int:
    return int(name[1:])


class Asking:
    """Asks every so many seconds, does what is wanted in between, and says through ``heard`` that there is news."""

    def __init__(self, ask: Ask, source: str, *, every: float, heard: Callable[[], None]) -> None:
        self._ask, self._every, self._heard = ask, every, heard
        self._deeds: queue.SimpleQueue[Deed | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.facts = Facts(source)
        self._asked_at: float | None = None
        self.notes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def seen(self, tick: float) -> Facts:
        """What is known at the monotonic second ``tick``; that a question has no answer yet is a problem too."""
        facts, asked_at = self.facts, self._asked_at
        if facts.problem or asked_at is None or tick - asked_at < HUNG_SECONDS:
            return facts
        return replace(facts, problem="the service takes questions and does not answer them", since=asked_at)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def do(self, deed: Deed) -> None:
        """Have something done, and everything asked anew behind it."""
        self._deeds.put(deed)

    def stop(self) -> None:
        """Ask no more; an answer that is under way is not waited for."""
        self._deeds.put(None)

    def _run(self) -> None:
        rounds = 0
        while True:
            self._asked_at = time.monotonic()
            head = [row["id"] for row in self.facts.of_queue("waiting")[:MOST_TICKETS]]
            self.facts = asked(
                self._ask, self.facts, time.monotonic, tickets=head if rounds % TICKETS_EVERY == 0 and head else None
            )
            self._asked_at = None
            rounds += 1
            self._heard()
            try:
                deed = self._deeds.get(timeout=self._every)
            except queue.Empty:
                continue
            if deed is None:
                return
            self.notes.put(self._done(deed))
            rounds = 0

    def _done(self, deed: Deed) -> str:
        try:
            self._ask(deed.method, deed.path, deed.body)
        except QuotaSchedulerError as error:
            return f"That was not done: {error}"
        return deed.done
