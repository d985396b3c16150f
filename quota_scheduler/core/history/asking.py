"""What somebody wants to see of what was used: from the words of a command line or a query to spans and scopes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from quota_scheduler.core.history.periods import HOUR, PERIODS, Period, begin_of, begin_of_day
from quota_scheduler.core.instants import is_plausible, parse_instant
from quota_scheduler.core.labels import LABEL_NAMES, Match, match_of
from quota_scheduler.core.limits.schedule import check_zone, parse_span

EVENT_FACTS = ("session", "run", "origin")
"""What only raw events carry, beside the agent: sums by hour leave them out."""
ADDED_BY = (*(period.value for period in PERIODS), *LABEL_NAMES, *EVENT_FACTS)
"""What usage can be added up by."""
USUAL = {Period.HOUR: "24h", Period.DAY: "30d", Period.WEEK: "12w", Period.MONTH: "365d"}
USUAL_OF_EVENTS = "24h"
"""Whatever needs raw events reads each of them: a second for a million."""
USUAL_OTHERWISE = "30d"
"""How far back is looked where nobody says."""
LONGEST = timedelta(days=3660)
MOST_HOURS = 24 * 366
"""The hours that may be looked at one by one."""


class Words(NamedTuple):
    """What was asked, as it was written; empty where nothing was said."""

    by: Sequence[str] = ()
    since: str = ""
    until: str = ""
    last: str = ""
    zone: str = ""
    labels: Mapping[str, str | list[str]] = {}
    top: int = 0


class Question(Struct, frozen=True):
    """Usage from ``since`` until before ``until``, whole UTC hours, by ``by`` in the civil time of ``zone``.

    ``match`` selects by labels. ``top`` keeps that many rows and adds the others up, 0 keeps all.
    """

    by: tuple[str, ...]
    since: datetime
    until: datetime
    zone: str = "UTC"
    match: Match = ()
    top: int = 0

    @property
    def period(self) -> Period | None:
        """The period among what it is by."""
        return next((Period(name) for name in self.by if name in PERIODS), None)

    @property
    def needs_events(self) -> bool:
        """Whether sums by hour do not tell."""
        return any(name in (*EVENT_FACTS, "agent") for name in (*self.by, *(name for name, _ in self.match)))


def question(words: Words, *, zone: str, now: datetime) -> Question:
    """Understand what was asked; ``zone`` is the civil time where nothing is said.

    Raises ValueError with a sentence for what cannot be meant.
    """
    by = tuple(dict.fromkeys(words.by)) or (Period.DAY.value,)
    if unknown := [name for name in by if name not in ADDED_BY]:
        raise ValueError(f"{unknown[0]!r} is nothing to add up by: choose from {', '.join(ADDED_BY)}")
    if len([name for name in by if name in PERIODS]) > 1:
        raise ValueError("one period at a time: hour, day, week or month")
    zone = check_zone(words.zone) if words.zone else zone
    asked = Question(by, now, now, zone, match_of(words.labels), words.top)
    since, until = _span(words, asked, now)
    if not since < until:
        raise ValueError(f"nothing lies between {since:%Y-%m-%d %H:%M}Z and {until:%Y-%m-%d %H:%M}Z: turn them around")
    if until - since > LONGEST:
        raise ValueError("more than ten years cannot be looked at once: give --since and --until")
    if asked.period is Period.HOUR and until - since > MOST_HOURS * HOUR:
        raise ValueError("more than a year cannot be looked at by the hour: choose day, or a shorter time")
    return Question(by, since, until, zone, asked.match, words.top)


def _span(words: Words, asked: Question, now: datetime) -> tuple[datetime, datetime]:
    if words.last and words.since:
        raise ValueError("say either since when or how long back, not both")
    until = _instant(words.until, asked.zone, end=True) if words.until else now
    if words.since:
        since = _instant(words.since, asked.zone, end=False)
    else:
        since = begin_of(asked.period or Period.HOUR, until - _back(words.last or _usual(asked)), asked.zone)
    return _whole_hour(since), _whole_hour(until + HOUR - timedelta(microseconds=1))


def _back(text: str) -> timedelta:
    span = parse_span(text)
    if span > LONGEST:
        raise ValueError("more than ten years cannot be looked at once: give --since and --until")
    return span


def _usual(asked: Question) -> str:
    if asked.period:
        return USUAL[asked.period]
    return USUAL_OF_EVENTS if asked.needs_events else USUAL_OTHERWISE


def _instant(text: str, zone: str, *, end: bool) -> datetime:
    """A civil day, its end included where it is the end, or an instant with its offset."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        try:
            at = parse_instant(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is no time: write a day such as 2026-11-27, or an instant such as 2026-11-27T09:00Z"
            ) from None
        return _plausible(at, text)
    if not 2000 <= day.year < 2200:
        raise ValueError(f"{text!r} is no time that can be meant")
    return begin_of_day(day + timedelta(days=1) if end else day, zone)


def _plausible(at: datetime, text: str) -> datetime:
    if not is_plausible(at):
        raise ValueError(f"{text!r} is no time that can be meant")
    return at


def _whole_hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
