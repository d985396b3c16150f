"""Samples of limits that a provider reports on: use elsewhere, what the provider changed, and its silence.

reading              scope           episode   value
elsewhere_points     limit instance  window    points of the window that nobody here used
provider_changes     limit instance  window    how many changes of it two reports bore out
unreported_seconds   limit instance  -         since when work here goes on and nobody reports; 0 while nothing runs
"""

from collections.abc import Iterator
from datetime import datetime

from quota_scheduler.core.alerts.rule import Fact, Facts
from quota_scheduler.core.alerts.state import Sample
from quota_scheduler.core.instants import iso
from quota_scheduler.core.observations.points import WHOLE
from quota_scheduler.core.readings.observed import ObservedReading
from quota_scheduler.core.readings.readings import LimitReading


def observed_samples(limit: LimitReading, facts: Facts, now: datetime) -> Iterator[Sample]:
    """The samples of one limit; none where no provider reports on it."""
    observed = limit.observed
    if observed is None:
        return
    episode = iso(limit.balance.starts_at) if limit.balance.starts_at else ""
    silent = _silent_seconds(limit, observed, now)
    said: dict[str, Fact] = {
        **facts,
        "elsewhere_points": observed.elsewhere,
        "changes": " ".join(observed.noticed),
        "unreported_seconds": silent,
        "why": observed.why,
    }
    yield Sample("elsewhere_points", limit.limit, episode, observed.elsewhere, observed.elsewhere, facts=said)
    count = float(len(observed.noticed))
    yield Sample("provider_changes", limit.limit, episode, count, count, facts=said)
    yield Sample("unreported_seconds", limit.limit, "", silent, silent, facts=said)


def _silent_seconds(limit: LimitReading, observed: ObservedReading, now: datetime) -> float:
    """How long nobody has reported while work went on here; a night without work is no silence."""
    works = limit.queue.leases > 0 or limit.balance.used > (observed.ratio or 0.0) * WHOLE
    since = observed.observed_at or observed.heard_at or limit.balance.starts_at
    return max(0.0, (now - since).total_seconds()) if works and since else 0.0
