"""Several services in one process on one database, as replicas are; their clock is set, and their jobs run when called.

A replica that is not called is one that was stopped: it renews nothing, and all clocks go on meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quota_scheduler.assemble import assembled, reload
from quota_scheduler.config import Config, load
from quota_scheduler.core.alerts.message import Message
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.facade import Facade
from quota_scheduler.runtime import Service
from quota_scheduler.service.record import record_usage
from quota_scheduler.store import Store
from tests.fakes import FixedClock, RecordingNotifier
from tests.service.world import empty_database
from tests.shell.edge import Edge

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TTL = timedelta(seconds=6)
RENEWAL = TTL / 3
LABELS = Labels(provider="anthropic", model="claude-sonnet-4-5")
LIMITS = """
limits:
  - {id: daily, match: {provider: anthropic}, unit: tokens, amount: 1000, window: day, holdback: 0}
"""


class SharedStore(Store):
    """A database that several writers share; ``close`` is for all of them, and comes at the end."""

    is_shared = True

    def close(self) -> None:
        """One of those who share it ends."""

    def close_for_all(self) -> None:
        """The last one has ended."""
        super().close()


@dataclass
class OneOfSeveral:
    """One replica. ``notifier`` keeps what it sent."""

    service: Service
    config_file: Path
    notifier: RecordingNotifier = field(default_factory=RecordingNotifier)

    def __post_init__(self) -> None:
        self.service.parts.deliverer.notifier = self.notifier
        self.service.writer.start()
        self.service.read()

    @property
    def leads(self) -> bool:
        return self.service.leads

    @property
    def epoch(self) -> int:
        return self.service.leading.epoch

    def beat(self) -> None:
        """One round of what its schedule would call."""
        self.service.lead()
        if self.service.leads:
            self.service.tick()
            self.deliver()
        else:
            self.service.follow()

    def deliver(self) -> None:
        """Send what is due, as its leader's job does."""
        deliverer = self.service.parts.deliverer
        deliverer.deliver()
        assert deliverer.join(20)

    def heard(self) -> list[tuple[str, bool]]:
        """The subjects of what it sent, and whether each is an all-clear."""
        return [(sent.subject, sent.resolved) for sent in self.notifier.sent]

    def reread(self, text: str) -> None:
        """Its configuration is another from now on."""
        self.config_file.write_text(text)
        reload(self.service, lambda: config_in(self.config_file))

    def not_ready(self) -> list[str]:
        """Why it is not ready, as ``/readyz`` has it."""
        return Facade(self.service).not_ready()

    def get(self, path: str) -> Any:
        """What it answers when it is asked over HTTP."""
        return Edge(self.service, self.service.store.clock).get(path)  # type: ignore[arg-type]

    def samples(self) -> dict[str, float]:
        """Everything it exposes, by name and labels."""
        lines = self.service.parts.metrics.exposition()[0].decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def config_in(file: Path) -> Config:
    """The configuration of a file, at home in its folder."""
    return load(file, {"HOME": str(file.parent)})


class Several:
    """A database and the replicas on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FixedClock(START)
        (folder / "quota.db").write_bytes(empty_database())
        self.store = SharedStore(folder / "quota.db", clock=self.clock)
        self.replicas: list[OneOfSeveral] = []

    def join(self, text: str = LIMITS, **options: Any) -> OneOfSeveral:
        """One more replica, with a configuration and a home of its own."""
        home = self.folder / f"host-{len(self.replicas)}"
        home.mkdir()
        file = home / "quota.yaml"
        port = 9001 + len(self.replicas)
        file.write_text(f"listen: 127.0.0.1:{port}\nleader_ttl: {TTL.total_seconds():g}\n{text}")
        service = assembled(config_in(file), self.store, monotonic=self.monotonic)
        self.replicas.append(OneOfSeveral(service, file, **options))
        return self.replicas[-1]

    def monotonic(self) -> float:
        """Seconds that go on with the clock."""
        return (self.clock() - START).total_seconds()

    def pass_by(self, time: timedelta, *running: OneOfSeveral) -> None:
        """Let time go by; those that run do what their schedules call meanwhile."""
        end = self.clock() + time
        while self.clock() < end:
            self.clock.advance(min(RENEWAL, end - self.clock()))
            for replica in running:
                replica.beat()

    def use(self, key: str, tokens: int) -> None:
        """Usage comes in through a door that is nobody's own."""
        event = UsageEvent(key, self.clock(), LABELS, Usage(output=tokens, requests=1))
        limits = self.replicas[0].service.writer.terms.limits
        with self.store.transaction() as tx:
            record_usage(tx, [event], limits)

    def row(self) -> tuple[Any, ...]:
        """Who leads, by the database."""
        with self.store.reading() as tx:
            found = tx.row("SELECT holder, epoch FROM leader")
            assert found is not None
            return found

    def dump(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Everything that the database holds, by table, but for where its writes stand, which cycles of all move."""
        with self.store.reading() as tx:
            tables = [name for (name,) in tx.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
            return {name: tx.rows(f"SELECT * FROM {name}") for name in tables if name != "turns"}

    def close(self) -> None:
        """End all of them."""
        for replica in self.replicas:
            replica.service.stop()
        self.store.close_for_all()


def sent_by(*replicas: OneOfSeveral) -> list[Message]:
    """What all of them sent."""
    return [message for replica in replicas for message in replica.notifier.sent]
