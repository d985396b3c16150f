"""Whether this process leads, and the door through which a leader writes.

    lead job ──look()──▶ begins | goes on | ended | follows        each third of the ttl
    leader's job ──do(work)──▶ writer ──▶ transaction: check, work ─commit─▶ answer, or NotLeading and nothing written

What a job may begin at all is known here without a look, from the monotonic clock since the last renewal: it runs on
while a process is stopped, so one that is let go on knows at once that it has missed its turn. What it may write is
said by the database alone. A process that is alone on its database, as on a file that it has locked, always leads, and
nothing of all this is read or written.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from quota_scheduler.core.instants import iso
from quota_scheduler.core.replicas.leadership import Leadership
from quota_scheduler.core.replicas.replica import Replica, there
from quota_scheduler.core.replicas.rules import Rules
from quota_scheduler.errors import NotLeading
from quota_scheduler.replicas.documents import encode_rules, rules_shape
from quota_scheduler.service import lead
from quota_scheduler.store import Store, Transaction

T = TypeVar("T")


class LeadStep(StrEnum):
    """What a look at the leadership came to."""

    BEGINS = "begins"
    GOES_ON = "goes on"
    ENDED = "ended"
    FOLLOWS = "follows"


class Do(Protocol):
    """The writer's door."""

    def __call__(self, work: Callable[[Transaction], Any], *, then: Any = None) -> "Future[Any]": ...


def this_process(address: str, version: str, *, now: datetime) -> Replica:
    """This process as a replica, under a name that no other ever had; its rules are told by ``Leading``."""
    host = socket.gethostname()
    return Replica(
        f"{host}-{secrets.token_hex(4)}", host, os.getpid(), address, version, "", now, now, is_starting=True
    )


class Leading:
    """The leadership as this process knows it. ``is_alone``: nobody else can write this database."""

    def __init__(
        self,
        store: Store,
        me: Replica,
        rules: Rules,
        *,
        ttl: timedelta,
        is_alone: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``monotonic`` is seconds of a clock that only goes forward, also while the process is stopped."""
        self.store, self.ttl, self.is_alone, self._monotonic = store, ttl, is_alone, monotonic
        self.standing = Leadership()
        self.replicas: tuple[Replica, ...] = (me,)
        self.me, self._document = me, ""
        self._epoch, self._certain_until = 0, 0.0
        self.has_own_rules(rules)

    def has_own_rules(self, rules: Rules) -> None:
        """Take the rules of this process's own configuration, which are in force when it leads."""
        self.rules, self._document = rules, "" if self.is_alone else encode_rules(rules)
        self.me = replace(self.me, rules=rules.fingerprint())

    @property
    def leads(self) -> bool:
        """Whether a leader's job may begin here."""
        return self.is_alone or (self._epoch > 0 and self._monotonic() < self._certain_until)

    @property
    def epoch(self) -> int:
        """In which epoch this process leads, or led last; 0 before it did."""
        return self._epoch

    def look(self, me: Replica | None = None) -> LeadStep:
        """Renew, take over where nobody leads, and say now and then that this one is there; ``me`` as it is now."""
        if self.is_alone:
            return LeadStep.GOES_ON
        self.me = me or self.me
        led, asked_at = self._epoch, self._monotonic()
        with self.store.reading() as tx:
            seen = lead.look(tx)
            is_due = lead.is_due(seen, self.me, tx, self.ttl)
        if is_due:
            with self.store.transaction() as tx:
                seen = lead.claim(tx, self.me, ttl=self.ttl)
        return self._took(seen, led, asked_at)

    def _took(self, seen: lead.LeadershipSeen, led: int, asked_at: float) -> LeadStep:
        self.standing, self.replicas = seen.standing, seen.replicas
        if seen.standing.holder != self.me.name:
            self._epoch, self._certain_until = 0, 0.0
            return LeadStep.ENDED if led else LeadStep.FOLLOWS
        self._epoch, self._certain_until = seen.standing.epoch, asked_at + self.ttl.total_seconds()
        return LeadStep.GOES_ON if led == self._epoch else LeadStep.BEGINS

    def resign(self) -> None:
        """Leave in good order: another leads at once."""
        if self.is_alone:
            return
        self._epoch, self._certain_until = 0, 0.0
        with self.store.transaction() as tx:
            lead.resign(tx, self.me.name)

    def document(self) -> dict[str, Any] | None:
        """Who serves from this database and who leads, as JSON types; None where this process is alone on it."""
        if self.is_alone:
            return None
        return {
            "name": self.me.name,
            "leader": self.standing.address or None,
            "epoch": self.standing.epoch,
            "replicas": [
                {
                    "name": one.name,
                    "address": one.address,
                    "version": one.version,
                    "leads": one.name == self.standing.holder,
                    "problem": one.problem or None,
                    "seen_at": iso(one.seen_at),
                }
                for one in sorted(there(self.replicas, self.ttl), key=lambda one: (one.address, one.name))
            ],
        }

    # what a leader writes

    def check(self, tx: Transaction) -> None:
        """Raise NotLeading unless this process leads by the database's own word."""
        if not self.is_alone:
            lead.check(tx, self.me.name, self._epoch)

    def let_rule(self, tx: Transaction) -> None:
        """Put the rules of this process's configuration in force for all. Raises NotLeading."""
        if not self.is_alone:
            lead.let_rule(tx, self.me, self._epoch, shape=rules_shape(), rules=self._document)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction of the leader's. Raises NotLeading, and then nothing is written."""
        with self.store.transaction() as tx:
            self.check(tx)
            yield tx

    def door(self, do: Do) -> Do:
        """The writer's door for the leader's jobs: the future holds NotLeading where another leads by now."""
        if self.is_alone:
            return do

        def do_as_leader(work: Callable[[Transaction], T], *, then: Any = None) -> "Future[T]":
            epoch = self._epoch

            def checked(tx: Transaction) -> T:
                lead.check(tx, self.me.name, epoch)
                return work(tx)

            return do(checked, then=then)

        return do_as_leader

    def must_lead(self) -> None:
        """Raise NotLeading where a leader's deed outside the database must not be done any more."""
        if not self.leads:
            raise NotLeading("another leads, or may do so by now")
