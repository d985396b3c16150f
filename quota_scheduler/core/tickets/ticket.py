"""Tickets and leases: what asks to run, and the right to.

    submit ──▶ waiting ──wake──▶ offered ──claim──▶ running ──settle──▶ closed
       │          ▲                 │                              ▲
       │          └──not claimed────┘ (three times: abandoned) ────┤
       └──fits at once──────────────────▶ running                  │
                  └──withdrawn, deadline, waited too long──────────┘

Any other transition is an error. A ticket closed as ``expired`` or ``abandoned`` is opened again by the same key.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit
from quota_scheduler.core.usage import Usage, total


class State(StrEnum):
    """Where a ticket stands."""

    WAITING = "waiting"
    OFFERED = "offered"
    RUNNING = "running"
    CLOSED = "closed"


class Reason(StrEnum):
    """Why a verdict is what it is: the one closed set that people, metrics and tests use."""

    FITS = "fits"
    NO_HEADROOM = "no_headroom"
    THROTTLED = "throttled"
    PACED = "paced"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"
    CONCURRENCY = "concurrency"
    NEVER_FITS = "never_fits"
    RUN_CAP = "run_cap"
    UNPRICED_MODEL = "unpriced_model"
    PROVIDER_THROTTLED = "provider_throttled"
    CATCHING_UP = "catching_up"
    HELD = "held"
    DEADLINE = "deadline"
    WAITED_TOO_LONG = "waited_too_long"
    ABANDONED = "abandoned"


class Outcome(StrEnum):
    """How a ticket was closed."""

    COMPLETED = "completed"
    FAILED = "failed"
    PAUSED_QUOTA = "paused_quota"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    REJECTED = "rejected"
    DEADLINE = "deadline"
    WAITED_TOO_LONG = "waited_too_long"
    ABANDONED = "abandoned"


REOPENING = frozenset({Outcome.EXPIRED, Outcome.ABANDONED, Outcome.PAUSED_QUOTA})
"""Outcomes after which the same key asks for the same work once more."""


GIVEN_UP = frozenset({Outcome.WITHDRAWN, Outcome.DEADLINE, Outcome.WAITED_TOO_LONG})
"""Outcomes of a ticket that waited in vain. One that was abandoned was offered room: no limit turned it away."""
NEVER_RAN = GIVEN_UP | {Outcome.ABANDONED}
"""Outcomes of a ticket that wanted to run and did not, whoever is to blame: it was demand all the same."""
NO_ROOM = frozenset({Reason.PAUSED, Reason.EXHAUSTED, Reason.NO_HEADROOM, Reason.THROTTLED, Reason.PACED})
"""Reasons of rejections for want of room; what never fits, or passes a run cap, is no demand that could be met."""
TURN_TAKEN = frozenset({State.OFFERED, State.RUNNING})
"""States in which a ticket has had its share's turn."""


class Estimate(NamedTuple):
    """What a ticket is expected to use: ``median`` as best known, ``reserve`` what a lease holds (P80).

    ``source`` says how we know (declared, workflow, task_type, provider, constants), ``declared`` whether the runner
    gave the amount itself; ``confidence`` 0-1. ``estimated_cost`` says that no price is known for the model.
    ``duration`` is how long the run is expected to take, None when nobody knows. ``words`` is the length of the
    description it was made from, ``guess`` how many tokens were guessed from it before experience corrected them.
    """

    median: Usage
    reserve: Usage
    source: str = "declared"
    declared: bool = True
    confidence: float = 1.0
    estimated_cost: bool = False
    duration: timedelta | None = None
    words: int = 0
    guess: int = 0


ModelUsage = tuple[tuple[str, Usage], ...]
"""Usage of one run so far, by model, models in order of name."""


class Checkpoint(Struct, frozen=True):
    """What a lease had reported when a window of it was reset, or its provider said how much of it is used."""

    at: datetime
    reported: ModelUsage


class Lease(NamedTuple):
    """A running ticket's right to spend its reservation until it expires."""

    fence: int
    granted_at: datetime
    expires_at: datetime
    ttl: timedelta
    session: str = ""
    reported: ModelUsage = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    ended_at: datetime | None = None

    @property
    def usage(self) -> Usage:
        """All that was reported so far."""
        return total(usage for _, usage in self.reported)


PRESSING = 0.75
"""Share of its patience from which on a ticket presses, since its next chance to start may be the last.

Chosen on tuning owners (docs/explanation/admission.md, "What was tried").
"""
PATIENCE = timedelta(hours=72)
"""The patience of a ticket that says nothing of it: that of normal work in the simulated world (simulate/world.py)."""


class Ticket(NamedTuple):
    """A request to run something. ``id`` 0 means not stored yet; ``body`` is a hash of what was asked.

    ``on_hold``: an operator keeps it from starting. ``owner``: the token that sent it, empty without tokens.
    ``comment_on``: the issue at which people are told what becomes of it, as ``owner/name#12``, or empty. A named
    tuple, as are its estimate and its lease: a ticket is copied with every change, and a copy of these costs a fifth of
    a data class's.
    """

    id: int
    key: str
    body: str
    labels: Labels
    priority: Priority
    estimate: Estimate
    created_at: datetime
    waiting_since: datetime
    ttl: timedelta
    state: State = State.WAITING
    run: str = ""
    session: str = ""
    flags: tuple[str, ...] = ()
    deadline: datetime | None = None
    wait_until: datetime | None = None
    offers: int = 0
    offer_until: datetime | None = None
    lease: Lease | None = None
    outcome: Outcome | None = None
    reason: Reason = Reason.FITS
    closed_at: datetime | None = None
    was_deferred: bool = False
    on_hold: bool = False
    owner: str = ""
    comment_on: str = ""

    def is_foreign_to(self, by: str | None) -> bool:
        """Whether it belongs to another token than ``by``; to nobody who may act on all (None) or where it has none."""
        return by is not None and self.owner not in ("", by)

    def numbered(self, number: int) -> "Ticket":
        """The same under another id: a fifth of what ``_replace`` takes."""
        return Ticket._make((number, *self[1:]))

    def granted(self, lease: Lease) -> "Ticket":
        """The same, running with a lease."""
        return Ticket._make(
            (*self[:9], State.RUNNING, *self[10:16], None, lease, self.outcome, Reason.FITS, *self[20:])
        )

    @property
    def presses_from(self) -> datetime:
        """When most of its patience will be spent."""
        until = min((at for at in (self.deadline, self.wait_until) if at), default=self.waiting_since + PATIENCE)
        return self.waiting_since + PRESSING * max(timedelta(0), until - self.waiting_since)

    def presses(self, now: datetime) -> bool:
        """Whether most of its patience is spent, so that waiting on gains less and less."""
        return self.presses_from <= now

    @property
    def run_id(self) -> str:
        """The run its usage belongs to: as named, else one of its own."""
        return self.run or f"ticket:{self.id}"


@dataclass(slots=True)
class Reservation:
    """What one lease or offer holds in one window, in the limit's unit. A working copy: the cycle changes it in place.

    ``amount`` was reserved here; ``reported`` of it came through the lease, ``ledgered`` through the session's
    transcript. Both describe the same run, so the larger counts, not the sum. ``before`` is what the lease had reported
    when an earlier window ended: its reports are totals of the run, and that part belongs there. ``whole`` is what the
    run needs from this window on, of which ``amount`` is the part it can use before the reset.
    """

    ticket: int
    window: int
    instance: str
    amount: int
    reported: int = 0
    ledgered: int = 0
    before: int = 0
    open: bool = True
    whole: int = 0
    dirty: bool = field(default=False, compare=False)

    @property
    def spent(self) -> int:
        """What the run has used in this window, whoever says so."""
        return max(self.reported, self.ledgered)

    @property
    def held(self) -> int:
        """What it may still spend."""
        return max(0, self.amount - self.spent) if self.open else 0

    @property
    def extra(self) -> int:
        """What it reported beyond the ledger: counts like usage until the lease settles."""
        return max(0, self.reported - self.ledgered) if self.open else 0

    @property
    def overrun(self) -> int:
        """What it used beyond its reservation."""
        return max(0, self.spent - self.amount)


def need(ticket: Ticket, limit: Limit) -> int:
    """What a ticket needs of a limit, in its unit: one lease, or its reserved estimate."""
    if limit.unit is Unit.LEASES:
        return 1
    return limit.reservation(ticket.estimate.reserve)
