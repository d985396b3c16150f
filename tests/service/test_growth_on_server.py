"""What history costs on a server: no journey reads more than a few rows of a table that grows for good.

The same journeys as in ``test_growth``, on 20,000 events and as many closed tickets, swept and analysed: here it is the
server that chooses how it reads, and it counts what it has read.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from benchmarks.grown_database import build
from quota_scheduler.service.operate.limits import apply_limits
from tests.builders import MONDAY, a_usage_event
from tests.fakes import FixedClock
from tests.postgres import Postgres
from tests.service.test_growth import JOURNEYS, some_limits
from tests.service.world import World

ROWS = 20_000
"""Enough that reading all of a table costs more than an index."""
MOST = ROWS // 20
"""Rows of one table that a journey may look at: it has to do with some tens of them."""
GROWING = ("tickets", "leases", "reservations", "events", "runs", "rollups")
FOLDED = {"two ticks": {"rollups": ROWS}}
"""What the first tick of a process reads, once."""
_FLUSH = "SELECT CAST(pg_stat_force_next_flush() AS TEXT)"
_READ = "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"


class GrownWorld(World):
    """A world on a server with much history."""

    def __init__(self, url: str, *limits: Any) -> None:
        self.url, self.clock, self.limits, self._terms = url, FixedClock(MONDAY), limits, {}
        self.path: Any = url
        self.open()

    def check(self) -> None:
        """The doctor may read everything."""

    def read_so_far(self) -> dict[str, int]:
        """Rows of each growing table that any connection has read since the server began to count."""
        with self.store.transaction() as tx:
            tx.scalar(_FLUSH)
        with self.store.reading() as view:
            view.scalar(_FLUSH)
        with psycopg.connect(self.url) as connection:
            return {name: count for name, count in connection.execute(_READ) if name in GROWING}


@pytest.fixture(scope="module")
def grown(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GrownWorld, Any]]:
    """A world with much history, and something that runs in it."""
    url = postgres.database()
    build(tmp_path_factory.mktemp("grown"), events=ROWS, tickets=ROWS, now=MONDAY, url=url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    here = GrownWorld(url, *some_limits(10**15))
    with here.store.transaction() as tx:
        apply_limits(tx, here.limits, starting=True)  # the first start opens windows, which reads what they hold
    here.record(a_usage_event(session="s"))
    here.release(here.submit(), 5)
    running = here.submit(run="r", session="s1")
    yield here, running
    here.store.close()
    postgres.drop(url)


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_journey_reads_a_few_rows_of_tables_that_grow(grown, journey, request):
    here, running = grown
    before = here.read_so_far()
    journey(here, running)
    after = here.read_so_far()
    once = FOLDED.get(request.node.callspec.id, {})
    read = {name: after[name] - before[name] - once.get(name, 0) for name in GROWING}
    assert {name: count for name, count in read.items() if count > MOST} == {}
