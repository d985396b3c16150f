"""Usage that another host has read."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from quota_scheduler.api.access import MOST_USAGE_BYTES, accepting, raw_body, require
from quota_scheduler.api.problems import Problem
from quota_scheduler.api.pushed import taken
from quota_scheduler.config import Role
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.ledger.source_batch import Batch, ShippedSource
from quota_scheduler.core.scope import Scope
from quota_scheduler.shipping import wire
from quota_scheduler.shipping.wire import Shipment

MOST_NAMED = 20
"""Sentences about what claims to be of others that the receipt holds."""


async def receive(request: Request) -> Response:
    """Record a shipment; what cannot be understood of it is named and keeps nothing else out.

    202 says that it lies on this disk, and is recorded once the database is back.
    """
    asker, service = require(request, Role.RUNNER), accepting(request)
    raw = await raw_body(request, most=MOST_USAGE_BYTES)
    shipment, batch, rejected = await asyncio.to_thread(_understood, raw)
    batch, foreign = service.claimed_batch(batch, asker.scope)
    rejected += [{"reason": sentence} for sentence in foreign[:MOST_NAMED]]
    delivery = _delivery(shipment, batch, asker.scope, service.now())
    sent = delivery.source, batch, delivery.sources, asker.scope
    done = await taken(service, delivery, lambda: service.receive(*sent))
    if done is None:
        receipt = wire.Receipt(service.now(), 0, 0, 0, rejected, delivery.size)
        return Response(wire.encoded(receipt), 202, media_type="application/json")
    receipt = wire.Receipt(done.now, done.recorded.accepted, done.recorded.updated, done.recorded.duplicate, rejected)
    return Response(wire.encoded(receipt), media_type="application/json")


def _delivery(shipment: Shipment, batch: Batch, scope: Scope, now: datetime) -> Pushed:
    """What a shipment tells, as it is kept while the database is away."""
    return Pushed(
        f"{shipment.source}@{shipment.host}", batch.events, observations=batch.observations,
        throttles=batch.throttles, scope=scope, totals=batch.totals, inherited=batch.inherited,
        going_on=batch.going_on, sources=tuple(_sources(shipment, now)),
    )  # fmt: skip


def _understood(raw: bytes) -> tuple[Shipment, Batch, list[dict[str, Any]]]:
    try:
        shipment = wire.shipment_in(raw)
    except ValueError as error:
        raise Problem(422, "invalid_body", str(error)) from None
    return shipment, *wire.batch_in(shipment)


def _sources(shipment: Shipment, now: datetime) -> list[ShippedSource]:
    """How the host's sources are doing now."""
    return [
        ShippedSource(
            shipment.host, source.name, now, timedelta(seconds=source.lag_seconds), source.catching_up,
            source.errors, source.files, source.done_bytes, source.total_bytes,
            timedelta(seconds=shipment.clock_difference), shipment.program,
        )
        for source in shipment.sources
    ]  # fmt: skip
