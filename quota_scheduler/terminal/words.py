"""Spans, clocks, names and reasons as they are read at a glance."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.labels import is_control
from quota_scheduler.core.units import Unit, format_amount


def shown(text: str) -> str:
    """Text as it may be printed: what a name could make a terminal do is written out."""
    return "".join(sign.encode("unicode_escape").decode() if is_control(sign) else sign for sign in text)


def span(length: timedelta) -> str:
    """A span in two units at most: 45 s, 13 min, 2 h 05, 3 d 4 h."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 100:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 100:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02}" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def clock(at: datetime, zone: str, now: datetime) -> str:
    """An instant in a zone, as far as one needs it: 17:52, Mon 09:00, 1 Dec 00:00."""
    local, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    days = (local.date() - today.date()).days
    if days == 0:
        return f"{local:%H:%M}"
    return f"{local:%a %H:%M}" if 0 < days < 7 else f"{local.day} {local:%b %H:%M}"


def instant(text: str | None) -> datetime | None:
    """An instant of a document, if there is one."""
    return parse_instant(text) if text else None


def amount(value: float, unit: str) -> str:
    """An amount of a document with its unit's sign where that is short: $12.40, 3.2M, 41 %."""
    of = Unit(unit)
    text = format_amount(round(value * of.base), of)
    return text.removesuffix(f" {of.value}").removesuffix(f" {of.value[:-1]}")


def percent(ratio: float) -> str:
    """A share as people write it."""
    return f"{ratio:.0%}"


def whose(ticket: dict[str, Any]) -> str:
    """Who a ticket is of: team, project, workflow and agent as far as it names them, else its provider."""
    labels = ticket.get("labels", {})
    names = [labels[name] for name in ("team", "project", "workflow", "agent") if labels.get(name)]
    return shown("/".join(names) or labels.get("provider", ""))
