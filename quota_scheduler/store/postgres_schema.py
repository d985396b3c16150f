"""Whose database on a server it is, and bringing its schema up to date."""

from typing import Any

import peewee
import psycopg

from quota_scheduler.errors import NotOurDatabase, StoreError
from quota_scheduler.store import dialect
from quota_scheduler.store.database import TURN
from quota_scheduler.store.migrate import bring_up_to_date

OLDEST = 15
"""The oldest version that the tests run on: Debian 12's."""
LOCK = 0x51534348
"""The number of the advisory lock under which the schema is changed ("QSCH")."""
MOST_TRIES = 10
"""How often a step is tried that meets a view under way."""
OURS = ("label_sets", "sequences", "tickets")
"""Tables by which a database of ours is known."""
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
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
    tables = {row[0] for row in connection.execute(_TABLES)}
    is_ours = tables.issuperset(OURS)
    if tables and not is_ours:
        raise NotOurDatabase(
            f"{name} holds tables of another program ({', '.join(sorted(tables)[:3])}): name an empty database"
        )
    if not tables and read_only:
        raise StoreError(f"{name} is empty: start the service once, or name another database with --database")
    if not tables and not may_create:
        raise StoreError(
            f"{user} may not create tables in schema {schema} of {name}: GRANT CREATE ON SCHEMA {schema} TO {user}"
        )


class _Migrating(peewee.PostgresqlDatabase):
    """The database as migrations see it: statements without parameters are ours, and are translated."""

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        return super().execute_sql(sql if params else dialect.schema(sql), params)  # type: ignore[no-untyped-call]


def migrate(conninfo: str, name: str) -> None:
    """Bring the schema up to date, all steps in one transaction; whoever comes second finds nothing to do.

    Older replicas may be at work meanwhile: their writes wait, and a view that a step gets into a deadlock with lets it
    try again.
    """
    for tries_left in reversed(range(MOST_TRIES)):
        try:
            _migrate(conninfo, name)
            return
        except peewee.DatabaseError as error:
            first = str(error).strip().partition("\n")[0]
            if tries_left and "deadlock detected" in first:
                continue
            raise StoreError(f"cannot bring {name} up to date: {first}; nothing was changed") from None
        except StoreError as error:
            if not (tries_left and "deadlock detected" in str(error)):
                raise


def _migrate(conninfo: str, name: str) -> None:
    database = _Migrating(conninfo, prefer_psycopg3=True)
    with database.connection_context(), database.atomic():
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        if "turns" in database.get_tables():
            database.execute_sql(f"SELECT {TURN} FROM turns FOR UPDATE")
        for statement in dialect.MIN_MAX.strip().split(";\n"):
            database.execute_sql(statement)
        bring_up_to_date(database, name)
