"""Statements that go to a server together: what each brought, whatever happened to another, and what plans are kept."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from quota_scheduler.store.postgres_connection import prepare, reachable
from quota_scheduler.store.postgres_journey import MOST_PREPARED, PREPARED_AFTER, Journeys

PLANS = "SELECT count(*) FROM pg_prepared_statements"


@pytest.fixture
def journeys(module_postgres_dsn: str) -> Iterator[Journeys]:
    with closing(reachable(module_postgres_dsn)) as connection:
        prepare(connection)
        journeys = Journeys(connection, None)
        journeys.begin()
        yield journeys
        journeys.end()
        assert connection.execute("SELECT 1").fetchone() == (1,)  # it is psycopg's again


def test_each_is_told_what_it_brought(journeys: Journeys):
    journeys.add(b"CREATE TEMPORARY TABLE t (id BIGINT, name TEXT, share DOUBLE PRECISION, total NUMERIC)")
    written = journeys.add(b"INSERT INTO t VALUES ($1, $2, $3, $4), (2, NULL, 0.5, 2.5)", (2**62, "é\0", True, 7))
    rows = journeys.add(b"SELECT * FROM t ORDER BY id DESC")
    first, none = journeys.add(b"SELECT 1 AS one UNION SELECT 2 ORDER BY 1"), journeys.add(b"SELECT 1 WHERE false")
    assert rows.fetchall() == [(2**62, "é\ufffd", 1.0, 7), (2, None, 0.5, 2.5)]
    assert (written.rowcount, written.word, none.fetchone()) == (2, b"INSERT 0 2", None)
    assert (first.fetchone(), first.fetchone(), first.fetchone()) == ((1,), (2,), None)


def test_what_comes_after_one_that_failed_says_so_and_the_next_journey_goes_on(journeys: Journeys):
    before, after = journeys.add(b"SELECT 1"), None
    journeys.add(b"SELECT 1 / $1", (0,))
    after = journeys.add(b"SELECT 3")
    with pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"):
        journeys.go()
    assert before.fetchall() == [(1,)]
    with pytest.raises(psycopg.errors.PipelineAborted):
        after.fetchall()
    assert journeys.add(b"SELECT 4").fetchall() == [(4,)]


def test_a_parcel_larger_than_any_buffer_and_answers_as_large(journeys: Journeys):
    text = "x" * 2_000_000
    told = [journeys.add(b"SELECT $1::text", (f"{number}{text}",)) for number in range(8)]
    assert [answer.fetchall() for answer in told] == [[(f"{number}{text}",)] for number in range(8)]


def test_a_plan_is_kept_of_what_comes_again_and_of_no_more_than_the_newest(journeys: Journeys):
    for number in range(MOST_PREPARED + 5):
        for _ in range(PREPARED_AFTER + 2):
            statement = journeys.add(b"SELECT %d + $1" % number, (1,), keep=True)
        assert statement.fetchall() == [(number + 1,)]
    for _ in range(PREPARED_AFTER + 2):
        journeys.add(b"SELECT 'never'")
    journeys.go()
    assert journeys.add(PLANS.encode()).fetchall() == [(MOST_PREPARED,)]


def test_a_plan_that_could_not_be_made_is_tried_again(journeys: Journeys):
    for _ in range(PREPARED_AFTER):
        journeys.add(b"SELECT $1::int", (1,), keep=True)
    journeys.go()
    journeys.add(b"SELECT 1 / 0")
    journeys.add(b"SELECT $1::int", (1,), keep=True)  # made behind it, and so not at all
    with pytest.raises(psycopg.errors.DivisionByZero):
        journeys.go()
    assert [journeys.add(b"SELECT $1::int", (number,), keep=True).fetchall() for number in (5, 6)] == [[(5,)], [(6,)]]


def test_a_server_that_has_hung_up_is_heard_before_anything_is_sent(module_postgres_dsn: str):
    with closing(reachable(module_postgres_dsn)) as connection, closing(reachable(module_postgres_dsn)) as other:
        journeys = Journeys(connection, None)
        journeys.begin()
        assert journeys.add(b"SELECT 1").fetchall() == [(1,)]
        journeys.hear()
        other.execute("SELECT pg_terminate_backend(%s, 30000)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            journeys.hear()
        assert connection.broken
