"""How much of the week is used, and whether a plan may go on: the second founding document's check, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from quota_scheduler.plans.plan import PlanBudget

DEFAULT_PERCENT = 90.0
"""What a plan may use of the weekly quota where nobody says (second founding document)."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Week:
    """The weekly quota as it stands: ``used`` and ``amount`` in ``unit`` (usd, tokens, requests, percent).

    ``name`` is the limit, empty for a ceiling that the plan names itself. ``resets_at`` None: nobody knows.
    """

    name: str
    unit: str
    used: float
    amount: float
    resets_at: datetime | None

    @property
    def percent(self) -> float:
        """What is used of it."""
        return 100.0 * self.used / self.amount if self.amount > 0 else 100.0


def chosen(file: PlanBudget, environ: PlanBudget, flags: PlanBudget) -> PlanBudget:
    """One budget: an option before a variable, a variable before the file."""
    merged = file
    for layer in (environ, flags):
        given = {name: value for name, value in vars(layer).items() if value not in (None, "")}
        merged = replace(merged, **given)
    return merged


def cycle_began(now: datetime, weekday: int, zone: str) -> datetime:
    """The last midnight of a weekday (0 Monday) in a zone: where the billing week began."""
    today = now.astimezone(ZoneInfo(zone)).date()
    return datetime.combine(today - timedelta(days=(today.weekday() - weekday) % 7), time(), ZoneInfo(zone))


def next_cycle(began_at: datetime) -> datetime:
    """The midnight a week later, also where a clock is put forward between them."""
    return datetime.combine(began_at.date() + timedelta(days=7), time(), began_at.tzinfo)


def fresh(rows: Sequence[Mapping[str, Any]], windows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Limits as ``GET /v1/limits`` has them, with what open windows have counted since: readings are a tick old.

    Limits in percent stay as they are: what a provider reported of them stands in no window.
    """
    now = {window["limit"]: window for window in windows if window["open"] and window["unit"] != "percent"}
    figures = ("used", "amount", "starts_at", "ends_at")
    return [{**row, **{name: now[row["limit"]][name] for name in figures if row["limit"] in now}} for row in rows]


def unread(rows: Sequence[Mapping[str, Any]], windows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Open windows of limits that no reading is of yet: they were used for the first time since the last tick."""
    read = {row["limit"] for row in rows}
    return [window for window in windows if window["open"] and window["limit"] not in read]


def as_row(window: Mapping[str, Any], holds: Mapping[str, Any], provider: str) -> dict[str, Any]:
    """A window as a reading of its limit, whose terms ``GET /v1/limits/{id}`` says, is for a plan of a provider."""
    named = holds.get("match", {}).get("provider") or [""]
    of = provider if provider in named else named[0]
    return {**window, "rule": holds["id"], "period": "", "provider": of}


def tightest_week(rows: Sequence[Mapping[str, Any]], provider: str, name: str) -> Week | None:
    """Of limits as ``GET /v1/limits`` has them, the weekly one of a provider that is used most; or the one named."""
    weeks = [
        Week(row["limit"], row["unit"], row["used"], row["amount"], _instant(row.get("ends_at")))
        for row in rows
        if (name in (row["limit"], row["rule"]) if name else _is_weekly(row, provider))
    ]
    return max(weeks, key=lambda week: week.percent, default=None)


def _is_weekly(row: Mapping[str, Any], provider: str) -> bool:
    if row["unit"] == "leases" or row["provider"] not in ("", "*", "any", provider):
        return False
    starts_at, ends_at = _instant(row.get("starts_at")), _instant(row.get("ends_at"))
    lasts_a_week = starts_at and ends_at and timedelta(days=6) < ends_at - starts_at < timedelta(days=8)
    return row["period"] == "week" or bool(lasts_a_week)


def _instant(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def why_stop(week: Week | None, budget: PlanBudget) -> str:
    """Why a plan must stop now, in the founding document's words; empty when it may go on."""
    if week is None:
        return ""
    if budget.reserved_budget_usd is not None and week.unit == "usd":
        left = week.amount - week.used
        if left <= budget.reserved_budget_usd:
            return (
                f"Stopping: weekly quota has ${left:,.2f} left (configured reserve: ${budget.reserved_budget_usd:,.2f})"
            )
        if budget.max_quota_percent is None:
            return ""
    most = DEFAULT_PERCENT if budget.max_quota_percent is None else budget.max_quota_percent
    if week.percent < most:
        return ""
    return f"Stopping: weekly quota usage at {week.percent:.0f} % (configured max: {most:g} %)"


def room(week: Week | None, budget: PlanBudget) -> float | None:
    """What the plan may still use of the week, in its unit; None where nothing says."""
    if week is None:
        return None
    ends = []
    if budget.reserved_budget_usd is not None and week.unit == "usd":
        ends.append(week.amount - budget.reserved_budget_usd)
    if budget.max_quota_percent is not None or not ends:
        most = DEFAULT_PERCENT if budget.max_quota_percent is None else budget.max_quota_percent
        ends.append(week.amount * most / 100)
    return min(ends) - week.used


def need_of(estimate: Mapping[str, Any], week: Week) -> float | None:
    """What an item's estimate takes of the week, in its unit; None where estimates say nothing in that unit."""
    if week.unit == "usd":
        return float(estimate["cost_usd"])
    return float(estimate["tokens"]) if week.unit == "tokens" else None
