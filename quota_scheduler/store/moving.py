"""Moving a SQLite file into a database on a server: all tables through one view of the file, in one transaction there.

The service may go on writing the file meanwhile: the view stands still, and what came after it is counted.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from quota_scheduler.addresses import without_password
from quota_scheduler.errors import NotOurDatabase, StoreError, first_line
from quota_scheduler.store import postgres_schema
from quota_scheduler.store.postgres_connection import conninfo, reachable
from quota_scheduler.store.sqlite import open_reader, transaction
from quota_scheduler.store.steps import newest_step

BATCH = 5_000
"""Rows that are read, added up and sent at once: some megabytes."""
NOT_MOVED = ("leader", "schema_migration", "published", "replicas")
"""What speaks of the processes on a database, or of its schema: begins anew on the other."""
OF_THE_SCHEMA = ("schema_migration", "sequences", "turns")
"""Tables that hold rows from the beginning, before anything was ever written."""
SEEN_SECONDS = 30
"""A replica that spoke within this time is still there: three times as long as it takes for one to be missed."""
_TABLES = (
    "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attidentity <> '' FROM pg_class c "
    "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname, a.attnum"
)
_REFERENCES = (
    "SELECT k.conrelid::regclass::text, k.confrelid::regclass::text FROM pg_constraint k "
    "WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace AND k.conrelid <> k.confrelid"
)
_SUMS: dict[str, LiteralString] = {
    "bigint": "coalesce(sum({0}::numeric), 0)",
    "double precision": "coalesce(sum(('x' || encode(float8send({0}), 'hex'))::bit(64)::bigint::numeric), 0)",
    "text": "coalesce(sum(octet_length({0})), 0)",
}
"""What is added up of a column by its type, exactly: numbers, the bits of those in floating point, bytes of text."""

Progress = Callable[[float], None]
"""Told which share is done, 0 to 1."""


class Column(NamedTuple):
    """A column, its type on the server, and whether the server numbers it."""

    name: str
    type: str
    is_identity: bool


class Moved(NamedTuple):
    """A table: how many rows were read and written, and which columns' sums differ."""

    table: str
    read: int
    written: int
    differing: tuple[str, ...]


class Since(NamedTuple):
    """What was written to the file after the view: events, tickets, and whether anything at all."""

    events: int
    tickets: int
    anything: bool


def move(
    file: Path, url: str, *, again: bool = False, progress: Progress = lambda _: None
) -> tuple[list[Moved], Since]:
    """Copy a file's tables into a database on a server, compare them, and commit only where all are equal.

    ``again`` replaces what an earlier move or service has left there. Raises NotOurDatabase or StoreError, and then
    nothing was moved.
    """
    source = open_reader(file)
    try:
        with transaction(source):
            _check_source(source, file)
            with _target(url, again=again) as target:
                moved = _copy_all(source, target, progress)
                if wrong := [one.table for one in moved if one.differing or one.read != one.written]:
                    raise StoreError(
                        f"what arrived at {without_password(url)} differs in {', '.join(wrong)}; nothing was moved"
                    )
            marks = _marks(source)
        return moved, _since(marks, _marks(source))
    finally:
        source.close()


def _check_source(source: Any, file: Path) -> None:
    names = {row[0] for row in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
    steps = (
        source.execute("SELECT max(name) FROM schema_migration").fetchone() if "schema_migration" in names else (None,)
    )
    if steps[0] != newest_step():
        raise NotOurDatabase(
            f"{file} has schema {steps[0] or 'none'} and this version has {newest_step()}: "
            "start the service of this version on it once, then move it"
        )


@contextmanager
def _target(url: str, *, again: bool) -> Iterator["psycopg.Connection[Any]"]:
    """An empty database of ours in a transaction that ends with the block."""
    name = without_password(url)
    with closing(reachable(url)) as connection:
        postgres_schema.check(connection, name, read_only=False)
        held = _held(connection)
        if held and not again:
            raise StoreError(f"{name} holds data already ({held}): name an empty database, or replace it with --again")
        _check_alone(connection, name)
        postgres_schema.migrate(conninfo(url), name)
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (postgres_schema.LOCK,))
                tables = [table for table in tables_of(connection) if table != "schema_migration"]
                every = sql.SQL(", ").join(map(sql.Identifier, tables))
                connection.execute(sql.SQL("LOCK TABLE {}").format(every))
                if not again and (held := _held(connection)):
                    raise StoreError(f"{name} holds data meanwhile ({held}); nothing was moved")
                _check_alone(connection, name)
                connection.execute(sql.SQL("TRUNCATE {}").format(every))
                yield connection
        except psycopg.Error as error:
            raise StoreError(f"cannot move the data to {name}: {first_line(error)}; nothing was moved") from None


def tables_of(connection: "psycopg.Connection[Any]") -> dict[str, list[Column]]:
    """The tables of the schema with their columns."""
    tables: dict[str, list[Column]] = {}
    for table, *column in connection.execute(_TABLES):
        tables.setdefault(table, []).append(Column(*column))
    return tables


def _held(connection: "psycopg.Connection[Any]") -> str:
    """The first tables that hold rows; empty for a database that nobody has used."""
    held = []
    for table in tables_of(connection):
        query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(table))
        if table not in OF_THE_SCHEMA and (connection.execute(query).fetchone() or (False,))[0]:
            held.append(table)
    return ", ".join(held[:3])


def _check_alone(connection: "psycopg.Connection[Any]", name: str) -> None:
    """Raise where a replica works on the database: what it remembers would be of rows that are gone."""
    if "replicas" not in tables_of(connection):
        return
    row = connection.execute(
        "SELECT host, pid FROM replicas "
        "WHERE seen_at > extract(epoch FROM clock_timestamp() - make_interval(secs => %s)) * 1000000",
        (SEEN_SECONDS,),
    ).fetchone()
    if row:
        raise StoreError(f"a service runs on {name} (process {row[1]} on {row[0]}): stop it, then move the data")


def _copy_all(source: Any, target: "psycopg.Connection[Any]", progress: Progress) -> list[Moved]:
    tables = {name: columns for name, columns in tables_of(target).items() if name not in NOT_MOVED}
    counts = {name: source.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    total, done, moved = max(sum(counts.values()), 1), 0, []

    def went(rows: int) -> None:
        nonlocal done
        done += rows
        progress(min(done / total, 0.99))  # the sums are still to be compared

    for name in _in_order(target, list(tables)):
        sums = _copy(source, target, name, tables[name], went)
        written, *there = target.execute(_sums(name, tables[name])).fetchone() or (0,)
        differing = tuple(
            column.name for column, here, other in zip(tables[name], sums, there, strict=True) if here != int(other)
        )
        moved.append(Moved(name, counts[name], written, differing))
        for column in tables[name]:
            if column.is_identity:
                _number_on(target, name, column.name)
    # Whoever starts there remembers nothing older than this.
    target.execute("UPDATE turns SET revision = revision + 1, anew = revision + 1, outlooks = revision + 1, pass = ''")
    progress(1.0)
    return sorted(moved)


def _in_order(target: "psycopg.Connection[Any]", tables: list[str]) -> list[str]:
    """The tables, each behind those that it refers to."""
    references = {(child.strip('"'), parent.strip('"')) for child, parent in target.execute(_REFERENCES)}
    ordered: list[str] = []
    while len(ordered) < len(tables):
        waiting = {child for child, parent in references if parent not in ordered}
        ready = [table for table in tables if table not in ordered and table not in waiting]
        ordered += ready or [table for table in tables if table not in ordered]
    return ordered


def _copy(
    source: Any, target: "psycopg.Connection[Any]", table: str, columns: list[Column], went: Callable[[int], None]
) -> list[int]:
    """Copy a table; returns what its columns add up to."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    quoted = ", ".join(f'"{column.name}"' for column in columns)
    rows = source.execute(f'SELECT {quoted} FROM "{table}"')
    sums = [0] * len(columns)
    with (
        target.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy,
    ):
        while batch := rows.fetchmany(BATCH):
            values = [
                [_fitting(value, column, table) for value in held]
                for column, held in zip(columns, zip(*batch, strict=True), strict=True)
            ]
            for place, (column, held) in enumerate(zip(columns, values, strict=True)):
                sums[place] += sum(_weight(value, column.type) for value in held if value is not None)
            for row in zip(*values, strict=True):
                copy.write_row(row)
            went(len(batch))
    return sums


def _fitting(value: Any, column: Column, table: str) -> Any:
    """A value as the server's column takes it; a SQLite column takes anything."""
    if value is None:
        return None
    if column.type == "bigint":
        if isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()):
            return int(value)
        raise StoreError(f"{table}.{column.name} holds {value!r}, which is no whole number; nothing was moved")
    if column.type == "double precision":
        return float(value)
    return str(value).replace("\0", "\ufffd")


def _weight(value: Any, kind: str) -> int:
    if kind == "double precision":
        bits: int = struct.unpack(">q", struct.pack(">d", value))[0]
        return bits
    return int(value) if kind == "bigint" else len(value.encode())


def _sums(table: str, columns: list[Column]) -> sql.Composed:
    parts: list[sql.Composable] = [sql.SQL("count(*)")]
    parts += [sql.SQL(_SUMS[column.type]).format(sql.Identifier(column.name)) for column in columns]
    return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(parts), sql.Identifier(table))


def _number_on(target: "psycopg.Connection[Any]", table: str, column: str) -> None:
    """Let the server number new rows behind the largest number there is."""
    target.execute(
        sql.SQL(
            "SELECT setval(pg_get_serial_sequence({}, {}), greatest(max({}), 1), max({}) IS NOT NULL) FROM {}"
        ).format(sql.Literal(table), sql.Literal(column), *[sql.Identifier(column)] * 2, sql.Identifier(table))
    )


def _marks(source: Any) -> tuple[int, ...]:
    """The largest numbers of events and tickets, and the revision."""
    query = (
        "SELECT coalesce((SELECT max(rowid) FROM events), 0), coalesce((SELECT max(rowid) FROM tickets), 0), "
        "(SELECT revision FROM turns)"
    )
    return tuple(source.execute(query).fetchone())


def _since(moved: tuple[int, ...], now: tuple[int, ...]) -> Since:
    events, tickets = (max(after - before, 0) for before, after in zip(moved[:2], now[:2], strict=True))
    return Since(events, tickets, moved != now)
