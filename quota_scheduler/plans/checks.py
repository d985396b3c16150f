"""What the service says before a plan, a task and a work item: the week, the whole estimate, and one item's verdict."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from quota_scheduler.client.answers import Decision, decision_in
from quota_scheduler.client.errors import Refused
from quota_scheduler.client.transport import Transport
from quota_scheduler.plans.budget import (
    Week,
    as_row,
    cycle_began,
    fresh,
    need_of,
    next_cycle,
    room,
    tightest_week,
    unread,
)
from quota_scheduler.plans.plan import PlanBudget, TaskPlan, WorkItem


@dataclass(frozen=True)
class WholeEstimate:
    """What is still to do, as expected; ``warning`` where it does not fit, ``items`` is each one's own estimate."""

    sentence: str
    warning: str
    items: Mapping[str, Mapping[str, Any]]
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Lack:
    """Why an item does not fit into what a plan may use of the week; ``for_ever``: into no week."""

    reason: str
    for_ever: bool


class Checks:
    """Asks one service about one plan; ``zone`` is where weeks of a ceiling begin. Raises Unavailable and Refused."""

    def __init__(
        self,
        plan: TaskPlan,
        budget: PlanBudget,
        transport: Transport,
        *,
        zone: str,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._plan, self._budget, self._transport, self._zone = plan, budget, transport, zone
        self._now = now or (lambda: datetime.now(UTC))

    def week(self) -> Week | None:
        """The weekly quota as it stands; None where neither a ceiling nor a limit says any. Raises Refused."""
        budget, provider = self._budget, self._plan.provider
        if budget.quota_ceiling_usd is not None and not budget.limit:
            began_at = cycle_began(self._now(), budget.billing_cycle_start or 0, self._zone)
            asked = f"since={quote(began_at.isoformat())}&provider={quote(provider)}&by=provider"
            used = self._transport.ask("GET", f"/v1/usage/history?{asked}")["total"]["cost_usd"]
            return Week("", "usd", float(used), budget.quota_ceiling_usd, next_cycle(began_at))
        read = self._transport.ask("GET", "/v1/limits")["limits"]
        windows = self._transport.ask("GET", "/v1/windows?last=1h")["windows"]
        rows = fresh(read, windows) + [self._as_row(window) for window in unread(read, windows)]
        week = tightest_week(rows, provider, budget.limit)
        if week is None and budget.limit:
            names = ", ".join(row["limit"] for row in rows[:20]) or "none yet"
            raise Refused(404, "no_limit", f"meta.budget.limit names no limit {budget.limit!r}: there are {names}")
        return week

    def _as_row(self, window: Mapping[str, Any]) -> dict[str, Any]:
        rule = window["limit"].partition("/")[0]
        holds = self._transport.ask("GET", f"/v1/limits/{quote(rule)}")["holds"]
        return as_row(window, holds, self._plan.provider)

    def whole(self, items: Sequence[WorkItem], tasks: int, week: Week | None) -> WholeEstimate:
        """What these items are expected to take together."""
        body = {"items": [{"key": item.id, **item.ticket} for item in items]}
        try:
            answer = self._transport.ask("POST", "/v1/plans/estimate", body)
        except Refused as refused:
            raise Refused(refused.status, refused.code, _with_names(str(refused), items)) from None
        left = room(week, self._budget)
        by_key = {row["key"]: row for row in answer["items"]}
        sentence = f"{_count(tasks, len(items))}, {_amount_sentence(answer, week, left)}"
        return WholeEstimate(sentence, self._warning(answer, week, left), by_key, answer)

    def _warning(self, answer: Mapping[str, Any], week: Week | None, left: float | None) -> str:
        reasons = []
        if week is not None and left is not None and (needed := need_of(answer, week)) is not None and needed > left:
            name = week.name or "the weekly ceiling"
            reasons.append(f"{_amount(needed, week.unit)} do not fit into the {_amount(left, week.unit)} of {name}")
        short = len(answer["items"]) - answer["fitting"]
        if short:
            names = sorted({row["short_of"] for row in answer["items"] if row["short_of"]})
            reasons.append(f"{short} unlikely to complete for want of room in {', '.join(names)}")
        return f"Warning: {'; '.join(reasons)}: they wait for the reset" if reasons else ""

    def verdict(self, item: WorkItem) -> Decision:
        """What would be decided about one item now."""
        return decision_in(self._transport.ask("POST", "/v1/preflight", dict(item.ticket)))

    def lack(self, estimate: Mapping[str, Any] | None, week: Week | None) -> Lack | None:
        """What an item would take the week past what the plan may use; None when it would not."""
        left = room(week, self._budget)
        if week is None or left is None or estimate is None:
            return None
        needed = need_of(estimate, week)
        if needed is None or needed <= left:
            return None
        name = week.name or "the weekly ceiling"
        reason = (
            f"unlikely to complete: estimated at {_amount(needed, week.unit)}, "
            f"{_amount(max(0.0, left), week.unit)} of {name} left for plans"
        )
        return Lack(reason, for_ever=needed > left + week.used)

    def used_since(self, workflow: str, since: str) -> Mapping[str, Any] | None:
        """Tokens and dollars of a workflow since an instant; None where the service cannot say."""
        try:
            asked = f"since={quote(since)}&workflow={quote(workflow)}&by=workflow"
            total: Mapping[str, Any] = self._transport.ask("GET", f"/v1/usage/history?{asked}", patience=2.0)["total"]
        except Refused:
            return None
        return {"tokens": total["tokens"], "cost_usd": total["cost_usd"]}


def _with_names(refusal: str, items: Sequence[WorkItem]) -> str:
    """A refusal that points at an item by its place, with the item's name."""
    return re.sub(r"/items/([0-9]+)", lambda match: items[int(match[1])].id, refusal)


def _count(tasks: int, items: int) -> str:
    more = f" ({items} work items)" if items != tasks else ""
    return f"{tasks} {'task' if tasks == 1 else 'tasks'}{more}"


def _amount_sentence(answer: Mapping[str, Any], week: Week | None, left: float | None) -> str:
    """``estimated $3.50 ± 0.80, remaining $8.20``: in dollars where a dollar limit binds or the week is in dollars."""
    if week is not None and left is not None and week.unit == "usd":
        cost = f"estimated ${answer['cost_usd']:,.2f} ± {answer['cost_usd_sigma']:,.2f}"
        return f"{cost}, remaining ${max(0.0, left):,.2f}"
    said: str = answer["sentence"]
    return said.partition(", ")[2].partition(";")[0]


def _amount(value: float, unit: str) -> str:
    if unit == "usd":
        return f"${value:,.2f}"
    return f"{value:,.0f} {unit}"
