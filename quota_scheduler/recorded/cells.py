"""Cells: what one cell of a file of recorded usage says. Each raises ValueError with what it is and the way out."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from quota_scheduler.core.instants import is_plausible
from quota_scheduler.core.limits.schedule import parse_span
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import LARGEST_EVENT, MICRO, PICO, parse_amount
from quota_scheduler.recorded.table import Notes

LARGEST_TOTAL = 10**15
"""Most tokens of a day or hour of a trace: the largest amount there is."""
_THOUSANDS = re.compile(
    r"[0-9]{1,3}(?:([,_' \u00a0\u202f])[0-9]{3})(?:\1[0-9]{3})*(?:\.0+)?|[0-9]{1,3}(?:\.[0-9]{3}){2,}"
)
"""A number with one sign between its thousands; with points there must be two, for one could part a fraction."""
_EITHER = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
"""1.234: with a point between thousands, or a fraction."""


def instant(text: str, notes: Notes) -> datetime:
    """Read an instant; one without a zone is counted in ``notes`` and taken for UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no instant: write 2026-11-27T09:00Z") from None
    if at.tzinfo is None:
        notes.without_zone += 1
        at = at.replace(tzinfo=UTC)
    at = at.astimezone(UTC)
    if not is_plausible(at):
        raise ValueError(f"{text[:40]!r} is no time that can be meant")
    return at


def step_of(text: str, column: str) -> datetime:
    """Read a day, or an hour in UTC, as a naive instant: a day of a trace is its owner's day."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        wanted = "2026-11-27" if column == "date" else "2026-11-27T09:00Z"
        raise ValueError(f"{text[:40]!r} is no {column}: write {wanted}") from None
    if not 2000 <= at.year < 2200:
        raise ValueError(f"{text[:40]!r} is no day that can be meant")
    if column == "date":
        return datetime.combine(date(at.year, at.month, at.day), datetime.min.time())
    whole = (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None)
    return whole.replace(minute=0, second=0, microsecond=0)


def total(text: str) -> float:
    """Read the tokens of a day or hour: 0 to 10^15."""
    if _EITHER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} may be {text.replace('.', '')} or a fraction: write tokens without a point")
    try:
        tokens = float(plain(text))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no number of tokens") from None
    if not (math.isfinite(tokens) and 0 <= tokens <= LARGEST_TOTAL):
        raise ValueError(f"{text[:40]!r} tokens: it must be 0 to 10^15")
    return tokens


def plain(text: str) -> str:
    """Return a number without what stands between its thousands."""
    if not _THOUSANDS.fullmatch(text):
        return text
    return re.sub(r"[^0-9]", "", text.split(".")[0] if "," in text or text.count(".") < 2 else text)


def span(text: str, what: str) -> timedelta | None:
    """Read a length of time: seconds, or 40m; None for an empty cell."""
    if not text:
        return None
    try:
        return parse_span(f"{float(text)}s" if _is_number(text) and float(text) else text)
    except ValueError:
        if _is_number(text) and float(text) == 0:
            return timedelta(0)
        raise ValueError(f"{text[:40]!r} is no {what}: write seconds, or 40m") from None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def whole(text: str, what: str) -> int:
    """Read a number of tokens or requests of one run."""
    try:
        number = parse_amount(plain(text))
    except ValueError:
        raise ValueError(f"{what} {text[:40]!r} is no number of tokens: write 0 or more") from None
    if number > LARGEST_EVENT:
        raise ValueError(f"{what} {text[:40]!r} is more than a run can use")
    return number


def cost(text: str) -> int:
    """Read dollars as pico-dollars; an empty cell is none."""
    try:
        dollars = Decimal(text or 0)
    except InvalidOperation:
        raise ValueError(f"cost_usd {text[:40]!r} is no number") from None
    if not (dollars.is_finite() and 0 <= dollars <= 10**6):
        raise ValueError(f"cost_usd {text[:40]!r} must be 0 to a million dollars")
    return round(dollars * MICRO * PICO)


def priority(text: str) -> Priority:
    """Read a class; an empty cell is normal."""
    if not text:
        return Priority.NORMAL
    try:
        return Priority(text.lower())
    except ValueError:
        raise ValueError(f"there is no class {text[:40]!r}: there are {', '.join(Priority)}") from None
