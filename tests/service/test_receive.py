"""What shippers say of another host's sources: at once, or late because the database was away."""

import pytest

from quota_scheduler.core.ledger.source_batch import Batch, ShippedSource
from quota_scheduler.service.receive import ShippedSources, catch_up, receive
from quota_scheduler.store import counters, shipped
from tests.builders import MINUTE, MONDAY, SECOND


def source(minute: int = 0, *, errors: int = 0, host: str = "build-7") -> ShippedSource:
    """A source as it was seen so many minutes after Monday began, with an age that tells it from others."""
    return ShippedSource(
        host, "codex", MONDAY + minute * MINUTE, minute * SECOND, False, errors, 12, 900, 1_000, 0 * SECOND, "0.1.0"
    )


@pytest.mark.parametrize(
    ("heard", "late", "stands", "garbled"),
    [
        pytest.param([], [source(1, errors=3)], [source(1, errors=3)], 3, id="a host that nobody knew"),
        pytest.param([source(0, errors=2)], [source(1, errors=3)], [source(1, errors=3)], 3, id="later than the last"),
        pytest.param([source(2, errors=3)], [source(1, errors=2)], [source(2, errors=3)], 3, id="heard of since"),
        pytest.param([source(1)], [source(1, errors=2)], [source(1)], 0, id="the same once more"),
        pytest.param([], [source(1), source(2, errors=1)], [source(2, errors=1)], 1, id="two together, in their order"),
        pytest.param([], [source(2, errors=1), source(1)], [source(2, errors=1)], 1, id="two together, mixed up"),
        pytest.param(
            [source(2)], [source(1, host="build-8")], [source(2), source(1, host="build-8")], 0, id="another host"
        ),
        pytest.param([source(2)], [], [source(2)], 0, id="nothing was said"),
    ],
)
def test_what_was_said_while_the_database_was_away_stands_where_nothing_was_heard_since(
    world, heard, late, stands, garbled
):
    here = world()
    for one in heard:
        here.clock.at = one.seen_at
        with here.store.transaction() as tx:
            receive(tx, one.origin, Batch(), [one._replace(seen_at=MONDAY)], here.limits)
    with here.store.transaction() as tx:
        catch_up(tx, late)
    shown = ShippedSources(heard)
    shown.catch_up(late)
    with here.store.reading() as tx:
        assert (shipped.load(tx), shown.all()) == (stands, stands)
        garbled_lines = [one.value for one in counters.all_counters(tx) if one.name == "quota_source_errors_total"]
    assert sum(garbled_lines) == garbled
