"""Two replicas on one store: one order of ids, fences and keys, the same terms, and news for who is parked."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from quota_scheduler import assemble
from quota_scheduler.config import load
from quota_scheduler.core.cycle.requests import Answer, Refusal, Refused, Submit
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.readings.documents import outlook_document
from quota_scheduler.service.lookout import LOOK_SECONDS, Lookout
from quota_scheduler.store import documents
from tests.fakes import FixedClock
from tests.replicas.several import SharedStore
from tests.shell.edge import LIMITS, START, Edge
from tests.shell.test_writer import submit

EACH = 60
"""Tickets that each thread submits at each replica."""


class Pair:
    """Two services on one store, as two processes would be on one server; no jobs run."""

    def __init__(self, folder: Path) -> None:
        self.clock = FixedClock(START)
        (folder / "quota.yaml").write_text(f"database: sqlite:///quota.db\n{LIMITS}")
        config = load(folder / "quota.yaml", {"HOME": str(folder)})
        self.store = SharedStore(config.database, clock=self.clock)
        self.here, self.there = (Edge(assemble.assembled(config, self.store), self.clock) for _ in range(2))
        for edge in (self.here, self.there):
            edge.service.writer.start()
            edge.service.change_terms(catching_up=frozenset())

    def stop(self) -> None:
        for edge in (self.here, self.there):
            edge.service.lookout.stop()
            edge.service.writer.stop()
        self.store.close_for_all()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.stop()


# one order


def test_no_id_no_fence_and_no_key_is_given_twice_whoever_is_asked(pair: Pair) -> None:
    answers: list[Answer] = []
    writers = [pair.here.service.writer, pair.there.service.writer]

    def client(number: int) -> None:
        """Half of what it submits another submits too, at the other replica."""
        futures = [
            writers[(number + n) % 2].ask(submit(f"{number // 2 if n % 2 else number + 9}-{n}", 1)) for n in range(EACH)
        ]
        answers.extend(future.result(60) for future in futures)  # type: ignore[misc]

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_key = {answer.ticket.key: set[tuple[int, int]]() for answer in answers}
    for answer in answers:
        assert answer.ticket.lease
        by_key[answer.ticket.key].add((answer.ticket.id, answer.ticket.lease.fence))
    assert len(answers) == 8 * EACH
    assert {len(given) for given in by_key.values()} == {1}
    numbers = [given for one in by_key.values() for given in one]
    assert sorted(number for number, _ in numbers) == list(range(1, len(by_key) + 1))
    assert sorted(fence for _, fence in numbers) == list(range(1, len(by_key) + 1))
    with pair.store.reading() as tx:
        reserved = tx.rows("SELECT count(*), sum(amount) FROM reservations WHERE open = 1")
    assert reserved == [(len(by_key), len(by_key))]


def test_two_replicas_together_never_admit_more_than_there_is(pair: Pair) -> None:
    writers = [pair.here.service.writer, pair.there.service.writer]
    futures = [writers[number % 2].ask(submit(f"k{number}", 100)) for number in range(40)]
    states = [future.result(60).ticket.state.value for future in futures]  # type: ignore[union-attr]
    assert (states.count("running"), states.count("waiting")) == (10, 30)


def test_a_key_that_was_used_there_for_something_else_is_refused_here(pair: Pair) -> None:
    pair.there.submit("k", 100)
    other = submit("k", 200)
    answer = pair.here.service.writer.ask(Submit(other.draft._replace(body="another"))).result(20)
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.KEY_REUSED


def test_a_ticket_submitted_here_is_renewed_released_and_told_there(pair: Pair) -> None:
    submitted = pair.here.submit("k")
    lease = submitted["lease"]
    path, report = f"/v1/leases/{lease['id']}", {"fence": lease["fence"], "usage": {"output": 40}}
    assert pair.there.post(f"{path}/renew", report)["state"] == "running"
    assert pair.there.post(f"{path}/release", report)["state"] == "closed"
    assert pair.here.get(f"/v1/tickets/{submitted['id']}")["state"] == "closed"


# the same terms


def test_what_an_operator_changes_there_rules_the_next_decision_here(pair: Pair) -> None:
    assert pair.here.submit("a")["verdict"] == "admit"
    assert pair.there.ask("PATCH", "/v1/limits/daily", {"amount": 150}).status == 200
    assert pair.here.submit("b")["verdict"] == "defer"
    assert pair.there.ask("PATCH", "/v1/limits/daily", {"amount": None}).status == 200
    assert pair.here.submit("c")["verdict"] == "admit"


def test_what_holds_until_an_instant_holds_no_longer_anywhere(pair: Pair) -> None:
    until = (START + timedelta(hours=1)).isoformat()
    assert pair.there.ask("PATCH", "/v1/limits/daily", {"amount": 50, "until": until}).status == 200
    assert pair.here.submit("a")["verdict"] != "admit"
    pair.clock.advance(timedelta(hours=1))
    assert pair.here.submit("b")["verdict"] == "admit"


def test_everything_held_there_is_held_here_and_goes_on_here(pair: Pair) -> None:
    assert pair.there.ask("POST", "/v1/hold", {"reason": "incident"}).status == 200
    waits = pair.here.submit("a")
    assert (waits["verdict"], pair.here.service.ruling.held and pair.here.service.ruling.held.reason) == (
        "defer",
        "incident",
    )
    pair.there.post("/v1/hold", {"on": False})
    assert pair.here.get(f"/v1/tickets/{waits['id']}")["state"] == "running"


def test_a_ticket_held_there_does_not_start_here(pair: Pair) -> None:
    first = pair.here.submit("a", 1000)
    waits = pair.here.submit("b", 100)
    assert pair.there.ask("POST", f"/v1/tickets/{waits['id']}/hold", {}).status == 200
    report = {"fence": first["lease"]["fence"], "usage": {"output": 1}}
    pair.here.post(f"/v1/leases/{first['lease']['id']}/release", report)
    assert pair.here.get(f"/v1/tickets/{waits['id']}")["state"] == "waiting"


def test_outlooks_that_another_replica_has_worked_out_are_taken_over(pair: Pair) -> None:
    known = {"daily": Outlook(START, risk="high"), "gone": Outlook(START)}

    def save(outlooks: dict[str, Outlook]) -> None:
        with pair.store.transaction() as tx:
            texts = {name: documents.body_text(outlook_document(outlook)) for name, outlook in outlooks.items()}
            documents.save_bodies(tx, "outlooks", texts)
        pair.here.submit(str(len(outlooks)))

    save(known)
    assert pair.here.service.writer.terms.outlooks == known
    del known["gone"]
    save(known)
    assert pair.here.service.writer.terms.outlooks == known


# who is parked


@pytest.mark.parametrize(
    "hinted", [pytest.param(False, id="within a second"), pytest.param(True, id="at once on a hint")]
)
def test_who_is_parked_here_hears_of_what_is_released_there(pair: Pair, hinted: bool) -> None:
    lookout = pair.here.service.lookout = Lookout(
        pair.store,
        pair.here.service.waiters,
        lambda: pair.here.service.writer.seen,
        every=60 if hinted else LOOK_SECONDS,
    )
    lookout.start()
    held, waits = pair.here.submit("a", 1000), pair.here.submit("b", 100)

    async def release() -> None:
        while not pair.here.service.waiters.parked:
            await asyncio.sleep(0.01)
        body = {"fence": held["lease"]["fence"], "usage": {"output": 0}}
        await asyncio.to_thread(pair.there.post, f"/v1/leases/{held['lease']['id']}/release", body)
        if hinted:
            lookout.hint()

    async def parked() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        (reply,) = await pair.here.ask_many([("GET", f"/v1/tickets/{waits['id']}?wait=20", None, None, "")], release)
        return reply.body["state"], loop.time() - began

    state, seconds = asyncio.run(parked())
    assert state == "running"
    assert seconds < 10
