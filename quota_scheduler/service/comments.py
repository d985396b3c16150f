"""Comments at issues: owed in the transaction that decides, written afterwards, and only as things stand then.

    owe_comments   ── the cycle's transaction ──  this ticket changed: its comment is owed
    deliver        the comment that is due the longest → the ticket as it stands now → its text
       same text   nothing is sent
       other text  put: edited in place, or found by its mark, or written anew
       settle      ── transaction ──  done (what waits is looked at again) | put off | not as things are

What changed several times meanwhile is written once. After a crash between writing and settling the comment is found
by its mark.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, Protocol

from msgspec import Struct

from quota_scheduler.core.admission.decide import Reject, Verdict
from quota_scheduler.core.comments.patience import GIVE_UP_AFTER, LOOK_AGAIN, Setback, Trouble, wait_after
from quota_scheduler.core.comments.place import CommentPlace
from quota_scheduler.core.comments.wording import CommentFacts, comment
from quota_scheduler.core.cycle.requests import Answer, Read, Reply
from quota_scheduler.core.limits.limit import Limit, parts_of
from quota_scheduler.core.readings.readings import LimitReading
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.core.units import format_amount
from quota_scheduler.core.usage import Usage
from quota_scheduler.store import Store, Transaction, comments, ledger
from quota_scheduler.store.comments import OwedComment

log = logging.getLogger(__name__)
Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]
ANSWER_SECONDS = 30.0
"""How long the writer may take to answer about a ticket."""


class Commenter(Protocol):
    """Writes comments; each call returns within a bounded time and never raises for what the other side does."""

    @property
    def is_free(self) -> bool:
        """Whether it may be asked: nobody asked it to be quiet for a while."""

    def put(self, place: CommentPlace, text: str, *, comment: int) -> int | Setback:
        """Let the one comment at a place say this; ``comment`` is its number as far as known. Returns its number."""

    def close(self) -> None:
        """Wait for nothing any more."""


class CommentContext(Struct, frozen=True):
    """What comments need to know beside tickets: limits in force, what was read of them, and the zone of people."""

    limits: Callable[[], Sequence[Limit]]
    readings: Callable[[], Sequence[LimitReading]]
    zone: Callable[[], str]


def owe_comments(tx: Transaction, changed: Iterable[Ticket], decisions: Iterable[tuple[Ticket, Verdict]]) -> None:
    """Owe a comment about each changed ticket that names an issue."""
    named = [(place, ticket) for ticket in changed if ticket.comment_on and (place := CommentPlace.of(ticket))]
    if not named:
        return
    barred = {
        ticket.id: [blocker.instance for blocker in verdict.held]
        for ticket, verdict in decisions
        if isinstance(verdict, Reject)
    }
    comments.owe(tx, [(place, ticket.id, barred.get(ticket.id, [])) for place, ticket in named])


class CommentDesk:
    """Writes the comments that are owed, one after another. Without a ``commenter`` it does nothing."""

    def __init__(
        self, store: Store, do: Do, ask: Callable[[Read], "Future[Reply]"], context: CommentContext,
        commenter: Commenter | None, *, must_lead: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """``must_lead`` raises NotLeading where another process writes comments by now."""
        self._must_lead = must_lead
        self._store, self._do, self._ask, self._context = store, do, ask, context
        self._commenter = commenter
        self._closing = threading.Event()

    def use(self, commenter: Commenter | None) -> None:
        """Write in another way from the next comment on."""
        before, self._commenter = self._commenter, commenter
        if before is not None:
            before.close()

    def close(self) -> None:
        """Begin nothing new, and wait for nothing but an answer under way."""
        self._closing.set()
        if self._commenter is not None:
            self._commenter.close()

    def deliver(self) -> None:
        """Write what is due, until nothing is, or GitHub asks to be left alone."""
        while not self._closing.is_set() and (commenter := self._commenter) is not None and commenter.is_free:
            with self._store.reading() as tx:
                owed = comments.next_due(tx, after=tx.now - GIVE_UP_AFTER)
            if owed is None:
                return
            self._one(owed, commenter)

    def _one(self, owed: OwedComment, commenter: Commenter) -> None:
        reply = self._ask(Read(owed.ticket, claim=False)).result(ANSWER_SECONDS)
        if not isinstance(reply, Answer):
            self._do(lambda tx: comments.put_off(tx, owed, why="its ticket is forgotten", by=None)).result()
            return
        text = comment(reply, self._surroundings(reply.ticket, owed))
        said = hashlib.sha256(text.encode()).hexdigest()[:32]
        if owed.comment and said == owed.said:
            number: int | Setback = owed.comment
        else:
            self._must_lead()  # since its turn began this process may have been stopped for any time
            number = commenter.put(owed.place, f"{owed.place.mark}\n{text}", comment=owed.comment)
        self._settle(owed, number, said, _again(reply.ticket, self._store))

    def _settle(self, owed: OwedComment, outcome: int | Setback, said: str, again: timedelta | None) -> None:
        where = f"{owed.place.repo}#{owed.place.issue}"
        if isinstance(outcome, int):
            self._do(lambda tx: comments.written(tx, owed, comment=outcome, said=said, again=again)).result()
            if said != owed.said:
                log.info("comment.written issue=%s comment=%d ticket=t%d", where, outcome, owed.ticket)
            return
        by = None if outcome.trouble is Trouble.REFUSED else wait_after(outcome, owed.attempts + 1)
        self._do(lambda tx: comments.put_off(tx, owed, why=outcome.why, by=by)).result()
        if outcome.why != owed.problem:
            log.warning(
                "comment.%s issue=%s ticket=t%d reason=%s", outcome.trouble.value, where, owed.ticket, outcome.why
            )

    def _surroundings(self, ticket: Ticket, owed: OwedComment) -> CommentFacts:
        readings = {reading.limit: reading for reading in self._context.readings()}
        rules = {limit.id: limit for limit in self._context.limits()}
        return CommentFacts(self._context.zone(), readings, _amounts(owed.barred, rules), self._used(ticket))

    def _used(self, ticket: Ticket) -> Usage | None:
        """What a run has used in all: what its transcript brought, else what it reported."""
        if ticket.lease is None:
            return None
        with self._store.reading() as tx:
            return ledger.transcript(tx, ticket.lease, ticket.run) or ticket.lease.usage


def _amounts(names: Iterable[str], rules: Mapping[str, Limit]) -> dict[str, str]:
    """The whole amount of limits in words, by instance."""
    amounts = {}
    for name in names:
        rule, value = parts_of(name)
        if rule in rules:
            amounts[name] = format_amount(rules[rule].amount_of(value), rules[rule].unit)
    return amounts


def _again(ticket: Ticket, store: Store) -> timedelta | None:
    """When a comment is looked at again: place and time of what waits change; a transcript may come after the end."""
    if ticket.state is State.WAITING:
        return LOOK_AGAIN
    just_closed = ticket.closed_at is not None and store.clock() - ticket.closed_at < LOOK_AGAIN
    return LOOK_AGAIN if just_closed and ticket.lease else None
