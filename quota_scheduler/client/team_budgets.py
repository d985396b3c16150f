"""The tightest budget of a team, as the service's limits tell it."""

from collections.abc import Mapping
from typing import Any

from quota_scheduler.client.answers import Budget, at_limit_in, budget_in, share_in
from quota_scheduler.client.errors import Refused
from quota_scheduler.client.transport import Transport


def tightest(transport: Transport, team: str, limit: str, patience: float | None) -> Budget | None:
    """The budget with the smallest share left, of all or of the limit that is named; None where none is the team's.

    Waits ``patience`` seconds for a service that is away, then raises Unavailable.
    """
    budgets = []
    for row in transport.ask("GET", "/v1/limits", patience=patience)["limits"]:
        is_about = row["limit"] == f"{row['rule']}/{team}" or f"team={team}" in str(row["scope"]).split(", ")
        if is_about and limit in ("", row["rule"], row["limit"]):
            budgets.append(budget_in(row))
    if not budgets:
        return _untouched(transport, team, limit or "team-daily", patience)
    return min(budgets, key=lambda budget: budget.remaining / (budget.amount or 1))


def _untouched(transport: Transport, team: str, limit: str, patience: float | None) -> Budget | None:
    """The budget of a team that has used nothing yet: all of it."""
    try:
        holds = transport.ask("GET", f"/v1/limits/{limit.partition('/')[0]}", patience=patience)["holds"]
    except Refused:
        return None
    if not holds or holds.get("per") != "team":
        return None
    amount = holds.get("overrides", {}).get(team, holds["amount"])
    warn_at, at_limit = (_of_team(holds.get(name), team) for name in ("warn_at", "at_limit"))
    name = f"{holds['id']}/{team}"
    return Budget(name, holds["unit"], amount, 0, 0, amount, None, share_in(warn_at), at_limit_in(at_limit))


def _of_team(setting: Any, team: str) -> Any:
    """A team's own part of a setting that may be by value."""
    return setting.get(team, setting.get("default")) if isinstance(setting, Mapping) else setting
