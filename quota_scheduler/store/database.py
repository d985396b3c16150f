"""What a database is to the store, whichever it is: connections that take statements, writes and views."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

Address = Path | str
"""The file of a SQLite database, or the URL of a PostgreSQL database."""
Clock = Callable[[], datetime]
PATIENCE_SECONDS = 3.0
"""How long a server may answer nothing at all before it counts as silent: longer than a checkpoint on a slow disk holds
up a statement that reads nothing, shorter than runners wait for an answer."""
TURN = "revision, anew, open_windows, terms, outlooks, pass"
"""The columns of the one row that puts writes in order."""


def utc_now() -> datetime:
    """The wall clock, the only one in the product; tests pass their own."""
    return datetime.now(UTC)


class About(NamedTuple):
    """What a database says of itself; ``trouble`` is empty where its pages and indexes hold together."""

    name: str
    version: str
    note: str
    trouble: str


Question = tuple[str, Sequence[Any]]
"""A query and its parameters."""
Asked = Callable[[], list[tuple[Any, ...]]]
"""Takes the rows of what was asked for; after the commit, too."""


class Cursor(Protocol):
    """What a statement brought."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows."""


class Connection(Protocol):
    """Takes statements as SQLite reads them."""

    moved: bool
    """Whether this write took a revision, so that whoever waits for news is told when it is committed."""
    turn: Any
    """The row of ``turns`` as this write knows it, in its columns' order (``TURN``); None where it must be read."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""

    def ask(self, sql: str, params: Sequence[Any] = ()) -> Asked:
        """Run one query whose rows are taken later."""

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT into a table with an ``id``; returns that of the new row."""

    def executemany(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters."""

    def execute_whole(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one INSERT or UPDATE by key for a set of rows of which no two have the same key."""

    def about(self) -> About:
        """What the database says of itself; looks through all of it."""

    def damage(self) -> list[str]:
        """What is wrong with any page or index, every one compared with every other; none on a server."""

    def dangling(self) -> list[str]:
        """Tables with rows that point at rows that are not there; none on a server."""


class Database(Protocol):
    """One database, open."""

    clock: Clock
    is_shared: bool
    """Whether others may write it too."""

    def migrate(self) -> None:
        """Bring the schema up to date. Raises NotOurDatabase or StoreError."""

    def writing(self, along: Sequence[Question] = (), /) -> AbstractContextManager[tuple[Connection, datetime]]:
        """A write transaction that no other runs beside, and its instant; commits, or rolls back on any exception.

        ``along`` are queries that will be asked in it before anything is written: a server answers them with its turn.
        """

    def reading(self) -> AbstractContextManager[tuple[Connection, datetime]]:
        """One consistent view that cannot write, and its instant."""

    def listen(self, hint: Callable[[], None]) -> None:
        """Call ``hint`` from now on when another process has written, where that can be heard; from another thread."""

    def is_replaced(self) -> bool:
        """Whether what is written now is lost, since the file lies there no more."""

    def close(self) -> None:
        """Let everything go."""
