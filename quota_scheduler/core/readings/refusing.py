"""Providers that refuse for a moment, as people and programs read it: one document and one sentence an account."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from quota_scheduler.core.admission.breaker import Breaker, BreakerPhase
from quota_scheduler.core.instants import iso, iso_or_none

NOT_CLOSED = (BreakerPhase.OPEN, BreakerPhase.HALF_OPEN)


def refusing(breakers: Iterable[Breaker], now: datetime) -> list[Breaker]:
    """Those that keep starts waiting: whose provider refuses, or has not answered since."""
    return [breaker for breaker in breakers if breaker.phase(now) in NOT_CLOSED]


def breaker_documents(breakers: Iterable[Breaker], now: datetime) -> list[dict[str, Any]]:
    """Each that keeps starts waiting, as JSON types."""
    return [
        {
            "provider": breaker.provider,
            "account": breaker.account,
            "state": breaker.phase(now).value,
            "since": iso(breaker.opened_at),
            "until": iso_or_none(breaker.waits_until(now)),
            "refusals": breaker.refusals,
            "probe": f"t{breaker.probe}" if breaker.probe else None,
            "message": sentence(breaker, now),
        }
        for breaker in refusing(breakers, now)
    ]


def sentence(breaker: Breaker, now: datetime) -> str:
    """For people, what starts of the account wait for."""
    whose = f"{breaker.provider} refuses requests of {breaker.account} since {_clock(breaker.opened_at)}"
    times = "once" if breaker.refusals == 1 else f"{breaker.refusals} times in a row"
    if breaker.phase(now) is BreakerPhase.OPEN:
        what = f"new starts wait until {_clock(breaker.until)}, then one ticket tries"
    elif breaker.probe:
        what = f"t{breaker.probe} tries whether it answers again, the others wait for that"
    else:
        what = "the pause is over, and the next ticket tries"
    return f"{whose} ({times}, without naming a quota): {what}"


def _clock(at: datetime) -> str:
    """An instant to the second: nobody reads on."""
    return iso(at.replace(microsecond=0))
