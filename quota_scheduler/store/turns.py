"""Turns: every write has its place in one order, and whoever remembers rows can tell what was written since.

A write that others must see takes the next revision (``take``) and stamps the rows it leaves. What no stamp can tell,
since rows are gone or other rules bind, is told by a mark: whoever remembers something older reads that again.
"""

from typing import NamedTuple

from quota_scheduler.store import Transaction
from quota_scheduler.store.database import TURN

NOTHING = -1
"""Older than every revision."""


class Marks(NamedTuple):
    """The revision of the last write, and of the last one that asks for more than its own rows to be read.

    ``anew``: everything; ``open_windows``: all of those; ``terms``: the limits, or whether everything is held;
    ``outlooks``: those. ``passed`` is where the pass over the queue stands, as a replica wrote it.
    """

    revision: int
    anew: int
    open_windows: int
    terms: int
    outlooks: int
    passed: str


def look(tx: Transaction) -> Marks:
    """Where the order of writes stands, this transaction's own included."""
    row = None if tx.revision else tx.connection.turn  # on a server the lock it began with has read it
    if row is None:
        row = tx.row(f"SELECT {TURN} FROM turns")
        assert row is not None
        tx.connection.turn = None if tx.revision else row
    return Marks(*row)


def take(tx: Transaction) -> int:
    """This transaction's revision, taken when it is first asked for: one that changes nothing has none."""
    if not tx.revision:
        before = look(tx)
        tx.send("UPDATE turns SET revision = revision + 1")
        tx.revision, tx.connection.moved = before.revision + 1, True
        tx.connection.turn = tx.revision, *before[1:]
    return tx.revision


def everything_moved(tx: Transaction) -> None:
    """Let whoever remembers anything read it all again, and look at the whole queue: other rules bind."""
    revision = take(tx)
    _mark(tx, "UPDATE turns SET anew = ?, outlooks = ?, pass = ''", revision, revision)


def windows_moved(tx: Transaction) -> None:
    """Let whoever remembers open windows read them all again: some are gone."""
    _mark(tx, "UPDATE turns SET open_windows = ?", take(tx))


def terms_moved(tx: Transaction) -> None:
    """Let everybody decide by other limits, or by another hold, from the next cycle on."""
    _mark(tx, "UPDATE turns SET terms = ?, pass = ''", take(tx))


def outlooks_moved(tx: Transaction) -> None:
    """Let everybody take over outlooks that have changed."""
    _mark(tx, "UPDATE turns SET outlooks = ?", take(tx))


def keep_pass(tx: Transaction, passed: str) -> None:
    """Keep where the pass over the queue stands, for whoever goes on with it."""
    take(tx)
    _mark(tx, "UPDATE turns SET pass = ?", passed)


def _mark(tx: Transaction, sql: str, *params: int | str) -> None:
    """Leave a mark; the row as it was before says nothing any more."""
    tx.send(sql, params)
    tx.connection.turn = None
