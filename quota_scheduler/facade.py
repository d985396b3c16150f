"""What the edge may ask of the service: one method a verb. How the service does it is no business of the edge.

Deeds take effect in one transaction together with their row in the audit log. Methods that write answer with a future
that resolves after the commit; those that only look block for a moment and belong into a thread.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from quota_scheduler.auth import Tokens
from quota_scheduler.config import Config
from quota_scheduler.core.alerts.state import Silence
from quota_scheduler.core.cycle.requests import (
    Hold,
    Read,
    Refused,
    Release,
    Renew,
    Reply,
    Revoke,
    Start,
    Submit,
    Withdraw,
)
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.limits.changes import LimitChange
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.readings.readings import DayOfUse, LimitReading, Readings
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import ModelUsage, Ticket
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.runtime import Service
from quota_scheduler.service.apply_prices import priced_events, priced_report, priced_ticket
from quota_scheduler.service.operate import alerts as alerting
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.operate.holds import EverythingHeld, audit_document, everything_held
from quota_scheduler.service.queries.alerts import alerts_document, silences_document
from quota_scheduler.service.queries.history import recent_days
from quota_scheduler.service.queries.queue import plan_document, queue_document
from quota_scheduler.service.queries.usage import efficiency_document, runs_document, usage_document
from quota_scheduler.service.record import Recorded, record_usage
from quota_scheduler.store import Transaction, tickets
from quota_scheduler.store import limit_changes as stored_changes

T = TypeVar("T")
Document = dict[str, Any]


MOST_REMEMBERED = 10_000
"""Names of models that are known to be priced quickly; past it they are forgotten, so that nobody fills the memory."""


class Facade:
    """The verbs of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._priced: set[tuple[str, str, int]] = set()
        self.parked_for = service.waiters.parked_for

    # What holds now

    @property
    def draining(self) -> bool:
        """Whether no new work is taken."""
        return self._service.draining

    @property
    def tokens(self) -> Tokens:
        """Who may ask."""
        return self._service.tokens

    @property
    def config(self) -> Config:
        """The configuration that rules."""
        return self._service.config

    @property
    def limits(self) -> dict[str, Limit]:
        """The limits as they hold now, by id."""
        return {limit.id: limit for limit in self._service.writer.terms.limits}

    @property
    def held(self) -> EverythingHeld | None:
        """Who holds everything, and why; None when nothing is held."""
        return self._service.held

    @property
    def rules(self) -> list[str]:
        """The alert rules by id."""
        return [rule.id for rule in self._service.parts.recompute.rules]

    @property
    def readings(self) -> Readings:
        """What the last tick saw."""
        return self._service.readings

    @property
    def estimate_basis(self) -> EstimateBasis:
        """What finished runs say about the next one."""
        return self._service.estimate_basis

    def now(self) -> datetime:
        """The instant it is for the service."""
        return self._service.store.clock()

    # Runners

    async def price(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """Tickets whose estimates know what they cost."""
        now, prices = self.now(), self._service.parts.prices
        return await self._beside(
            (ticket.labels for ticket in tickets), lambda: [priced_ticket(ticket, now, prices) for ticket in tickets]
        )

    async def _beside(self, labels: Iterable[Labels], work: Callable[[], T]) -> T:
        """Look prices up: beside the event loop where a name was not priced before today, a millisecond each."""
        today = self.now().toordinal()
        names = {(one.provider, one.model, today) for one in labels}
        if names <= self._priced:
            return work()
        result = await asyncio.to_thread(work)
        if len(self._priced) > MOST_REMEMBERED:
            self._priced.clear()
        self._priced |= names
        return result

    def price_report(self, ticket: int, usage_of: Callable[[str], ModelUsage | None]) -> ModelUsage | None:
        """A lease's report with its cost: whose prices apply the ticket's labels say. None for an unknown ticket.

        Blocks for a moment.
        """
        labels = self._labels_of(ticket)
        if labels is None:
            return None
        return priced_report(labels, usage_of(labels.model), self.now(), self._service.parts.prices)

    def _labels_of(self, number: int) -> Labels | None:
        with self._service.store.reading() as tx:
            rows = tickets.for_cycle(tx, ids=[number], keys=(), due=tx.now)
        return rows[number].labels if number in rows else None

    def submit(self, drafts: Sequence[Ticket], *, dry_run: bool = False) -> "list[asyncio.Future[Reply]]":
        """Ask for tickets; ``dry_run`` decides and keeps nothing."""
        return [self.ask(Submit(draft, dry_run=dry_run)) for draft in drafts]

    def ask(self, request: Submit | Read | Withdraw | Renew | Release) -> "asyncio.Future[Reply]":
        """Put what a runner asks into the next cycle."""
        return self._service.writer.ask_from(asyncio.get_running_loop(), request)

    async def record(self, events: Sequence[UsageEvent]) -> "Future[Recorded]":
        """Record usage, each event once; what is awaited is the pricing, the future is the writing."""
        prices = self._service.parts.prices
        priced = await self._beside((event.labels for event in events), lambda: priced_events(events, prices))
        return self._do(lambda tx: record_usage(tx, priced, self._service.writer.terms.limits))

    def plan(self, items: Sequence[Ticket]) -> Document:
        """What a plan's items are expected to cost together, and which of them will fit."""
        terms = self._service.writer.terms
        return self._look(lambda tx: plan_document(tx, items, terms.limits, terms.outlooks))

    # Operators

    def change_limit(
        self, rule: str, fields: dict[str, Any], *, until: datetime | None, who: str, dry_run: bool
    ) -> "Future[operate.LimitsHold | str]":
        """Change a limit from the next cycle on; a sentence says why nothing was changed."""
        change = partial(
            operate.change_limit,
            base=self.config.limits,
            rule=rule,
            fields=fields,
            who=who,
            until=until,
            dry_run=dry_run,
        )
        return self._do(change, then=None if dry_run else self._service.limits_in_force)

    def hold(self, reason: str, *, who: str) -> "Future[EverythingHeld | None]":
        """Let nothing start, with a reason; an empty reason lets everything go on."""

        def deed(tx: Transaction) -> EverythingHeld | None:
            operate.hold_all(tx, reason, who=who)
            return everything_held(tx)

        return self._do(deed, then=self._service.hold_in_force)

    def hold_ticket(self, number: int, *, on: bool, who: str) -> "asyncio.Future[Reply]":
        """Keep one ticket from starting, or let it go on."""
        return self._deed(Hold(number, on), "ticket.held" if on else "ticket.unheld", who)

    def start_ticket(self, number: int, *, who: str) -> "asyncio.Future[Reply]":
        """Let a waiting ticket start, whatever its limits say."""
        return self._deed(Start(number), "ticket.forced", who)

    def revoke(self, number: int, *, who: str) -> "asyncio.Future[Reply]":
        """Take a lease away; what was reported counts."""
        return self._deed(Revoke(number), "lease.revoked", who)

    def _deed(self, request: Hold | Start | Revoke, what: str, who: str) -> "asyncio.Future[Reply]":
        def note(tx: Transaction, reply: Reply) -> None:
            if not isinstance(reply, Refused):
                operate.note(tx, what, reply.ticket.id, who=who)

        return self._service.writer.ask_from(asyncio.get_running_loop(), request, note)

    def silence(self, silence: Silence, *, who: str) -> "Future[Document]":
        """Tell nobody about alerts that fit."""
        return self._do(lambda tx: alerting.add_silence(tx, silence, who=who))

    def end_silence(self, number: int, *, who: str) -> "Future[bool]":
        """End a silence now; False where there is none that lasts."""
        return self._do(lambda tx: alerting.end_silence(tx, number, who=who))

    def acknowledge(self, alert: int, *, author: str, comment: str, who: str) -> "Future[alerting.Acknowledged]":
        """Stop the repeats of a firing alert."""
        return self._do(lambda tx: alerting.acknowledge(tx, alert, author=author, comment=comment, who=who))

    # Whoever looks

    def limit_changes(self, rule: str) -> list[LimitChange]:
        """What was changed about a limit while the service runs, and still lasts."""
        return self._look(
            lambda tx: [
                change
                for change in stored_changes.load(tx)
                if change.rule == rule and (change.expires_at is None or change.expires_at > tx.now)
            ]
        )

    def queue(self) -> Document:
        """The throttle queue in order."""
        return self._look(lambda tx: queue_document(tx, self._service.writer.terms.policy))

    def audit(self, most: int) -> Document:
        """What was done by hand, newest first."""
        return self._look(lambda tx: audit_document(tx, most))

    def alerts(self) -> Document:
        """Alerts that are pending, firing or resolved lately."""
        return self._look(alerts_document)

    def silences(self) -> Document:
        """Silences that have not ended."""
        return self._look(silences_document)

    def efficiency(self, days: int) -> Document:
        """Tokens by kind and cache hit rate by workflow."""
        return self._look(lambda tx: efficiency_document(tx, days))

    def usage(self, days: int, by: Sequence[str]) -> Document:
        """Usage added up by day and labels."""
        return self._look(lambda tx: usage_document(tx, days, by))

    def runs(self, days: int, most: int) -> Document:
        """The largest runs."""
        return self._look(lambda tx: runs_document(tx, days, most))

    def recent_days(self, reading: LimitReading) -> list[DayOfUse]:
        """The last days of a limit, newest first."""
        limits = self._service.writer.terms.limits
        return self._look(lambda tx: recent_days(tx, limits, reading.limit, zone=reading.zone))

    def exposition(self, accept: str, encoding: str) -> tuple[bytes, dict[str, str]]:
        """What Prometheus scrapes."""
        return self._service.parts.metrics.exposition(accept, encoding)

    def not_ready(self) -> list[str]:
        """Why no work is taken, one sentence each."""
        problems = ["the service is stopping"] if self.draining else []
        metrics = self._service.parts.metrics
        try:
            self._look(lambda tx: tx.scalar("SELECT 1"))
            metrics.database_checked(up=True)
        except Exception as error:
            metrics.database_checked(up=False)
            problems.append(f"the database does not answer: {error}")
        if self._service.store.is_replaced():
            problems.append("the database file was removed or replaced: restart the service")
        return problems + self._service.health.problems()

    def failed(self) -> None:
        """An answer was one of ours to blame (5xx): counted."""
        self._service.parts.metrics.answer_failed()

    def notes(self) -> list[str]:
        """What an operator should know although work is taken."""
        parts = self._service.parts
        notes = [self.held.sentence()] if self.held else []
        notes += [f"{ingest.name} is catching up" for ingest in parts.ingests if ingest.progress.catching_up]
        notes += parts.notifier.problems(wait=False)
        if not self.config.receivers:
            notes.append("no receiver is configured: alerts reach nobody")
        return notes + ([parts.prices.problem] if parts.prices.problem else [])

    def _look(self, question: Callable[[Transaction], T]) -> T:
        with self._service.store.reading() as tx:
            return question(tx)

    def _do(self, deed: Callable[[Transaction], T], *, then: Callable[[Terms, T], Terms] | None = None) -> "Future[T]":
        """A transaction of its own; ``then`` says what the terms are after its commit, before the future resolves."""
        return self._service.writer.do(deed, then=then)
