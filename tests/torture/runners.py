"""Runners of the tests' own: they ask over HTTP, come again when nobody answers, and record all they did and heard."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.torture.operations import Answer, Figures, Operation, Verb

TIMEOUT_SECONDS = 4.0
"""After this long nobody will answer any more: ask again, elsewhere."""
LONGEST_TRY_SECONDS = 120.0
"""A runner that nobody answers for so long gives up, and its test fails."""


@dataclass
class Group:
    """Runners that share limits: ``all_`` binds every ticket of a provider, ``team`` half of them as well.

    ``room`` is what an operator leaves free now and then above what was used, so that there is always a queue.
    """

    provider: str
    room: int = 2_000
    history: list[Operation] = field(default_factory=list)
    spent: int = 0

    @property
    def all_(self) -> str:
        return f"{self.provider}-all"

    @property
    def team(self) -> str:
        return f"{self.provider}-team"

    def limits(self, starts: str) -> str:
        """Its limits as the configuration has them; they reset at ``starts`` of the day, far from now."""
        rest = f'unit: tokens, amount: {self.room}, window: {{every: day, starts: "{starts}"}}, holdback: 0}}'
        return (
            f"  - {{id: {self.all_}, match: {{provider: {self.provider}}}, {rest}\n"
            f"  - {{id: {self.team}, match: {{provider: {self.provider}, team: t}}, {rest}\n"
        )


class Runner(threading.Thread):
    """Does ``operations`` requests, or until it is ``enough``: one ticket or event after another, each to its end."""

    def __init__(self, number: int, group: Group, ports: Sequence[int], operations: int, *, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self.number, self.group, self.ports, self.operations = number, group, ports, operations
        self.rng = random.Random(f"{seed} {number}")
        self.problem: BaseException | None = None
        self.enough = False
        self._next_port, self._asked, self._turns = number, 0, 0

    def run(self) -> None:
        """Work; what goes wrong is kept for whoever waits for it."""
        try:
            while self._asked < self.operations and not self.enough:
                self._turns += 1
                self._turn()
        except BaseException as problem:
            self.problem = problem

    def _turn(self) -> None:
        name, chance = f"{self.group.provider}{self.number}-{self._turns}", self.rng.random()
        limits = (self.group.all_, self.group.team) if self.rng.random() < 0.5 else (self.group.all_,)
        if chance < 0.1:
            self._use(f"e{name}", limits)
        elif chance < 0.2 and self.number % 4 == 0:
            self._set_amount(self.rng.choice((self.group.all_, self.group.team)))
        else:
            self._run_ticket(f"k{name}", limits)

    def _use(self, key: str, limits: tuple[str, ...]) -> None:
        for total in sorted(self.rng.sample(range(1, 9), self.rng.randint(1, 2))):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            labels = {"team": "t"} if len(limits) > 1 else {}
            event = {"provider": self.group.provider, "key": key, "at": at, "output": total, "labels": labels}
            self._do("POST", "/v1/usage", [event], _of_usage, verb=Verb.USE, key=key, amount=total, limits=limits)
            self.group.spent += total

    def _set_amount(self, limit: str) -> None:
        amount = self.group.spent + self.group.room + self.rng.randint(0, 300)
        self._do("PATCH", f"/v1/limits/{limit}", {"amount": amount}, _done, verb=Verb.AMOUNT, key=limit, amount=amount)

    def _run_ticket(self, key: str, limits: tuple[str, ...]) -> None:
        amount = self.rng.randint(100, 900)
        labels = {"provider": self.group.provider} | ({"team": "t"} if len(limits) > 1 else {})
        body = {"key": key, "labels": labels, "estimate": {"output": amount}}
        about: dict[str, Any] = {"key": key, "limits": limits}
        answer = self._do("POST", "/v1/tickets", body, _of_ticket, verb=Verb.SUBMIT, amount=amount, **about)
        path, patience = f"/v1/tickets/{answer.ticket}", self.rng.choice((1, 30, 30, 30))
        while answer.state == "waiting":
            if patience <= 0:
                self._do("DELETE", path, None, _of_ticket, verb=Verb.CANCEL, last=True, **about)
                return
            patience -= 1
            wait = self.rng.choice((0, 0.05, 0.3))
            answer = self._do("GET", f"{path}?wait={wait}", None, _of_ticket, verb=Verb.POLL, amount=amount, **about)
        used = self._renew(amount, answer, about)
        self.group.spent += used
        about |= {"amount": used, "fence": answer.fence, "last": True}
        if self.rng.random() < 0.1:
            about |= {"fence": 0}
            self._do("DELETE", path, None, _of_ticket, verb=Verb.CANCEL, **about)
        else:
            report = {"fence": answer.fence, "usage": {"output": used}}
            self._do("POST", f"/v1/leases/{answer.ticket}/release", report, _of_ticket, verb=Verb.RELEASE, **about)

    def _renew(self, amount: int, answer: Answer, about: Mapping[str, Any]) -> int:
        """Some heartbeats of a run, one of twenty of which uses more than it asked for; returns what it used."""
        used, path = 0, f"/v1/leases/{answer.ticket}/renew"
        for _ in range(self.rng.randint(0, 2)):
            used = amount + 5 if self.rng.random() < 0.02 else used + self.rng.randint(0, 8)
            report = {"fence": answer.fence, "usage": {"output": used}}
            fence = answer.fence
            self._do("POST", path, report, _of_ticket, verb=Verb.RENEW, amount=used, fence=fence, **about)
        return used

    def _do(self, method: str, path: str, body: Any, read: Callable[[int, Any], Answer | None], **about: Any) -> Answer:
        """Ask until somebody answers; every try is an operation of its own, unless nobody took the connection."""
        deadline = time.monotonic() + LONGEST_TRY_SECONDS
        while True:
            begin, was_sent = time.monotonic(), True
            try:
                answer = read(*self._ask(method, path, body))
            except ConnectionRefusedError:
                answer, was_sent = None, False
            except (OSError, http.client.HTTPException, ValueError):
                answer = None
            self._asked += answer is not None
            end = time.monotonic()
            tried = {**about, "last": bool(answer) and about.get("last", False)}
            if was_sent:
                self.group.history.append(Operation(self.number, begin, end, answer=answer, **tried))
            if answer:
                return answer
            assert time.monotonic() < deadline, f"nobody answers {method} {path} {body}"
            time.sleep(self.rng.uniform(0.01, 0.1))  # as runners do: all at once would be a test of something else

    def _ask(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """One request to the next replica in turn."""
        self._next_port += 1
        port = self.ports[self._next_port % len(self.ports)]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json"} if content else {})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()


def _of_ticket(status: int, body: Any) -> Answer | None:
    if status == 503:
        return None
    if status == 409 and body["title"] == "stale_fence":
        return Answer("stale")
    assert status == 200, (status, body)
    if body["state"] == "running":
        return Answer("running", body["id"], body["lease"]["fence"], body["lease"]["reserved"])
    shown = {
        each["limit"]: Figures(each["used"], each["reserved"], each["ceiling"])
        for each in body["binding"]
        if "used" in each
    }
    return Answer(body["state"], body["id"], figures=shown or None)


def _of_usage(status: int, body: Any) -> Answer | None:
    if status in (202, 503):  # it lies in a spool: asked again, it is answered once it counts
        return None
    assert status == 200, (status, body)
    return Answer(next(word for word in ("accepted", "updated", "duplicate") if body[word]))


def _done(status: int, body: Any) -> Answer | None:
    if status == 503:
        return None
    assert status == 200, (status, body)
    return Answer("done")
