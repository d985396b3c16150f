"""What the service promises about a few limits, in as few lines as it can be said: nothing of it is the product's.

    used       what was released, what events brought, what running leases have reported
    reserved   what running and offered tickets may still spend
    a ticket is admitted iff used + reserved + its amount <= ceiling, nothing is held, and nobody waits before it

A waiting ticket is offered room by itself. Nobody is told when, so the model takes it to have happened where an answer
shows it: when its client finds it running, or when the reserved of an answer holds just what some waiting tickets ask.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from tests.torture.operations import Answer, Operation, Verb

MOST_OFFERED = 4
"""How many offers at once an answer may reveal."""
GROWTH_SHARE = 4
"""A reservation that is used up grows by a quarter of itself."""


class Ticket(NamedTuple):
    """One ticket; ``held`` is its reservation in each limit, ``drift`` as it was when it last had room; -1: never."""

    key: str
    amount: int
    limits: tuple[str, ...]
    phase: str
    fence: int = 0
    reported: int = 0
    held: tuple[int, ...] = ()
    drift: int = -1

    def spent(self, limit: str) -> int:
        return self.reported if limit in self.limits and self.phase == "running" else 0

    def rest(self, limit: str) -> int:
        if limit not in self.limits or self.phase not in ("running", "offered"):
            return 0
        return max(0, self.held[self.limits.index(limit)] - self.reported)


@dataclass(frozen=True)
class State:
    """The limits at one point of the order. ``drift`` is what came without a decision: it may stand above a ceiling."""

    used: tuple[tuple[str, int], ...]
    ceilings: tuple[tuple[str, int], ...]
    tickets: frozenset[Ticket] = frozenset()
    events: frozenset[tuple[str, int]] = frozenset()
    held: bool = False
    fence: int = 0
    drift: int = 0

    def figures(self, limit: str) -> tuple[int, int, int]:
        """Used, reserved and ceiling."""
        used = dict(self.used)[limit] + sum(ticket.spent(limit) for ticket in self.tickets)
        return used, sum(ticket.rest(limit) for ticket in self.tickets), dict(self.ceilings)[limit]

    def fits(self, ticket: Ticket, allowed: int = 0) -> bool:
        """Whether a ticket may start; ``allowed`` is what may stand above the ceiling without being its fault."""
        rooms = (self.figures(limit) for limit in ticket.limits)
        return all(used + reserved + ticket.amount <= ceiling + allowed for used, reserved, ceiling in rooms)

    def may_start(self, ticket: Ticket) -> bool:
        """Whether a waiting ticket has room, or had it before something came without a decision."""
        return self.fits(ticket) or (ticket.drift >= 0 and self.fits(ticket, self.drift - ticket.drift))

    def noted(self) -> "State":
        """The same where every waiting ticket that has room now remembers so."""
        roomy = [t for t in self.tickets if t.phase == "waiting" and t.drift != self.drift and self.fits(t)]
        return replace(self, tickets=self.tickets - set(roomy) | {t._replace(drift=self.drift) for t in roomy})

    def find(self, key: str) -> Ticket | None:
        return next((ticket for ticket in self.tickets if ticket.key == key), None)

    def put(self, new: Ticket) -> "State":
        return replace(self, tickets=frozenset({*(t for t in self.tickets if t.key != new.key), new}))

    def use(self, limits: tuple[str, ...], amount: int) -> "State":
        used = dict(self.used)
        return replace(self, used=tuple((name, used[name] + amount * (name in limits)) for name in used))

    def without(self, key: str) -> "State":
        """The same once nobody will name a key again."""
        tickets = frozenset(ticket for ticket in self.tickets if ticket.key != key)
        return replace(self, tickets=tickets, events=frozenset(event for event in self.events if event[0] != key))


def after(state: State, operation: Operation) -> Iterator[State]:
    """Every state in which an operation may leave the limits, given what was answered; none where the answer is wrong.

    Without an answer every outcome that the promise allows.
    """
    for following in _after(state, operation):
        yield following.noted()


def _after(state: State, operation: Operation) -> Iterator[State]:
    match operation.verb:
        case Verb.AMOUNT:
            ceilings = {**dict(state.ceilings), operation.key: operation.amount}
            lowered = max(0, dict(state.ceilings)[operation.key] - operation.amount)
            yield replace(state, ceilings=tuple(ceilings.items()), drift=state.drift + lowered)
        case Verb.HOLD:
            yield replace(state, held=bool(operation.amount))
        case Verb.USE:
            yield from _used(state, operation)
        case Verb.SUBMIT | Verb.POLL:
            yield from _asked(state, operation)
        case Verb.RENEW | Verb.RELEASE | Verb.CANCEL:
            yield from _reported(state, operation)


def _used(state: State, operation: Operation) -> Iterator[State]:
    before = dict(state.events).get(operation.key)
    more = max(0, operation.amount - (before or 0))
    word = "accepted" if before is None else "updated" if more else "duplicate"
    if operation.answer is None or operation.answer.state == word:
        events = frozenset({*state.without(operation.key).events, (operation.key, max(operation.amount, before or 0))})
        yield replace(state.use(operation.limits, more), events=events, drift=state.drift + more)


def _asked(state: State, operation: Operation) -> Iterator[State]:
    ticket = state.find(operation.key)
    if ticket is None:
        if operation.verb is Verb.POLL:
            return  # what was answered once has been lost
        yield from _arrived(state, operation)
    elif ticket.phase in ("running", "closed"):
        yield from _shown(state, ticket, operation.answer)
    else:
        if operation.answer is None or operation.answer.state == "running":
            yield from _started(state, ticket, operation.answer)
        if operation.answer is None or operation.answer.state == "waiting":
            yield from _deferred(state, operation.answer)


def _arrived(state: State, operation: Operation) -> Iterator[State]:
    answer = operation.answer
    ticket = Ticket(operation.key, operation.amount, operation.limits, "waiting")
    is_alone = not any(other.phase == "waiting" for other in state.tickets)
    may = state.fits(ticket) and not state.held
    if may and (answer is None or answer.state == "running"):
        yield from _started(state, ticket, answer)
    if not (may and is_alone) and (answer is None or answer.state == "waiting"):
        yield from _deferred(state.put(ticket), answer)


def _started(state: State, ticket: Ticket, answer: Answer | None) -> Iterator[State]:
    """A ticket that runs from now on: one that was not offered room before is decided on now."""
    if ticket.phase == "waiting":
        if not state.may_start(ticket):
            return
        ticket = ticket._replace(held=(ticket.amount,) * len(ticket.limits))
    fence = answer.fence if answer else 0
    if fence and fence <= state.fence:
        return  # fences grow
    running = ticket._replace(phase="running", fence=fence)
    yield from _shown(replace(state.put(running), fence=max(fence, state.fence)), running, answer)


def _shown(state: State, ticket: Ticket, answer: Answer | None) -> Iterator[State]:
    """A ticket as it stands, if that is what was answered; a start that nobody heard of shows its fence later."""
    if answer is None or ticket.phase == "closed":
        if answer is None or answer.state == "closed":
            yield state
        return
    if ticket.fence == 0 and answer.fence:
        ticket = ticket._replace(fence=answer.fence)
        state = replace(state.put(ticket), fence=max(answer.fence, state.fence))
    rest = {limit: ticket.rest(limit) for limit in ticket.limits}
    if (answer.state, answer.fence, answer.reserved) == (ticket.phase, ticket.fence, rest):
        yield state


def _deferred(state: State, answer: Answer | None) -> Iterator[State]:
    """A ticket that waits, with the figures it was told: those of now, after as many offers as they show."""
    if answer is None or not answer.figures:
        yield state
        return
    for offered in _revealed(state, answer):
        shown = {limit: (f.used, f.reserved, f.ceiling) for limit, f in answer.figures.items()}
        if all(offered.figures(limit) == figures for limit, figures in shown.items()):
            yield offered


def _revealed(state: State, answer: Answer) -> Iterator[State]:
    yield state
    waiting = sorted(ticket for ticket in state.tickets if ticket.phase == "waiting")
    missing = {limit: shown.reserved - state.figures(limit)[1] for limit, shown in (answer.figures or {}).items()}
    if max(missing.values(), default=0) <= 0:
        return
    for size in range(1, min(MOST_OFFERED, len(waiting)) + 1):
        for chosen in combinations(waiting, size):
            if all(sum(t.amount * (limit in t.limits) for t in chosen) == missing[limit] for limit in missing):
                offered: State | None = state
                for ticket in chosen:
                    offered = _offered(offered, ticket) if offered else None
                if offered:
                    yield offered


def _offered(state: State, ticket: Ticket) -> State | None:
    if not state.may_start(ticket):
        return None
    return state.put(ticket._replace(phase="offered", held=(ticket.amount,) * len(ticket.limits)))


def _reported(state: State, operation: Operation) -> Iterator[State]:
    """What a runner says of its lease, or that it gives its ticket up. What comes once more or late changes nothing."""
    ticket, answer = state.find(operation.key), operation.answer
    if ticket is None:
        if answer is None:
            yield state
        return
    is_live = ticket.phase == "running" and operation.fence in (ticket.fence, 0)
    if operation.verb is Verb.CANCEL:
        is_live = ticket.phase != "closed"
    if not is_live:
        if answer is None or answer.state in ("closed", "stale"):
            yield state
        return
    reported = max(ticket.reported, operation.amount)
    ticket = ticket._replace(reported=reported)
    if operation.verb is Verb.RENEW:
        beyond = max(0, max(reported - held for held in ticket.held))
        renewed = _grown(state.put(ticket), ticket)
        yield from _shown(replace(renewed, drift=state.drift + beyond), renewed.find(ticket.key) or ticket, answer)
    elif answer is None or answer.state == "closed":
        beyond = max((0, *(reported - held for held in ticket.held)))
        ended = state.put(ticket._replace(phase="closed", held=()))
        yield replace(ended.use(ticket.limits, reported), drift=state.drift + beyond)


def _grown(state: State, ticket: Ticket) -> State:
    """Where a lease has used more than it reserved and there is room, its reservation grows past what it used."""
    held = list(ticket.held)
    for place, limit in enumerate(ticket.limits):
        if ticket.reported > held[place]:
            more = max(1, held[place] // GROWTH_SHARE)
            used, reserved, ceiling = state.figures(limit)
            if used + reserved + more <= ceiling:
                held[place] = ticket.reported + more
    return state.put(ticket._replace(held=tuple(held)))
