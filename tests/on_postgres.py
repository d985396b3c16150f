"""The same tests on PostgreSQL: ``pytest --database postgres tests/store tests/service``.

A test that opens ``Store(path)`` gets a database of its own on a server in place of the file, the same one whenever it
names the same path. What is about files themselves is marked ``sqlite_only``.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

DROP = 'DROP DATABASE IF EXISTS "{}" WITH (FORCE)'


class Databases:
    """Databases of one server by the path that stands for them."""

    def __init__(self, admin: str) -> None:
        self._admin = admin
        self._urls: dict[Path, str] = {}

    def url(self, path: Path) -> str:
        """The database that stands for a file."""
        if path not in self._urls:
            name = "t" + hashlib.blake2b(str(path).encode(), digest_size=12).hexdigest()
            self._ask(f'CREATE DATABASE "{name}" TEMPLATE template0')
            self._urls[path] = urlunsplit(urlsplit(self._admin)._replace(path=f"/{name}"))
        return self._urls[path]

    def close(self) -> None:
        """Drop them all."""
        for url in self._urls.values():
            self._ask(DROP.format(urlsplit(url).path[1:]))

    def _ask(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(statement.encode())
