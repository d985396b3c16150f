"""What is read first: the order of limits, and a word for every reason there is."""

import pytest

from quota_scheduler.core.readings.glance import REASONS, by_urgency, has_run_out, loan_words
from quota_scheduler.core.tickets.ticket import Reason

SOON, LATER = "2026-11-22T10:00:00Z", "2026-11-22T18:00:00Z"


def row(limit: str, ratio: float, *, level: str = "open", out: str | None = None, sufficient: bool = True) -> dict:
    forecast = {"sufficient": sufficient, "exhaustion_at": out, "expected_ratio": ratio}
    return {"limit": limit, "level": level, "usage_ratio": ratio, "forecast": forecast}


@pytest.mark.parametrize(
    ("rows", "order"),
    [
        pytest.param(
            [row("soon", 0.5, out=SOON), row("out", 1.0, level="exhausted")], ["out", "soon"], id="what holds everybody"
        ),
        pytest.param(
            [row("later", 0.9, out=LATER), row("soon", 0.1, out=SOON)], ["soon", "later"], id="what ends first"
        ),
        pytest.param([row("empty", 0.1), row("full", 0.9)], ["full", "empty"], id="then the fullest"),
        pytest.param([row("b", 0.5), row("a", 0.5)], ["a", "b"], id="equals by name"),
        pytest.param(
            [row("guess", 0.1, out=SOON, sufficient=False), row("full", 0.9)],
            ["full", "guess"],
            id="an end that nobody can know counts for nothing",
        ),
        pytest.param(
            [{**row("runs", 1.0), "forecast": None}, row("soon", 0.2, out=SOON)], ["soon", "runs"], id="no forecast"
        ),
    ],
)
def test_the_limit_that_needs_somebody_first_comes_first(rows, order):
    assert [one["limit"] for one in by_urgency(rows)] == order


def test_every_reason_for_waiting_has_its_words():
    closed = {Reason.DEADLINE, Reason.WAITED_TOO_LONG, Reason.ABANDONED}
    assert {reason.value for reason in set(Reason) - closed} == set(REASONS)


@pytest.mark.parametrize(
    ("borrowed", "lent", "words"),
    [
        pytest.param([("marketing", 10)], [], "10 lent by marketing", id="who borrows"),
        pytest.param([("ops", 4), ("pool", 6)], [], "4 lent by ops, 6 lent by pool", id="of two"),
        pytest.param([], [("growth", 10), ("ops", 2)], "lends 10 to growth, 2 to ops", id="who lends"),
        pytest.param([("ops", 4)], [("growth", 1)], "4 lent by ops; lends 1 to growth", id="both"),
        pytest.param([], [], "", id="neither"),
    ],
)
def test_loans_in_words(borrowed, lent, words):
    document = {
        "borrowed": [{"from": name, "amount": amount} for name, amount in borrowed],
        "lent": [{"to": name, "amount": amount} for name, amount in lent],
    }
    assert loan_words(document, str) == words


@pytest.mark.parametrize(
    ("document", "over"),
    [
        pytest.param(row("a", 0.9), False, id="room left"),
        pytest.param(row("a", 1.0), True, id="all used"),
        pytest.param({**row("a", 2.0), "borrowed": [{}]}, False, id="beyond its own, on loan"),
        pytest.param({**row("a", 2.0, level="exhausted"), "borrowed": [{}]}, True, id="its loan is used, too"),
        pytest.param(row("a", 0.5, level="exhausted"), True, id="the provider refuses"),
    ],
)
def test_who_is_out_until_the_reset(document, over):
    assert has_run_out(document) is over
