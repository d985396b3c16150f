"""Databases on a server that cannot serve: one sentence with the way out, and nothing in them is touched."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from quota_scheduler.errors import StoreError
from quota_scheduler.store import Store
from tests.postgres import Postgres

GUEST, NARROW = f"guest_{os.getpid()}", f"narrow_{os.getpid()}"
"""Names that no other worker has: roles and databases are the whole server's."""
TABLES = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"


def ask(dsn: str, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def named(dsn: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def as_user(dsn: str, user: str) -> str:
    """The same database, somebody else."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
def guest(postgres_dsn: str) -> Iterator[str]:
    """The database as somebody sees it who may not create anything."""
    ask(postgres_dsn, f"CREATE ROLE {GUEST} LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield as_user(postgres_dsn, GUEST)
    ask(postgres_dsn, f"DROP OWNED BY {GUEST}", f"DROP ROLE {GUEST}")


def refused(dsn: str) -> str:
    with pytest.raises(StoreError) as said:
        Store(dsn)
    sentence = str(said.value)
    assert "\n" not in sentence
    return sentence


def test_tables_of_another_program(postgres_dsn: str) -> None:
    ask(postgres_dsn, "CREATE TABLE invoices (n int)")
    assert "holds tables of another program (invoices): name an empty database" in refused(postgres_dsn)
    assert ask(postgres_dsn, TABLES) == [("invoices",)]


def test_an_encoding_that_not_every_name_fits_in(postgres_dsn: str) -> None:
    ask(
        postgres_dsn,
        f"CREATE DATABASE {NARROW} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
    )
    try:
        assert "keeps text as SQL_ASCII, which not every name fits in: make a database with UTF8" in refused(
            named(postgres_dsn, NARROW)
        )
        assert ask(named(postgres_dsn, NARROW), TABLES) == []
    finally:
        ask(postgres_dsn, f"DROP DATABASE {NARROW}")


def test_somebody_who_may_not_create_tables(guest: str, postgres_dsn: str) -> None:
    assert f"{GUEST} may not create tables in schema public" in refused(guest)
    assert ask(postgres_dsn, TABLES) == []


def test_somebody_who_may_not_even_look(guest: str, postgres_dsn: str) -> None:
    ask(postgres_dsn, "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    assert f"GRANT USAGE, CREATE ON SCHEMA public TO {GUEST}" in refused(guest)


def test_a_newer_schema(postgres_dsn: str) -> None:
    Store(postgres_dsn).close()
    ask(postgres_dsn, "INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
    assert "was written by a newer version (schema 9999_later): update this program" in refused(postgres_dsn)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        pytest.param(lambda dsn: named(dsn, "nowhere"), 'database "nowhere" does not exist', id="no such database"),
        pytest.param(lambda dsn: as_user(dsn, "nobody-here"), 'role "nobody-here" does not exist', id="no such role"),
        pytest.param(lambda _: "postgresql://a@127.0.0.1:9/q", "PostgreSQL does not answer at", id="nobody listens"),
    ],
)
def test_a_url_that_leads_nowhere(postgres_dsn: str, changed, sentence: str) -> None:
    assert sentence in refused(changed(postgres_dsn))


def test_the_password_is_in_no_sentence(postgres: Postgres) -> None:
    del postgres
    assert "hunter2" not in refused("postgresql://a:hunter2@127.0.0.1:9/q")
