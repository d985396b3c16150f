"""A service of a few lines with known faults to switch on: what the judges have to tell apart.

It decides one request after another, so its histories have an order by construction; the clients around it begin
earlier and end later than it decided, sometimes hear nothing, and ask again.
"""

import random
from dataclasses import dataclass, field

from tests.torture.operations import Answer, Figures, Operation, Verb, bounded

FAULTS = (
    "one_too_many",
    "stale_used",
    "lost_release",
    "double_reservation",
    "same_fence",
    "counted_twice",
    "forgotten",
)
"""Admits one token beyond the ceiling; shows what was used before the last change; returns nothing at one release;
reserves twice for a key that is asked again; gives a fence twice; counts a repeated event again; forgets who runs."""


ROOM = 60
"""What is left of the toy's limit whenever its operator has looked: two or three runs at a time."""


@dataclass
class Held:
    """A ticket as the toy keeps it."""

    key: str
    amount: int
    state: str = "waiting"
    fence: int = 0
    reported: int = 0
    extra: int = 0


@dataclass
class Toy:
    """One limit. ``fault`` happens at every chance after ``after`` requests, and ``times`` says how often it did."""

    ceiling: int = ROOM
    fault: str = ""
    after: int = 50
    used: int = 0
    shown_before: int = 0
    fence: int = 0
    requests: int = 0
    times: int = 0
    tickets: dict[str, Held] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)

    def decide(self, verb: Verb, key: str, amount: int) -> Answer:
        """One request."""
        self.requests += 1
        spent = self.spent
        answer = self._decide(verb, key, amount)
        if self.spent != spent:
            self.shown_before = spent
        return answer

    @property
    def spent(self) -> int:
        return self.used + sum(t.reported for t in self.tickets.values() if t.state == "running")

    @property
    def reserved(self) -> int:
        live = (t for t in self.tickets.values() if t.state in ("running", "offered"))
        return sum(max(0, t.amount - t.reported) + t.extra for t in live)

    def _fails(self, fault: str) -> bool:
        happens = fault == self.fault and self.requests > self.after
        self.times += happens
        return happens

    def _decide(self, verb: Verb, key: str, amount: int) -> Answer:
        if verb is Verb.AMOUNT:
            self.ceiling = amount
            self._wake()
            return Answer("done")
        if verb is Verb.USE:
            known = self.events.setdefault(key, 0)
            if known and not self._fails("counted_twice"):
                return Answer("duplicate")
            self.events[key], self.used = amount, self.used + amount
            return Answer("duplicate" if known else "accepted")
        ticket = self.tickets.get(key)
        if verb in (Verb.SUBMIT, Verb.POLL):
            return self._asked(ticket, key, amount)
        assert ticket is not None
        ticket.reported = max(ticket.reported, amount)
        if verb is Verb.RENEW:
            return self._shown(ticket)
        if ticket.state == "running" and not self._fails("lost_release"):
            self.used += ticket.reported
        ticket.state = "closed"
        self._wake()
        return Answer("closed")

    def _asked(self, ticket: Held | None, key: str, amount: int) -> Answer:
        if ticket and ticket.state == "running" and self._fails("double_reservation"):
            ticket.extra = ticket.amount
        if ticket and ticket.state == "running" and self._fails("forgotten"):
            self.tickets.pop(key)
            ticket = None
        if ticket is None:
            ticket = self.tickets[key] = Held(key, amount)
            self._wake()
        if ticket.state == "offered":
            self._start(ticket)
        return self._shown(ticket)

    def _wake(self) -> None:
        """Room for whoever has waited longest; who has just arrived starts by claiming it."""
        for ticket in [t for t in self.tickets.values() if t.state == "waiting"]:
            missing = self.spent + self.reserved + ticket.amount - self.ceiling
            if missing > 0 and not (missing == 1 and self._fails("one_too_many")):
                return
            ticket.state = "offered"

    def _start(self, ticket: Held) -> None:
        ticket.state = "running"
        self.fence += 0 if self.fence and self._fails("same_fence") else 1
        ticket.fence = self.fence

    def _shown(self, ticket: Held) -> Answer:
        if ticket.state == "running":
            return Answer("running", fence=ticket.fence, reserved={"l": max(0, ticket.amount - ticket.reported)})
        if ticket.state == "closed":
            return Answer("closed")
        used = self.shown_before if self._fails("stale_used") else self.spent
        return Answer("waiting", figures={"l": Figures(used, self.reserved, self.ceiling)})


@dataclass(eq=False)
class Client:
    """One runner of the toy: what it will ask next. The one with number 0 also raises the limit now and then."""

    number: int
    rng: random.Random
    free_at: float = 0.0
    key: str = ""
    amount: int = 0
    fence: int = 0
    used: int = 0
    turns: int = 0
    step: Verb = Verb.SUBMIT

    def next(self, toy: Toy) -> tuple[Verb, str, int, int]:
        """Verb, key, amount and fence."""
        if self.step is Verb.SUBMIT and not self.key:
            self.turns += 1
            self.key, self.amount = f"c{self.number}-{self.turns}", self.rng.randint(5, 40)
            if self.number == 0 and self.turns % 4 == 0:
                self.step, self.key, self.amount = Verb.AMOUNT, "l", toy.spent + ROOM
            elif self.rng.random() < 0.15:
                self.step, self.key = Verb.USE, f"e{self.number}-{self.turns}"
        amount = self.used if self.step in (Verb.RENEW, Verb.RELEASE, Verb.CANCEL) else self.amount
        return self.step, self.key, amount, self.fence

    def hear(self, answer: Answer | None) -> bool:
        """Go on; whether this was the last about its key. Without an answer the same is asked again."""
        if answer is None:
            return False
        if self.step in (Verb.USE, Verb.AMOUNT) or answer.state == "closed":
            is_last = self.step is not Verb.AMOUNT
            self.step, self.key, self.fence, self.used = Verb.SUBMIT, "", 0, 0
            return is_last
        if answer.state == "waiting":
            self.step = Verb.CANCEL if self.rng.random() < 0.1 else Verb.POLL
        else:
            self.fence = answer.fence
            self.step = Verb.RELEASE if self.rng.random() < 0.6 else Verb.RENEW
            self.used = min(self.amount, self.used + self.rng.randint(0, 6))
        return False


def record(operations: int, *, clients: int = 5, fault: str = "", seed: int = 1, lost: float = 0.03) -> list[Operation]:
    """What the clients of a toy recorded; ``lost`` is the share of answers that nobody heard."""
    rng, toy, now = random.Random(seed), Toy(fault=fault), 0.0
    runners = [Client(number, random.Random(f"{seed} {number}")) for number in range(clients)]
    history: list[Operation] = []
    while len(history) < operations:
        # The next to be decided is whoever is due; it began some time before, and hears some time later.
        client = min(runners, key=lambda one: one.free_at)
        now = max(now, client.free_at) + rng.uniform(0.01, 0.2)
        verb, key, amount, fence = client.next(toy)
        answer = toy.decide(verb, key, amount)
        heard = None if rng.random() < lost else answer
        begin, end = rng.uniform(client.free_at, now), now + rng.uniform(0.01, 1.0)
        limits = ("l",) if verb in (Verb.SUBMIT, Verb.USE) else ()
        last = client.hear(heard)
        history.append(Operation(client.number, begin, end, verb, key, amount, limits, fence, heard, last))
        client.free_at = end
    assert bool(toy.times) == bool(fault), f"the toy had no chance to do {fault}"
    return bounded(history)
