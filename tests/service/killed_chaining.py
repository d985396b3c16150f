"""A process that puts sessions in their place and is killed before one of its writes: ``DSN WRITES``."""

import os
import signal
import sys
from types import SimpleNamespace

import pytest

from quota_scheduler.service import chain_sessions
from quota_scheduler.store import Store
from tests.builders import MONDAY
from tests.fakes import FixedClock
from tests.service.chained_world import LIMITS, chaining, read_little


def main(dsn: str, writes: int) -> None:
    """Do it."""
    read_little(patch := pytest.MonkeyPatch())
    patch.setattr(chain_sessions, "KEEP_SECONDS", 0.0)
    clock = FixedClock(MONDAY)
    world = SimpleNamespace(store=Store(dsn, clock=clock), clock=clock, limits=LIMITS)
    chaining(world, *[None] * writes, lambda _: os.kill(os.getpid(), signal.SIGKILL)).go_on(leads=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
