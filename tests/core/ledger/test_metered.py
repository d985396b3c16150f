"""Sums that programs report over and over become events, each token once."""

from datetime import UTC, datetime

import pytest

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.metered import Metered, SeriesState, settle
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.usage import Usage, UsageEvent

DRAFT = UsageEvent("g", datetime(2026, 11, 22, tzinfo=UTC), Labels("openai"), Usage())
FRESH, READ, OUT = (1, 0, 0, 0, 0), (-1, 1, 0, 0, 0), (0, 0, 0, 0, 1)


def point(value, *, start=1, at=2, series="in", weights=FRESH, calls=None, cumulative=True, group="g"):
    return Metered(series, group, start, at, value, calls, cumulative, weights, DRAFT)


def added(points, known=()):
    """The five kinds and requests of each event, in order."""
    return [event.usage[:6] for event in settle(points, dict(known)).events]


STOOD = {"in": SeriesState(1, 2, 100, 4)}


@pytest.mark.parametrize(
    ("points", "known", "expected"),
    [
        pytest.param([point(100)], {}, [(100, 0, 0, 0, 0, 1)], id="what was never seen counts whole"),
        pytest.param([point(130, at=3)], STOOD, [(30, 0, 0, 0, 0, 1)], id="what was seen counts by its growth"),
        pytest.param([point(130, at=3, calls=6)], STOOD, [(30, 0, 0, 0, 0, 2)], id="calls count by their growth too"),
        pytest.param([point(100)], STOOD, [], id="the same report again adds nothing"),
        pytest.param([point(90, at=1)], STOOD, [], id="a report that was overtaken adds nothing"),
        pytest.param([point(40, at=3)], STOOD, [(40, 0, 0, 0, 0, 1)], id="a lower value has begun from 0"),
        pytest.param([point(110, start=3, at=4)], STOOD, [(110, 0, 0, 0, 0, 1)], id="a new start has begun from 0"),
        pytest.param([point(99, start=0, at=9)], STOOD, [], id="a report from before the last start adds nothing"),
        pytest.param(
            [point(10), point(25, at=3)], {}, [(10, 0, 0, 0, 0, 1), (15, 0, 0, 0, 0, 1)], id="two reports in one export"
        ),
        pytest.param(
            [point(100), point(80, series="read", weights=READ), point(5, series="out", weights=OUT)],
            {},
            [(20, 80, 0, 0, 5, 1)],
            id="types of one group are one event, and what others include is taken off",
        ),
        pytest.param(
            [point(10), point(80, series="read", weights=READ)],
            {},
            [(0, 80, 0, 0, 0, 1)],
            id="no kind falls below none",
        ),
        pytest.param(
            [point(7, cumulative=False)],
            {"in": SeriesState(1, 1, 5, 0)},
            [(7, 0, 0, 0, 0, 1)],
            id="deltas have no memory",
        ),
        pytest.param([point(0, cumulative=False)], {}, [], id="a delta of nothing is no event"),
        pytest.param(
            [point(5, series="out", weights=OUT, calls=0)],
            {},
            [(0, 0, 0, 0, 5, 0)],
            id="calls that another type counts",
        ),
    ],
)
def test_points_add_what_is_new(points, known, expected):
    assert added(points, known) == expected


def test_the_same_delta_twice_has_the_same_key_and_the_next_another():
    keys = [settle([point(5, at=at, cumulative=False)], {}).events[0].key for at in (2, 2, 3)]
    assert (keys[0] == keys[1], keys[0] == keys[2]) == (True, False)


def test_a_delta_behind_another_start_is_another_event():
    events = settle([point(5, cumulative=False), point(5, start=2, cumulative=False)], {}).events
    assert len({event.key for event in events}) == 2


def test_states_are_where_series_stand_now():
    settled = settle([point(130, at=3, calls=6), point(1, cumulative=False, series="delta")], STOOD)
    assert settled.states == {"in": SeriesState(1, 3, 130, 6)}


def test_what_was_pushed_is_as_large_as_what_is_to_be_written():
    assert Pushed("otlp", events=(DRAFT, DRAFT), metered=(point(1),), refused=("x",)).size == 3
