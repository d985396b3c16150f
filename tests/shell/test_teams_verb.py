"""The rows of ``teams``: what is recommended counts whole days, idle ones too, and what sessions used besides."""

from datetime import date
from typing import Any

import pytest

from quota_scheduler.cli.teams import teams

TODAY = date(2026, 11, 22)
LIMIT = {
    "limit": "team-daily/growth", "unit": "usd", "period": "day", "amount": 10, "used": 0, "reserved": 0,
    "forecast": None,
}  # fmt: skip


def used(day: str, cost: float, unlisted: float = 0.0) -> dict[str, Any]:
    return {"day": day, "team": "growth", "cost_usd": cost, "unlisted_cost_usd": unlisted}


@pytest.mark.parametrize(
    ("usage", "recommended", "days"),
    [
        pytest.param([], None, 0, id="nothing used"),
        pytest.param([used("2026-11-22", 9)], None, 0, id="today is not over"),
        pytest.param([used("2026-11-21", 4), used("2026-11-22", 9)], 4, 1, id="yesterday"),
        pytest.param([used("2026-11-21", 4)], 4, 1, id="yesterday, and nothing today"),
        pytest.param([used("2026-11-21", 4, 3)], 7, 1, id="what sessions used beyond their calls"),
        pytest.param([used("2026-11-02", 5)], 0, 20, id="idle days since"),
    ],
)
def test_the_recommendation(usage: list[dict[str, Any]], recommended: float | None, days: int) -> None:
    (row,) = teams([LIMIT], [], usage, today=TODAY)
    assert (row["recommended"], row["recommended_from_days"]) == (recommended, days)
