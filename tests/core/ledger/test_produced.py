"""What sessions produced: each export counts once, and adds up by whatever runs are grouped by."""

import pytest

from quota_scheduler.core.ledger.produced import Produced, Product, by_group, settle
from tests.builders import MONDAY


def commits(value: int, *, until: int = 20, start: int = 10, cumulative: bool = True) -> Produced:
    return Produced("s", Product.COMMITS, "5e0f", "nightly", MONDAY, start, until, value, cumulative)


@pytest.mark.parametrize(
    ("points", "added"),
    [
        pytest.param([commits(1, cumulative=False), commits(2, until=30, cumulative=False)], [1, 2],
                     id="deltas as they are"),
        pytest.param([commits(0, cumulative=False)], [], id="none made"),
        pytest.param([commits(1), commits(3, until=30)], [1, 2], id="a sum adds what it has grown by"),
        pytest.param([commits(1), commits(1)], [1], id="the same report twice"),
        pytest.param([commits(3, until=30), commits(1)], [3], id="a report that was overtaken"),
        pytest.param([commits(3), commits(1, start=25, until=30)], [3, 1], id="a sum that begins anew"),
        pytest.param([commits(3), commits(1, until=30)], [3, 1], id="a sum that stands lower was reset"),
    ],
)  # fmt: skip
def test_what_points_add(points, added):
    assert [one.value for one in settle(points, {})[0]] == added


def test_a_sum_goes_on_from_where_it_is_known_to_stand():
    _, states = settle([commits(3)], {})
    assert [one.value for one in settle([commits(5, until=30)], states)[0]] == [2]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(commits(1, cumulative=False), commits(1, cumulative=False), True, id="an export that came twice"),
        pytest.param(commits(1, cumulative=False), commits(1, until=30, cumulative=False), False, id="the next"),
        pytest.param(commits(1), commits(1, start=15), True, id="a sum is known by when it was told"),
    ],
)
def test_what_counts_once(one, other, same):
    assert (one.key == other.key) is same


def test_runs_add_up_by_their_group():
    pull, made = Product.PULL_REQUESTS, Product.COMMITS
    by_run = {"a": {made: 1}, "b": {made: 2, pull: 1}, "gone": {made: 9}}
    assert by_group(by_run, {"a": "docs", "b": "docs", "c": "tests"}) == {"docs": {made: 3, pull: 1}}
