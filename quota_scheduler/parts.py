"""What a service is made of: built once by ``assemble``, handed to whatever runs it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from quota_scheduler.auth import Tokens
from quota_scheduler.config import Config
from quota_scheduler.core.alerts.rule import AlertRule
from quota_scheduler.core.readings.other_hosts import shipped_readings
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.core.replicas.replica import sources_elsewhere
from quota_scheduler.core.replicas.rules import Rules
from quota_scheduler.health import Health
from quota_scheduler.metrics import Metrics
from quota_scheduler.notify.notifier import AppriseNotifier
from quota_scheduler.price_catalog import Prices
from quota_scheduler.replicas.following import Following
from quota_scheduler.replicas.leading import Do, Leading
from quota_scheduler.service.chain_sessions import SessionChaining
from quota_scheduler.service.comments import CommentDesk, Commenter
from quota_scheduler.service.deliver import Deliverer
from quota_scheduler.service.ingest import Ingest
from quota_scheduler.service.intake import Intake
from quota_scheduler.service.receive import ShippedSources
from quota_scheduler.service.reprice import Repricing
from quota_scheduler.service.settle_unlisted import UnlistedUsage
from quota_scheduler.service.tick.tick import Recompute
from quota_scheduler.sources.headless_runs import HeadlessDoor
from quota_scheduler.sources.litellm import LitellmDoor
from quota_scheduler.sources.otlp.door import OtlpDoor
from quota_scheduler.spool import Spool
from quota_scheduler.store import Store
from quota_scheduler.traces import Traces
from quota_scheduler.waiters import Waiters
from quota_scheduler.writer import Writer

if TYPE_CHECKING:
    from quota_scheduler.bills.reader import BillReader


class Doors(Struct, frozen=True):
    """What reads the bodies that others push."""

    otlp: OtlpDoor
    litellm: LitellmDoor
    headless: HeadlessDoor


class Parts(Struct, frozen=True):
    """What a service is made of, each built once."""

    store: Store
    writer: Writer
    waiters: Waiters
    metrics: Metrics
    health: Health
    prices: Prices
    notifier: AppriseNotifier
    deliverer: Deliverer
    ingests: tuple[Ingest, ...]
    recompute: Recompute
    repricing: Repricing
    shipped: ShippedSources
    bills: "tuple[BillReader, ...]"
    sources: Callable[[datetime], tuple[SourceReading, ...]]
    unlisted: UnlistedUsage
    doors: Doors
    intake: Intake
    comments: CommentDesk
    commenter_of: Callable[[Config], Commenter | None]
    leading: Leading
    do_as_leader: Do
    following: Following
    traces: Traces
    spool: Spool
    chaining: SessionChaining


class Derived(Struct, frozen=True):
    """What follows from a configuration alone, and is worked out anew when it is read again."""

    tokens: Tokens
    rules: tuple[AlertRule, ...]
    decides: Rules


def source_readings(
    ingests: Sequence[Ingest], shipped: ShippedSources, bills: "Sequence[BillReader]", leading: Leading, now: datetime
) -> tuple[SourceReading, ...]:
    """How far every source is of which anything was found: here, at other replicas and hosts, and at providers."""
    here = [ingest.source_reading(now) for ingest in ingests if ingest.is_there]
    elsewhere = [*sources_elsewhere(leading.replicas, leading.me.name, now), *shipped_readings(shipped.all(), now)]
    return (*here, *elsewhere, *(bill.source_reading(now) for bill in bills))
