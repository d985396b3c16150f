"""What history costs: no statement of a cycle, a tick or a batch of usage reads all of a table that grows for good."""

import re

import pytest

from quota_scheduler.core.labels import match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.units import Unit
from quota_scheduler.price_catalog import Prices
from quota_scheduler.service.operate.limits import apply_limits
from quota_scheduler.service.reprice import PRICES, Repricing
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.service.upkeep.learn import learned
from quota_scheduler.store import facts
from tests.builders import HOUR, MONDAY, a_concurrency_limit, a_limit, a_session_limit, a_usage_event


def some_limits(amount: int) -> tuple[Limit, ...]:
    """One of each kind."""
    return (
        a_limit(amount),
        a_limit(amount, id="dollars", unit=Unit.USD),
        a_session_limit(amount),
        a_limit(amount, id="teams", per="team", match=match_of({"provider": "anthropic"})),
        a_concurrency_limit(10),
    )


GROWING = "tickets|leases|reservations|events|runs|rollups|t|l|r|e"
"""Tables to which every ticket or event adds a row, by name and as statements call them."""


@pytest.fixture
def watched(world):
    """A world with something of everything in it, and every statement that is sent to it from now on."""
    here = world(*some_limits(10_000))
    here.record(a_usage_event(), a_usage_event(key="e2", at=MONDAY - HOUR, session="s"))
    here.release(here.submit(), 5)
    running = here.submit(run="r", session="s1")
    statements: list[str] = []
    readers = here.store._engine
    with here.store.reading() as tx:
        tx.scalar("SELECT 1")
    for database in (readers._writer, *readers._readers):
        database.set_trace_callback(statements.append)
    yield here, running, statements
    for database in (readers._writer, *readers._readers):
        database.set_trace_callback(None)


def scans(here, statements):
    """What a plan says of statements that read all of a growing table, but for one that only holds what is open."""
    connection, found = here.store._engine._writer, set()
    connection.set_trace_callback(None)
    for statement in set(statements):
        if statement.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            found |= {(step, statement) for step in plan if re.match(rf"SCAN ({GROWING})( (?!USING INDEX)|$)", step)}
    return found


def a_tick(here):
    recompute = Recompute(here.store, here.limits, rules=(), targets=(), sources=lambda _: (), high_usage_run=10**6,
                          price=Prices().price)  # fmt: skip
    for _ in range(2):
        readings = recompute.update()
        with here.store.transaction() as tx:
            recompute.step(tx, readings)


def in_transaction(here, work):
    with here.store.transaction() as tx:
        work(tx)


def a_sweep(here):
    in_transaction(here, lambda tx: facts.remember(tx, PRICES, Prices().fingerprint))

    def do(work):
        raise AssertionError(f"nothing has to be priced anew, but {work}")

    sweep = Repricing(here.store, do, Prices(), lambda: here.limits, forget=lambda: None)
    with pytest.raises(AssertionError):  # its end is written; what it looks for comes before
        sweep.go_on()


JOURNEYS = (
    pytest.param(lambda here, _: here.submit(), id="a ticket"),
    pytest.param(lambda here, _: here.cycle(), id="a cycle of nothing"),
    pytest.param(lambda here, running: here.renew(running, 3), id="a renewal"),
    pytest.param(lambda here, running: here.release(running, 3), id="a release"),
    pytest.param(lambda here, _: here.record(a_usage_event(key="e3", session="s1", run="r")), id="usage"),
    pytest.param(lambda here, _: a_tick(here), id="two ticks"),
    pytest.param(lambda here, _: a_sweep(here), id="a sweep for prices that are known later"),
    pytest.param(
        lambda here, _: in_transaction(here, lambda tx: apply_limits(tx, here.limits, starting=True)), id="a start"
    ),
    pytest.param(lambda here, _: in_transaction(here, learned), id="what is learned every minute"),
)
"""What happens every second, minute or start: each given a world and a lease that runs in it."""


@pytest.mark.sqlite_only
@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_growing_table_is_never_read_whole(watched, journey):
    here, running, statements = watched
    here.check = lambda: None  # the doctor may read everything
    journey(here, running)
    assert statements
    assert scans(here, statements) == set()
