"""What runners and the clock ask of a cycle, and what it answers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import Struct

from quota_scheduler.core.admission.decide import Verdict
from quota_scheduler.core.admission.expected_start import ExpectedStart
from quota_scheduler.core.admission.figures import Figures
from quota_scheduler.core.admission.preflight import Check
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.tickets.ticket import ModelUsage, Outcome, Ticket


class Submit(Struct, frozen=True):
    """Ask to run; ``draft`` has id 0. ``dry_run`` decides and keeps nothing."""

    draft: Ticket
    dry_run: bool = False


class Read(Struct, frozen=True):
    """Look at a ticket; reading an offered one claims it, unless it is another's or only looked at.

    Here and below ``by`` is the token that asks, None for who may act on every ticket: operators, and everybody
    where there are no tokens. Of a ticket outside ``scope`` nothing is told, not even that it exists.
    """

    ticket: int
    claim: bool = True
    by: str | None = None
    scope: Scope = EVERYBODY


class Withdraw(Struct, frozen=True):
    """Give a ticket up: waiting ones leave the queue, a running one settles."""

    ticket: int
    by: str | None = None
    scope: Scope = EVERYBODY


class Renew(Struct, frozen=True):
    """A running lease's heartbeat. ``usage`` is the total of the run so far, None when nothing is reported."""

    ticket: int
    fence: int
    usage: ModelUsage | None = None
    session: str = ""
    ttl: timedelta | None = None
    by: str | None = None
    scope: Scope = EVERYBODY


class Release(Struct, frozen=True):
    """The run is over: settle."""

    ticket: int
    fence: int
    usage: ModelUsage | None = None
    session: str = ""
    outcome: Outcome = Outcome.COMPLETED
    by: str | None = None
    scope: Scope = EVERYBODY


class Revoke(Struct, frozen=True):
    """An operator takes a lease away."""

    ticket: int


class Hold(Struct, frozen=True):
    """An operator keeps a ticket from starting, or lets it go on."""

    ticket: int
    on: bool = True


class Start(Struct, frozen=True):
    """An operator lets a waiting ticket start, whatever its limits say."""

    ticket: int


class Reclass(Struct, frozen=True):
    """An operator moves a waiting ticket to another class; one that waits no more stays as it is."""

    ticket: int
    priority: Priority


Request = Submit | Read | Withdraw | Renew | Release | Revoke | Hold | Start | Reclass


class Refusal(StrEnum):
    """Why a request changed nothing (a stale fence's usage is recorded all the same)."""

    NOT_FOUND = "not_found"
    KEY_REUSED = "key_reused"
    STALE_FENCE = "stale_fence"
    NOT_OWNER = "not_owner"


class Refused(Struct, frozen=True):
    """A request that does not fit what the ticket is now."""

    refusal: Refusal
    ticket: Ticket | None = None


class Answer(NamedTuple):
    """A ticket as it stands after the cycle.

    ``verdict`` is None for a closed ticket that was not rejected; ``position`` counts from 1 among all that wait;
    ``reserved`` is what it holds by limit instance, in the limit's unit; ``stop`` asks the runner to end at the next
    safe point; ``optimization`` is what the tightest limit asks for, ``model`` one that costs less where it is tight.
    ``expected`` and ``counterfactuals`` are of one that waits, ``checks`` of one that was only asked about.
    ``figures`` are, by limit instance, those of the limits that keep it out.
    ``refused_until``: its provider refuses for the moment, although it may start; None when it does not.
    """

    ticket: Ticket
    verdict: Verdict | None
    position: int | None = None
    reserved: tuple[tuple[str, int], ...] = ()
    stop: bool = False
    optimization: str = "minimal"
    model: str = ""
    expected: ExpectedStart | None = None
    counterfactuals: tuple[Mapping[str, Any], ...] = ()
    checks: tuple[Check, ...] = ()
    figures: Mapping[str, Figures] = MappingProxyType({})
    refused_until: datetime | None = None

    def of(self, ticket: Ticket) -> "Answer":
        """The same answer for a ticket that was decided as one with it: all but the ticket is shared."""
        return Answer._make((ticket, *self[1:]))


Reply = Answer | Refused
