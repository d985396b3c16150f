"""The one thread that writes: what arrives together shares a transaction, and one failure spoils nobody else's."""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from quota_scheduler.core.admission.decide import RETRY, Defer
from quota_scheduler.core.cycle.requests import Answer, Read, Refusal, Refused, Submit
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import Labels, match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every, Session
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.tickets.ticket import Estimate, Reason, State, Ticket
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.errors import StoreError
from quota_scheduler.service import cycle
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import Store, Transaction, facts, windows
from quota_scheduler.store.engine import reason
from quota_scheduler.writer import Writer
from tests.fakes import FixedClock

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
ROUNDS = 40
"""Changes that each of the threads makes which hammer the writer."""
DAILY = Limit("daily", Unit.TOKENS, 1000, Calendar(Every.DAY), match=match_of({"provider": "anthropic"}))


def submit(key: str, tokens: int = 100) -> Submit:
    usage = Usage(output=tokens)
    draft = Ticket(
        id=0, key=key, body=key, labels=Labels("anthropic"), priority=Priority.INTERACTIVE,
        estimate=Estimate(usage, usage), created_at=NOW, waiting_since=NOW, ttl=timedelta(hours=4),
    )  # fmt: skip
    return Submit(draft)


class Bench:
    """A writer on a database of its own; started by the test, so that what is put in before shares a cycle."""

    def __init__(self, folder: Path, *limits: Limit) -> None:
        self.clock, self.told = FixedClock(NOW), list[int]()
        self.store = Store(folder / "quota.db", clock=self.clock)
        with self.store.transaction() as tx:
            windows.adapt(tx, limits)
        self.writer = Writer(self.store, Terms(limits), tell=lambda done, _: self.told.append(len(done.answers)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, DAILY)
    yield bench
    bench.writer.stop()
    bench.store.close()


def test_what_arrives_together_is_one_cycle_answered_in_order(bench: Bench) -> None:
    futures = [bench.writer.ask(submit(f"k{i}")) for i in range(12)]
    bench.writer.start()
    answers = [future.result(20) for future in futures]
    assert [answer.ticket.key for answer in answers if isinstance(answer, Answer)] == [f"k{i}" for i in range(12)]
    assert [answer.ticket.state for answer in answers if isinstance(answer, Answer)] == (
        [State.RUNNING] * 10 + [State.WAITING] * 2
    )
    assert bench.told[0] == 12


def test_what_is_answered_is_on_the_disk(bench: Bench) -> None:
    bench.writer.start()
    answer = bench.writer.ask(submit("k")).result(20)
    assert isinstance(answer, Answer)
    with bench.store.reading() as tx:
        assert tx.rows("SELECT id, key, state FROM tickets") == [(answer.ticket.id, "k", "running")]


def test_a_request_that_breaks_a_cycle_is_told_and_the_others_are_served(bench: Bench) -> None:
    broken = Submit(None)  # type: ignore[arg-type]
    futures = [bench.writer.ask(each) for each in (submit("a"), broken, submit("b"))]
    bench.writer.start()
    assert isinstance(futures[0].result(20), Answer)
    assert isinstance(futures[1].exception(20), AttributeError)
    assert isinstance(futures[2].result(20), Answer)


def test_a_job_that_fails_takes_its_own_writes_back_and_no_others(bench: Bench) -> None:
    def fail(tx: object) -> None:
        tx.execute("INSERT INTO meta (name, value) VALUES ('half', 'written')")  # type: ignore[attr-defined]
        raise ValueError("as it happens")

    bench.writer.start()
    failed = bench.writer.do(fail)
    done = bench.writer.do(lambda tx: tx.execute("INSERT INTO meta (name, value) VALUES ('whole', 'written')"))
    assert str(failed.exception(20)) == "as it happens"
    assert done.result(20) == 1
    with bench.store.reading() as tx:
        assert tx.rows("SELECT name FROM meta WHERE value = 'written'") == [("whole",)]


def test_more_than_one_transaction_takes_are_all_served_and_never_above_the_limit(bench: Bench) -> None:
    bench.writer.start()
    futures: list[object] = []

    def client(number: int) -> None:
        futures.extend(bench.writer.ask(submit(f"{number}-{i}")) for i in range(50))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = [future.result(60).ticket.state for future in futures]  # type: ignore[attr-defined]
    assert (states.count(State.RUNNING), states.count(State.WAITING)) == (10, 790)


def test_a_reset_is_noticed_by_the_clock_alone(tmp_path: Path) -> None:
    quick = Limit("quick", Unit.TOKENS, 100, Session(timedelta(milliseconds=300)), match=match_of({}))
    store = Store(tmp_path / "quota.db")
    started = threading.Event()

    def told(done: cycle.CycleResult, _: float) -> None:
        if any(ticket.key == "b" and verdict.__class__.__name__ == "Admit" for ticket, verdict in done.decisions):
            started.set()

    writer = Writer(store, Terms((quick,)), tell=told)
    writer.start()
    try:
        event = UsageEvent("r1", store.clock(), Labels("anthropic"), Usage(output=100))
        writer.do(lambda tx: record_usage(tx, [event], [quick])).result(20)
        second = writer.ask(submit("b", 100)).result(20)
        assert isinstance(second, Answer)
        assert second.ticket.state is State.WAITING
        assert started.wait(20)
    finally:
        writer.stop()
        store.close()


def test_a_change_of_the_terms_rules_the_cycle_of_what_was_asked_after_it(bench: Bench) -> None:
    changed = bench.writer.change_terms(lambda terms: replace(terms, hold=True))
    asked = bench.writer.ask(submit("k"))
    bench.writer.start()
    answer = asked.result(20)
    assert isinstance(answer, Answer)
    assert answer.verdict == Defer(NOW + RETRY, Reason.HELD, ())
    assert changed.result(20) == bench.writer.terms == Terms((DAILY,), hold=True)
    bench.writer.change_terms(lambda terms: replace(terms, hold=False)).result(20)
    again = bench.writer.ask(Read(answer.ticket.id)).result(20)
    assert isinstance(again, Answer)
    assert again.ticket.state is State.RUNNING


def test_a_change_that_fails_changes_nothing_and_says_so(bench: Bench) -> None:
    bench.writer.start()
    failing = bench.writer.change_terms(lambda terms: replace(terms, unheard_of=1))  # type: ignore[call-arg]
    assert isinstance(failing.exception(20), TypeError)
    assert bench.writer.terms == Terms((DAILY,))


def test_terms_follow_a_write_only_once_it_is_on_the_disk(bench: Bench) -> None:
    def hold(tx: Transaction) -> bool:
        facts.remember(tx, "hold", "by hand")
        return True

    def fail(tx: Transaction) -> bool:
        hold(tx)
        raise ValueError("as it happens")

    bench.writer.start()
    failed = bench.writer.do(fail, then=lambda terms, on: replace(terms, hold=on))
    assert isinstance(failed.exception(20), ValueError)
    assert bench.writer.terms.hold is False
    assert bench.writer.do(hold, then=lambda terms, on: replace(terms, hold=on)).result(20) is True
    assert bench.writer.terms.hold is True


def test_who_looks_meanwhile_sees_each_change_whole(bench: Bench) -> None:
    """Hold, changed limits, forecasts and tickets from many threads: every look finds numbers that belong together.

    Each change writes one number into two places of the terms and into the database; nobody, neither a cycle nor a
    reader, may find two numbers.
    """

    def numbered(terms: Terms, number: int) -> Terms:
        limits = tuple(replace(limit, amount=1_000 + number) for limit in terms.limits)
        return replace(terms, limits=limits, models=(str(number),))

    def is_whole(terms: Terms) -> bool:
        return not terms.models or terms.limits[0].amount == 1_000 + int(terms.models[0])

    def change_limits(thread: int) -> None:
        for turn in range(ROUNDS):
            number = thread * ROUNDS + turn
            bench.writer.do(
                lambda tx, n=number: facts.remember(tx, "number", str(n)),  # type: ignore[misc]
                then=lambda terms, _, n=number: numbered(terms, n),  # type: ignore[misc]
            ).result(60)

    def hold(_: int) -> None:
        for turn in range(ROUNDS):
            bench.writer.change_terms(lambda terms, on=turn % 2 == 0: replace(terms, hold=on)).result(60)  # type: ignore[misc]

    def forecast(thread: int) -> None:
        for turn in range(ROUNDS):
            busy = {f"{thread}-{turn}": NOW}
            bench.writer.change_terms(lambda terms, busy=busy: replace(terms, busy_until=busy))  # type: ignore[misc]

    def ask(thread: int) -> None:
        futures = [bench.writer.ask(submit(f"{thread}-{turn}", 1)) for turn in range(ROUNDS)]
        answers.extend(future.result(60) for future in futures)

    def look(_: int) -> None:
        while not done.is_set():
            torn.extend(terms for terms in [bench.writer.terms] if not is_whole(terms))

    answers, torn, done = list[object](), list[Terms](), threading.Event()
    bench.writer.start()
    looking = threading.Thread(target=look, args=(0,))
    looking.start()
    work = [threading.Thread(target=each, args=(n,)) for n, each in enumerate(2 * [change_limits, hold, forecast, ask])]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    bench.writer.change_terms(lambda terms: replace(terms, hold=False)).result(60)
    done.set()
    looking.join()
    with bench.store.reading() as tx:
        stored = facts.fact(tx, "number")
    assert torn == []
    assert bench.writer.terms.models == (stored,)
    assert is_whole(bench.writer.terms)
    assert [type(answer) for answer in answers] == [Answer] * 2 * ROUNDS
    numbers = [answer.ticket.id for answer in answers if isinstance(answer, Answer)]
    states = {bench.writer.ask(Read(number)).result(60).ticket.state for number in numbers}  # type: ignore[union-attr]
    assert states == {State.RUNNING}


def test_what_is_in_line_when_it_stops_is_still_served(bench: Bench) -> None:
    futures = [bench.writer.ask(submit(f"k{i}")) for i in range(5)]
    bench.writer.start()
    bench.writer.stop()
    assert [type(future.result(0)) for future in futures] == [Answer] * 5
    assert bench.writer.waiting == 0


def test_a_ticket_that_is_not_there_is_a_refusal_and_not_an_error(bench: Bench) -> None:
    bench.writer.start()
    assert bench.writer.ask(Read(7)).result(20) == Refused(Refusal.NOT_FOUND)


def failed(*chain: Exception) -> Exception:
    """The last of several failures, each happening while the one before it was handled."""
    for before, after in pairwise(chain):
        after.__context__ = before
    return chain[-1]


NO_ROLLBACK = sqlite3.OperationalError("cannot rollback - no transaction is active")
FAILURES = [
    pytest.param(
        failed(sqlite3.OperationalError("database or disk is full"), NO_ROLLBACK),
        "the disk is full or cannot be written (database or disk is full): make room; nothing was changed",
        id="a full disk hides behind the rollback",
    ),
    pytest.param(
        failed(sqlite3.OperationalError("database is locked")),
        "the database did not take the write (database is locked); nothing was changed",
        id="any other trouble of the database",
    ),
    pytest.param(ValueError("a defect of ours"), "a defect of ours", id="a defect stays what it is"),
]


@pytest.mark.parametrize(("error", "text"), FAILURES)
def test_why_a_write_failed(error: Exception, text: str) -> None:
    found = reason(error)
    assert str(found) == text
    assert isinstance(found, StoreError) == (found is not error)
