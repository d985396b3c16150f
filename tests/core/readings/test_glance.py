"""What is read first: the order of limits, and a word for every reason there is."""

import pytest

from quota_scheduler.core.readings.glance import REASONS, by_urgency
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
