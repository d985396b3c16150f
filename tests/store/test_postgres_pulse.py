"""A server that answers nothing is noticed, and one that takes its time is not taken for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from quota_scheduler.errors import DatabaseAway, StoreError
from quota_scheduler.store import Store, turns
from quota_scheduler.store.postgres_connection import CONNECT_SECONDS
from tests.postgres import Postgres
from tests.system.service_process import until
from tests.torture.proxy import Proxy

PATIENCE = 0.9
SOON = PATIENCE / 3 + CONNECT_SECONDS + 1.5
"""The pulse is taken on a connection that has to be made first; the rest is the watch's look and a busy machine."""


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    """The way to the server."""
    where = urlsplit(postgres.admin)
    with Proxy((where.hostname or "127.0.0.1", where.port or 5432)) as proxy:
        yield proxy


@pytest.fixture
def store(postgres_dsn: str, proxy: Proxy) -> Iterator[Store]:
    """A store behind the proxy, on which something was written and read."""
    where = urlsplit(postgres_dsn)
    with Store(where._replace(netloc=f"postgres@127.0.0.1:{proxy.port}").geturl(), patience=PATIENCE) as store:
        look(store)
        write(store)
        yield store
        proxy.heal()


def look(store: Store) -> int:
    with store.reading() as tx:
        return int(tx.scalar("SELECT revision FROM turns"))


def write(store: Store) -> int:
    with store.transaction() as tx:
        return turns.take(tx)


def write_and(store: Store, before_the_commit: Callable[[], None]) -> None:
    with store.transaction() as tx:
        turns.take(tx)
        before_the_commit()


def refused_after(ask, store: Store) -> float:
    """How long it took until the store refused."""
    began = time.monotonic()
    with pytest.raises(StoreError):
        ask(store)
    return time.monotonic() - began


@pytest.mark.parametrize("ask", [pytest.param(look, id="a view"), pytest.param(write, id="a write")])
@pytest.mark.parametrize(
    "fault", [pytest.param("black_hole", id="nothing gets there"), pytest.param("deaf", id="nothing comes back")]
)
def test_a_silent_server_is_given_up_and_the_next_are_refused_at_once(store: Store, proxy: Proxy, ask, fault: str):
    setattr(proxy, fault, True)
    assert PATIENCE / 3 < refused_after(ask, store) < SOON
    for other in (look, write):
        assert refused_after(other, store) < 0.2
    proxy.heal()
    until(lambda: answers(store), seconds=5, what="an answer")
    assert write(store) > 0


def answers(store: Store) -> bool:
    with suppress(DatabaseAway):
        return look(store) >= 0
    return False


def test_a_long_statement_is_waited_for_while_others_are_answered(store: Store):
    with store.transaction() as tx:
        tx.row("SELECT 1 FROM pg_sleep(?)", (2 * PATIENCE,))
        turns.take(tx)
    assert look(store) == 2


def test_what_was_cut_off_while_it_was_stored_does_not_say_that_nothing_was(store: Store, proxy: Proxy):
    with pytest.raises(StoreError, match="before it said that this is stored"):
        write_and(store, lambda: setattr(proxy, "deaf", True))
    proxy.heal()
    until(lambda: answers(store), seconds=5, what="an answer")
    assert look(store) == 2  # it was


class CutAt:
    """Lets so many answers pass, and wants the next one cut."""

    def __init__(self, answers: int) -> None:
        self.left = answers

    def __call__(self, _: bytes) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_start_that_is_cut_off_at_any_answer_is_one_sentence(postgres_dsn: str, proxy: Proxy):
    """The schema is there; answers to the greeting and the password are among those that are cut."""
    Store(postgres_dsn).close()
    url = urlsplit(postgres_dsn)._replace(netloc=f"postgres@127.0.0.1:{proxy.port}").geturl()
    said: list[str] = []
    for answers in range(60):
        proxy.cuts, proxy.cut_share, proxy.cut_wanted = 0, 1.0, CutAt(answers)
        try:
            Store(url).close()
        except StoreError as error:
            said.append(f"{error}")
        if not proxy.cuts:
            break
    assert (len(said) >= 8, [text for text in said if "\n" in text or "nothing was changed" not in text]) == (True, [])
