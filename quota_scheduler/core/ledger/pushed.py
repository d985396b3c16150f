"""Usage that others push: what one request through a door hands to the journey that records it."""

from msgspec import Struct

from quota_scheduler.core.ledger.metered import Metered
from quota_scheduler.core.ledger.produced import Produced
from quota_scheduler.core.ledger.unlisted import GoingOn, Inheritance, SessionTotal
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.usage import UsageEvent


class Pushed(Struct, frozen=True):
    """What one body tells. ``source`` is the door; ``refused`` says what could not be understood, each with its place.

    ``costs`` are what programs say that events cost, by key, in pico-dollars: where that is what fast answers cost, the
    event was one. ``produced`` are commits and pull requests. ``skipped`` counts records that carry no usage.
    ``totals``, ``inherited`` and ``going_on`` are what sessions tell of themselves.
    ``scope`` is what the token that pushed it is bound to.
    """

    source: str
    events: tuple[UsageEvent, ...] = ()
    metered: tuple[Metered, ...] = ()
    observations: tuple[Observation, ...] = ()
    throttles: tuple[Throttle, ...] = ()
    costs: tuple[tuple[str, int], ...] = ()
    refused: tuple[str, ...] = ()
    skipped: int = 0
    produced: tuple[Produced, ...] = ()
    scope: Scope = EVERYBODY
    totals: tuple[SessionTotal, ...] = ()
    inherited: tuple[Inheritance, ...] = ()
    going_on: tuple[GoingOn, ...] = ()

    @property
    def size(self) -> int:
        """How much there is to write."""
        told = (self.events, self.metered, self.observations, self.throttles, self.produced)
        return sum(map(len, told)) + sum(map(len, self.of_sessions))

    @property
    def of_sessions(self) -> tuple[tuple[object, ...], ...]:
        """What sessions tell of themselves, by kind."""
        return self.totals, self.inherited, self.going_on
