"""Changes of a field that has a value for each team: each is its own, with its own end, and written down."""

from typing import Any

import pytest

from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.service.operate.limits import change_limit, limits_now
from quota_scheduler.store import audit
from tests.builders import DAY, HOUR, MONDAY, a_limit
from tests.service.tick.ticking import House

FILE = [a_limit(100, per="team", overrides=(("docs", 5),))]


def after(tmp_path: Any, *changes: tuple[dict[str, Any], Any], at: Any = MONDAY) -> tuple[Limit, list[Any]]:
    """The limit as it holds at an instant, and who was written down for what."""
    with House(tmp_path / "quota.db", FILE) as house:
        for fields, until in changes:
            with house.store.transaction() as tx:
                said = change_limit(tx, FILE, "day", fields, who="ops", until=until)
                assert not isinstance(said, str), said
        house.clock.advance(at - MONDAY)
        with house.store.reading() as tx:
            (limit,) = limits_now(tx, FILE)
            return limit, [entry.detail["fields"] for entry in audit.entries(tx, audit.Wanted(10))]


SALES, GROWTH = {"overrides": {"sales": 25}}, {"overrides": {"growth": 30}}


@pytest.mark.parametrize(
    ("changes", "at", "overrides"),
    [
        pytest.param([(SALES, None), (GROWTH, None)], MONDAY, {"docs": 5, "sales": 25, "growth": 30},
                     id="a second team leaves the first alone"),
        pytest.param([(SALES, None), ({"overrides": {"sales": 40}}, None)], MONDAY, {"docs": 5, "sales": 40},
                     id="the newest of one team holds"),
        pytest.param([(SALES, None), (GROWTH, MONDAY + HOUR)], MONDAY + DAY, {"docs": 5, "sales": 25},
                     id="each ends at its own time"),
        pytest.param([(SALES, None), (GROWTH, None), ({"overrides": {"sales": None}}, None)], MONDAY,
                     {"docs": 5, "growth": 30}, id="one is taken back"),
        pytest.param([(SALES, None), (GROWTH, None), ({"overrides": None}, None)], MONDAY, {"docs": 5},
                     id="all are taken back"),
    ],
)  # fmt: skip
def test_amounts_of_teams(tmp_path, changes, at, overrides):
    limit, told = after(tmp_path, *changes, at=at)
    assert dict(limit.overrides) == overrides
    assert told == [fields for fields, _ in reversed(changes)]


def test_thresholds_of_trackers(tmp_path):
    limit, _ = after(
        tmp_path,
        ({"warn_at": "70%", "at_limit": "block"}, None),
        ({"warn_at": {"sales": "95%"}, "at_limit": {"sales": "go_on"}}, None),
    )
    assert [(limit.warn_at_of(team), limit.at_limit_of(team)) for team in ("sales", "growth")] == [
        (0.95, "go_on"),
        (0.7, "block"),
    ]
