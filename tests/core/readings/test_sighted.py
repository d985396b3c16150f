"""What a bound token is shown of readings, alerts and silences."""

from typing import Any

import pytest

from quota_scheduler.core.labels import Labels, match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.limits.sight import EVERYTHING, ScopeView
from quota_scheduler.core.readings.readings import Readings, SourceReading, Spending
from quota_scheduler.core.readings.sighted import own_accounts, own_alerts, own_rows, own_silences, sees, sighted
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.units import Unit
from tests.builders import MONDAY, a_reading

GROWTH = Scope((("team", "growth"),))
SIGHT = ScopeView.among(GROWTH, [Labels("anthropic", team="growth")])
DAY = Calendar(Every.DAY, "UTC")
LIMITS = {
    "pool": Limit("pool", Unit.TOKENS, 10, DAY, match=match_of({"team": ["growth", "sales"]})),
    "daily": Limit("daily", Unit.TOKENS, 10, DAY, per="team"),
}


def reading(rule: str, value: str = "") -> Any:
    return a_reading(
        limit=f"{rule}/{value}" if value else rule, rule=rule, value=value, provider="", scope="team=growth|sales",
        unit=Unit.TOKENS, period="day", zone="UTC", mode="enforce", amount=10, allowance=10, used=1, reserved=0,
        spending=Spending(cause="72 % by workflow leads"), labels=(("team", value),),
    )  # fmt: skip


READINGS = Readings(
    MONDAY,
    limits=(reading("pool"), reading("daily", "growth"), reading("daily", "sales")),
    sources=(SourceReading("otlp", False, 0, 0), SourceReading("claude_code@host", False, 0, 0)),
)


def test_readings_hold_what_is_its_own_or_shared() -> None:
    told = sighted(READINGS, SIGHT, LIMITS)
    assert [(one.limit, one.scope, one.spending.cause) for one in told.limits] == [
        ("pool", "team=growth", ""),
        ("daily/growth", "team=growth|sales", "72 % by workflow leads"),
    ]
    assert [source.source for source in told.sources] == ["otlp"]
    assert sighted(READINGS, EVERYTHING, LIMITS) is READINGS


INSTANCES = [("pool", True), ("daily/growth", True), ("daily/sales", False), ("gone", False)]


@pytest.mark.parametrize(("instance", "seen"), INSTANCES)
def test_instances(instance: str, seen: bool) -> None:
    assert sees(SIGHT, LIMITS, instance) is seen
    assert sees(EVERYTHING, LIMITS, instance)


def test_rows_keep_their_place_among_all() -> None:
    rows = [{"key": "a", "position": 1, "labels": {"team": "sales"}},
            {"key": "team=growth/b", "position": 2, "labels": {"team": "growth"}}]  # fmt: skip
    assert own_rows({"at": "now", "waiting": rows}, GROWTH) == {"at": "now", "waiting": [{**rows[1], "key": "b"}]}
    assert own_rows({"waiting": rows}, EVERYBODY) == {"waiting": rows}


def test_accounts_that_were_not_met_are_left_out() -> None:
    rows = [{"account": "default", "probe": "t4", "message": "t4 tries"}, {"account": "sales-max", "probe": None}]
    assert own_accounts(rows, SIGHT) == [{"account": "default", "probe": None, "message": ""}]
    assert own_accounts(rows, EVERYTHING) == rows


def alert(number: int, scope: str, **names: str) -> dict[str, Any]:
    return {"id": number, "scope": scope, "names": {"rule": "r", "scope": scope, **names}, "acknowledged_by": "ana",
            "silenced_by": []}  # fmt: skip


ALERTS = [
    alert(1, "pool", limit="pool", team="growth", workflow="leads"),
    alert(2, "daily/sales", limit="daily", team="sales"),
    alert(3, "run-1", run="run-1", team="growth", workflow="docs"),
    alert(4, "run-2", run="run-2", team="sales"),
    alert(5, "leads", workflow="leads"),
]


def test_alerts_of_others_are_left_out() -> None:
    told = own_alerts(ALERTS, SIGHT, lambda instance: sees(SIGHT, LIMITS, instance))
    assert [(one["id"], sorted(one["names"].items()), one["acknowledged_by"]) for one in told] == [
        (1, [("limit", "pool"), ("rule", "r"), ("scope", "pool"), ("team", "growth")], None),
        (3, sorted(ALERTS[2]["names"].items()), None),
    ]


def test_silences_are_told_without_what_was_written() -> None:
    rows = [{"id": 1, "matchers": {"team": "sales"}, "author": "ana", "comment": "sales", "alerts": [1, 2]},
            {"id": 2, "matchers": {"team": "sales"}, "author": "ana", "comment": "sales", "alerts": [2]}]  # fmt: skip
    assert own_silences(rows, {1}) == [{"id": 1, "matchers": {}, "author": "", "comment": "", "alerts": [1]}]
