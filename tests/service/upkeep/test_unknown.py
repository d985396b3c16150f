"""Fields that nobody here knows are remembered once, and never without end."""

from datetime import UTC, datetime

import pytest

from quota_scheduler.service.upkeep.unknown import MOST_REMEMBERED, SeenField, remember_unknown, seen_fields
from quota_scheduler.store import Store

NOW = datetime(2026, 10, 2, 16, tzinfo=UTC)


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "quota.db", clock=lambda: clock[0]) as store:
        yield store


def test_a_field_is_remembered_as_of_when_it_was_first_seen(store, clock):
    for day, fields in ((2, ["usage.pool", "usage.limits.kind.daily/x"]), (3, ["usage.pool"])):
        clock[0] = NOW.replace(day=day)
        with store.transaction() as tx:
            remember_unknown(tx, door="claude_usage", fields=fields)
    with store.reading() as tx:
        assert seen_fields(tx) == [
            SeenField("claude_usage", "usage.limits.kind.daily/x", NOW.isoformat()),
            SeenField("claude_usage", "usage.pool", NOW.isoformat()),
        ]


def test_what_somebody_else_writes_fills_no_database(store):
    for start in (0, 150, 300):
        with store.transaction() as tx:
            remember_unknown(tx, door="d", fields=[f"field {number}" for number in range(start, start + 150)])
    with store.reading() as tx:
        assert len(seen_fields(tx)) == MOST_REMEMBERED
