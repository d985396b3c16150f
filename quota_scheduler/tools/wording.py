"""What an agent is answered: a few hundred characters, figures first, then what to do. Its context is not ours."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from quota_scheduler.client import Decision
from quota_scheduler.client.answers import instant_in

MOST_LIMITS = 6
"""Limits that one answer names, the tightest first."""
LONGEST = 700
"""Characters of an answer."""
ADVICE = {
    "minimal": "There is room: work as usual.",
    "balanced": "Room is limited: keep contexts small and read only what you need.",
    "aggressive": "Room is tight: do the most important step first, use a cheaper model, spawn no sub-agents.",
    "emergency": "Almost nothing is left: finish the step under way, write down where you are, and stop.",
}
"""What the service's optimization levels ask of an agent."""
LEVELS = tuple(ADVICE)


def status_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every limit that is of note, the tightest first, and what follows from the tightest."""
    if not rows:
        return "No limit has a reading yet: nothing is known to be short."
    ordered = sorted(rows, key=lambda row: -_committed(row))
    more = len(ordered) - MOST_LIMITS
    lines = [_limit_line(row) for row in ordered[:MOST_LIMITS]]
    lines += [f"and {more} more with more room"] if more > 0 else []
    return shortened([*lines, _advice(row["optimization_level"] for row in ordered)])


def forecast_text(rows: Sequence[Mapping[str, Any]], limit: str) -> str | None:
    """Where the limit called ``limit`` ends, or the one that is likeliest to run out; None where there is no such."""
    rows = [row for row in rows if limit in ("", row["limit"], row["rule"]) and row.get("forecast")]
    if not rows:
        return None
    row = max(rows, key=lambda one: (one["forecast"]["p_exceed"], _committed(one)))
    forecast, unit = row["forecast"], row["unit"]
    low, high = _amount(forecast["low"], unit), _amount(forecast["high"], unit)
    lines = [
        f"{row['limit']}: {_amount(row['used'], unit)} of {_amount(row['amount'], unit)} used; expected at the reset "
        f"{_amount(forecast['expected'], unit)} ({low} to {high})."
    ]
    if not forecast["sufficient"]:
        lines.append("Less than seven days of history: take it for a guess.")
    ends, runs_out = instant_in(row["ends_at"]), instant_in(forecast["exhaustion_at"])
    if runs_out:
        lines.append(f"It is expected to run out {_when(runs_out, row['timezone'])}.")
    lines.append(f"Risk {row['risk']}" + (f"; resets {_when(ends, row['timezone'])}." if ends else "."))
    return shortened([*lines, _advice([row["optimization_level"]])])


def decision_text(decision: Decision, *, tokens: int | None = None) -> str:
    """Whether work may start, why not, until when, and what would fit."""
    head = {"admit": "It fits", "defer": "It does not fit now", "reject": "It will never fit"}
    asked = f" ({tokens:,} tokens)" if tokens else ""
    lines = [f"{head.get(decision.verdict or '', 'Undecided')}{asked}. {decision.message}"]
    if decision.expected_start:
        lines.append(f"Expected start {_when(decision.expected_start, 'UTC')}.")
    for change in decision.answer.get("counterfactuals") or ():
        if change.get("change") == "estimate":
            lines.append(f"Up to {change['tokens']:,} tokens would fit now: do a smaller piece.")
        elif change.get("change") == "model":
            lines.append(f"With {change['model']} it would fit now.")
    if decision.verdict == "admit":
        lines.append(advice_text(decision))
    elif decision.verdict == "reject":
        lines.append("Split the work, or ask the user.")
    return shortened(lines)


def advice_text(decision: Decision) -> str:
    """How careful to be, and with which model."""
    model = f" Advised model: {decision.model}." if decision.model else ""
    return f"{ADVICE.get(decision.optimization_level, '')}{model}"


def shortened(lines: Iterable[str]) -> str:
    """The lines as one text that is never longer than an answer may be."""
    text = "\n".join(line for line in lines if line)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _limit_line(row: Mapping[str, Any]) -> str:
    unit, zone = row["unit"], row["timezone"]
    reserved = f", {_amount(row['reserved'], unit)} reserved" if row["reserved"] else ""
    ends = instant_in(row["ends_at"])
    resets = f"; resets {_when(ends, zone)}" if ends else ""
    level = f"; {row['level']}" if row["level"] != "open" else ""
    return (
        f"{row['limit']}: {_amount(row['used'], unit)} of {_amount(row['amount'], unit)} used "
        f"({row['usage_ratio']:.0%}){reserved}{resets}{level}"
    )


def _committed(row: Mapping[str, Any]) -> float:
    return (row["used"] + row["reserved"]) / row["amount"] if row["amount"] else 1.0


def _advice(levels: Iterable[str]) -> str:
    """What the strictest of some levels asks for."""
    strictest = max((LEVELS.index(level) for level in levels if level in LEVELS), default=0)
    return ADVICE[LEVELS[strictest]]


def _amount(value: float, unit: str) -> str:
    if unit == "usd":
        return f"${value:,.2f}"
    if unit == "percent":
        return f"{value:.0f} %"
    size = next(((value / scale, sign) for scale, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= scale), None)
    return f"{size[0]:.3g}{size[1]} {unit}" if size else f"{value:.0f} {unit}"


def _when(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %d %b %H:%M} {zone}"
