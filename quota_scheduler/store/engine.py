"""Which database this is: the only file that knows that there are two.

SQLite (``store.sqlite``) is a file, written by one process; PostgreSQL (``store.postgres``) is a server, written by any
number of replicas in turn. Both offer the same (``store.database``): a connection that takes our statements, a way to
begin a write, and what they call their troubles.
"""

import sqlite3
import sys

from quota_scheduler.errors import StoreError, first_line
from quota_scheduler.store.database import PATIENCE_SECONDS, Address, Clock, Database


def open_engine(address: Address, clock: Clock, patience: float = PATIENCE_SECONDS) -> Database:
    """Open a database to write it. Raises DatabaseBusy, NotOurDatabase or StoreError.

    ``patience`` is how many seconds a server may be silent.
    """
    if isinstance(address, str):
        return _server(address, clock, patience, read_only=False)
    from quota_scheduler.store.sqlite import Sqlite

    return Sqlite(address, clock)


def open_view(address: Address, clock: Clock) -> Database:
    """Open a database only to look into it. Raises NotOurDatabase or StoreError."""
    if isinstance(address, str):
        return _server(address, clock, PATIENCE_SECONDS, read_only=True)
    from quota_scheduler.store.sqlite import SqliteView

    return SqliteView(address, clock)


def _server(url: str, clock: Clock, patience: float, *, read_only: bool) -> Database:
    try:
        from quota_scheduler.store.postgres import Postgres
    except ImportError as error:
        raise StoreError(
            f"PostgreSQL needs packages that are not installed ({error.name}): pip install 'quota-scheduler[postgres]'"
        ) from None
    return Postgres(url, clock, patience, read_only=read_only)


def is_disk_full(error: Exception) -> bool:
    """Whether a database error says that the disk is full or cannot be written.

    A server says so in its own language, and by a code: 53100 of PostgreSQL, appendix A.
    """
    if getattr(error, "sqlstate", None) == "53100":
        return True
    texts = ("disk is full", "disk i/o error", "readonly database", "no space left on device")
    return any(text in str(error).lower() for text in texts)


def is_refusal(error: BaseException) -> bool:
    """Whether the database itself refused what was asked: locked, damaged, or out of reach."""
    psycopg = sys.modules.get("psycopg")
    kinds = (sqlite3.OperationalError, psycopg.OperationalError) if psycopg else (sqlite3.OperationalError,)
    return isinstance(error, kinds)


def taken_number(error: BaseException) -> str:
    """The table whose next row a server would give a number that a row has already; empty for any other trouble.

    So it is when rows came in with numbers of their own, past the service: 23505 of PostgreSQL, appendix A.
    """
    told = getattr(error, "diag", None) if getattr(error, "sqlstate", None) == "23505" else None
    is_number = told is not None and told.constraint_name == f"{told.table_name}_pkey"
    return str(told.table_name) if told is not None and is_number and "(id)=" in str(told.message_detail) else ""


def reason(error: Exception) -> Exception:
    """Why a write failed: a StoreError where the database or its disk is to blame, else ``error`` itself.

    A commit that fails has rolled back already, and the rollback after it complains only that there is nothing left to
    roll back: what really happened stands further back in the chain.
    """
    if isinstance(error, StoreError):
        return error
    link: BaseException | None = error
    refused: BaseException | None = None
    while link:
        if isinstance(link, Exception) and is_disk_full(link):
            return StoreError(
                f"the disk is full or cannot be written ({first_line(link)}): make room; nothing was changed"
            )
        if table := taken_number(link):
            return StoreError(
                f"the next number of {table} is taken, since rows came in past the service; let the server number on "
                f"(SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}); nothing was changed"
            )
        refused = link if is_refusal(link) else refused
        link = link.__context__
    return (
        StoreError(f"the database did not take the write ({first_line(refused)}); nothing was changed")
        if refused
        else error
    )
