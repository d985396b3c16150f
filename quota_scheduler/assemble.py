"""The composition root: every object is built once here, from a Config, and handed down through constructors."""

import logging
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

import quota_scheduler
from quota_scheduler import behind, story
from quota_scheduler.alert_rules import load_rules
from quota_scheduler.auth import Tokens
from quota_scheduler.config import Config, is_blank
from quota_scheduler.config.tree import Bill, BillProvider, Without
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.core.labels import UNASKED
from quota_scheduler.core.limits.changes import LimitsHold
from quota_scheduler.core.queue.policy import QueuePolicy
from quota_scheduler.core.readings.documents import read_outlook
from quota_scheduler.core.replicas.rules import Rules
from quota_scheduler.core.tickets.ticket import Ticket
from quota_scheduler.errors import ConfigError, StartError
from quota_scheduler.health import Health
from quota_scheduler.metrics import Metrics
from quota_scheduler.metrics.observer import Observer
from quota_scheduler.notify.addresses import AppriseReceiver
from quota_scheduler.notify.notifier import AppriseNotifier
from quota_scheduler.parts import Derived, Doors, Parts, source_readings
from quota_scheduler.price_catalog import Prices
from quota_scheduler.replicas.following import Following
from quota_scheduler.replicas.leading import Do, Leading, this_process
from quota_scheduler.runtime import Service
from quota_scheduler.service import cycle
from quota_scheduler.service.apply_prices import priced_ticket, unpriced
from quota_scheduler.service.chain_sessions import SessionChaining
from quota_scheduler.service.comments import CommentContext, CommentDesk
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.service.intake import Intake
from quota_scheduler.service.keep_bills import KeptBills
from quota_scheduler.service.operate import limits as operate
from quota_scheduler.service.operate.holds import EverythingHeld, everything_held
from quota_scheduler.service.receive import ShippedSources
from quota_scheduler.service.reprice import Repricing
from quota_scheduler.service.reread import Rereading
from quota_scheduler.service.settle_unlisted import UnlistedUsage
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.source_passes import ingests_of
from quota_scheduler.sources import claude_code
from quota_scheduler.sources.headless_runs import HeadlessDoor
from quota_scheduler.sources.litellm import LitellmDoor
from quota_scheduler.sources.otlp.door import OtlpDoor
from quota_scheduler.sources.pushed import PushedLabels
from quota_scheduler.spool import Spool, opened
from quota_scheduler.store import Store, documents, turns, utc_now
from quota_scheduler.store import shipped as shipped_store
from quota_scheduler.store.engine import reason as refusal
from quota_scheduler.store.spool_file import SpoolFile
from quota_scheduler.store.turns import Marks
from quota_scheduler.tasks import NAMES as TASKS
from quota_scheduler.traces import OFF, Traces
from quota_scheduler.waiters import Waiters
from quota_scheduler.writer import Writer

if TYPE_CHECKING:
    from quota_scheduler.bills.reader import BillReader
    from quota_scheduler.github.identity import Identity
    from quota_scheduler.github.issue_comments import GitHubComments

log = logging.getLogger(__name__)
BILL_ANSWER_SECONDS = 60.0
"""A report over a month of a large organisation takes its time."""


def assemble(config: Config, *, clock: Callable[[], datetime] = utc_now) -> Service:
    """A service that is built and does not run yet. Raises StartError, ConfigError or StoreError."""
    refuse_open_door(config)
    store = Store(config.database, clock=clock, patience=config.database_patience)
    try:
        return assembled(config, store)
    except BaseException:
        store.close()
        raise


def refuse_open_door(config: Config) -> None:
    """Raise StartError where others could reach the service and nothing would keep them out."""
    if config.open_door:
        raise StartError(config.open_door)


def derive(config: Config) -> Derived:
    """What follows from a configuration alone. Raises ConfigError."""
    policy = QueuePolicy(config.aging_step, config.fair_share, config.claim_within, config.max_offers)
    large_run = {"threshold": config.high_usage_run, **config.alerts.get("high_usage_run", {})}
    changes = {**config.alerts, "high_usage_run": large_run}
    rules = load_rules(changes, receivers=[receiver.id for receiver in config.receivers])
    decides = Rules(config.limits, policy, config.rules, config.models.fallback, config.prices)
    return Derived(Tokens(config.tokens), rules, decides)


def reload(service: Service, reread: Callable[[], Config]) -> None:
    """Read the configuration again and let it rule; one that is invalid changes nothing and says so."""
    try:
        config = reread()
        derived = derive(config)
        problems = unfit_successor(service.config, config)
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        log.error("config.rejected problem=%s", problem)
    if not problems:
        service.apply_config(config, derived)
        log.info("config.reloaded limits=%d tokens=%d", len(config.limits), len(config.tokens))


def reload_tokens(service: Service, reread: Callable[[], Config]) -> None:
    """Read the configuration again and let its tokens alone rule; what is invalid changes nothing and says so."""
    try:
        config = reread()
        problems = unfit_successor(service.config, config)
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        log.error("tokens.rejected problem=%s", problem)
    if not problems:
        service.use_tokens(config, Tokens(config.tokens))
        log.info("tokens.reloaded tokens=%d", len(config.tokens))


def unfit_successor(old: Config, new: Config) -> list[str]:
    """Why a configuration that is valid by itself must not follow another while the service runs.

    A file that is just being written anew is empty for a moment, and then nobody would be kept out and no limit hold.
    """
    if old.file and new.file is None:
        return [f"{old.file} is gone: the configuration stays as it was"]
    if new.file and is_blank(new.file):
        return [f"{new.file} is empty: the configuration stays as it was"]
    if old.tokens and not new.tokens and new.tokens_file:
        return [f"tokens_file: {new.tokens_file} holds no token: the {len(old.tokens)} that were read before stay"]
    if replace(new, listen=old.listen).needs_tokens:
        return [
            f"listen: {old.listen} can be reached from outside and no token would be left: "
            f"the {len(old.tokens)} that were read before stay"
        ]
    return []


def assembled(config: Config, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> Service:
    """The same on a database that is open. Raises ConfigError."""
    derived = derive(config)
    leading = _leading(config, store, derived.decides, monotonic)
    following = Following(leading)
    notifier = AppriseNotifier([AppriseReceiver(r.id, r.url, r.min_severity, r.match) for r in config.receivers])
    metrics = Metrics(CollectorRegistry(), version=quota_scheduler.__version__, tasks=TASKS, targets=notifier.targets)
    health = Health(refused=metrics.write_refused)
    store.timed, store.wrote = metrics.queried, lambda error: health.wrote(error and refusal(error))
    prices, waiters = Prices(following.rules().prices), Waiters()
    terms, limits_hold, held, marks = _terms(leading, following.rules(), prices)

    def on_commit(result: cycle.CycleResult, seconds: float) -> None:
        """After a cycle's commit: wake who is parked, count and log what happened."""
        waiters.announce(result.changed)
        service.moved += bool(result.changed)
        observer.decided(result.decisions, seconds)
        observer.closed(result.closed)
        story.tell(result)
        if traces.is_on:
            traces.started(result.started)
            traces.closed(result.closed)

    rereading = Rereading(
        lambda tx, terms: service.ruling.reread(tx, terms),
        lambda now: service.ruling.limits_hold.is_over(now),
        as_of=marks,
    )
    traces = _traces(config, leading.me.name)
    writer = Writer(store, terms, tell=on_commit, rereading=rereading, traces=traces)
    do_as_leader = leading.door(writer.do)
    observer = Observer(metrics, lambda: writer.terms.limits, store.clock)
    ingests = tuple(ingests_of(config, store, writer, prices))
    bills = tuple(_bill(bill, store, writer, do_as_leader) for bill in config.bills)
    with store.reading() as tx:
        shipped = ShippedSources(shipped_store.load(tx))
    sources = partial(source_readings, ingests, shipped, bills, leading)
    recompute = Recompute(
        store,
        terms.limits,
        rules=derived.rules,
        targets=notifier.receivers,
        sources=sources,
        high_usage_run=config.high_usage_run,
        price=prices.price,
        thresholds=terms.thresholds,
        gets_further=partial(health.further, behind.TICK),
    )
    recompute.outlooks.update(terms.outlooks)
    deliverer = Deliverer(
        store,
        notifier,
        notifier.targets,
        observe=observer.attempted,
        transaction=leading.transaction,
        must_lead=leading.must_lead,
    )
    repricing = Repricing(store, do_as_leader, prices, lambda: writer.terms.limits, forget=writer.forget)
    unlisted = UnlistedUsage(store, do_as_leader, prices, lambda: writer.terms.limits)
    context = CommentContext(
        limits=lambda: writer.terms.limits,
        readings=lambda: service.readings.limits,
        zone=lambda: service.config.timezone,
    )
    intake = Intake(writer.do, prices, lambda: writer.terms.limits)
    commenter_of = partial(_commenter, store=store, must_lead=leading.must_lead)
    parts = Parts(
        store=store,
        writer=writer,
        waiters=waiters,
        metrics=metrics,
        health=health,
        prices=prices,
        notifier=notifier,
        deliverer=deliverer,
        ingests=ingests,
        recompute=recompute,
        repricing=repricing,
        unlisted=unlisted,
        shipped=shipped,
        bills=bills,
        sources=sources,
        doors=_doors(config),
        intake=intake,
        spool=Spool(_spool_file(config, store), lambda one: intake.put(intake.priced(one)), metrics),
        comments=CommentDesk(
            store, do_as_leader, writer.ask, context, commenter_of(config), must_lead=leading.must_lead
        ),
        commenter_of=commenter_of,
        leading=leading,
        do_as_leader=do_as_leader,
        following=following,
        traces=traces,
        chaining=SessionChaining(store, do_as_leader, lambda: writer.terms.limits),
    )
    service = Service(config, parts, derived, limits_hold=limits_hold)
    service.ruling.hold_in_force(terms, held)
    behind.wait(parts)
    return service


def _traces(config: Config, instance: str) -> Traces:
    """Where spans go. Raises StartError where what sends them is not installed."""
    if not config.traces.endpoint:
        return OFF
    try:
        from quota_scheduler.telemetry import SentTraces
    except ModuleNotFoundError as error:
        raise StartError(
            f"traces.endpoint: {error.name} is not installed, which sends spans: "
            "pip install 'quota-scheduler[traces]', or leave traces out"
        ) from None
    return SentTraces(
        config.traces.endpoint, config.traces.share, version=quota_scheduler.__version__, instance=instance
    )


def _spool_file(config: Config, store: Store) -> SpoolFile | None:
    """Where usage is kept while the database is away; beside a file, which has no server, only where that is asked."""
    place = config.spool
    is_wanted = place.bytes and (store.is_shared or place.is_named)
    return opened(place.file, place.bytes, store.clock) if is_wanted else None


def _leading(config: Config, store: Store, rules: Rules, monotonic: Callable[[], float]) -> Leading:
    """Who leads, after a first look: this process, if nobody else does."""
    listen = config.listen
    address = f"{socket.gethostname()}:{listen.port}" if listen.is_everywhere else str(listen)
    me = this_process(address, quota_scheduler.__version__, now=store.clock())
    ttl = timedelta(seconds=config.leader_ttl)
    leading = Leading(store, me, rules, ttl=ttl, is_alone=not store.is_shared, monotonic=monotonic)
    leading.look()
    return leading


def _terms(leading: Leading, rules: Rules, prices: Prices) -> tuple[Terms, LimitsHold, EverythingHeld | None, Marks]:
    """What rules the first cycle, the limits that hold now, who holds everything, and as of which write."""
    store = leading.store

    def with_model(ticket: Ticket, model: str) -> Ticket:
        """The ticket as it would be with another model."""
        other = ticket._replace(labels=ticket.labels._replace(model=model), estimate=unpriced(ticket.estimate))
        return priced_ticket(other, store.clock(), prices)

    if leading.leads:
        with leading.transaction() as tx:
            leading.let_rule(tx)
            operate.apply_limits(tx, rules.limits, starting=True)
    with store.reading() as tx:
        hold, held = operate.limits_hold(tx, rules.limits), everything_held(tx)
        outlooks = {name: read_outlook(body) for name, body in documents.load_bodies(tx, "outlooks").items()}
        marks = turns.look(tx)
    terms = Terms(
        hold.limits,
        rules.policy,
        outlooks,
        hold=held is not None,
        models=rules.models,
        reprice=with_model,
        thresholds=rules.thresholds,
    )
    return terms, hold, held, marks


def _bill(bill: Bill, store: Store, writer: Writer, do: Do) -> "BillReader":
    """The reports of one organisation. What reads them is loaded where there are such."""
    from quota_scheduler.bills import anthropic, openai
    from quota_scheduler.bills.reader import BillReader
    from quota_scheduler.outbound import OtherServer

    vendor = {BillProvider.ANTHROPIC: anthropic, BillProvider.OPENAI: openai}[bill.provider]
    return BillReader(
        name=f"{bill.provider.value}/{bill.account}",
        account=bill.account,
        server=OtherServer(bill.url or vendor.BASE, headers=vendor.headers(bill.key), seconds=BILL_ANSWER_SECONDS),
        readers=vendor.readers(bill.api.value),
        keeper=KeptBills(bill.provider.value, bill.account, store=store, do=do, limits=lambda: writer.terms.limits),
        clock=store.clock,
        every=bill.every,
    )


def _commenter(config: Config, *, store: Store, must_lead: Callable[[], None]) -> "GitHubComments | None":
    """What writes comments at issues; None where nothing is to be written."""
    github = config.github
    if github is None:
        return None
    from quota_scheduler.github import issue_comments
    from quota_scheduler.github.identity import AppIdentity, TokenIdentity
    from quota_scheduler.outbound import OtherServer

    server = OtherServer(github.url, headers=issue_comments.HEADERS, seconds=issue_comments.ANSWER_SECONDS)
    identity: Identity = TokenIdentity(server, github.token, github.login)
    if (app := github.app) is not None:
        identity = AppIdentity(
            server, app=app.id, key_file=app.key_file, installation=app.installation, clock=store.clock
        )
    return issue_comments.GitHubComments(server, identity, clock=store.clock, must_lead=must_lead)


def _doors(config: Config) -> Doors:
    """What reads the bodies that others push, with the labels that the configuration takes from them."""
    otlp, litellm = (
        PushedLabels(
            dict(door.labels),
            account=door.account,
            accounts=dict(door.accounts),
            team=UNASKED if door.without is Without.IGNORE else "",
        )
        for door in (config.otlp, config.litellm)
    )
    claude = config.sources.claude_code
    team = UNASKED if claude.without is Without.IGNORE else ""
    runs = claude_code.labeller(claude.labels, account=claude.account, home=config.home, team=team)
    return Doors(OtlpDoor(otlp, here=socket.gethostname()), LitellmDoor(litellm), HeadlessDoor(runs))
