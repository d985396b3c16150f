"""What happened, counted: decisions, starts, ended runs and deliveries, as the journeys tell of them."""

from collections.abc import Callable, Sequence
from datetime import datetime

from quota_scheduler.core.admission.decide import Admit, Defer, Verdict
from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.tickets.ticket import State, Ticket
from quota_scheduler.metrics import Metrics

MOST_FIRSTS = 4096
"""Sets of labels whose first limit is kept; past it they are forgotten."""


class Observer:
    """Counts what it is told in ``metrics``; ``limits`` gives those that hold."""

    def __init__(self, metrics: Metrics, limits: Callable[[], Sequence[Limit]], clock: Callable[[], datetime]) -> None:
        self._metrics, self._limits, self._clock = metrics, limits, clock
        self._as_of: Sequence[Limit] = ()
        self._caps: frozenset[str] = frozenset()
        self._firsts: dict[Labels, str] = {}

    def decided(self, decisions: Sequence[tuple[Ticket, Verdict]], seconds: float) -> None:
        """Verdicts of one cycle, which took so long."""
        self._keep_up()
        counted: dict[tuple[str, str, str], int] = {}
        for ticket, verdict in decisions:
            limit, word, reason = _decision(verdict)
            key = limit or self._first_limit(ticket.labels.asking), word, reason
            counted[key] = counted.get(key, 0) + 1
            if word == "admit" and ticket.was_deferred:
                waited = self._clock() - ticket.waiting_since
                self._metrics.started(ticket.priority.value, waited.total_seconds())
        for (limit, word, reason), count in counted.items():
            self._metrics.decided("" if limit in self._caps else limit, word, reason, seconds, count)

    def closed(self, tickets: Sequence[Ticket]) -> None:
        """Tickets that ended; those that ran say what they took."""
        for ticket in tickets:
            if (
                ticket.lease
                and ticket.outcome
                and ticket.state is State.CLOSED
                and (tokens := ticket.lease.usage.tokens)
            ):
                task = ticket.labels.task_type
                self._metrics.run_finished(task, ticket.outcome.value, tokens)
                self._metrics.estimated(task, ticket.estimate.median.tokens, tokens)

    def attempted(self, target: str, delivery: Delivery, seconds: float) -> None:
        """An attempt to deliver a notification."""
        if delivery.outcome is DeliveryOutcome.DELIVERED:
            self._metrics.notified(target, seconds)
        else:
            self._metrics.notification_failed(target, delivery.reason or "error", seconds)

    def _keep_up(self) -> None:
        """Forget what was worked out by other limits. One that caps each run has no readings, and so no series."""
        limits = self._limits()
        if limits is not self._as_of:
            self._as_of, self._firsts = limits, {}
            self._caps = frozenset(limit.id for limit in limits if limit.is_per_run)

    def _first_limit(self, labels: Labels) -> str:
        """The first limit that binds these labels, in the order of the configuration; empty when none does."""
        first = self._firsts.get(labels)
        if first is None:
            if len(self._firsts) >= MOST_FIRSTS:
                self._firsts.clear()
            bound = (limit for limit in self._as_of if not limit.is_per_run and limit.selects(labels))
            first = next((limit.instance_id(limit.value_of(labels, ())) for limit in bound), "")
            self._firsts[labels] = first
        return first


def _decision(verdict: Verdict) -> tuple[str, str, str]:
    """The first limit that holds, the word and the reason of a verdict, as metrics count them."""
    if isinstance(verdict, Admit):
        return "", "admit", "fits"
    word = "defer" if isinstance(verdict, Defer) else "reject"
    return (verdict.held[0].instance if verdict.held else ""), word, verdict.reason.value
