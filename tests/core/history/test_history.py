"""Rows in order, the largest of them, others and totals that agree."""

import pytest

from quota_scheduler.core.history.asking import Question
from quota_scheduler.core.history.history import History, Sum, history
from quota_scheduler.core.usage import Usage
from tests.builders import DAY, MONDAY


def by(*names, top=0):
    return Question(names, MONDAY - DAY, MONDAY, top=top)


def spent(cost, tokens=1):
    return Sum(Usage(output=tokens, requests=1, cost_microusd=cost))


@pytest.mark.parametrize(
    ("asked", "sums", "keys"),
    [
        pytest.param(
            by("day"), {("2026-11-02",): 1, ("2026-11-01",): 9}, ["2026-11-01", "2026-11-02"], id="days by time"
        ),
        pytest.param(by("model"), {("a",): 1, ("b",): 9}, ["b", "a"], id="labels by cost"),
        pytest.param(by("model"), {("b",): 1, ("a",): 1}, ["a", "b"], id="at a tie by name"),
        pytest.param(
            by("model", "day"),
            {("a", "02"): 9, ("b", "01"): 1, ("a", "01"): 2},
            ["a 01", "b 01", "a 02"],
            id="by time first, wherever it stands",
        ),
        pytest.param(by("day", top=1), {("02",): 1, ("01",): 9}, ["01"], id="the largest of days"),
    ],
)
def test_order(asked, sums, keys):
    found = history(asked, [(key, spent(cost)) for key, cost in sums.items()])
    assert [" ".join(key) for key, _ in found.rows] == keys


def test_all_others_are_one_row_and_everything_adds_up():
    sums = [((name,), spent(cost, 10)) for name, cost in [("a", 5), ("b", 4), ("c", 3), ("d", 2)]]
    assert history(by("model", top=2), sums) == History(
        by("model", top=2),
        ((("a",), spent(5, 10)), (("b",), spent(4, 10))),
        total=Sum(Usage(output=40, requests=4, cost_microusd=14)),
        others=Sum(Usage(output=20, requests=2, cost_microusd=5)),
        left_out=2,
    )


def test_what_only_sums_by_hour_remember_belongs_to_no_row_but_to_the_total():
    found = history(by("session"), [(("s1",), spent(5, 10))], everything=Usage(output=30, requests=3, cost_microusd=7))
    assert (found.forgotten, found.total) == (
        Sum(Usage(output=20, requests=2, cost_microusd=2)),
        Sum(Usage(output=30, requests=3, cost_microusd=7)),
    )
    assert found.notes == (
        "by session only raw events tell, which are kept for some weeks: what is older stands in one row",
    )


def test_sums_of_one_key_are_added_and_what_is_nothing_is_no_row():
    found = history(by("model"), [(("a",), spent(5)), (("a",), Sum(unlisted=1, partial=2)), (("b",), Sum())])
    assert found.rows == ((("a",), Sum(spent(5).usage, 1, 2)),)


def test_a_row_as_json_types():
    usage = Usage(100, 800, 60, 40, 25, 3, 1_500_000, 7, 500_000)
    assert Sum(usage, 5, 1).document() == {
        "input": 100,
        "cache_read": 800,
        "cache_write_5m": 60,
        "cache_write_1h": 40,
        "output": 25,
        "tokens": 1025,
        "requests": 3,
        "cost_usd": 1.5000005,
        "unpriced_tokens": 7,
        "cache_hit_rate": 0.8,
        "unlisted_tokens": 5,
        "partial_requests": 1,
    }
    assert Sum(Usage(output=1)).document()["cache_hit_rate"] is None
