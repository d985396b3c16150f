"""Who leads: one replica at a time does what must happen once, as long as it renews its leadership.

    nobody ──claim──▶ led ──renew──▶ led             the epoch stays
                       ├─resign─▶ nobody ─claim─▶ led by another, at once      the epoch grows by one
                       └─silent for the ttl ─claim──▶ led by another           the epoch grows by one

An epoch never comes back: who led in an older one is refused, however late its writes arrive. Every instant is one
clock's, that of the database.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.instants import EPOCH
from quota_scheduler.core.replicas.replica import Replica

RENEWALS = 3
"""Renewals in one ttl: two may be late or lost."""


class Leadership(Struct, frozen=True):
    """Who leads in which epoch, and until when unless it renews; ``holder`` is empty where nobody does.

    ``address`` is where the holder is asked, for people. ``rules`` is the fingerprint of the rules in force, which
    outlast their leader.
    """

    holder: str = ""
    epoch: int = 0
    ends_at: datetime = EPOCH
    address: str = ""
    rules: str = ""

    def is_over(self, now: datetime, ttl: timedelta) -> bool:
        """Whether another may lead; one that ends later than any can was dated by a clock that was set back since."""
        return not self.holder or now >= self.ends_at or self.ends_at - now > 2 * ttl

    def is_of(self, name: str, epoch: int, now: datetime) -> bool:
        """Whether a replica that began to lead in ``epoch`` still does."""
        return (self.holder, self.epoch) == (name, epoch) and now < self.ends_at

    def resigned(self) -> "Leadership":
        """The same with nobody leading: another need not wait for its end."""
        return replace(self, holder="", ends_at=EPOCH)


def claimed(
    standing: Leadership, who: Replica, others: Iterable[Replica], *, now: datetime, ttl: timedelta
) -> Leadership | None:
    """Return what stands after ``who`` has asked to lead, or to go on leading; None where another leads, or should.

    Who decides by the rules in force goes first: a new configuration rules once the last replica with the old one
    has left, and not because a leader crashed. Who is still catching up leaves it to one that is not.
    """
    if standing.holder == who.name:
        return replace(standing, ends_at=now + ttl, address=who.address)
    if not standing.is_over(now, ttl):
        return None
    there = [one for one in others if one.name not in (who.name, standing.holder) and one.is_alive(now, ttl)]
    if standing.rules not in ("", who.rules):
        if any(other.rules == standing.rules for other in there):
            return None
    else:
        there = [other for other in there if other.rules == who.rules]
    if who.is_behind and any(not other.is_behind for other in there):
        return None
    return Leadership(who.name, standing.epoch + 1, now + ttl, who.address, standing.rules)
