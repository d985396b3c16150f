"""What the provider says of a limit: how fresh it is, why not fresher, and what else is known of its window."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct

from quota_scheduler.core.instants import iso_or_none
from quota_scheduler.core.ledger.balance import Balance
from quota_scheduler.core.ledger.ruling import rules_at
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.observations.learning import Elsewhere, Learned
from quota_scheduler.core.observations.points import POINT, WHOLE, Rate
from quota_scheduler.core.observations.reported_window import Noticed, ReportedWindow, WindowChange
from quota_scheduler.core.units import Unit

LIVE_FOR = timedelta(minutes=5)
"""A report is live this long: status lines and headers come with every answer while anything runs."""
STALE_AFTER = timedelta(minutes=30)
"""After this a report is an estimate (design, section 2)."""


NOT_ELSEWHERE = Elsewhere()


class Freshness(StrEnum):
    """How far the provider's word can be gone by."""

    LIVE = "live"
    CACHED = "cached"  # true some minutes ago, or an echo of what was true then
    STALE = "stale"
    UNAVAILABLE = "unavailable"  # of the window of now nothing was said


class ObservedReading(Struct, frozen=True):
    """The provider's word on a limit.

    ``why`` says in a sentence why it is not live, empty where it is. ``ratio`` (0-1) was reported as of ``observed_at``
    through ``source``; None where nothing was said of the window of now. ``points_per_usd`` are low, middle and high,
    ``learned_from`` the spans that taught them. ``elsewhere`` are points of this window that nobody here used,
    ``noticed`` sentences on what the provider changed.
    """

    about: str
    freshness: Freshness
    why: str = ""
    ratio: float | None = None
    observed_at: datetime | None = None
    heard_at: datetime | None = None
    source: str = ""
    exhausted: bool = False
    overage: bool = False
    points_per_usd: tuple[float, float, float] | None = None
    learned_from: int = 0
    elsewhere: float = 0.0
    noticed: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        low, middle, high = self.points_per_usd or (None, None, None)
        return {
            "about": self.about,
            "freshness": self.freshness.value,
            "why": self.why,
            "reported_ratio": self.ratio,
            "observed_at": iso_or_none(self.observed_at),
            "heard_at": iso_or_none(self.heard_at),
            "source": self.source,
            "exhausted": self.exhausted,
            "overage": self.overage,
            "points_per_usd": {"low": low, "expected": middle, "high": high} if middle is not None else None,
            "learned_from": self.learned_from,
            "elsewhere_points": round(self.elsewhere, 2),
            "noticed": list(self.noticed),
        }


class ObservedWord(Struct, frozen=True):
    """What reports about a limit came to, newest window last, and what was learned from it."""

    reported: ReportedWindow | None = None
    learned: Learned | None = None
    elsewhere: Elsewhere = NOT_ELSEWHERE


NO_WORD = ObservedWord()
"""Of a limit that no provider reports on."""


def read_observed(balance: Balance, word: ObservedWord, *, now: datetime) -> ObservedReading | None:
    """Read the provider's word on a limit instance; None where no provider reports on it."""
    limit = balance.limit
    if limit.observed is None:
        return None
    reported, rate = word.reported, word.learned.rate if word.learned else None
    freshness, why = _freshness(balance, reported, now)
    is_now = reported is not None and rules_at(reported, now)
    return ObservedReading(
        about=str(limit.observed),
        freshness=freshness,
        why=why,
        ratio=reported.ratio if reported and is_now else None,
        observed_at=_true_at(balance, reported) if reported and is_now else None,
        heard_at=reported.heard_at if reported else None,
        source=reported.source if reported else "",
        exhausted=bool(reported and is_now and reported.exhausted),
        overage=bool(reported and is_now and reported.overage),
        points_per_usd=_points(rate),
        learned_from=rate.spans if rate else 0,
        elsewhere=word.elsewhere.points if is_now else 0.0,
        noticed=tuple(_noticed(limit, word, is_now=is_now)),
    )


def is_estimated(balance: Balance, observed: ObservedReading | None) -> bool:
    """Whether what is used is not simply what was reported, or counted in full."""
    if balance.limit.unit is not Unit.PERCENT or observed is None:
        return balance.estimated
    exact = observed.ratio is not None and balance.spent == round(observed.ratio * WHOLE)
    return not exact or observed.freshness in (Freshness.STALE, Freshness.UNAVAILABLE)


def _true_at(balance: Balance, reported: ReportedWindow) -> datetime:
    return balance.anchored_at or reported.observed_at


def _points(rate: Rate | None) -> tuple[float, float, float] | None:
    return (rate.low / POINT, rate.middle / POINT, rate.high / POINT) if rate else None


def _freshness(balance: Balance, reported: ReportedWindow | None, now: datetime) -> tuple[Freshness, str]:
    limit = balance.limit
    if reported is None:
        return (
            Freshness.UNAVAILABLE,
            "Nobody has reported on it yet: see that a status line or another door sends reports.",
        )
    if not rules_at(reported, now):
        reset = local_time(reported.ends_at, limit.zone)
        return Freshness.UNAVAILABLE, f"Its window was reset on {reset} and nobody has reported on it since."
    if reported.ratio is None:
        return Freshness.UNAVAILABLE, f"The provider only said what it does with requests ({reported.source})."
    at = _true_at(balance, reported)
    said = local_time(at, limit.zone)
    if at < reported.observed_at:
        why = f"Reports by {reported.source} repeat since {said} what cannot be true any more."
        return (Freshness.STALE if now - at > STALE_AFTER else Freshness.CACHED), why
    if now - at <= LIVE_FOR:
        return Freshness.LIVE, ""
    why = f"Nobody has reported on it since {said}; the last was {reported.source}."
    return (Freshness.STALE if now - at > STALE_AFTER else Freshness.CACHED), why


def _noticed(limit: Limit, word: ObservedWord, *, is_now: bool) -> list[str]:
    """What the provider changed, in sentences; of a window that has passed nothing is news."""
    sentences = (
        [_sentence(noticed, limit.zone) for noticed in word.reported.notices] if word.reported and is_now else []
    )
    if word.learned and word.learned.since and word.learned.before:
        times = word.learned.before.middle / max(1, word.learned.rate.middle)
        more = "more" if times > 1 else "less"
        since = local_time(word.learned.since, limit.zone)
        sentences.append(f"Since {since} a point costs {times:.2g} times as much as before: {more} is allowed.")
    return sentences


def _sentence(noticed: Noticed, zone: str) -> str:
    before, after = (
        local_time(value, zone) if isinstance(value, datetime) else f"{value:.0%}"
        for value in (noticed.before, noticed.after)
    )
    match noticed.change:
        case WindowChange.EARLY_RESET:
            return f"It was reset early, by {local_time(noticed.at, zone)}: the reset had been announced for {before}."
        case WindowChange.MOVED_RESET:
            return f"Its reset was moved from {before} to {after}."
        case _:
            return f"What is used of it went down from {before} to {after} without a reset."
