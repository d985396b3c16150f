"""Whose database on a server it is, and bringing its schema up to date."""

from collections.abc import Iterable, Sequence
from typing import Any

import peewee
import psycopg
from psycopg import sql

from quota_scheduler.errors import NotOurDatabase, StoreError, first_line
from quota_scheduler.store import dialect
from quota_scheduler.store.database import TURN
from quota_scheduler.store.migrate import bring_up_to_date, is_up_to_date

OLDEST = 15
"""The oldest version that the tests run on: Debian 12's."""
LOCK = 0x51534348
"""The number of the advisory lock under which the schema is changed ("QSCH")."""
MOST_TRIES = 10
"""How often a step is tried that meets a view under way."""
OURS = ("label_sets", "sequences", "tickets")
"""Tables by which a database of ours is known."""
READ, WRITE = ("SELECT",), ("SELECT", "INSERT", "UPDATE", "DELETE")
"""What a role needs on every table: to look, and to serve."""
NOT_ALLOWED = "42501"
"""The code of a right that is missing (appendix A of PostgreSQL's documentation)."""
_TABLES = (
    "SELECT relname, {allowed} FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
    "WHERE nspname = current_schema() AND relkind IN ('r', 'p') ORDER BY relname"
)
_MAY_CREATE = (
    "SELECT current_schema(), current_user, has_schema_privilege(current_schema(), 'CREATE'), "
    "has_schema_privilege(current_schema(), 'USAGE')"
)


def check(connection: "psycopg.Connection[Any]", name: str, *, read_only: bool) -> None:
    """Raise where a database cannot serve: too old a server, one of another program, no rights; touches nothing."""
    version = connection.info.server_version // 10_000
    if version < OLDEST:
        raise StoreError(f"PostgreSQL {version} at {name} is too old: {OLDEST} or a newer one is needed")
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise StoreError(
            f"{name} keeps text as {encoding}, which not every name fits in: "
            "make a database with UTF8 (createdb --encoding=UTF8 --template=template0 …)"
        )
    row = connection.execute(_MAY_CREATE).fetchone()
    schema, user, may_create, may_use = row if row else (None, "", False, False)
    if schema is None or not may_use:
        raise StoreError(
            f"{user} finds no schema in {name} that it may use: GRANT USAGE, CREATE ON SCHEMA public TO {user}"
        )
    needed = READ if read_only else WRITE
    tables = _tables(connection, needed)
    if tables and not tables.keys() >= set(OURS):
        raise NotOurDatabase(f"{name} holds tables of another program ({_some(tables)}): name an empty database")
    if closed := [table for table, allowed in tables.items() if not allowed]:
        raise StoreError(
            f"{user} may not {'read' if read_only else 'write'} tables of {name} ({_some(closed)}): "
            f"GRANT {', '.join(needed)} ON ALL TABLES IN SCHEMA {schema} TO {user}"
        )
    if not tables and read_only:
        raise StoreError(f"{name} is empty: start the service once, or name another database with --database")
    if not tables and not may_create:
        raise StoreError(
            f"{user} may not create tables in schema {schema} of {name}: GRANT CREATE ON SCHEMA {schema} TO {user}"
        )


def _tables(connection: "psycopg.Connection[Any]", rights: Sequence[str]) -> dict[str, bool]:
    """The tables of the schema in order, and whether the role has these rights on each."""
    allowed = sql.SQL(" AND ").join(sql.SQL("has_table_privilege(c.oid, {})").format(right) for right in rights)
    return dict(connection.execute(sql.SQL(_TABLES).format(allowed=allowed)).fetchall())


def _some(tables: Iterable[str]) -> str:
    return ", ".join(list(tables)[:3])


class Migrating(peewee.PostgresqlDatabase):
    """The database as migrations see it: statements without parameters are ours, and are translated."""

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        return super().execute_sql(sql if params else dialect.schema(sql), params)  # type: ignore[no-untyped-call]


def migrate(conninfo: str, name: str) -> None:
    """Bring the schema up to date, all steps in one transaction; whoever comes second finds nothing to do.

    Where nothing is to be done only rows are read: a role that may do no more can serve. Older replicas may be at work
    meanwhile: their writes wait, and a step that gets into a deadlock with a view is tried again. Raises NotOurDatabase
    for a database that a newer version wrote, StoreError where a step fails.
    """
    database = Migrating(conninfo, prefer_psycopg3=True)
    for tries_left in reversed(range(MOST_TRIES)):
        try:
            with database.connection_context():
                if not is_up_to_date(database, name):
                    _bring_up_to_date(database, name)
            return
        except (peewee.DatabaseError, StoreError) as error:
            if tries_left and _is_deadlock(error):
                continue
            if isinstance(error, StoreError):
                raise
            owner = ""
            if getattr(error.__context__, "sqlstate", None) == NOT_ALLOWED:
                owner = ": start this version once as the owner of the tables"
            raise StoreError(
                f"cannot bring {name} up to date: {first_line(error)}; nothing was changed{owner}"
            ) from None


def _bring_up_to_date(database: Migrating, name: str) -> None:
    with database.atomic():
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        if "turns" in database.get_tables():
            database.execute_sql(f"SELECT {TURN} FROM turns FOR UPDATE")  # a step and a write never wait for each other
        # a change of these is a step of the schema, or databases that have them never see it
        for statement in dialect.MIN_MAX.strip().split(";\n"):
            database.execute_sql(statement)
        bring_up_to_date(database, name)


def _is_deadlock(error: BaseException | None) -> bool:
    """Whether the server has ended one of two that waited for each other, and it was us."""
    while error is not None:
        if isinstance(error, psycopg.errors.DeadlockDetected):
            return True
        error = error.__context__
    return False
