"""Terms that others have changed: they rule here from the very next write on.

Limits, holds and learned rates lie in the store, and so do outlooks. Before anything is decided or counted, whoever
writes compares marks with what its own terms are as of (``store.turns``), and rereads what is newer, as a restart
would. What a process has changed itself it has put in force itself.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.readings.documents import read_outlook
from quota_scheduler.store import Transaction, documents, turns
from quota_scheduler.store.turns import Marks

Reread = Callable[[Transaction, Terms], Terms]
"""The terms with the limits and the hold as the store has them now."""


class Rereading:
    """Keeps the terms of one process up with the store. ``as_of`` is where the order stood when the first were read."""

    def __init__(self, reread: Reread, are_over: Callable[[datetime], bool], *, as_of: Marks) -> None:
        """``are_over`` says whether limits that held until an instant hold no more."""
        self._reread, self._are_over = reread, are_over
        self._terms_at, self._outlooks_at = as_of.terms, as_of.outlooks
        self._settled = self._terms_at, self._outlooks_at

    def follow(self, tx: Transaction, terms: Terms) -> Terms:
        """The terms that rule this transaction."""
        self._settled = self._terms_at, self._outlooks_at
        marks = turns.look(tx)
        if marks.terms > self._terms_at or self._are_over(tx.now):
            self._settled = turns.NOTHING, self._outlooks_at  # who reads also writes: lost, it is done once more
            terms, self._terms_at = self._reread(tx, terms), marks.terms
        if marks.outlooks > self._outlooks_at:
            terms, self._outlooks_at = self._with_outlooks(tx, terms, marks), marks.outlooks
        return terms

    def _with_outlooks(self, tx: Transaction, terms: Terms, marks: Marks) -> Terms:
        since = turns.NOTHING if marks.anew > self._outlooks_at else self._outlooks_at
        names, written = documents.outlooks_since(tx, since)
        if not names <= terms.outlooks.keys() | written.keys():
            names, written = documents.outlooks_since(tx, turns.NOTHING)
        kept = {name: outlook for name, outlook in terms.outlooks.items() if name in names}
        return replace(terms, outlooks=kept | {name: read_outlook(body) for name, body in written.items()})

    def wrote(self, tx: Transaction, *, in_force: bool) -> None:
        """A job of this process has written: its outlooks rule here already, and ``in_force`` its limits and hold."""
        if tx.revision:
            marks = turns.look(tx)
            self._outlooks_at = marks.outlooks
            if in_force:
                self._terms_at = marks.terms

    def lost(self) -> None:
        """The transaction came to nothing, and what was reread in it may not be so."""
        self._terms_at, self._outlooks_at = self._settled
