"""The shipper: reads this host's sources as the service would, and sends what is new.

    sources ──scan(states)──► Batch ──shipments──► service ──stored──► states kept here: read once

The states are kept only after the service has stored what was read, so a crash or a lost answer sends something twice,
and the service counts it once. While the service is away nothing is lost: the files hold it.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec import Struct, field

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.observations.observation import Observation, Throttle
from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.outbound import HttpAnswer, NoAnswer, OtherServer
from quota_scheduler.shipping.clocks import ClockDifference
from quota_scheduler.shipping.wire import (
    MOST_ELEMENTS,
    VERSION,
    Receipt,
    Shipment,
    SourceState,
    ToldOfItself,
    encoded,
    receipt_in,
    shipped,
    shipped_told,
    shipped_word,
)

log = logging.getLogger(__name__)
PATH = "/v1/shipments"
TAKEN = (200, 202)
"""Stored: in the database, or on the service's disk until that is back."""
SIGN_OF_LIFE_SECONDS = 20.0
"""So often the service hears from a shipper that has nothing to tell."""
LONGEST_PAUSE = 60.0
"""Most seconds between two tries while the service is away."""
MOST_TOLD = 5
"""ShipmentRefused elements of a shipment that are named in the log; the others are counted."""
Scan = Callable[[Mapping[str, FileState]], Iterator[Batch]]


class ShipmentRefused(QuotaSchedulerError):
    """The service will not take what this shipper sends, now or later; the text says why and the way out."""

    code = "refused"


class States(Protocol):
    """Where the states of files are kept between two passes: what the shipper needs of a store."""

    def load(self, source: str) -> dict[str, FileState]:
        """The states of one source by path."""
        ...

    def save(self, source: str, files: Sequence[FileState], gone: Sequence[str]) -> None:
        """Keep states, and forget files that are gone."""
        ...


class Shipped(Struct):
    """One source on this host."""

    name: str
    scan: Scan
    states: dict[str, FileState] = field(default_factory=dict)
    catching_up: bool = True
    errors: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    completed: float | None = None

    def state(self) -> SourceState:
        """How it is doing, for the service."""
        lag = time.monotonic() - self.completed if self.completed is not None else 0.0
        return SourceState(
            self.name, self.catching_up, round(lag, 3), self.errors, len(self.states), self.done_bytes, self.total_bytes
        )


class Sent(Struct, frozen=True):
    """What became of what was sent; ``refused`` are elements that the service could not understand.

    ``spooled`` elements lie on the service's disk until its database is back.
    """

    accepted: int = 0
    updated: int = 0
    duplicate: int = 0
    refused: int = 0
    spooled: int = 0

    def plus(self, other: "Sent") -> "Sent":
        """Both together."""
        return Sent(
            self.accepted + other.accepted,
            self.updated + other.updated,
            self.duplicate + other.duplicate,
            self.refused + other.refused,
            self.spooled + other.spooled,
        )


class Shipper:
    """Ships the sources of one host. ``stop`` may be called from a signal's handler."""

    def __init__(
        self,
        server: OtherServer,
        host: str,
        sources: Sequence[Shipped],
        *,
        states: States,
        clock: Callable[[], datetime],
        program: str,
        patient: bool = True,
    ) -> None:
        """``patient`` waits for a service that is away; otherwise NoAnswer is raised at once."""
        self._server, self._host, self._sources, self._states = server, host, tuple(sources), states
        self._clock, self._program, self._patient = clock, program, patient
        self.difference = ClockDifference()
        self._stopping = threading.Event()
        self._spoke = float("-inf")
        for source in self._sources:
            source.states = states.load(source.name)

    def stop(self) -> None:
        """End after the present shipment."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def greet(self) -> None:
        """Learn the service's clock before anything is sent: what is in the first shipment is corrected by it too."""
        for _ in range(3):
            self._send(self._shipment())

    def ship(self) -> Sent:
        """Make one pass over every source. Raises ShipmentRefused, and NoAnswer unless patient."""
        sent = Sent()
        for source in self._sources:
            if self.is_stopping:
                break
            sent = sent.plus(self._ship_source(source))
        if time.monotonic() - self._spoke > SIGN_OF_LIFE_SECONDS and not self.is_stopping:
            self._send(self._shipment())
        return sent

    def run(self, poll_seconds: float) -> None:
        """Ship until told to stop. Raises ShipmentRefused."""
        while not self.is_stopping:
            self.ship()
            self._stopping.wait(poll_seconds)

    def _ship_source(self, source: Shipped) -> Sent:
        sent = Sent()
        for batch in source.scan(dict(source.states)):
            source.errors += batch.errors
            source.done_bytes, source.total_bytes = batch.done_bytes, batch.total_bytes
            for place in batch.garbled:
                log.warning("source.garbled source=%s line=%s", source.name, place)
            sent = sent.plus(self._ship_batch(source, batch))
            if self.is_stopping:
                return sent
            self._states.save(source.name, batch.files, batch.gone)
            source.states.update((state.path, state) for state in batch.files)
            for path in batch.gone:
                source.states.pop(path, None)
            if batch.last:
                source.completed = time.monotonic()
        if source.catching_up:
            source.catching_up = False
            self._send(self._shipment())
        return sent

    def _ship_batch(self, source: Shipped, batch: Batch) -> Sent:
        """Send a batch in shipments that the service takes."""
        difference = self.difference.value
        events = [shipped(event, difference) for event in batch.events]
        told: tuple[Observation | Throttle, ...] = (*batch.observations, *batch.throttles)
        words = [shipped_word(word, difference) for word in told]
        of_themselves = [shipped_told(told, difference) for told in _told_of_themselves(batch)]
        sent = Sent()
        for start in range(0, max(len(events), len(words), len(of_themselves)), MOST_ELEMENTS):
            part = slice(start, start + MOST_ELEMENTS)
            shipment = msgspec.structs.replace(
                self._shipment(source.name),
                events=tuple(msgspec.Raw(encoded(event)) for event in events[part]),
                observations=tuple(msgspec.Raw(encoded(word)) for word in words[part]),
                told=tuple(msgspec.Raw(encoded(told)) for told in of_themselves[part]),
            )
            receipt = self._send(shipment)
            if receipt is None:
                return sent
            for element in receipt.rejected[:MOST_TOLD]:
                log.error("ship.refused source=%s element=%s", source.name, element)
            counts = receipt.accepted, receipt.updated, receipt.duplicate, len(receipt.rejected), receipt.spooled
            sent = sent.plus(Sent(*counts))
        return sent

    def _shipment(self, source: str = "") -> Shipment:
        return Shipment(
            VERSION,
            self._host,
            self._clock(),
            self._program,
            source,
            self.difference.value.total_seconds(),
            tuple(one.state() for one in self._sources),
        )

    def _send(self, shipment: Shipment) -> Receipt | None:
        """Send until it is stored; None when told to stop meanwhile. Raises as ``ship`` does."""
        pause, said = 1.0, ""
        while True:
            problem, wait = self._try(shipment)
            if isinstance(problem, Receipt):
                if said:
                    log.info("ship.goes_on to=%s after=%s", self._server.base, said)
                return problem
            if not self._patient:
                raise NoAnswer(problem)
            if not said:
                log.warning("ship.waits to=%s reason=%s", self._server.base, problem)
                said = problem
            # hosts that lost the same service must not all come back in the same second
            if self._stopping.wait(min(LONGEST_PAUSE, max(wait or 0.0, pause * random.uniform(0.5, 1.0)))):
                return None
            pause = min(LONGEST_PAUSE, pause * 2)

    def _try(self, shipment: Shipment) -> tuple[Receipt | str, float | None]:
        """One try: the receipt, or why there is none and how long the service asks to be left alone."""
        sent = self._clock()
        try:
            answer = self._server.ask("POST", PATH, encoded(msgspec.structs.replace(shipment, sent_at=sent)))
        except NoAnswer as error:
            return str(error), None
        received = self._clock()
        if answer.status not in TAKEN:
            return self._refusal(answer), answer.retry_after(now=received.timestamp())
        try:
            receipt = receipt_in(answer.content)
        except ValueError as error:
            raise ShipmentRefused(
                f"what answers at {self._server.base} is not this service ({error}): check --to"
            ) from None
        self.difference.answered(sent=sent, theirs=receipt.now, received=received)
        self._spoke = time.monotonic()
        return receipt, None

    def _refusal(self, answer: HttpAnswer) -> str:
        """Why a shipment was not taken, where it is worth trying again. Raises ShipmentRefused where it is not."""
        detail = _detail(answer.content)
        where = self._server.base
        if answer.status in (408, 425, 429) or answer.status >= 500:
            return f"{where} answered {answer.status}{detail}"
        if answer.status in (401, 403):
            raise ShipmentRefused(f"{where} refuses the token{detail}: set QUOTA_TOKEN to one with the role runner")
        if answer.status in (404, 405):
            raise ShipmentRefused(
                f"{where} takes no shipments ({answer.status}): check --to, or update the service there"
            )
        raise ShipmentRefused(f"{where} answered {answer.status}{detail}")


def _told_of_themselves(batch: Batch) -> list[ToldOfItself]:
    """What sessions tell of themselves in a batch."""
    return [
        *(ToldOfItself(total=total) for total in batch.totals),
        *(ToldOfItself(inherited=inherited) for inherited in batch.inherited),
        *(ToldOfItself(going_on=going_on) for going_on in batch.going_on),
    ]


def _detail(content: bytes) -> str:
    try:
        problem = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return ""
    return f" ({problem['detail']})" if isinstance(problem, dict) and problem.get("detail") else ""
