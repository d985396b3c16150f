"""The journeys on a real database with a clock that is set: what every case of record and cycle happens in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quota_scheduler.core.admission.decide import Defer, Reject
from quota_scheduler.core.cycle.requests import (
    Answer,
    Read,
    Refused,
    Release,
    Renew,
    Reply,
    Request,
    Submit,
    Withdraw,
)
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import Lease
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.service import cycle, record
from quota_scheduler.service.memory import LATEST, Memory, Remembered, remember
from quota_scheduler.service.operate.limits import redefine
from quota_scheduler.service.upkeep import doctor
from quota_scheduler.store import Foreseen, Store, ledger, windows
from quota_scheduler.store.counters import all_counters
from tests.builders import MONDAY, a_report, a_ticket
from tests.fakes import FixedClock


@cache
def empty_database() -> bytes:
    """A database that has been migrated and holds nothing: copied, it saves every case the migrations."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "quota.db"
        Store(path).close()
        return path.read_bytes() if path.exists() else b""


class World:
    """A service without its doors. After every journey the doctor looks at it and finds nothing wrong."""

    def __init__(self, folder: Path, *limits: Limit, now: datetime = MONDAY, **terms: Any) -> None:
        self.path, self.clock, self.limits, self._terms = folder / "quota.db", FixedClock(now), limits, terms
        self.path.write_bytes(empty_database())
        self.open()

    def open(self) -> None:
        """Begin, or begin again after ``kill``."""
        self.store = Store(self.path, clock=self.clock)
        self.terms, self.memory = Terms(self.limits, **self._terms), Memory()
        with self.store.transaction() as tx:
            redefine(tx, self.limits)

    def kill(self) -> None:
        """Lose everything that is not on the disk."""
        self.store.close()
        self.open()

    def change(self, *limits: Limit) -> None:
        """Start anew with other limits."""
        self.limits = limits
        self.kill()

    def wait(self, by: timedelta) -> None:
        """Let time pass, and the clock ask for what has fallen due."""
        self.clock.advance(by)
        self.cycle()

    def until(self, at: datetime) -> None:
        """Let time pass up to an instant."""
        self.wait(at - self.clock.at)

    # the journeys

    def run(self, *requests: Request) -> cycle.CycleResult:
        """One cycle for a batch of requests."""
        foreseen = Foreseen(self.clock.at)
        cycle.foresee(foreseen, requests, self.memory)
        try:
            with self.store.transaction(foreseen.questions) as tx:
                done = cycle.run_cycle(tx, requests, self.terms, self.memory)
        except BaseException:
            self.memory.forget()
            raise
        self.check()
        return done

    def cycle(self, *requests: Request) -> Sequence[Reply]:
        """The answers of one cycle."""
        return self.run(*requests).answers

    def ask(self, request: Request) -> Answer:
        """One request that is not refused."""
        (answer,) = self.cycle(request)
        assert isinstance(answer, Answer), answer
        return answer

    def submit(self, tokens: int = 10, **changes: Any) -> Answer:
        """Ask to run; a key of its own unless one is named."""
        return self.ask(self.a_submit(tokens, **changes))

    def a_submit(self, tokens: int = 10, **changes: Any) -> Submit:
        """A request to run, as of now."""
        self._keys = getattr(self, "_keys", 0) + 1
        return Submit(a_ticket(tokens, at=self.clock.at, **({"key": f"key-{self._keys}"} | changes)))

    def read(self, answer: Answer) -> Answer:
        """Look at a ticket, which claims an offer."""
        return self.ask(Read(answer.ticket.id))

    def renew(self, held: Answer, used: int | None = None, **changes: Any) -> Answer:
        """A heartbeat."""
        return self.ask(self.a_renew(held, used, **changes))

    def a_renew(self, held: Answer, used: int | None = None, **changes: Any) -> Renew:
        """A heartbeat to put into a batch."""
        return Renew(held.ticket.id, fence(held), None if used is None else a_report(used), **changes)

    def release(self, held: Answer, used: int | None = None, **changes: Any) -> Answer:
        """The end of a run."""
        return self.ask(self.a_release(held, used, **changes))

    def a_release(self, held: Answer, used: int | None = None, **changes: Any) -> Release:
        """The end of a run to put into a batch."""
        return Release(held.ticket.id, fence(held), None if used is None else a_report(used), **changes)

    def withdraw(self, answer: Answer) -> Answer:
        """Give a ticket up."""
        return self.ask(Withdraw(answer.ticket.id))

    def record(self, *events: UsageEvent) -> record.Recorded:
        """Usage that a source has read."""
        with self.store.transaction() as tx:
            done = record.record_usage(tx, events, self.limits)
        self.check()
        return done

    # what can be seen

    def check(self) -> None:
        """Nothing is wrong: counters add up to the ledger and the reservations, and memory to the store."""
        with self.store.transaction() as tx:
            wrong = [finding for finding in doctor.examine(tx, self.limits) if finding.wrong]
        assert wrong == []
        self.check_memory(self.memory)

    def check_memory(self, memory: Memory) -> None:
        """What is remembered is, once it has caught up, what would be read anew."""
        if (kept := memory.remembered) is None or self.clock.at < kept.balances.now:
            return
        with self.store.transaction() as tx:
            kept, read = memory.of(tx, self.terms), remember(tx, self.terms)
        assert in_mind(kept) == in_mind(read)
        assert (kept.lease_end or LATEST) <= (read.lease_end or LATEST)
        assert kept.balances.reservations == {}

    def windows(self, *, closed: bool = False) -> dict[str, tuple[int, int, int]]:
        """(used, reported, reserved) of the open windows by instance; of the newest closed ones if asked."""
        sql = "SELECT rule, value, used, reported, reserved FROM windows WHERE closed = ? ORDER BY starts_at"
        with self.store.transaction() as tx:
            return {"/".join(filter(None, row[:2])): row[2:] for row in tx.rows(sql, (int(closed),))}

    def spans(self, rule: str) -> list[tuple[datetime, datetime, int]]:
        """(start, end, used) of every window of a limit, oldest first."""
        limits = [limit for limit in self.limits if limit.id == rule]
        with self.store.transaction() as tx:
            balances = windows.load(tx, limits, since=datetime(2000, 1, 1, tzinfo=self.clock.at.tzinfo))
        return [(t.window.starts_at, t.window.ends_at, t.used) for t in balances.all() if t.window]

    def ledger(self) -> dict[str, int]:
        """Tokens of every event by key."""
        with self.store.transaction() as tx:
            events = ledger.between(
                tx, datetime(2000, 1, 1, tzinfo=MONDAY.tzinfo), datetime(2100, 1, 1, tzinfo=MONDAY.tzinfo)
            )
        return {event.key: event.usage.tokens for event in events}

    def tickets(self) -> dict[str, str]:
        """The state of every ticket by key."""
        with self.store.transaction() as tx:
            return dict(tx.rows("SELECT key, state FROM tickets ORDER BY id"))

    def counter(self, name: str) -> dict[tuple[str, ...], int]:
        """A counter by labels."""
        with self.store.transaction() as tx:
            return {each.labels: each.value for each in all_counters(tx) if each.name == name}


def in_mind(remembered: Remembered) -> dict[str, Any]:
    """Everything that is remembered of the store, in an order of its own."""
    queue, balances = remembered.queue, remembered.balances
    groups = {tuple(group.tickets): group.amounts for group in queue.all_groups()}
    return {
        "windows": sorted(balances.all(), key=lambda balance: balance.id),
        "order": {name: [b.id for b in row] for name, row in balances.by_name.items() if row},
        "ends": (balances.ends_next, balances.starts_last),
        "waiting": sorted(queue, key=lambda ticket: ticket.id),
        "groups": sorted(groups.items(), key=lambda group: group[0][0].id),
        "taken": remembered.taken,
        "running": remembered.running,
        "offered": remembered.offered,
        "numbers": remembered.numbers,
        "revision": remembered.revision,
    }


def fence(held: Answer) -> int:
    """The fence of a lease that was granted."""
    assert held.ticket.lease is not None, held.ticket
    return held.ticket.lease.fence


def lease(held: Answer) -> Lease:
    """The lease of a ticket that runs or ran."""
    assert held.ticket.lease is not None
    return held.ticket.lease


def said(answer: Reply) -> tuple[str, ...]:
    """An answer in a few words: the verdict or refusal and its reason, else how the ticket was closed."""
    if isinstance(answer, Refused):
        return "refused", answer.refusal.value
    match answer.verdict:
        case Defer(_, reason):
            return "defer", reason.value
        case Reject(reason):
            return "reject", reason.value
        case None:
            return "closed", answer.ticket.outcome.value if answer.ticket.outcome else ""
        case _:
            return ("admit",)
