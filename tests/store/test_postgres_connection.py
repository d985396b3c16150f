"""Between our statements and the server: nobody stands in the way of others, and a commit is told as it went."""

from collections.abc import Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit

import psycopg
import pytest

from quota_scheduler.errors import MaybeStored, StoreError
from quota_scheduler.store import Store, facts, turns
from tests.torture.proxy import Proxy

RAISED = "UPDATE turns SET revision = revision + ?"
KEPT = "INSERT INTO meta (name, value) VALUES (?, ?)"


@pytest.fixture(scope="module")
def store(module_postgres_dsn: str) -> Iterator[Store]:
    with Store(module_postgres_dsn) as store:
        yield store


def ask(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        return connection.execute(statement).fetchall()


# A replica that stands still in the middle of a write

HOLDERS = "SELECT state FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()"
"""What the server holds whoever has a transaction open for: only who is idle in one is ever put out."""
MIDDLES = [
    pytest.param(lambda _: None, id="at its beginning"),
    pytest.param(lambda tx: tx.rows("SELECT name FROM meta"), id="after a look at rows"),
    pytest.param(lambda tx: tx.row("SELECT revision FROM turns"), id="after a look at a row"),
    pytest.param(lambda tx: [ask() for ask in (tx.ask("SELECT 1"), tx.ask("SELECT 2"))], id="after two in one journey"),
    pytest.param(lambda tx: tx.ask("SELECT 1"), id="before it takes what it has asked for"),
    pytest.param(lambda tx: tx.send(RAISED, (1,)), id="after something it sent"),
    pytest.param(lambda tx: tx.execute(RAISED, (1,)), id="after a change"),
    pytest.param(lambda tx: tx.many(RAISED, [(1,), (2,)]), id="after many changes"),
    pytest.param(lambda tx: tx.many_whole(KEPT, [("a", "1"), ("b", "2")]), id="after a whole set"),
    pytest.param(lambda tx: [tx.execute(RAISED, (1,)), tx.send(RAISED, (1,))], id="after a change and something sent"),
]


@pytest.mark.parametrize("do", MIDDLES)
def test_who_stands_still_in_a_write_is_known_to_be_idle_wherever_that_is(module_postgres_dsn: str, store: Store, do):
    with suppress(ZeroDivisionError), store.transaction() as tx:
        do(tx)
        seen = ask(module_postgres_dsn, HOLDERS)
        raise ZeroDivisionError  # nothing of it is kept
    assert seen == [("idle in transaction",)]


# The fate of a commit

GONE = b"SFATAL\0C08P01\0Mserver conn crashed?\0\0"
"""What PgBouncer says to a client whose server has gone in the middle of a query, before it hangs up."""
ENDED = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
"""What a server says that is told to end."""


@pytest.mark.parametrize("words", [pytest.param(GONE, id="a pooler's"), pytest.param(ENDED, id="the server's")])
def test_a_commit_whose_answer_is_a_farewell_may_be_stored(module_postgres_dsn: str, store: Store, words: bytes):
    where, before = urlsplit(module_postgres_dsn), turns_of(store)
    with Proxy((where.hostname or "", where.port or 0)) as proxy:
        proxy.cut_wanted, proxy.cut_share = (lambda said: b"COMMIT" in said), 1.0
        proxy.last_words = b"E" + (len(words) + 4).to_bytes(4) + words
        with Store(where._replace(netloc=f"postgres@127.0.0.1:{proxy.port}").geturl()) as behind:
            with pytest.raises(MaybeStored, match="was cut off before it said that this is stored"):
                take(behind)
            assert (proxy.cuts, turns_of(store)) == (1, before + 1)


def turns_of(store: Store) -> int:
    with store.reading() as tx:
        return int(tx.scalar("SELECT revision FROM turns"))


def take(store: Store) -> None:
    with store.transaction() as tx:
        turns.take(tx)


def test_whoever_goes_on_after_a_statement_that_failed_is_not_told_that_anything_is_stored(store: Store):
    before = turns_of(store)
    with pytest.raises(StoreError, match="took the write back"):
        write_and_go_on(store)
    assert turns_of(store) == before
    take(store)
    assert turns_of(store) == before + 1


def write_and_go_on(store: Store) -> None:
    with store.transaction() as tx:
        facts.remember(tx, "kept", "no")
        with suppress(psycopg.Error):
            tx.row("SELECT 1 / 0")
