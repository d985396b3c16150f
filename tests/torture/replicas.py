"""Replicas of the real service on one database, killed, stopped and let go on by a seeded schedule."""

import random
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from tests.system.service_process import Place, ServiceProcess, free_port
from tests.torture.runners import Group, Runner


def config(groups: Sequence[Group], database: str = "") -> str:
    """The configuration of every replica: what the groups share, nothing read, and a database if it is not a file."""
    starts = f"{datetime.now(UTC) - timedelta(hours=12):%H:%M}"
    lines = [f"database: {database}\n"] if database else []
    return "".join([*lines, "limits:\n", *(group.limits(starts) for group in groups)])


class Replicas:
    """``count`` services at ports that stay theirs, without ``database`` one on a file. End with the ``with`` block.

    ``last`` is how the last of them reaches the database, where it goes another way.
    """

    def __init__(
        self, home: Path, groups: Sequence[Group], *, count: int = 1, database: str = "", last: str = ""
    ) -> None:
        assert database or count == 1, "a file has one service"
        self.ports = [free_port() for _ in range(count)]
        self.places = [Place(home / f"replica-{number}") for number in range(count)]
        self._texts = [config(groups, database)] * (count - 1) + [config(groups, last or database)]
        self._services: dict[int, ServiceProcess] = {}

    def __enter__(self) -> Self:
        for number, place in enumerate(self.places):
            place.home.mkdir(parents=True, exist_ok=True)
            place.config(self._texts[number])
            self.start(number)
        for number in range(len(self.ports)):
            self[number].ready()
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._services):
            self.go_on(number)
            self[number].kill()

    def __getitem__(self, number: int) -> ServiceProcess:
        return self._services[number]

    def start(self, number: int) -> ServiceProcess:
        """Start a replica, at once; whether it is ready is another question."""
        self._services[number] = ServiceProcess(self.places[number], port=self.ports[number])
        return self[number]

    def kill(self, number: int) -> None:
        """kill -9, running or stopped."""
        self[number].kill()

    def stop(self, number: int) -> None:
        """Let it stand still in the middle of whatever it does; to the others it is as good as gone."""
        self[number].process.send_signal(signal.SIGSTOP)

    def go_on(self, number: int) -> None:
        """Wake it up; it does not know that time has passed."""
        if self[number].process.poll() is None:
            self[number].process.send_signal(signal.SIGCONT)


def kill_at_random(replicas: Replicas, times: int, rng: random.Random, runners: Sequence[Runner]) -> None:
    """Kill one replica after another at any moment, also while it starts, and then let the runners end their work."""
    for _ in range(times):
        number = rng.randrange(len(replicas.ports))
        if rng.random() < 0.8:
            replicas[number].ready()
        time.sleep(rng.random() * 0.6)  # any moment is as good as another: the wait is the experiment
        replicas.kill(number)
        replicas.start(number)
    for runner in runners:
        runner.enough = True


def stop_at_random(replicas: Replicas, times: int, rng: random.Random, *, seconds: float) -> None:
    """Let one replica after another stand still for up to ``seconds``, and go on."""
    for _ in range(times):
        number = rng.randrange(len(replicas.ports))
        replicas.stop(number)
        time.sleep(rng.random() * seconds)
        replicas.go_on(number)
        replicas[number].ready()
        time.sleep(rng.random() * seconds)
