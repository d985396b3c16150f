"""What people write about a window: which, how much of it, and when it resets; else a ValueError with the way out.

claude/five_hour   codex/weekly   claude/weekly/opus   openai/monthly
43%  43  0.5%                     17:40  5:40pm  mon 09:00  tomorrow 9:00  Oct 3, 4pm  in 2h10m  2026-11-30T18:00+01:00
"""

import difflib
import re
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from quota_scheduler.core.instants import iso
from quota_scheduler.core.names import canonical_provider
from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.core.observations.report_key import PROVIDERS
from quota_scheduler.sources.word.clocks import reset_in
from quota_scheduler.sources.word.windows import window_named

MOST_PERCENT = 200.0
"""More than twice a window is a slip of the pen: 102 % was seen."""
NAMES = ("five_hour", "weekly", "weekly/MODEL", "monthly")
_MORE_NAMES = {"week": "weekly", "month": "monthly", "monthly_spend": "monthly", "weekly_model": "weekly"}
_PERCENT = re.compile(r"(\d{1,4}(?:\.\d{1,6})?) ?(%?)")
_SPAN = r"in (?:\d{1,4} ?(?:d|h|m|s)[a-z]*(?:,? and |, | )?){1,4}"
_CLOCK = r"(?:at )?\d{1,2}(?::\d\d)? ?(?:[ap]\.?m\.?)?(?: ?\([^)]+\))?"
_DAY = r"(?:today|tomorrow|mon|tue|wed|thu|fri|sat|sun)[a-z]*,? "
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? "
_DATE = rf"{_MONTH}\d{{1,2}}(?:st|nd|rd|th)?,?(?: \d{{4}},?)? "
_TIME = re.compile(rf"{_SPAN}|(?:{_DAY}|{_DATE})?{_CLOCK}", re.IGNORECASE)
TIMES = "write 17:40, 'mon 09:00', 'in 2h10m', or an instant such as 2026-11-30T18:00Z"


class SpokenWindow(NamedTuple):
    """A window as somebody named it."""

    provider: str
    window: ProviderWindow
    scope: str


def window_of(text: str) -> SpokenWindow:
    """Whose window is meant, and which."""
    provider, _, rest = text.strip().partition("/")
    name, _, scope = rest.lower().replace("-", "_").partition("/")
    name = _MORE_NAMES.get(name, name)
    if not provider or not rest:
        raise ValueError(f"{text!r} names no window: write PROVIDER/WINDOW, as in claude/five_hour or codex/weekly")
    named = window_named(f"{name}_{scope}" if scope and name == "weekly" else name)
    if named is None or (scope and name != "weekly"):
        close = difflib.get_close_matches(name, ("five_hour", "weekly", "monthly"), n=1)
        hint = f"did you mean {provider}/{close[0]}? " if close else ""
        raise ValueError(f"{rest!r} is no window: {hint}there are {', '.join(NAMES)}")
    canonical = canonical_provider(provider)
    return SpokenWindow(PROVIDERS.get(canonical, canonical), *named)


def percent_of(text: str) -> float:
    """How much of a window is used, in percent. A bare number up to 1 could be a share, so that it is refused."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no percentage: write 43% or 43")
    number = float(match[1])
    if not match[2] and 0 < number <= 1:
        raise ValueError(f"{text!r} may be {number:g} % or {number:.0%} of it: write {number:g}% or {100 * number:g}%")
    if number > MOST_PERCENT:
        raise ValueError(f"{text!r} is more than twice the window: write what is used of it, from 0% to 100%")
    return number


def typed_instant(text: str, zone: str, option: str) -> str:
    """An instant that somebody typed, in the configuration's zone unless it names its own. Raises UsageError."""
    import click

    try:
        return iso(reset_of(text, datetime.now(UTC), ZoneInfo(zone), what="it is to be later than now"))
    except ValueError as error:
        raise click.UsageError(f"{option} {error}") from None


def reset_of(
    text: str, now: datetime, zone: tzinfo | None = None, what: str = "a window resets later than now"
) -> datetime:
    """When a window resets: the next such clock after ``now``; in ``zone``, by default this machine's."""
    text = " ".join(text.split())
    instant = _instant(text, zone)
    if instant is None and _TIME.fullmatch(text):
        instant = reset_in(text, now, zone)
    if instant is None:
        raise ValueError(f"{text!r} is no time: {TIMES}")
    if instant <= now:
        raise ValueError(f"{text!r} has passed: {what}; {TIMES}")
    return instant.astimezone(UTC)


def _instant(text: str, zone: tzinfo | None) -> datetime | None:
    """An instant as machines write it; without a zone it is the clock of this one."""
    if not re.match(r"\d{4}-\d\d-\d\d[T ]\d", text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=zone).astimezone(UTC)
