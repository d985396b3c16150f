"""One connection to PostgreSQL: how it is made, what it understands of our values, and statements to it.

Nothing is kept in a session (no settings, no session locks), so that a pooler that hands out connections by the
transaction may stand between. Statements are prepared only where none does.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, LiteralString
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.types.numeric import Int8Dumper, IntDumper

from quota_scheduler.addresses import hidden, without_password
from quota_scheduler.errors import DatabaseAway, StoreError, first_line
from quota_scheduler.store.database import About, Asked, Cursor, Question
from quota_scheduler.store.dialect import parameters, translated
from quota_scheduler.store.postgres_pulse import Watch
from quota_scheduler.store.whole_sets import document, whole

CONNECT_SECONDS = 2
PREPARED_AFTER = 3
"""How often a statement is run before it is worth keeping its plan."""
MOST_PREPARED = 200
"""Plans that one session keeps: twice the statements of a cycle, a tick and a sweep together."""
DEFAULTS = {
    "application_name": "quota-scheduler",
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""What the URL may say otherwise; a server that is cut off is noticed within seconds (libpq's own default: hours)."""
_STEADY = re.compile(
    r"INSERT INTO \w+ \([\w, ]+\) (VALUES|SELECT [\w, ]+ FROM json_populate_recordset)\b|UPDATE (turns|sequences) |"
    r"SELECT [\w, ]+ FROM breakers "
)
"""Statements whose plan is the same however many rows a table has. The plan of a look into a table that is empty reads
all of it, and would be kept while a million rows come."""
_WHERE = re.compile(r'connection (failed|is bad): (connection to server at "[^"]*", port \d+ failed: )?')
"""What psycopg says before the reason: the address, which stands in our sentence already."""


class WatchedConnection(psycopg.Connection[Any]):
    """A connection whose every wait for an answer is watched over, once ``watch`` is set."""

    watch: Watch | None = None

    def wait(self, gen: PQGen[RV], *args: Any, **options: Any) -> RV:
        """Wait for an answer; breaks off when the server is silent."""
        if self.watch is None:
            return super().wait(gen, *args, **options)
        with self.watch.waiting(self):
            return super().wait(gen, *args, **options)


class _BoolDumper(IntDumper):
    """Truth values are numbers in our tables."""

    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


class _TextDumper(psycopg.types.string.StrDumper):
    """Text without the one character that PostgreSQL cannot hold."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


class _NumberLoader(psycopg.adapt.Loader):
    """Sums of whole numbers come as ``numeric``: whole again here, others in floating point."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text or "N" in text else int(text)


class _Answer:
    """What a statement brought, waited for when somebody looks."""

    def __init__(self, cursor: "psycopg.Cursor[Any]", connection: "PostgresConnection") -> None:
        self._cursor, self._connection = cursor, connection

    def fetchone(self) -> Any:
        """The next row, or None."""
        self._connection.settle()
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """All rows."""
        self._connection.settle()
        return self._cursor.fetchall()

    @property
    def rowcount(self) -> int:
        """How many rows it changed or brought."""
        self._connection.settle()
        return self._cursor.rowcount


class PostgresConnection:
    """Statements to one connection, translated.

    In a ``pipeline`` what is written lies here until rows are asked for, or the commit comes, and goes out with them: a
    journey to the server costs more than most statements. It lies at the server without a Sync behind it no longer than
    it takes to send: a server that waits for one counts its client as busy, and lets it keep the turn of all replicas
    for as long as it stands still (``idle_in_transaction_session_timeout`` begins with the answer to a Sync).
    """

    def __init__(self, connection: WatchedConnection, pipeline: psycopg.Pipeline | None = None) -> None:
        self.connection, self._pipeline, self.moved = connection, pipeline, False
        self.turn: tuple[Any, ...] | None = None
        self._unsent: list[Callable[[], object]] = []
        self._along: dict[tuple[str, tuple[Any, ...]], _Answer] = {}

    def ask_along(self, questions: Iterable[Question]) -> None:
        """Ask what will be asked word for word before anything is written."""
        self._along = {(sql, tuple(params)): self._executed(sql, params) for sql, params in questions}

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        if self._along:
            if answer := self._along.pop((sql, tuple(params)), None):
                return answer
            if not sql.startswith("SELECT"):
                self._along = {}  # what was asked before a write is not what is there after it
        return self._executed(sql, params)

    def _executed(self, sql: str, params: Sequence[Any]) -> _Answer:
        cursor = self.connection.cursor()
        self._run(partial(cursor.execute, _sql(sql), parameters(sql, params), prepare=prepared(sql)))
        return _Answer(cursor, self)

    def _run(self, statement: Callable[[], object]) -> None:
        if self._pipeline:
            self._unsent.append(statement)
        else:
            statement()

    def send(self) -> None:
        """Send what lies here; who calls this sends more, and a Sync behind it."""
        unsent, self._unsent = self._unsent, []
        for statement in unsent:
            statement()

    def settle(self, *, always: bool = False) -> None:
        """Send what lies here, and wait until all of it is answered."""
        if self._pipeline and (self._unsent or always):
            self.send()
            self._pipeline.sync()

    def ask(self, sql: str, params: Sequence[Any] = ()) -> Asked:
        """Run one query whose rows are taken later."""
        return self.execute(sql, params).fetchall

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT into a table with an ``id``; returns the new row's."""
        number: int = self.execute(f"{sql} RETURNING id", params).fetchone()[0]
        return number

    def executemany(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters, without waiting for each."""
        self._along = {}
        cursor = self.connection.cursor()
        self._run(partial(cursor.executemany, _sql(sql), [parameters(sql, row) for row in params]))

    def execute_whole(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for a set of rows, no key twice."""
        next_power_of_two = 1 << (len(rows) - 1).bit_length()
        statement, names = whole(sql, next_power_of_two)
        self.execute(statement, (document(names, rows),))

    def about(self) -> About:
        """The version; the server looks after its own pages."""
        version = str(self.execute("SHOW server_version").fetchone()[0])
        return About("PostgreSQL", version, "", "")

    def damage(self) -> list[str]:
        """None that can be asked for without rights of a superuser."""
        return []

    def dangling(self) -> list[str]:
        """None: the server refuses a row that points at nothing, and to take one away that is pointed at."""
        return []


def reachable(url: str) -> WatchedConnection:
    """A connection to a server, which nobody watches over yet.

    Raises StoreError for an address that names none, DatabaseAway where none answers.
    """
    try:
        connection = WatchedConnection.connect(conninfo(url), autocommit=True, prepare_threshold=None)
    except psycopg.ProgrammingError as error:
        raise StoreError(
            f"{without_password(url)} is no address of a PostgreSQL database: {hidden(first_line(error), url)}; "
            "write postgresql://user:password@host:5432/quota"
        ) from None
    except psycopg.Error as error:
        raise away(url, first_line(error)) from None
    configure(connection)
    return connection


def prepare(connection: WatchedConnection) -> None:
    """Let statements that come again be planned once, where the session at the other end is this connection's alone.

    A pooler makes up the process that it says one talks to, since it is there to cancel statements by; the server's
    own is another.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row and row[0] == connection.info.backend_pid:
        connection.prepare_threshold, connection.prepared_max = PREPARED_AFTER, MOST_PREPARED


@lru_cache(4096)
def prepared(sql: str) -> bool | None:
    """Whether the plan of a statement may be kept: False for never, None where it comes often enough."""
    return None if _STEADY.match(sql) else False


def configure(connection: WatchedConnection) -> None:
    """Let a connection understand our values."""
    adapters = connection.adapters
    adapters.register_dumper(int, Int8Dumper)  # columns are of 64 bits, and by the value they would be prepared thrice
    adapters.register_dumper(bool, _BoolDumper)
    adapters.register_dumper(str, _TextDumper)
    adapters.register_loader("numeric", _NumberLoader)


def _sql(sql: str) -> LiteralString:
    return translated(sql)


def conninfo(url: str) -> str:
    """The URL with what we ask of a connection where it says nothing else."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query=urlencode({**DEFAULTS, **query})))


def away(url: str, why: str) -> DatabaseAway:
    """What is said while the server cannot be reached, or refuses who comes."""
    why, refused = _WHERE.sub("", why), "FATAL:  "
    if why.startswith(refused):
        return DatabaseAway(
            f"PostgreSQL refuses the connection to {without_password(url)}: {why.removeprefix(refused)}; "
            "nothing was changed"
        )
    return DatabaseAway(f"PostgreSQL does not answer at {without_password(url)}: {why}; nothing was changed")
