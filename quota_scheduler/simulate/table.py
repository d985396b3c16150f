"""Answers of a replay for a terminal: policies side by side, by class, and what became of each limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quota_scheduler.core.priority import CLASSES
from quota_scheduler.core.units import Unit, format_amount

Table = list[list[str]]


def policy_table(case: Mapping[str, Any]) -> Table:
    """Return a row for each policy: what was harmed and lost, and how much of each class was done, after what wait."""
    used = [name for name in CLASSES if any(row["classes"][name]["runs"] for row in case["policies"])]
    head = ["policy", "harm", "avoidable", "lost", "value", "cut off"]
    rows = [[*head, *used, *used]]
    for row in case["policies"]:
        figures = [f"{row[name]:.1f}" for name in ("harm", "avoidable_harm", "lost", "value", "cut_off_important")]
        classes = [row["classes"][name] for name in used]
        rows.append([row["policy"], *figures, *map(_done, classes), *map(_wait, classes)])
    return rows


def _done(figures: Mapping[str, Any]) -> str:
    return f"{100 * figures['done'] / figures['demand']:.0f} %" if figures["demand"] else "-"


def _wait(figures: Mapping[str, Any]) -> str:
    return f"{figures['wait_mean_hours']:.1f} h" if figures["runs"] else "-"


def limit_table(case: Mapping[str, Any]) -> Table:
    """Return a row for each limit and policy: what its windows could give, and what became of it."""
    rows = [["limit", "policy", "windows", "amount", "used", "redone", "unused", "lost", "unfinished", "over"]]
    for row in case["policies"]:
        for limit in row["limits"]:
            names = ("amount", "used", "redone", "unused", "lost", "unfinished", "over")
            amounts = [_amount(limit[name], limit["unit"]) for name in names]
            rows.append([f"{limit['limit']} ({limit['window']})", row["policy"], str(limit["windows"]), *amounts])
    return [rows[0], *sorted(rows[1:], key=lambda cells: cells[0])]


def _amount(value: float, unit: str) -> str:
    return format_amount(value * Unit(unit).base, Unit(unit)) if value else "0"


LEGEND = (
    "harm: % of interactive and high tokens that were denied; avoidable: points more than the clairvoyant's; lost: "
    "% of the worst limit that expired while somebody waited, or was redone; value: 8, 4, 2, 1 x finished tokens by "
    "class, % of the clairvoyant's; cut off: of 1,000 interactive and high runs; then by class what was done, and "
    "the mean wait"
)
