"""Which limits, instances and accounts a bound token may be told of."""

import pytest

from quota_scheduler.core.labels import Labels, match_of
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import Calendar, Every
from quota_scheduler.core.limits.sight import EVERYTHING, ScopeView
from quota_scheduler.core.scope import Scope
from quota_scheduler.core.units import Unit

DAY = Calendar(Every.DAY, "UTC")
SETS = [
    Labels("anthropic", team="growth", workflow="docs", account="max-1"),
    Labels("anthropic", team="sales", workflow="leads", account="max-2"),
]
SIGHT = ScopeView.among(Scope((("team", "growth"),)), SETS)


def limit(per: str = "", **match: str | list[str]) -> Limit:
    return Limit("l", Unit.TOKENS, 100, DAY, match=match_of(match), per=per)


LIMITS = [
    pytest.param(limit(), "", True, False, id="everybody's is seen, and shared"),
    pytest.param(limit(team="growth"), "", True, True, id="its own"),
    pytest.param(limit(team="sales"), "", False, False, id="another's is not"),
    pytest.param(limit(team=["growth", "sales"]), "", True, False, id="a pool of both"),
    pytest.param(limit(team="gr*"), "", True, False, id="a pattern that fits"),
    pytest.param(limit(workflow="leads"), "", False, False, id="a workflow of others"),
    pytest.param(limit(workflow="docs"), "", True, False, id="a workflow that is met"),
    pytest.param(limit(provider="openai"), "", True, False, id="a provider is nobody's own"),
    pytest.param(limit("team"), "growth", True, True, id="its own instance"),
    pytest.param(limit("team"), "sales", False, False, id="another's instance"),
    pytest.param(limit("team"), "none", False, False, id="that of work without a team"),
    pytest.param(limit("team"), "other", True, False, id="that of all past the cap"),
    pytest.param(limit("workflow"), "docs", True, False, id="an instance of a workflow that is met"),
    pytest.param(limit("workflow"), "leads", False, False, id="an instance of a workflow of others"),
    pytest.param(limit("model"), "claude-opus-5", True, False, id="an instance of a model"),
]


@pytest.mark.parametrize(("rule", "value", "seen", "own"), LIMITS)
def test_what_is_seen(rule: Limit, value: str, seen: bool, own: bool) -> None:
    assert SIGHT.sees_instance(rule, value) is seen
    if seen:
        assert SIGHT.is_own(rule, value) is own
    assert EVERYTHING.sees_instance(rule, value)


ACCOUNTS = [
    pytest.param(SIGHT, {"max-1": True, "max-2": False, "default": True, "": True}, id="those that are met"),
    pytest.param(
        ScopeView.among(Scope((("account", "max-2"),)), SETS),
        {"max-1": False, "max-2": True, "default": False},
        id="the one that it is bound to",
    ),
    pytest.param(EVERYTHING, {"max-1": True, "max-2": True}, id="all"),
]


@pytest.mark.parametrize(("sight", "accounts"), ACCOUNTS)
def test_accounts(sight: ScopeView, accounts: dict[str, bool]) -> None:
    assert {name: sight.sees_account(name) for name in accounts} == accounts


def test_a_written_limit_names_no_value_of_others() -> None:
    rule = limit("team", team=["growth", "sales"])
    spec = {
        "id": "l",
        "match": {"team": ["growth", "sales"]},
        "overrides": {"growth": 5, "sales": 7},
        "values": ["growth", "sales"],
        "warn_at": {"default": "80%", "sales": "50%"},
        "at_limit": "block",
    }
    assert SIGHT.written(rule, spec) == {
        "id": "l",
        "match": {"team": ["growth"]},
        "overrides": {"growth": 5},
        "values": ["growth"],
        "warn_at": {"default": "80%"},
        "at_limit": "block",
    }
    assert EVERYTHING.written(rule, spec) == spec
