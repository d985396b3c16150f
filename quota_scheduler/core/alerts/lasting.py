"""What figures mean in time, in words: until when a limit lasts, and for how long what was taken would have.

What is not known is said as that; no sentence here ever says ``0 min``.
"""

from datetime import datetime, timedelta

from quota_scheduler.core.alerts.rule import Facts
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.units import Unit, format_amount

PERIODS = {"day": "The day", "week": "The week", "month": "The month"}
"""What runs out, by the period of a limit; a session is any other length."""
LEAST_SPELL = timedelta(minutes=1)
"""Shorter than this nothing is told apart."""

LEAST_SHARE = 0.001
"""A part of a limit below which no figure is given: a thousandth."""


def runway(facts: Facts, zone: str) -> str:
    """Say when a limit runs out, as well as that is known: by its forecast, else by its pace in this window."""
    if number(facts, "used") >= number(facts, "amount"):
        return "Nothing is left until the reset."
    middle, early, late = (instant(facts, name) for name in ("out_at", "out_early", "out_late"))
    what = what_of(facts, "It")
    if middle and early and late:
        return f"{what} runs out on {local_time(middle, zone)} ± {span((late - early) / 2)}."
    if middle and early:
        return f"{what} runs out on {local_time(middle, zone)}, at the earliest on {local_time(early, zone)}."
    if early:
        return f"{what} should last to the reset, but may run out from {local_time(early, zone)} on."
    if facts.get("expected") is not None:
        return f"{what} should last to the reset."
    return _by_pace(facts, zone, what)


def _by_pace(facts: Facts, zone: str, what: str) -> str:
    """Without a forecast: what the pace of the window so far comes to."""
    ends_at, out_at = instant(facts, "ends_at"), instant(facts, "out_pace")
    if ends_at is None:
        return ""
    if out_at is None:
        return "When it runs out is not known yet: too little of this window has passed."
    if out_at >= ends_at:
        return f"At its pace so far {what.lower()} lasts to the reset; there is no forecast yet."
    return f"At its pace so far {what.lower()} runs out on {local_time(out_at, zone)}; there is no forecast yet."


def dry_spell(facts: Facts) -> str:
    """Say how long before its reset a limit is expected to have nothing left; nothing where it lasts."""
    ends_at = instant(facts, "ends_at")
    known = facts.get("expected") is not None
    out_at = instant(facts, "out_at" if known else "out_pace")
    if ends_at is None or out_at is None or ends_at - out_at < LEAST_SPELL:
        return ""
    return f"That is {span(ends_at - out_at)} before its reset."


def in_time(facts: Facts) -> str:
    """Say what was taken out of the limit concerned, and for how long that would have lasted."""
    limit = facts.get("of_limit")
    if not limit:
        return "What that is in time is not known: no limit with a window as long counts this work."
    if not facts.get("taken"):
        return f"It takes no more out of {limit}, which counts cached tokens as any other."
    taken = format_amount(number(facts, "taken"), Unit(str(facts["of_unit"])))
    part = f"{taken} of {limit} ({_share(number(facts, 'taken_share'))})"
    if facts.get("taken_seconds") is None:
        return f"It cost {part}; what that is in time is not known yet: the limit has no pace."
    lasting, what = timedelta(seconds=number(facts, "taken_seconds")), _period(facts, "of_period")
    if facts.get("of_window_seconds") and lasting.total_seconds() >= number(facts, "of_window_seconds"):
        return f"It cost {part}: at its pace more than all of {what}."
    return f"It cost {part}: {span(lasting) if lasting >= LEAST_SPELL else 'less than a minute'} of {what} at its pace."


def span(length: timedelta) -> str:
    """Return a length of time for people: ``40 min``, ``5 h``, ``3 days``."""
    minutes = max(0.0, length.total_seconds() / 60)
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def what_of(facts: Facts, other: str) -> str:
    """What runs out: the day, the week, the month, the session."""
    period = str(facts.get("period") or "")
    word = PERIODS.get(period, "The session" if period.startswith("session") else "")
    return (word if other.istitle() else word.lower()) or other


def _period(facts: Facts, name: str) -> str:
    period = str(facts.get(name) or "")
    return what_of({"period": period}, "its window")


def _share(share: float) -> str:
    """A part of a limit: two digits, and nothing rounded down to none."""
    if share < LEAST_SHARE:
        return f"less than {LEAST_SHARE * 100:g} %"
    return f"{share * 100:.{0 if share >= 0.1 else 1}f} %"


def number(facts: Facts, name: str) -> float:
    """A fact as a number; 0 where it is none."""
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def instant(facts: Facts, name: str) -> datetime | None:
    """A fact as an instant; None where it is none."""
    value = facts.get(name)
    return parse_instant(value) if isinstance(value, str) else None
