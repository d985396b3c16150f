"""Terms: what rules every cycle until somebody replaces them."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from quota_scheduler.core.admission.explanation import Reprice
from quota_scheduler.core.forecast.outlook import Outlook
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.tickets.ticket import Ticket


def same(ticket: Ticket, _model: str) -> Ticket:
    """A ticket costs the same with any model, as far as anybody knows."""
    return ticket


class Terms(Struct, frozen=True):
    """What rules every cycle: replaced as a whole, so that nobody sees half a change.

    ``catching_up`` are the providers whose usage is still being read, ``hold`` is the incident switch: nothing starts.
    ``expire_leases`` is off after the machine slept, when runners have had no chance to renew. ``busy_until`` (by limit
    instance, when the next of its leases is expected to end), ``models`` (in order of preference) and ``reprice`` serve
    explanations only.
    """

    limits: tuple[Limit, ...]
    policy: QueuePolicy = field(default_factory=QueuePolicy)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)
    catching_up: frozenset[str] = frozenset()
    expire_leases: bool = True
    hold: bool = False
    busy_until: Mapping[str, datetime] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    reprice: Reprice = same
    thresholds: Thresholds = DEFAULT

    @property
    def run_caps(self) -> tuple[Limit, ...]:
        """The limits that cap single runs."""
        return tuple(limit for limit in self.limits if limit.is_per_run)

    def begin_anew_after(self, before: "Terms") -> bool:
        """Whether what cycles remember no longer holds: other limits bind, another order rules, or a hold has ended."""
        return (self.limits, self.policy, self.hold) != (before.limits, before.policy, before.hold)
