"""One connection to PostgreSQL: how it is made, what it understands of our values, and statements to it.

Nothing is kept in a session (no settings, no session locks), so that a pooler that hands out connections by the
transaction may stand between. Statements are prepared only where none does.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, LiteralString
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.types.numeric import IntDumper

from quota_scheduler.addresses import hidden, without_password
from quota_scheduler.errors import DatabaseAway, StoreError, first_line
from quota_scheduler.store.database import About, Asked, Cursor, Question
from quota_scheduler.store.dialect import numbered, parameters, translated
from quota_scheduler.store.postgres_journey import PREPARED_AFTER, Journeys, Told
from quota_scheduler.store.postgres_pulse import Watch
from quota_scheduler.store.whole_sets import document, whole

CONNECT_SECONDS = 2
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
    r"SELECT [\w, ]+ FROM (breakers|ramps) "
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


class PostgresConnection:
    """Statements to one connection, translated.

    With ``journeys`` what is written lies here until rows are asked for, or the commit comes, and goes out with them: a
    journey to the server costs more than most statements. Nothing lies at the server without a Sync behind it: a server
    that waits for one counts its client as busy, and lets it keep the turn of all replicas for as long as it stands
    still (``idle_in_transaction_session_timeout`` begins with the answer to a Sync).
    """

    def __init__(self, connection: WatchedConnection, journeys: Journeys | None = None) -> None:
        self.connection, self.moved, self.lets_go = connection, False, False
        self.turn: tuple[Any, ...] | None = None
        self._journeys = journeys
        self._along: dict[tuple[str, tuple[Any, ...]], Told] = {}

    def ask_along(self, journeys: Journeys, questions: Iterable[Question]) -> None:
        """Ask what will be asked word for word before anything is written."""
        self._along = {
            (sql, tuple(params)): journeys.add(numbered(sql), params, keep=True) for sql, params in questions
        }

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        if self._along:
            if answer := self._along.pop((sql, tuple(params)), None):
                return answer
            if not sql.startswith("SELECT"):
                self._along = {}  # what was asked before a write is not what is there after it
        if self._journeys:
            return self._journeys.add(numbered(sql), params, keep=is_steady(sql))
        return self.connection.execute(_sql(sql), parameters(sql, params))

    def ask(self, sql: str, params: Sequence[Any] = ()) -> Asked:
        """Run one query whose rows are taken later."""
        return self.execute(sql, params).fetchall

    def insert(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one INSERT into a table with an ``id``; returns the new row's."""
        number: int = self.execute(f"{sql} RETURNING id", params).fetchone()[0]
        return number

    def executemany(self, sql: str, params: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters, without waiting for each."""
        for row in params:
            self.execute(sql, row)

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
        connection.prepare_threshold = PREPARED_AFTER


@lru_cache(4096)
def is_steady(sql: str) -> bool:
    """Whether the plan of a statement may be kept."""
    return bool(_STEADY.match(sql))


def configure(connection: WatchedConnection) -> None:
    """Let a connection understand our values."""
    adapters = connection.adapters
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
