"""What the edge may look at: what holds now, and questions to the database, each in one read-only view.

Questions to the database block for a moment: they belong into a thread.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from quota_scheduler import readiness
from quota_scheduler.auth import RateLimits, Tokens
from quota_scheduler.config import Config
from quota_scheduler.core.cycle.requests import Request
from quota_scheduler.core.history.asking import Question, Words, question
from quota_scheduler.core.limits.changes import LimitChange
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.sight import EVERYTHING, ScopeView
from quota_scheduler.core.observations.report_key import DEFAULT_ACCOUNT
from quota_scheduler.core.queue.order import order
from quota_scheduler.core.readings.readings import DayOfUse, LimitReading, Readings
from quota_scheduler.core.readings.sighted import (
    own_accounts,
    own_alerts,
    own_rows,
    own_silences,
    placed_in,
    sees,
    sighted,
)
from quota_scheduler.core.scope import EVERYBODY, Scope
from quota_scheduler.core.tickets.run_history import EstimateBasis
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.errors import DatabaseAway
from quota_scheduler.runtime import Service
from quota_scheduler.service.keep_bills import ceilings_document
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.operate.holds import EverythingHeld, audit_document
from quota_scheduler.service.queries.advice import suggestions_document
from quota_scheduler.service.queries.alerts import alerts_document, muted_document, silences_document
from quota_scheduler.service.queries.consequences import Consequences, consequences
from quota_scheduler.service.queries.course import course_of
from quota_scheduler.service.queries.decisions import decisions_document
from quota_scheduler.service.queries.export import export_page
from quota_scheduler.service.queries.history import recent_days
from quota_scheduler.service.queries.loans import loans_document
from quota_scheduler.service.queries.observations import observations_document
from quota_scheduler.service.queries.queue import (
    plan_document,
    queue_in_order,
    standing_document,
    ticket_row,
    turns_document,
)
from quota_scheduler.service.queries.reconcile import reconciliation_document
from quota_scheduler.service.queries.sources import sources_document
from quota_scheduler.service.queries.usage import efficiency_document, runs_document, usage_document
from quota_scheduler.service.queries.usage_history import history_document
from quota_scheduler.service.queries.windows import windows_document
from quota_scheduler.store import Transaction, ledger
from quota_scheduler.store import limit_changes as stored_changes
from quota_scheduler.store.audit import Wanted
from quota_scheduler.traces import Traces

T = TypeVar("T")
Document = dict[str, Any]


class Questions:
    """What one service can tell."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._muted: list[dict[str, str]] = []
        self._by_id: tuple[tuple[Limit, ...], dict[str, Limit]] = (), {}

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
    def rates(self) -> RateLimits:
        """How often each of them may."""
        return self._service.rates

    @property
    def traces(self) -> Traces:
        """Where spans go."""
        return self._service.parts.traces

    def slowed(self) -> None:
        """A token asked too often: counted."""
        self._service.parts.metrics.request_slowed()

    @property
    def config(self) -> Config:
        """The configuration that rules."""
        return self._service.config

    @property
    def limits(self) -> dict[str, Limit]:
        """The limits as they hold now, by id."""
        limits = self._service.writer.terms.limits
        if self._by_id[0] is not limits:
            self._by_id = limits, {limit.id: limit for limit in limits}
        return self._by_id[1]

    @property
    def held(self) -> EverythingHeld | None:
        """Who holds everything, and why; None when nothing is held."""
        return self._service.ruling.held

    @property
    def rules(self) -> list[str]:
        """The alert rules by id."""
        return [rule.id for rule in self._service.parts.recompute.rules]

    @property
    def readings(self) -> Readings:
        """What the last tick saw."""
        return self._service.readings

    def course(self, reading: LimitReading) -> list[tuple[datetime, float]]:
        """How use of a limit grew in its window, hour by hour, in its unit; empty where it has no window. Blocks."""
        starts_at = reading.balance.starts_at
        if starts_at is None:
            return []
        scale, until = reading.unit.base, self._service.readings.at
        if self._service.leads:
            course = self._service.parts.recompute.forecasting.book.of(reading.limit).course(starts_at, until)
        else:
            course = self._look(lambda tx: course_of(tx, self.limits.values(), reading.limit, starts_at, until))
        return [(at, used / scale) for at, used in course]

    @property
    def replicas(self) -> Document | None:
        """Who serves from this database, and who of them leads; None where this process is alone on it."""
        return self._service.leading.document()

    @property
    def estimate_basis(self) -> EstimateBasis:
        """What finished runs say about the next one."""
        return self._service.estimate_basis

    def account_of(self, provider: str, folder: str = "") -> str:
        """The account of a provider's own program here, where nobody names one: that of its folder, if it has one."""
        sources = self.config.sources.by_name()
        own = [sources[one.name] for one in self._service.parts.ingests if one.provider == provider]
        named = (name for source in own for root, name in source.accounts if folder and root == Path(folder))
        return next(named, next((source.account for source in own), DEFAULT_ACCOUNT))

    def now(self) -> datetime:
        """The instant it is for the service."""
        return self._service.store.clock()

    def plan(self, items: Sequence[Ticket]) -> Document:
        """What a plan's items are expected to cost together, and which of them will fit."""
        terms = self._service.writer.terms
        return self._look(lambda tx: plan_document(tx, items, terms.limits, terms.outlooks))

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

    def sight(self, scope: Scope) -> ScopeView:
        """What a scope may see of limits and accounts."""
        if not scope.is_bound:
            return EVERYTHING
        return self._look(lambda tx: ScopeView.among(scope, (labels for labels, _ in ledger.label_sets(tx).values())))

    def seen(self, sight: ScopeView) -> Readings:
        """What the last tick saw, as far as a sight goes."""
        return sighted(self.readings, sight, self.limits)

    def _sees(self, sight: ScopeView) -> Callable[[str], bool]:
        limits = self.limits
        return lambda instance: sees(sight, limits, instance)

    def queue(self, scope: Scope = EVERYBODY) -> tuple[Document, list[tuple[int, Ticket]]]:
        """The throttle queue of one moment: what is offered and runs, and who waits, each with its place among all."""
        document, line = self._look(lambda tx: queue_in_order(tx, self._service.writer.terms.policy))
        return self._standing(own_rows(document, scope), scope), placed_in(line, scope)

    def standing(self, scope: Scope = EVERYBODY) -> Document:
        """What keeps everybody or a whole account waiting."""
        return self._standing(self._look(standing_document), scope)

    def _standing(self, document: Document, scope: Scope) -> Document:
        return {**document, "breakers": own_accounts(document["breakers"], self.sight(scope))}

    def turns(self, scope: Scope = EVERYBODY) -> Document:
        """What is offered and what runs."""
        return own_rows(self._look(turns_document), scope)

    def ticket_row(self, ticket: Ticket, place: int | None = None, scope: Scope = EVERYBODY) -> Document:
        """A ticket as the queue shows it, its key as its own scope wrote it."""
        row = ticket_row(ticket, place)
        return {**row, "key": scope.plain(row["key"])} if scope.is_bound else row

    def costs(self, days: int, scope: Scope = EVERYBODY) -> Document:
        """What every civil day cost, in the zone of the configuration, the days without use too."""
        words = Words(by=["day"], last=f"{days}d")
        return self.usage_history(question(words, zone=self.config.timezone, now=self.now()), scope)

    def line(self) -> list[Ticket]:
        """Who waits, first to go first, of what the writer remembers; of a long queue the told places."""
        writer = self._service.writer

        def read(tx: Transaction) -> tuple[list[Ticket], dict[str, int], dict[int, int]]:
            remembered = writer.remembered(tx)
            queue = remembered.queue
            places = queue.places[1] if queue.is_long and queue.places else {}
            return list(queue), dict(remembered.running), places

        waiting, running, places = writer.do(read).result()
        if places:
            return sorted(waiting, key=lambda ticket: (places.get(ticket.id, len(places)), ticket.id))
        return order(waiting, running, writer.terms.policy, now=self.now())

    def consequences(self, request: Request | None = None, *, hold: bool | None = None) -> Consequences:
        """What a request, or holding everything and letting it go on, would do at once; nothing is changed."""
        terms = self._service.writer.terms
        terms = terms if hold is None else replace(terms, hold=hold)
        return self._look(lambda tx: consequences(tx, terms, request))

    def limit_consequences(self, rule: str, fields: Mapping[str, Any]) -> tuple[Limit, Consequences] | str:
        """The limit as it would be, and what would happen at once; a sentence where it cannot be so."""
        terms = self._service.writer.terms

        def look(tx: Transaction) -> tuple[Limit, Consequences] | str:
            hold = operate.change_limit(
                tx, self._service.ruling.rules.limits, rule, fields, who="", until=None, dry_run=True
            )
            if isinstance(hold, str):
                return hold
            after = next(limit for limit in hold.limits if limit.id == rule)
            return after, consequences(tx, replace(terms, limits=hold.limits))

        return self._look(look)

    @property
    def moved(self) -> int:
        """Rises with every cycle that has changed a ticket."""
        return self._service.moved

    def decisions(self, days: int, by: Sequence[str], scope: Scope = EVERYBODY) -> Document:
        """How often work was admitted, deferred, woken and rejected."""
        seen = self._sees(self.sight(scope))
        return self._look(lambda tx: decisions_document(tx, days, by, zone=self.config.timezone, sees=seen))

    def observations(self, scope: Scope = EVERYBODY) -> Document:
        """What providers said last about their windows."""
        document, sight = self._look(observations_document), self.sight(scope)
        return {**document, **{name: own_accounts(document[name], sight) for name in ("observations", "breakers")}}

    def audit(self, most: int, **wanted: Any) -> Document:
        """What was done by hand, newest first; ``wanted`` are the other fields of ``Wanted``."""
        return self._look(lambda tx: audit_document(tx, Wanted(most, **wanted)))

    def alerts(self, scope: Scope = EVERYBODY) -> Document:
        """Alerts that are pending, firing or resolved lately."""
        document, sight = self._look(alerts_document), self.sight(scope)
        return {"alerts": own_alerts(document["alerts"], sight, self._sees(sight))}

    def alerts_muted(self, scope: Scope = EVERYBODY) -> list[dict[str, str]]:
        """Alerts that fire and reach nobody, with why; those of the last look while the database is away."""
        with contextlib.suppress(DatabaseAway):
            self._muted = self._look(muted_document)
        seen = self._sees(self.sight(scope))
        return [one for one in self._muted if not scope.is_bound or seen(one["scope"])]

    def silences(self, scope: Scope = EVERYBODY) -> Document:
        """Silences that have not ended; who is bound sees those that cover an alert of theirs, without their words."""
        document = self._look(silences_document)
        if not scope.is_bound:
            return document
        return {"silences": own_silences(document["silences"], {one["id"] for one in self.alerts(scope)["alerts"]})}

    def efficiency(self, days: int, by: str, scope: Scope = EVERYBODY) -> Document:
        """Tokens by kind and cache hit rate by a label of runs."""
        return self._look(lambda tx: efficiency_document(tx, days, by, scope))

    def suggestions(self, days: int, scope: Scope = EVERYBODY) -> Document:
        """What would make the same work cost less."""
        limits, price, sight = self._service.writer.terms.limits, self._service.parts.prices.price, self.sight(scope)
        zone = self.config.timezone
        return self._look(lambda tx: suggestions_document(tx, limits, price, days, zone=zone, sight=sight))

    def usage(self, days: int, by: Sequence[str], scope: Scope = EVERYBODY) -> Document:
        """Usage added up by day and labels."""
        return self._look(lambda tx: usage_document(tx, days, by, scope))

    def sources(self) -> Document:
        """Every door that usage and providers' words come through."""
        passes = self._service.source_passes()
        return self._look(lambda tx: sources_document(tx, passes))

    def reconciliation(self) -> Document:
        """Own sums, providers' words and bills side by side."""
        limits = self._service.writer.terms.limits
        return self._look(lambda tx: reconciliation_document(tx, limits))

    def ceilings(self, scope: Scope = EVERYBODY) -> Document:
        """What providers allow in a moment."""
        document = self._look(ceilings_document)
        return {**document, "ceilings": own_accounts(document["ceilings"], self.sight(scope))}

    def windows(self, name: str, back: timedelta, scope: Scope = EVERYBODY) -> Document:
        """Windows of limits that ended lately, and those that are open."""
        limits, seen = self._service.writer.terms.limits, self._sees(self.sight(scope))
        return self._look(lambda tx: windows_document(tx, limits, name=name, back=back, sees=seen))

    def loans(self, days: int, scope: Scope = EVERYBODY) -> Document:
        """Who owes whom within pools."""
        limits, seen = self._service.writer.terms.limits, self._sees(self.sight(scope))
        return self._look(lambda tx: loans_document(tx, limits, days, seen))

    def usage_history(self, asked: Question, scope: Scope = EVERYBODY) -> Document:
        """Usage by period and labels, with totals."""
        return self._look(lambda tx: history_document(tx, asked, scope))

    def usage_events(
        self, kind: str, *, after: int, since: datetime | None, most: int, scope: Scope = EVERYBODY
    ) -> Document:
        """Recorded events as they are imported again, a page at a time."""
        return self._look(lambda tx: export_page(tx, kind, after=after, since=since, most=most, scope=scope))

    def runs(self, days: int, most: int, scope: Scope = EVERYBODY) -> Document:
        """The largest runs."""
        return self._look(lambda tx: runs_document(tx, days, most, scope))

    def recent_days(self, reading: LimitReading) -> list[DayOfUse]:
        """The last days of a limit, newest first."""
        limits = self._service.writer.terms.limits
        return self._look(lambda tx: recent_days(tx, limits, reading.limit, zone=reading.zone))

    def exposition(self, accept: str, encoding: str) -> tuple[bytes, dict[str, str]]:
        """What Prometheus scrapes."""
        return self._service.parts.metrics.exposition(accept, encoding)

    def not_ready(self) -> list[str]:
        """Why no work is taken, one sentence each. Blocks."""
        return readiness.problems(self._service)

    def failed(self) -> None:
        """An answer was one of ours to blame (5xx): counted."""
        self._service.parts.metrics.answer_failed()

    def notes(self, scope: Scope = EVERYBODY) -> list[str]:
        """What an operator should know although work is taken; who is bound hears that everything is held."""
        held = [self.held.sentence()] if self.held else []
        return held if scope.is_bound else held + readiness.notes(self._service)

    def _look(self, question: Callable[[Transaction], T]) -> T:
        with self._service.store.reading() as tx:
            return question(tx)
