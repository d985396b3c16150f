"""Several replicas, one order: whoever's turn it is decides as one alone would, and remembers what is there."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import quota_scheduler
from quota_scheduler.core.cycle.requests import (
    Hold,
    Read,
    Reclass,
    Release,
    Renew,
    Reply,
    Request,
    Revoke,
    Start,
    Submit,
    Withdraw,
)
from quota_scheduler.core.limits.limit import Holdback
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.queue.wake import SLICE
from quota_scheduler.service import cycle, memory
from quota_scheduler.service.memory import Memory
from quota_scheduler.service.operate.limits import redefine
from quota_scheduler.service.rebuild import rebuild_sessions
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import tickets, turns
from tests import schema_names
from tests.builders import (
    HOUR,
    MICRO,
    MINUTE,
    SECOND,
    a_concurrency_limit,
    a_limit,
    a_report,
    a_session_limit,
    a_ticket,
    a_usage_event,
)
from tests.service.world import World

LIMITS = (
    a_limit(400, holdback=Holdback(amount=60)),
    a_limit(150, id="team", per="team"),
    a_session_limit(200, holdback=Holdback(per_mille=200)),
    a_concurrency_limit(4),
)
QUICK = QueuePolicy(ramp=20 * SECOND, ramp_step=4 * SECOND, claim_within=MINUTE)
"""Ramps and offers that a test comes to see the end of."""


class Replicas(World):
    """So many replicas on one store; ``turn`` says whose it is."""

    def __init__(self, folder: Path, *limits: Any, count: int) -> None:
        super().__init__(folder, *limits, policy=QUICK)
        self.memories = [Memory(shared=count > 1) for _ in range(count)]
        self.turn = 0

    def run(self, *requests: Request) -> cycle.CycleResult:
        """One cycle of the replica whose turn it is; none misremembers anything after it."""
        whose = self.memories[self.turn % len(self.memories)]
        with self.store.transaction() as tx:
            done = cycle.run_cycle(tx, requests, self.terms, whose)
        self.check_memory(whose)
        return done

    def job(self, work: Callable[[Any], object]) -> None:
        """Something else than a cycle is written."""
        with self.store.transaction() as tx:
            work(tx)

    def stored(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that was decided, as it is stored; a window goes by what it is of, not by its number."""
        orders = {"tickets": "id", "leases": "fence", "windows": "id", "reservations": "ticket, window", "ramps": "1"}
        with self.store.transaction() as tx:
            rows = {table: tx.rows(f"SELECT * FROM {table} ORDER BY {order}") for table, order in orders.items()}
            names = {table: schema_names.columns(tx, table) for table in orders}
        documents = {table: [dict(zip(names[table], row, strict=True)) for row in rows[table]] for table in orders}
        spans = {each["id"]: (each["rule"], each["value"], str(each["starts_at"])) for each in documents["windows"]}
        for each in documents["windows"]:
            each["id"] = spans[each["id"]]
        for each in documents["reservations"]:
            each["window"] = spans[each["window"]]
        for each in (each for table in documents.values() for each in table):
            each.pop("revision", None)
        return {table: sorted((tuple(each.items()) for each in rows), key=str) for table, rows in documents.items()}


TEAMS, AMOUNTS = st.sampled_from(["growth", "ops", ""]), st.integers(0, 90)
WHICH = st.integers(0, 30)
"""Which of the tickets there are, counted around."""
ASKED = st.tuples(AMOUNTS, TEAMS, st.sampled_from(Priority))
STEPS = st.one_of(
    st.tuples(
        st.just("submit"), st.lists(st.tuples(AMOUNTS, TEAMS, st.sampled_from(Priority)), min_size=1, max_size=4)
    ),
    st.tuples(st.sampled_from(["renew", "release"]), st.tuples(WHICH, st.none() | AMOUNTS)),
    st.tuples(st.sampled_from(["read", "withdraw", "revoke", "hold", "go on", "start", "raise"]), WHICH),
    st.tuples(st.just("usage"), st.tuples(AMOUNTS, TEAMS, st.integers(0, 400))),
    st.tuples(st.just("wait"), st.sampled_from([SECOND, 3 * SECOND, 30 * SECOND, 2 * MINUTE, HOUR, 6 * HOUR])),
    st.tuples(st.just("sessions"), st.none()),
    st.tuples(st.just("amount"), st.sampled_from([300, 400, 900])),
    st.tuples(st.just("shape"), st.sampled_from(["team", "project"])),
)


def requests_of(world: Replicas, what: str, about: Any) -> Sequence[Request]:
    """The requests of a step, about tickets by their place."""
    now = world.clock.at
    if what == "submit":
        return [
            Submit(a_ticket(n, at=now, key=f"{n % 7}{team}", body=f"{n}{team}", team=team, priority=priority,
                            wait_until=now + 5 * HOUR if n % 2 else None))
            for n, team, priority in about
        ]  # fmt: skip
    number, used = about if isinstance(about, tuple) else (about, None)
    with world.store.transaction() as tx:
        there = tickets.submitted_since(tx, now - timedelta(days=30))
    if not there:
        return []
    ticket = there[number % len(there)]
    fence = ticket.lease.fence if ticket.lease else 0
    report = None if used is None else a_report(used)
    return {
        "renew": [Renew(ticket.id, fence, report)],
        "release": [Release(ticket.id, fence, report)],
        "read": [Read(ticket.id)],
        "withdraw": [Withdraw(ticket.id)],
        "revoke": [Revoke(ticket.id)],
        "hold": [Hold(ticket.id)],
        "go on": [Hold(ticket.id, on=False)],
        "start": [Start(ticket.id)],
        "raise": [Reclass(ticket.id, Priority.HIGH)],
    }[what]


def step(world: Replicas, number: int, what: str, about: Any) -> Sequence[Reply]:
    """Do one thing, and let the replica whose turn it is answer."""
    if what == "usage":
        tokens, team, minutes = about
        event = a_usage_event(tokens, key=f"u{number}", at=world.clock.at - minutes * MINUTE, team=team)
        world.job(lambda tx: record_usage(tx, [event], world.limits))
    elif what == "wait":
        world.clock.advance(about)
    elif what == "sessions":
        world.job(lambda tx: rebuild_sessions(tx, world.limits))
    elif what in ("amount", "shape"):
        day, team, *more = world.limits
        day, team = (replace(day, amount=about), team) if what == "amount" else (day, replace(team, per=about))
        world.limits = (day, team, *more)
        world.job(lambda tx: redefine(tx, world.limits))
        world.terms = replace(world.terms, limits=world.limits)
        for each in world.memories:
            each.forget()
    else:
        return world.cycle(*requests_of(world, what, about))
    return world.cycle()


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 3), st.lists(st.tuples(st.integers(0, 2), STEPS), min_size=5, max_size=40))
def test_replicas_that_take_turns_answer_and_store_what_one_alone_would(count, steps):
    with TemporaryDirectory() as one, TemporaryDirectory() as several:
        alone, together = Replicas(Path(one), *LIMITS, count=1), Replicas(Path(several), *LIMITS, count=count)
        try:
            for number, (turn, (what, about)) in enumerate(steps):
                together.turn = turn
                if together.memories[turn % count].remembered is None:
                    alone.memories[0].forget()  # who reads everything looks at all that wait, and explains by that
                assert step(together, number, what, about) == step(alone, number, what, about)
                assert together.stored() == alone.stored()
        finally:
            alone.store.close()
            together.store.close()


@pytest.mark.parametrize("count", [2, 3])
def test_a_long_pass_is_gone_on_with_by_whoever_is_next(tmp_path, count):
    worlds = []
    for number, replicas in enumerate([1, count]):
        (folder := tmp_path / str(number)).mkdir()
        worlds.append(Replicas(folder, a_limit(10_000), count=replicas))
    alone, together = worlds
    passes = []
    for here in worlds:
        held = here.submit(10_000)
        here.cycle(*(here.a_submit(10, team=f"t{number % 90}") for number in range(4 * SLICE)))
        here.clock.advance(MICRO)
        here.release(held, 0)
        started = []
        for turn in range(8):
            here.turn = turn
            started.append(sorted(here.run().changed))
            here.submit(10, team="late")
        passes.append(started)
    assert passes[0] == passes[1]
    assert all(SLICE / 2 < len(started) <= SLICE for started in passes[0][:2])  # slices of one pass
    assert together.stored() == alone.stored()
    for here in worlds:
        here.store.close()


def behind(world: Replicas) -> Memory:
    """A replica that has seen the beginning and nothing since."""
    one = world.memories[1]
    with world.store.transaction() as tx:
        one.of(tx, world.terms)
    return one


@pytest.mark.parametrize(
    ("missed", "away", "is_read_anew"),
    [
        pytest.param(3, SECOND, False, id="a few tickets are caught up with"),
        pytest.param(9, SECOND, True, id="many tickets are not worth it"),
        pytest.param(0, 2 * HOUR, True, id="after hours, tickets may be gone without a trace"),
    ],
)
def test_who_missed_much_reads_everything_again(tmp_path, monkeypatch, missed, away, is_read_anew):
    monkeypatch.setattr(memory, "MOST_MISSED", 6)
    with_two = Replicas(tmp_path, a_concurrency_limit(2), count=2)
    one = behind(with_two)
    queue = one.remembered.queue
    for _ in range(missed):
        with_two.submit()
    with_two.wait(away)
    with_two.turn = 1
    with_two.cycle(with_two.a_submit())
    assert (one.remembered.queue is not queue) == is_read_anew
    with_two.store.close()


def test_whoever_missed_tickets_is_told_which(tmp_path):
    here = Replicas(tmp_path, a_concurrency_limit(1), count=2)
    one = behind(here)
    numbers = {here.submit().ticket.id for _ in range(3)}
    with here.store.transaction() as tx:
        one.of(tx, here.terms)
    assert (one.written_elsewhere(), one.written_elsewhere()) == (numbers, set())
    numbers = {here.submit().ticket.id}
    one.forget()
    with here.store.transaction() as tx:
        one.of(tx, here.terms)
    assert one.written_elsewhere() == numbers
    here.store.close()


def test_a_restart_finds_a_ramp_where_it_was(tmp_path):
    here = Replicas(tmp_path, a_limit(100), count=1)
    here.submit(100)
    here.cycle(*(here.a_submit(10) for _ in range(6)))
    here.wait(timedelta(days=1))
    slot = here.memories[0].due()
    here.kill()
    here.memories = [Memory()]
    here.cycle()
    assert here.memories[0].due() == slot


# what is written, and who can tell


TABLES = "tickets|windows|leases|reservations|sequences|ramps|turns"
WRITES = re.compile(rf"\b(INSERT INTO|UPDATE|UPDATE OR REPLACE|DELETE FROM) ({TABLES})\b")
TOLD = {
    "store/moving.py": {"UPDATE turns": "all is marked: a database that was moved is nobody's yet"},
    "store/restored.py": {
        "UPDATE leases": "no service holds the database that is restored",
        "UPDATE sequences": "no service holds the database that is restored",
    },
    "store/ramps.py": {"INSERT INTO ramps": "stamped"},
    "store/repricing.py": {"UPDATE tickets": "stamped"},
    "store/tickets.py": {
        "INSERT INTO tickets": "stamped",
        "UPDATE tickets": "stamped when saved; all is marked when the clock was put right",
        "INSERT INTO leases": "nobody remembers leases",
        "UPDATE leases": "nobody remembers leases",
        "UPDATE sequences": "read again by whoever catches up",
        "DELETE FROM leases": "of closed tickets",
        "DELETE FROM reservations": "of closed tickets",
        "DELETE FROM tickets": "closed for longer than anybody may be away",
    },
    "store/turns.py": {"UPDATE turns": "the marks themselves"},
    "store/windows.py": {
        "INSERT INTO windows": "stamped",
        "UPDATE windows": "stamped when saved; all is marked when limits are others",
        "INSERT INTO reservations": "nobody remembers reservations",
        "UPDATE reservations": "nobody remembers reservations",
        "DELETE FROM windows": "windows are marked",
    },
}
"""Every statement that writes what replicas may remember, and how others come to know."""


def test_every_statement_that_writes_what_is_remembered_is_told_to_others():
    root = Path(quota_scheduler.__file__).parent
    written: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        for verb, table in WRITES.findall(path.read_text()):
            written.setdefault(path.relative_to(root).as_posix(), set()).add(f"{verb} {table}")
    written = {name: rows for name, rows in written.items() if not name.startswith("store/migrations/")}
    assert written == {name: set(rows) for name, rows in TOLD.items()}


def test_a_limit_under_another_name_is_told_to_others(tmp_path):
    here = Replicas(tmp_path, a_limit(1000), count=2)
    one = behind(here)
    here.submit(10)
    here.limits = (replace(here.limits[0], id="daily"),)
    here.job(lambda tx: redefine(tx, here.limits))
    with here.store.transaction() as tx:
        here.terms = replace(here.terms, limits=here.limits)
        one.forget()
        one.of(tx, here.terms)
        assert turns.look(tx).anew == turns.look(tx).revision
    here.check_memory(one)
    here.store.close()
