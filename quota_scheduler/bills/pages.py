"""What every report is read by: which page to ask for next, and what a page said.

    Ask(start, end, page) ──path──► server ──► ReportPage(lines, next) ──► the page after it, until there is none

A provider's module turns an ask into a path and an answer into a page; who asks, and when, is no matter of it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from quota_scheduler.core.instants import is_plausible, parse_instant
from quota_scheduler.core.observations.bill import BillLine, Ceiling
from quota_scheduler.core.observations.observation import Observation
from quota_scheduler.core.units import MICRO, PICO
from quota_scheduler.core.usage import Usage

LARGEST_COUNT = 10**15
"""More tokens than that in one line are no count."""
LARGEST_COST = Decimal(10**9)
"""More dollars than that in one line are no charge."""


class NotThis(Exception):
    """The answer is not what this report looks like; the text says what is missing."""


class Ask(Struct, frozen=True):
    """A part of a report: the buckets from ``start`` to ``end``; ``page`` is the provider's mark, empty at first."""

    start: datetime
    end: datetime
    page: str = ""


class ReportPage(Struct, frozen=True):
    """What one answer held: lines or observations, how many rows could not be understood, and the next page's mark."""

    lines: tuple[BillLine, ...] = ()
    observations: tuple[Observation, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()
    garbled: int = 0
    next: str = ""


class ReportReader(Struct, frozen=True):
    """One report of one provider.

    ``span`` is how much one ask may cover, ``settles`` how long a bucket may still change, ``bucket`` its length; a
    report without buckets, a list of what holds now, has ``span`` zero.
    """

    name: str
    path: Callable[[Ask], str]
    read: Callable[[Mapping[str, Any], str, datetime], ReportPage]
    bucket: timedelta
    span: timedelta
    settles: timedelta


def rows_of(content: Any, name: str = "data") -> list[Any]:
    """The rows of an answer. Raises NotThis."""
    if not isinstance(content, Mapping) or not isinstance(content.get(name), list):
        raise NotThis(f"it has no list `{name}`")
    rows: list[Any] = content[name]
    return rows


def next_page(content: Mapping[str, Any]) -> str:
    """The mark of the next page, empty for the last one."""
    mark = content.get("next_page")
    return mark if content.get("has_more") and isinstance(mark, str) else ""


def instant_of(value: Any) -> datetime:
    """An instant from RFC 3339 or Unix seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        at = datetime.fromtimestamp(value, UTC)
    else:
        at = parse_instant(str(value))
    if not is_plausible(at):
        raise ValueError(f"{at} is no time of a report")
    return at


def count_of(row: Mapping[str, Any], name: str) -> int:
    """A count, 0 where it is missing or null. Raises ValueError."""
    value = row.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"{name} is {value!r}")
    if not 0 <= value <= LARGEST_COUNT:
        raise ValueError(f"{name} is {value!r}")
    return int(value)


def cost_of(value: Any, *, per_dollar: int) -> Usage:
    """A charge that is given in dollars (``per_dollar`` 1) or cents (100), as text or number. Raises ValueError.

    One below zero is refused: neither provider's published shapes know a credit line, and a sum that falls for an
    unknown reason would hide a drift.
    """
    try:
        dollars = Decimal(str(value)) / per_dollar
    except InvalidOperation:
        raise ValueError(f"{value!r} is no amount") from None
    if not dollars.is_finite() or not 0 <= dollars <= LARGEST_COST:
        raise ValueError(f"{value!r} is no amount")
    return Usage().costing(int(dollars * MICRO * PICO))


def text_of(row: Mapping[str, Any], *names: str) -> str:
    """The first of some values that is given as text, cut at 200 letters; empty for none."""
    return next((value[:200] for name in names if isinstance(value := row.get(name), str) and value), "")


def group_of(row: Mapping[str, Any], *names: str) -> str:
    """What tells lines of a model apart, as ``workspace_id=wrkspc_1 token_type=output``."""
    return " ".join(f"{name}={value[:80]}" for name in names if isinstance(value := row.get(name), str) and value)
