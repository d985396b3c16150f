"""What became of a plan: a document for programs, and the same in lines for people."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quota_scheduler.plans.budget import Week
from quota_scheduler.plans.plan import TaskPlan
from quota_scheduler.plans.state import DONE, FAILED, PAUSED, PENDING, RUNNING, SKIPPED, PlanState

WORDS = (DONE, FAILED, PAUSED, SKIPPED, PENDING, RUNNING)


@dataclass(frozen=True)
class PlanFigures:
    """What the service said: the estimate's sentence, the week, what the plan used; None where it could not."""

    estimate: str = ""
    week: Week | None = None
    used: Mapping[str, Any] | None = None


def report(plan: TaskPlan, state: PlanState, figures: PlanFigures) -> dict[str, Any]:
    """The report as JSON types."""
    rows = [(item.id, state.item(item.id)) for item in plan.items]
    counts = Counter(row.state for _, row in rows)
    return {
        "plan": plan.name,
        "run": state.run,
        "state": state.state,
        "reason": state.reason,
        "until": state.until or None,
        "started_at": state.started_at,
        "estimate": figures.estimate or None,
        "week_percent": round(figures.week.percent, 1) if figures.week else None,
        "used": dict(figures.used) if figures.used else None,
        "counts": {word: counts[word] for word in WORDS if counts[word] or word in (DONE, FAILED, PAUSED, SKIPPED)},
        "items": [
            {
                "item": name,
                "state": row.state,
                "reason": row.reason,
                "exit_status": row.exit_status,
                "attempts": row.attempt,
                "started_at": row.started_at or None,
                "ended_at": row.ended_at or None,
            }
            for name, row in rows
        ],
    }


def lines(document: Mapping[str, Any]) -> list[str]:
    """The report for people."""
    counts = ", ".join(f"{number} {word}" for word, number in document["counts"].items() if number)
    until = f"; it goes on from {document['until']}" if document["until"] else ""
    reason = f": {document['reason']}" if document["reason"] else ""
    said = [f"Plan {document['plan']} is {document['state']}{reason}{until}", f"  {counts or 'nothing to do'}"]
    for row in document["items"]:
        if row["state"] != DONE:
            said.append(f"  {row['item']}: {row['state']}{' (' + row['reason'] + ')' if row['reason'] else ''}")
    if used := document["used"]:
        said.append(f"  used since {document['started_at']}: {used['tokens']:,} tokens, ${used['cost_usd']:,.2f}")
    if document["week_percent"] is not None:
        said.append(f"  weekly quota usage at {document['week_percent']:.0f} %")
    return said
