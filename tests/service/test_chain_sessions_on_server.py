"""On a server that ends a write which pauses: a start that finds many uses gets on, also after it was killed midway."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from quota_scheduler.service import chained_sessions
from quota_scheduler.store import facts, postgres
from tests.builders import MONDAY
from tests.fakes import FixedClock
from tests.service.chained_world import LIMITS, USES, chaining, fill, read_little, sessions, started
from tests.service.test_chain_sessions import at_once
from tests.service.world import World
from tests.system.service_process import REPOSITORY


class ServerWorld(World):
    """A world on a server."""

    def __init__(self, url: str) -> None:
        self.clock, self.limits, self._terms = FixedClock(MONDAY), LIMITS, {}
        self.path: Any = url
        self.open()

    def check(self) -> None:
        """The doctor has nothing to do with it."""


@pytest.mark.parametrize(
    ("writes", "is_kept"),
    [
        pytest.param(0, False, id="before anything was kept: read anew"),
        pytest.param(3, True, id="midway: gone on from there"),
        pytest.param(6, True, id="before the last: gone on from there"),
    ],
)
def test_one_that_was_killed_is_gone_on_with(postgres_dsn, monkeypatch, writes, is_kept):
    read_little(monkeypatch)
    monkeypatch.setattr(postgres, "_LOCK", postgres._LOCK.replace("'5s'", "'1s'"))
    here = ServerWorld(postgres_dsn)
    fill(here)
    started(here)
    here.store.close()
    command = [sys.executable, "-m", "tests.service.killed_chaining", postgres_dsn, str(writes)]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == -signal.SIGKILL
    here.open()
    with here.store.reading() as tx:
        kept = json.loads(facts.fact(tx, chained_sessions.READ) or "{}")
    assert (bool(kept), 0 < kept.get("count", 0) < USES) == (is_kept, is_kept)
    work = chaining(here)
    assert (work.is_due, work.go_on(leads=True)) == (True, True)
    placed = sessions(here)
    assert len(placed) == 3
    assert placed == at_once(here)
    here.store.close()
