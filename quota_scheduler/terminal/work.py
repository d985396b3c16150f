"""The rows of the queue, of leases and alerts."""

from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from quota_scheduler.core.readings.glance import REASONS
from quota_scheduler.core.units import format_number
from quota_scheduler.terminal.fan import signs
from quota_scheduler.terminal.words import clock, instant, percent, shown, span, whose

LEASE_BAR = 10
"""Columns of the bar of a lease."""
OVER = 1.0
"""Used beyond this part of its reservation, a lease is marked."""
ALERT_STYLES = {"critical": "red", "warning": "yellow"}
ALERT_MARKS = {"critical": "!! ", "warning": "! "}
WIDE = 100
"""Columns from which classes and long names have room."""


def waiting_line(
    ticket: dict[str, Any], detail: dict[str, Any] | None, width: int, now: datetime | None, zone: str
) -> Text:
    """One ticket that waits: its place, who it is of, what for, and when it is expected to start."""
    since = instant(ticket["since"])
    waited = span(now - since) if now and since else "-"
    place = str(ticket["position"] or "")
    start = _expected(ticket, detail, now, zone)
    fields = [
        _sized(f"{place:>3}", 3),
        _sized(ticket["id"], 5),
        _sized(whose(ticket) or shown(ticket["key"]), 28 if width >= WIDE else 14),
        *([_sized(ticket["class"], 11)] if width >= WIDE else []),
        _sized(format_number(ticket["tokens"]), 5, right=True),
        _sized(waited, 7),
        _sized(start, 10),
    ]
    text = Text("  " + " ".join(fields) + " ")
    return text.append(why(ticket, detail), style="yellow")


def why(ticket: dict[str, Any], detail: dict[str, Any] | None) -> str:
    """Why a ticket does not run, in words: the limit that holds it first."""
    if ticket.get("on_hold"):
        return "held by hand: h lets it go on"
    if ticket.get("state") == "offered":
        return "may start: its runner has yet to come"
    if detail and detail.get("binding"):
        holder = detail["binding"][0]
        others = len(detail["binding"]) - 1
        more = f" (and {others} more)" if others else ""
        return shown(f"{holder['limit']}: {REASONS.get(holder['reason'], holder['reason'])}{more}")
    reason = detail["reason"] if detail else ticket["reason"]
    return shown(REASONS.get(reason, reason))


def _expected(ticket: dict[str, Any], detail: dict[str, Any] | None, now: datetime | None, zone: str) -> str:
    if ticket.get("state") == "offered":
        return "now"
    start = (detail or {}).get("expected_start")
    at = instant(start["expected"]) if start else None
    return f"~{clock(at, zone, now)}" if at and now else "-"


def running_line(ticket: dict[str, Any], width: int, now: datetime | None, *, blocks: bool) -> Text:
    """One lease: who holds it, what it has used of what it reserved, and when it ends unless renewed."""
    since, ends_at = instant(ticket["since"]), instant(ticket["expires_at"])
    ratio = ticket.get("spent_ratio") or 0.0
    sign = signs(blocks=blocks)
    full = min(LEASE_BAR, round(ratio * LEASE_BAR))
    drawn = sign["used"] * full + sign["high"] * (LEASE_BAR - full)
    over = f" over by {percent(ratio - 1)}" if ratio > OVER else ""
    left = f"ends in {span(ends_at - now)}" if now and ends_at and ends_at > now else "has not been renewed"
    fields = [
        _sized(ticket["id"], 5),
        _sized(whose(ticket) or shown(ticket["key"]), 28 if width >= WIDE else 14),
        *([_sized(ticket["class"], 11)] if width >= WIDE else []),
    ]
    text = Text("  " + " ".join(fields) + " ")
    text.append(drawn, style="red" if over else "green")
    text.append(f" {percent(ratio)} of {format_number(ticket['tokens'])}{over}", style="red" if over else "")
    return text.append(f"  runs {span(now - since) if now and since else '-'}, {left}", style="dim")


def alert_line(alert: dict[str, Any], now: datetime | None) -> Text:
    """One alert that fires: how bad, which, of what, since when, and who takes care of it."""
    since = instant(alert["since"])
    text = Text("  ")
    severity = alert["severity"]
    head = f"{ALERT_MARKS.get(severity, '')}{severity}"
    text.append(f"{_sized(head, 11)} ", style=ALERT_STYLES.get(severity, ""))
    text.append(shown(f"#{alert['id']} {alert['rule']} of {alert['scope']}"))
    text.append(f", for {span(now - since)}" if now and since else "", style="dim")
    if alert["acknowledged_by"] == "first import":
        text.append("; nobody was told: true at the first import", style="dim")
    elif alert["acknowledged_by"]:
        text.append(shown(f"; {alert['acknowledged_by']} takes care"), style="dim")
    elif alert["silenced_by"]:
        text.append("; silenced", style="dim")
    return text


def ticket_details(ticket: dict[str, Any], detail: dict[str, Any] | None) -> list[str]:
    """All that is known of one ticket, in sentences."""
    labels = ", ".join(f"{name} {value}" for name, value in ticket["labels"].items())
    lines = [f"{ticket['id']} ({ticket['key']}), class {ticket['class']}; {labels}."]
    if detail:
        lines.append(detail["message"])
        if start := detail.get("expected_start"):
            lines.append(f"Expected to start {start['expected']}, between {start['low']} and {start['high']}.")
    return [shown(text) for text in lines]


def _sized(text: str, width: int, *, right: bool = False) -> str:
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "~"
    room = " " * (width - cell_len(text))
    return room + text if right else text + room
