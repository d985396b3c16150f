"""The same tests on PostgreSQL: ``pytest --database postgres tests/store tests/service``.

A test that opens ``Store(path)`` gets a database of its own on a server in place of the file, the same one whenever it
names the same path. What is about files themselves is marked ``sqlite_only``.

Making a database takes a fifth of a second, emptying one a hundredth: when a test is over its databases are emptied,
and the next one gets them.
"""

from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from quota_scheduler.store import Store
from tests.postgres import Postgres

KEPT = "schema_migration"
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
_REFERENCES = "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
_OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_RESTART = "SELECT count(setval(quote_ident(sequencename), 1, false)) FROM pg_sequences WHERE schemaname = 'public'"


def in_order(connection: "psycopg.Connection[Any]") -> list[str]:
    """The tables of a database, each after those that it refers to; without rights of a superuser nothing else goes."""
    order = TopologicalSorter({row[0]: set[str]() for row in connection.execute(_TABLES)})
    for table, other in connection.execute(_REFERENCES):
        if table != other:
            order.add(table, other)
    return [table for table in order.static_order() if table != KEPT]


class Databases:
    """Databases of one server by the path that stands for them, each with the schema and nothing else."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._template = server.template("migrated", lambda dsn: Store(dsn).close())
        self._urls: dict[Path, str] = {}
        self._free: list[str] = []
        with psycopg.connect(server.dsn(self._template)) as connection:
            tables = in_order(connection)
            rows = {name: connection.execute(f'SELECT * FROM "{name}"'.encode()).fetchall() for name in tables}
        self._tables, self._first = tables, {name: some for name, some in rows.items() if some}

    def url(self, address: Path | str) -> str:
        """The database that stands for a file; a URL stands for itself."""
        if isinstance(address, str):
            return address
        if address not in self._urls:
            for folder in {path.parent for path in self._urls if not path.parent.exists()}:
                self.give_back(folder)
            self._urls[address] = self._free.pop() if self._free else self._server.database(self._template)
        return self._urls[address]

    def give_back(self, folder: Path) -> None:
        """Empty the databases that stand for files below a folder."""
        for path in [path for path in self._urls if path.is_relative_to(folder)]:
            url = self._urls.pop(path)
            try:
                with psycopg.connect(url) as connection:
                    self._empty(connection)
            except psycopg.Error:  # a test has made other tables of it
                self._server.drop(url)
            else:
                self._free.append(url)

    def _empty(self, connection: "psycopg.Connection[Any]") -> None:
        connection.execute(_OTHERS)
        wipe = "; ".join(f'DELETE FROM "{name}"' for name in reversed(self._tables))
        connection.execute(f"{wipe}; {_RESTART}".encode())
        for name, rows in self._first.items():
            for row in rows:
                values = sql.SQL(", ").join(map(sql.Literal, row))
                connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(name), values))
