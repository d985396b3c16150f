"""What the edge may ask of the service: one method a verb. How the service does it is no business of the edge.

Deeds take effect in one transaction together with their row in the audit log. Methods that write answer with a future
that resolves after the commit; those that only look block for a moment and belong into a thread.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from quota_scheduler.core.alerts.state import Silence
from quota_scheduler.core.cycle.requests import (
    Answer,
    Hold,
    Read,
    Reclass,
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
from quota_scheduler.core.ledger.claims import claimed, claimed_total, of_scope, own_word
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.limits.changes import LimitsHold
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.readings.other_hosts import ShippedSource
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.tickets.ticket import Estimate, ModelUsage, Ticket
from quota_scheduler.core.usage import UsageEvent
from quota_scheduler.questions import Document, Questions
from quota_scheduler.runtime import Service
from quota_scheduler.service.apply_prices import priced_estimate, priced_events, priced_report, priced_ticket
from quota_scheduler.service.headless import record_run
from quota_scheduler.service.observe import WordRecorded, record_word
from quota_scheduler.service.operate import alerts as alerting
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.operate.holds import EverythingHeld, everything_held
from quota_scheduler.service.own_work import own_batch, own_events, own_totals
from quota_scheduler.service.queries.replay import recorded_runs
from quota_scheduler.service.receive import Received, receive
from quota_scheduler.service.record import Recorded, record_usage
from quota_scheduler.store import Transaction, tickets

if TYPE_CHECKING:
    from quota_scheduler.simulated import Simulations
    from quota_scheduler.sources.headless_runs import HeadlessRun
    from quota_scheduler.sources.json_items import JsonItems

T = TypeVar("T")


MOST_REMEMBERED = 10_000
"""Names of models that are known to be priced quickly; past it they are forgotten, so that nobody fills the memory."""


class Facade(Questions):
    """The verbs of one service, and its questions."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._priced: set[tuple[str, str, int]] = set()
        self.parked_for = service.waiters.parked_for
        self.park, self.leave = service.waiters.park, service.waiters.leave

    @cached_property
    def simulations(self) -> "Simulations":
        """The replays that are being played. Nothing of them is loaded before somebody asks what if."""
        from quota_scheduler.simulated import Simulations

        return Simulations()

    # Runners

    async def price(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """Tickets whose estimates know what they cost."""
        now, prices = self.now(), self._service.parts.prices
        return await self._beside(
            (ticket.labels for ticket in tickets), lambda: [priced_ticket(ticket, now, prices) for ticket in tickets]
        )

    def price_at_once(self, labels: Labels, estimate: Estimate, now: datetime) -> Estimate | None:
        """An estimate that knows what it costs; None where looking that up takes a while."""
        if (labels.provider, labels.model, now.toordinal()) not in self._priced:
            return None
        return priced_estimate(labels, estimate, now, self._service.parts.prices)

    def prices_as_of(self, now: datetime) -> tuple[int, int]:
        """While it is the same, the same work costs the same, where its price ``holds_all_day``."""
        return self._service.parts.prices.stated, now.toordinal()

    def price_holds_all_day(self, labels: Labels, now: datetime) -> bool:
        """Whether the price of a model is the same from midnight to midnight (UTC)."""
        rates, _ = self._service.parts.prices.rates(labels, now)
        return bool(rates)

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

    async def simulate(
        self, changes: Document, since: datetime, until: datetime, *, starts: bool
    ) -> AsyncIterator[Document]:
        """Replay the runs of a span: how far it is, and at last the answer or a problem.

        ``starts``: the replay begins with the span, else after a week of history. What is awaited is the reading.
        """
        from quota_scheduler.simulate.replay import Replay
        from quota_scheduler.simulate.what_if import WhatIf
        from quota_scheduler.simulated import ReplayJob

        service, config = self._service, self.config
        asked = WhatIf(**changes)
        recording = await asyncio.to_thread(self._look, lambda tx: recorded_runs(tx, since, until))
        begin, end = since if starts else None, min(until, self.now())
        one = Replay(recording, service.writer.terms.limits, asked, begin, end, config.timezone)
        return self.simulations.play(ReplayJob(one, config.prices))

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
            rows = tickets.for_cycle(tx, ids=[number])
        return rows[number].labels if number in rows else None

    def submit(self, drafts: Sequence[Ticket], *, dry_run: bool = False) -> "list[asyncio.Future[Reply]]":
        """Ask for tickets; ``dry_run`` decides and keeps nothing."""
        return [self.ask(Submit(draft, dry_run=dry_run)) for draft in drafts]

    def ask(self, request: Submit | Read | Withdraw | Renew | Release) -> "asyncio.Future[Reply]":
        """Put what a runner asks into the next cycle."""
        return self._service.writer.ask_from(asyncio.get_running_loop(), request)

    async def record(self, events: Sequence[UsageEvent], scope: Scope = EVERYBODY) -> "Future[Recorded]":
        """Record usage, each event once; what is awaited is the pricing, the future is the writing.

        What is recorded as another scope's already counts as told before.
        """
        prices = self._service.parts.prices
        priced = await self._beside((event.labels for event in events), lambda: priced_events(events, prices))

        def write(tx: Transaction) -> Recorded:
            own = own_events(tx, priced, scope)
            recorded = record_usage(tx, own, self._service.writer.terms.limits)
            return recorded.plus(Recorded(duplicate=len(priced) - len(own)))

        return self._do(write)

    def claimed_batch(self, batch: Batch, scope: Scope) -> tuple[Batch, list[str]]:
        """A shipment with the labels of who sent it, and the sentences about what claims to be of others."""
        return claimed(batch, scope)

    async def receive(
        self, origin: str, batch: Batch, sources: Sequence[ShippedSource], scope: Scope = EVERYBODY
    ) -> "Future[Received]":
        """Record what another host has read, and how its sources are doing; what is awaited is the pricing."""
        service = self._service
        events = await self._beside(
            (event.labels for event in batch.events), lambda: priced_events(batch.events, service.parts.prices)
        )
        priced = replace(batch, events=tuple(events))
        return service.writer.do(
            lambda tx: receive(tx, origin, own_batch(tx, priced, scope), sources, service.writer.terms.limits),
            then=lambda terms, done: service.other_hosts(terms, sources, done.now),
        )

    async def observe(
        self, observations: Sequence[Observation], throttles: Sequence[Throttle]
    ) -> "Future[WordRecorded]":
        """Keep what providers said about their windows, and let those that refuse for a moment be left alone."""
        return self._do(lambda tx: record_word(tx, observations, throttles, self._service.writer.terms.limits))

    # Whoever pushes usage

    @property
    def is_behind(self) -> bool:
        """Whether so much that was pushed is not written yet that more should come later."""
        return self._service.parts.intake.is_full

    def read_export(self, signal: str, body: bytes, *, is_json: bool, scope: Scope = EVERYBODY) -> Pushed | str:
        """What an OTLP export tells; a sentence where it is none."""
        try:
            return of_scope(self._service.parts.doors.otlp.read(signal, body, is_json=is_json, now=self.now()), scope)
        except ValueError as error:
            return str(error)

    def export_answer(self, signal: str, delivery: Pushed, *, is_json: bool) -> bytes:
        """The answer to an export that has been stored."""
        return self._service.parts.doors.otlp.answer(signal, is_json=is_json, refused=delivery.refused)

    def litellm_items(self) -> "JsonItems":
        """What cuts the body of a LiteLLM callback into its items."""
        return self._service.parts.doors.litellm.items()

    def read_litellm(self, items: Sequence[tuple[int, bytes]], cut: Sequence[str], scope: Scope = EVERYBODY) -> Pushed:
        """What items of a LiteLLM callback tell; ``cut`` says what could not even be cut out of its body."""
        return of_scope(self._service.parts.doors.litellm.read(items, now=self.now(), cut=cut), scope)

    def read_headless(self, output: bytes, *, at: datetime, account: str, forked: bool) -> "HeadlessRun":
        """What a headless run that ended ``at`` an instant printed."""
        return self._service.parts.doors.headless.read(output, at=at, account=account, forked=forked)

    def claimed_run(self, run: "HeadlessRun", scope: Scope) -> "HeadlessRun":
        """A headless run with the labels of who sent it; what claims to be of others is among the refused."""
        told = [claimed_total(total, scope) for total in run.totals]
        refused = (*run.refused, *(one for one in told if isinstance(one, str)))
        observations, throttles = own_word(run.word.observations, run.word.throttles, scope)
        word = replace(run.word, observations=list(observations), throttles=list(throttles))
        return replace(run, word=word, totals=tuple(one for one in told if not isinstance(one, str)), refused=refused)

    async def take_headless(self, run: "HeadlessRun", scope: Scope = EVERYBODY) -> "Future[WordRecorded]":
        """Record what a headless run used and was told."""
        limits, word = self._service.writer.terms.limits, run.word
        return self._do(
            lambda tx: record_run(tx, own_totals(tx, run.totals, scope), word.observations, word.throttles, limits)
        )

    async def take(self, delivery: Pushed) -> "Future[Recorded]":
        """Record what was pushed; what is awaited is the pricing, the future is the writing."""
        intake = self._service.parts.intake
        labels = [one.labels for one in (*delivery.events, *(point.draft for point in delivery.metered))]
        return intake.put(await self._beside(labels, lambda: intake.priced(delivery)))

    @property
    def is_spooling(self) -> bool:
        """Whether usage lies on this disk for which the database was away: what comes lines up behind it."""
        return self._service.parts.spool.is_in_use

    async def keep(self, delivery: Pushed) -> bool:
        """Keep usage on this host's disk until the database is back; False where there is no room, or no spool."""
        return await asyncio.to_thread(self._service.parts.spool.keep, delivery)

    # Operators

    def change_limit(
        self, rule: str, fields: dict[str, Any], *, until: datetime | None, who: str, dry_run: bool
    ) -> "Future[LimitsHold | str]":
        """Change a limit from the next cycle on; a sentence says why nothing was changed."""

        def change(tx: Transaction) -> LimitsHold | str:
            base = self._service.ruling.rules.limits  # of the file that holds when it runs: a reload may come first
            return operate.change_limit(tx, base=base, rule=rule, fields=fields, who=who, until=until, dry_run=dry_run)

        return self._do(change, then=None if dry_run else self._service.limits_changed)

    def hold(self, reason: str, *, who: str) -> "Future[EverythingHeld | None]":
        """Let nothing start, with a reason; an empty reason lets everything go on."""

        def deed(tx: Transaction) -> EverythingHeld | None:
            operate.hold_all(tx, reason, who=who)
            return everything_held(tx)

        return self._do(deed, then=self._service.ruling.hold_in_force)

    def hold_ticket(self, number: int, *, on: bool, who: str) -> "asyncio.Future[Reply]":
        """Keep one ticket from starting, or let it go on."""
        return self._deed(Hold(number, on), "ticket.held" if on else "ticket.unheld", who)

    def start_ticket(self, number: int, *, who: str) -> "asyncio.Future[Reply]":
        """Let a waiting ticket start, whatever its limits say."""
        return self._deed(Start(number), "ticket.forced", who)

    def reclass_ticket(self, number: int, priority: Priority, *, who: str) -> "asyncio.Future[Reply]":
        """Move a waiting ticket to another class; one that waits no more stays as it is."""

        def note(tx: Transaction, reply: Reply) -> None:
            if isinstance(reply, Answer) and reply.ticket.priority is priority:
                operate.note(tx, "ticket.reclassed", number, who=who, into=priority.value)

        return self._service.writer.ask_from(asyncio.get_running_loop(), Reclass(number, priority), note)

    def withdraw(self, request: Withdraw, *, owner: str, who: str) -> "asyncio.Future[Reply]":
        """Give a ticket up; an operator's deed where it is another's than ``owner``."""

        def note(tx: Transaction, reply: Reply) -> None:
            if request.by is None and isinstance(reply, Answer) and reply.ticket.owner != owner:
                operate.note(tx, "ticket.withdrawn", reply.ticket.id, who=who)

        return self._service.writer.ask_from(asyncio.get_running_loop(), request, note)

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

    def _do(self, deed: Callable[[Transaction], T], *, then: Callable[[Terms, T], Terms] | None = None) -> "Future[T]":
        """A transaction of its own; ``then`` says what the terms are after its commit, before the future resolves."""
        return self._service.writer.do(deed, then=then)
