"""A limit as a bar: what is used and reserved, the fan of where the window ends, and the even pace.

    ████████▓▓▒▒▒▒▒░░░░   ┃            used, reserved, expected, at worst (9 times of 10), pace

Kinds differ in shape, so that the bar reads without colour; terminals without block signs get # = + . |.
"""

from datetime import datetime
from typing import Any

from rich.text import Text

from quota_scheduler.terminal.words import instant

BLOCKS = {"used": "█", "reserved": "▓", "expected": "▒", "high": "░", "free": " ", "pace": "┃", "beyond": "»"}
ASCII = {"used": "#", "reserved": "=", "expected": "+", "high": ".", "free": " ", "pace": "|", "beyond": ">"}
LEGEND = (
    "{used} used  {reserved} reserved  {expected} expected by the reset  {high} at worst  "
    "{pace} even pace  {beyond} over the limit"
)


def signs(*, blocks: bool) -> dict[str, str]:
    """The signs a terminal can show."""
    return BLOCKS if blocks else ASCII


def elapsed(row: dict[str, Any], now: datetime | None) -> float | None:
    """The part of a window that has passed, 0-1; None where it has no begin and end, or the clock is not in it."""
    starts_at, ends_at = instant(row["starts_at"]), instant(row["ends_at"])
    if now is None or starts_at is None or ends_at is None or not starts_at <= now < ends_at:
        return None
    return (now - starts_at) / (ends_at - starts_at)


def bar(row: dict[str, Any], width: int, now: datetime | None, *, blocks: bool, style: str) -> Text:
    """A bar of ``width`` columns, the whole limit; what lies beyond shows as a sign at its end."""
    sign, whole = signs(blocks=blocks), row["amount"] or 0
    if whole <= 0 or width < 1:
        return Text(" " * max(0, width))
    used = row["leases"] if row["unit"] == "leases" else row["used"]
    reserved = 0 if row["unit"] == "leases" else row["reserved"]
    forecast = row["forecast"] or {}
    ends = {
        "used": used,
        "reserved": used + reserved,
        "expected": forecast.get("expected", 0),
        "high": forecast.get("high", 0) if forecast.get("sufficient") else 0,
    }
    cells: list[str] = []
    for kind, end in ends.items():
        upto = min(width, max(round(end / whole * width), 1 if kind == "used" and end > 0 else 0))
        cells += [kind] * (upto - len(cells))
    cells += ["free"] * (width - len(cells))
    passed = elapsed(row, now)
    if passed is not None:
        cells[min(width - 1, int(passed * width))] = "pace"
    if max(ends.values()) > whole:
        cells[-1] = "beyond"
    drawn = Text()
    for kind in cells:
        drawn.append(sign[kind], style=_style(kind, style))
    return drawn


def _style(kind: str, style: str) -> str:
    if kind in ("pace", "beyond"):
        return "bold"
    return style if kind in ("used", "reserved") else f"{style} dim"
