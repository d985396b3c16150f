"""A world with more uses than a write may read: what puts sessions in their place beside its writes is tried in it."""

from concurrent.futures import Future

from quota_scheduler.service import read_uses
from quota_scheduler.service.chain_sessions import SessionChaining
from quota_scheduler.service.operate.limits import apply_limits
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import ledger
from tests.builders import MINUTE, MONDAY, a_session_limit, a_usage_event

LIMITS = (a_session_limit(10**9), a_session_limit(10**9, id="teams", per="team"))
USES, APART = 300, 31
"""Uses of six and a half days, so many minutes apart."""
FEW, SLICE = 40, 8
"""What a write and a slice may read here."""


def read_little(monkeypatch):
    """Let a write read few uses, and a view fewer at once."""
    monkeypatch.setattr(read_uses, "MOST_IN_A_WRITE", FEW)
    monkeypatch.setattr(read_uses.ReadUses.take, "__defaults__", (FEW,))
    monkeypatch.setattr(ledger, "AT_ONCE", SLICE)


def a_use(number, *, minutes_ago, tokens=None):
    """A use of one of two teams."""
    team, at = ("growth", "sales")[number % 2], MONDAY - minutes_ago * MINUTE
    return a_usage_event(tokens or 1 + number % 7, key=f"use-{number}", at=at, team=team)


def fill(world):
    """Record the uses as history, of which no session is made."""
    events = [a_use(n, minutes_ago=(USES - n) * APART) for n in range(USES)]
    with world.store.transaction() as tx:
        record_usage(tx, events, world.limits, history=True)


def started(world):
    """Begin as a service does."""
    with world.store.transaction() as tx:
        apply_limits(tx, world.limits, starting=True)


def sessions(world):
    """Every session that is open or was used."""
    sql = "SELECT rule, value, starts_at, ends_at, used, rest, closed FROM windows ORDER BY 1, 2, 3"
    with world.store.reading() as tx:
        return tx.rows(sql)


class Door:
    """The writer's door: a write at a time, before each of which something may happen."""

    def __init__(self, world, *happenings):
        self.world, self.happenings, self.writes = world, list(happenings), 0

    def __call__(self, work):
        self.writes += 1
        if self.happenings and (happening := self.happenings.pop(0)):
            self.world.clock.advance(MINUTE)
            happening(self.world)
        done = Future()
        with self.world.store.transaction() as tx:
            done.set_result(work(tx))
        return done


def chaining(world, *happenings):
    """What puts sessions in their place there."""
    return SessionChaining(world.store, Door(world, *happenings), lambda: world.limits)
