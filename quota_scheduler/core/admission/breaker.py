"""Breakers: a provider that refuses for a moment is left alone for a moment, account by account.

    closed ──refused──▶ open ──pause over──▶ half open ──a ticket is let in──▶ probing
      ▲                  ▲                       │                                │
      │                  ├──────refused──────────┴────────────────────────────────┤   with a longer pause
      └──────────────────┴── usage arrives; the probe reports; two minutes without a refusal

A refusal that names no window (429, 529) says nothing about any quota. Only new starts wait, people aside; what runs
goes on. Every instant is an argument, and whatever only had to wait for its time is worked out by ``as_of``.
"""

import zlib
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.instants import SKEW
from quota_scheduler.core.observations.observation import Throttle

FIRST_PAUSE = timedelta(seconds=5)
"""The first pause where the provider names none; its clients wait 0.5 s, 1 s, 2 s … by themselves before that."""
LONGEST_PAUSE = timedelta(minutes=10)
"""Pauses double up to this: an outage is noticed as over within ten minutes."""
LONGEST_ASKED = timedelta(days=1)
"""A provider's ``retry-after`` is kept up to this; real ones reach hours."""
JITTER = 0.1
"""Pauses are longer by up to a tenth, each account's by its own: several services must not come back together."""
NEWS = SKEW
"""A refusal without ``retry-after`` that is heard later than this opens nothing: its own client has tried since."""
PROBE_WITHIN = timedelta(minutes=2)
"""A probe that ran so long, and was not refused, has been let through: not every client reports while it runs."""
REMEMBERED = timedelta(minutes=10)
"""So long after the last pause another refusal goes on where the pauses stood; after that it is the first one again."""


class BreakerPhase(StrEnum):
    """What a breaker does with starts."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(Struct, frozen=True):
    """One account's breaker since its provider refused at ``opened_at``, the first of ``refusals`` in a row.

    ``until`` is when ``pause``, the present one, ends. ``moved_at`` is when it last changed: no instant lies further
    ahead of it than a pause, which tells a clock that was put back. ``probe`` is the ticket that tries, 0 for none,
    and ``probing_since`` when its run began. ``closed_at`` tells one that is only remembered.
    """

    provider: str
    account: str
    opened_at: datetime
    moved_at: datetime
    until: datetime
    pause: timedelta = FIRST_PAUSE
    refusals: int = 1
    probe: int = 0
    probing_since: datetime | None = None
    closed_at: datetime | None = None

    def phase(self, now: datetime) -> BreakerPhase:
        """What it does with starts at an instant that ``as_of`` has brought it to."""
        if self.closed_at is not None:
            return BreakerPhase.CLOSED
        return BreakerPhase.OPEN if now < self.until else BreakerPhase.HALF_OPEN

    def waits_until(self, now: datetime) -> datetime | None:
        """When the next start may be tried: the end of the pause, or of the probe; None when it may be now."""
        match self.phase(now):
            case BreakerPhase.OPEN:
                return self.until
            case BreakerPhase.HALF_OPEN if self.probe:
                return max((self.probing_since or self.moved_at) + PROBE_WITHIN, now + FIRST_PAUSE)
            case _:
                return None

    def next_change(self, now: datetime) -> datetime | None:
        """The next instant at which it lets somebody start without anything else happening."""
        if self.phase(now) is BreakerPhase.OPEN:
            return self.until
        return self.probing_since + PROBE_WITHIN if self.probing_since else None


def as_of(breaker: Breaker, now: datetime) -> Breaker | None:
    """The breaker with everything that only had to wait for ``now``; None when it is forgotten."""
    breaker = _put_right(breaker, now)
    if breaker.probing_since and now >= breaker.probing_since + PROBE_WITHIN:
        breaker = closed(breaker, breaker.probing_since + PROBE_WITHIN)
    elif breaker.probe and not breaker.probing_since and now >= breaker.moved_at + REMEMBERED:
        breaker = replace(breaker, probe=0)
    last = breaker.closed_at or (None if breaker.probe else breaker.until)
    return None if last and now >= last + REMEMBERED else breaker


def _put_right(breaker: Breaker, now: datetime) -> Breaker:
    """Move it back whole when the clock was put back behind its last change: a pause stays as long as it was."""
    back = breaker.moved_at - now
    if back <= timedelta(0):
        return breaker
    return replace(
        breaker,
        opened_at=breaker.opened_at - back,
        moved_at=now,
        until=breaker.until - back,
        probing_since=breaker.probing_since and breaker.probing_since - back,
        closed_at=breaker.closed_at and breaker.closed_at - back,
    )


def refused(breaker: Breaker | None, throttle: Throttle, now: datetime) -> Breaker | None:
    """The breaker of an account after its provider refused; ``breaker`` is the one before, as of ``now``.

    Many runs that are refused at once are one refusal: while it is open only a later ``retry_after`` counts. What was
    said before the present phase began is old, and so is what lies too far back.
    """
    said_at = min(throttle.observed_at, now)
    asked = max(timedelta(0), min(throttle.retry_after or timedelta(0), LONGEST_ASKED))
    asked_until = said_at + asked
    if now >= said_at + (asked or NEWS):
        return breaker
    if breaker is None:
        return _opened(throttle, now, refusals=1, pause=asked or FIRST_PAUSE, least=asked_until)
    if breaker.phase(now) is BreakerPhase.OPEN:
        longer = replace(breaker, until=asked_until, moved_at=now, pause=asked_until - now)
        return longer if asked_until > breaker.until else breaker
    began = breaker.probing_since or breaker.closed_at or breaker.until
    if said_at < began:
        return breaker
    pause = max(asked, min(LONGEST_PAUSE, 2 * breaker.pause))
    anew = _opened(throttle, now, refusals=breaker.refusals + 1, pause=pause, least=asked_until)
    return anew if breaker.closed_at else replace(anew, opened_at=breaker.opened_at)


def _opened(throttle: Throttle, now: datetime, *, refusals: int, pause: timedelta, least: datetime) -> Breaker:
    provider, account = throttle.provider, throttle.account
    share = JITTER * zlib.crc32(f"{provider}/{account}/{refusals}".encode()) / 2**32
    until = max(now + pause, least) + pause * share
    return Breaker(provider, account, opened_at=now, moved_at=now, until=until, pause=pause, refusals=refusals)


def let_in(breaker: Breaker, ticket: int, now: datetime, *, running: bool) -> Breaker:
    """The breaker with a ticket as its probe; one that is only offered begins to probe when it is claimed."""
    return replace(breaker, probe=ticket, probing_since=now if running else None, moved_at=now)


def closed(breaker: Breaker, now: datetime) -> Breaker:
    """The breaker after its provider answered: everybody may start, and the pauses are remembered for a while."""
    return replace(breaker, probe=0, probing_since=None, closed_at=now, moved_at=now)


def given_back(breaker: Breaker, now: datetime, *, failed: bool) -> Breaker:
    """The breaker after its probe ended without an answer of the provider: the next ticket tries.

    After one that ``failed``, nobody knows why, the same pause lies between: a queue must not burn one after another.
    """
    until = now + breaker.pause if failed else breaker.until
    return replace(breaker, probe=0, probing_since=None, until=until, moved_at=now)


def answered(breaker: Breaker, at: datetime, now: datetime) -> Breaker:
    """The breaker after usage of its account at an instant: an answer after the pause says that it is over."""
    if breaker.phase(now) is BreakerPhase.HALF_OPEN and at >= (breaker.probing_since or breaker.until):
        return closed(breaker, now)
    return breaker
