"""PostgreSQL for tests: one throw-away server for all workers of a session, a database for whoever asks.

``TEST_PG_DSN`` names another server, as somebody who may create databases there; ``TEST_PG_BIN`` other programs (see
``tests/postgres_process.py``). Without any the tests are skipped and say what to install; with REQUIRE_PROGRAMS=1 they
fail.

The server belongs to nobody in particular: whoever comes first starts it, under a lock. A keeper, a process of its own,
waits for the lock that every user shares; when it gets it the last of them is gone, however that ended, and it stops
the server.
"""

import fcntl
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from tests.postgres_process import FAST, MISSING, START_SECONDS, PostgresProcess, programs
from tests.system.service_process import REPOSITORY

Fill = Callable[[str], object]
"""What fills a new database, given how to reach it."""


class Postgres:
    """A server that tests share: ``admin`` reaches it as somebody who may create databases, ``folder`` holds locks."""

    def __init__(self, admin: str, folder: Path) -> None:
        self.admin, self._folder = admin, folder
        self._prefix, self._numbers = f"quota_test_{os.getpid()}", itertools.count(1)

    def database(self, template: str = "template0") -> str:
        """A new database, empty or a copy of a template, and how to reach it. Copying takes hundredths of a second."""
        name = f"{self._prefix}_{next(self._numbers)}"
        # One at a time: a template that somebody else copies just now is "being accessed by other users".
        with locked(self._folder / "copy.lock"):
            self._ask("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.dsn(name)

    def template(self, name: str, fill: Fill) -> str:
        """Make a template once for all workers: a database that ``fill`` has filled, and closed behind it."""
        full = f"quota_template_{name}_{os.getpid() if self._is_foreign else 'shared'}"
        with locked(self._folder / f"{full}.lock"):
            if not (self._folder / full).exists():
                self._ask("DROP DATABASE IF EXISTS {}", full)
                self._ask("CREATE DATABASE {} TEMPLATE template0", full)
                fill(self.dsn(full))
                (self._folder / full).touch()
        return full

    def drop(self, dsn: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._ask("DROP DATABASE IF EXISTS {} WITH (FORCE)", str(conninfo.conninfo_to_dict(dsn)["dbname"]))

    def dsn(self, database: str) -> str:
        """How to reach a database of this server, as a URL."""
        before, _, _ = self.admin.partition("?")
        options = self.admin[len(before) :]
        return f"{before.rpartition('/')[0]}/{database}{options}"

    @property
    def _is_foreign(self) -> bool:
        return "TEST_PG_DSN" in os.environ

    def _ask(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock file: alone, or with others who share it. It ends with the process at the latest."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def _running(folder: Path) -> str:
    """How to reach the server of all workers. Starts it, and its keeper, where it is not running."""
    address = folder / "dsn"
    if not address.exists():
        with (folder / "keeper.log").open("ab") as out:
            keeper = [sys.executable, "-m", "tests.postgres", folder]
            subprocess.Popen(keeper, stdout=out, stderr=out, cwd=REPOSITORY, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not address.exists():
            assert time.monotonic() < deadline, f"PostgreSQL did not start: {(folder / 'keeper.log').read_text()}"
            time.sleep(0.02)
    return address.read_text()


def keep(folder: Path) -> None:
    """Run a server until the last of its users is gone."""
    with PostgresProcess(FAST) as server:
        (folder / "next").write_text(server.dsn())
        (folder / "next").rename(folder / "dsn")
        with locked(folder / "users.lock"):
            (folder / "dsn").unlink()
            for mark in folder.glob("quota_template_*_shared"):
                mark.unlink()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The server of this session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "postgres"
    folder.mkdir(exist_ok=True)
    if foreign := os.environ.get("TEST_PG_DSN"):
        yield Postgres(foreign, folder)
        return
    if programs() is None:
        (pytest.fail if os.environ.get("REQUIRE_PROGRAMS") == "1" else pytest.skip)(MISSING)
    # First a user, then the question whether it runs: a keeper that is about to stop it is waited for here.
    with locked(folder / "users.lock", shared=True):
        with locked(folder / "start.lock"):
            admin = _running(folder)
        yield Postgres(admin, folder)


@pytest.fixture
def postgres_dsn(postgres: Postgres) -> Iterator[str]:
    """How to reach an empty database of a test's own."""
    dsn = postgres.database()
    yield dsn
    postgres.drop(dsn)


@pytest.fixture(scope="module")
def module_postgres_dsn(postgres: Postgres) -> Iterator[str]:
    """How to reach an empty database that the tests of a module share."""
    dsn = postgres.database()
    yield dsn
    postgres.drop(dsn)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
