"""Usage that is pushed: what arrives together is priced beside the writer and recorded in one transaction.

    requests ──put──► line ──one job of the writer──► series settled, events recorded ──commit──► all are answered
                       │
                       └── too long: who comes next is told to come again, before anything of theirs is taken

A body is stored or it is not, and only one that is stored is answered 200. Where the whole fails, deliveries are tried
one by one, and then their events, so that one that cannot be recorded keeps no other out.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.ledger import produced
from quota_scheduler.core.ledger.metered import settle
from quota_scheduler.core.ledger.produced import Produced
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.ledger.source_batch import Batch
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.usage import ORDINARY, UsageEvent
from quota_scheduler.errors import StoreError
from quota_scheduler.service.apply_prices import Pricer, priced_anew, priced_events
from quota_scheduler.service.observe import record_word
from quota_scheduler.service.own_work import own_batch, own_events
from quota_scheduler.service.record import Recorded, record_usage
from quota_scheduler.store import Transaction, counters, metric_series, session_totals
from quota_scheduler.store import produced as produced_rows

log = logging.getLogger(__name__)
MOST_WAITING = 50_000
"""Events in line past which nobody else's are taken: about a second's work, and 50 MB."""
MOST_AT_ONCE = 5_000
"""Events of one transaction: more would keep runners waiting for a lease."""
MOST_NAMED = 5
"""Places of one body that the log names; the others are counted."""
NOTICEABLE = 1.2
"""A call that is said to cost this many times our price was no ordinary one: fast ones cost twice as much."""
FAST = "fast"
Do = Callable[[Callable[[Transaction], Any]], "Future[Any]"]
Limits = Callable[[], Sequence[Limit]]


class _Waiting(Struct, frozen=True):
    delivery: Pushed
    future: "Future[Recorded]"


class Intake:
    """The line of what was pushed and is not recorded yet. ``do`` is the writer's door."""

    def __init__(self, do: Do, prices: Pricer, limits: Limits) -> None:
        self._do, self._prices, self._limits = do, prices, limits
        self._lock = threading.Lock()
        self._line: deque[_Waiting] = deque()
        self._size = 0
        self._is_due = False

    @property
    def is_full(self) -> bool:
        """Whether so much waits that who comes now should come again later."""
        return self._size >= MOST_WAITING

    def priced(self, delivery: Pushed) -> Pushed:
        """A delivery whose events know what they cost. Blocks for a moment."""
        for one in {(point.draft.labels, point.draft.terms): point for point in delivery.metered}.values():
            self._prices.price(one.draft.labels, one.draft.usage, one.draft.at, one.draft.terms or ORDINARY)
        events = priced_events(delivery.events, self._prices)
        said = dict(delivery.costs)
        return replace(delivery, events=tuple(self._at_its_speed(event, said) for event in events))

    def _at_its_speed(self, event: UsageEvent, said: Mapping[str, int]) -> UsageEvent:
        """The event as a fast one, where what its program says that it cost is nearer to that."""
        cost, ours = said.get(event.key, 0), event.usage.cost_pico
        if not ours or event.estimated or cost < ours * NOTICEABLE or event.terms != ORDINARY:
            return event
        fast = priced_anew(replace(event, terms=ORDINARY._replace(speed=FAST)), self._prices)
        return fast if abs(fast.usage.cost_pico - cost) < abs(ours - cost) else event

    def put(self, delivery: Pushed) -> "Future[Recorded]":
        """Record a priced delivery; the future resolves once it is on the disk. Call ``is_full`` first."""
        waiting = _Waiting(delivery, Future())
        with self._lock:
            self._line.append(waiting)
            self._size += max(1, delivery.size)
        self._call_writer()
        return waiting.future

    def _call_writer(self) -> None:
        """Let the writer take what waits: one job at a time, whoever comes meanwhile is part of it or of the next."""
        with self._lock:
            if self._is_due or not self._line:
                return
            self._is_due = True
        taken: list[_Waiting] = []
        job = self._do(partial(self._record_line, taken=taken))
        job.add_done_callback(partial(self._settle, taken=taken))

    def _record_line(self, tx: Transaction, *, taken: list[_Waiting]) -> list[Recorded]:
        with self._lock:
            size = 0
            while self._line and size < MOST_AT_ONCE:
                taken.append(self._line.popleft())
                size += max(1, taken[-1].delivery.size)
            self._size -= size
            self._is_due = False
        return self._record(tx, [one.delivery for one in taken])

    def _settle(self, job: "Future[Any]", *, taken: list[_Waiting]) -> None:
        """Answer who was taken, and let the writer go on with who has come since."""
        error = job.exception()
        if error and not taken:  # the transaction did not even begin: nobody who waits can be served
            with self._lock:
                self._is_due, self._size = False, 0
                taken += self._line
                self._line.clear()
        if error is None:
            for one, recorded in zip(taken, job.result(), strict=True):
                one.future.set_result(recorded)
        elif isinstance(error, StoreError):
            for one in taken:
                one.future.set_exception(error)
        else:
            for one in taken:
                self._one_by_one(one)
        self._call_writer()

    def _one_by_one(self, waiting: _Waiting) -> None:
        """Record one delivery by itself; where that fails, each of its events."""

        def settled(job: "Future[Any]") -> None:
            error = job.exception()
            if error is None:
                waiting.future.set_result(job.result())
            elif isinstance(error, StoreError) or waiting.delivery.size <= 1:
                self._refuse(waiting, error)
            else:
                self._apart(waiting)

        self._do(lambda tx: self._record(tx, [waiting.delivery])[0]).add_done_callback(settled)

    def _refuse(self, waiting: _Waiting, error: BaseException) -> None:
        if isinstance(error, StoreError):
            waiting.future.set_exception(error)
            return
        source = waiting.delivery.source
        log.error("source.event_refused source=%s keys=%a error=%r", source, _keys(waiting.delivery), error)
        self._do(lambda tx: counters.add(tx, "quota_source_errors_total", (source,), 1)).add_done_callback(
            lambda _: waiting.future.set_result(Recorded())
        )

    def _apart(self, waiting: _Waiting) -> None:
        """Record the parts of a delivery each by itself; its future resolves with the last of them."""
        delivery = waiting.delivery
        parts = [
            *(Pushed(delivery.source, events=(event,), scope=delivery.scope) for event in delivery.events),
            *(Pushed(delivery.source, metered=(point,), scope=delivery.scope) for point in delivery.metered),
            *(Pushed(delivery.source, produced=(one,), scope=delivery.scope) for one in delivery.produced),
            *(Pushed(delivery.source, totals=(total,), scope=delivery.scope) for total in delivery.totals),
        ]
        pieces = [_Waiting(part, Future()) for part in parts]
        left, lock, sum_ = [len(pieces)], threading.Lock(), [Recorded()]

        def ended(piece: "Future[Recorded]") -> None:
            with lock:
                left[0] -= 1
                sum_[0] = sum_[0].plus(piece.result()) if piece.exception() is None else sum_[0]
                is_last = left[0] == 0
            if is_last:
                broken = next((error for one in pieces if (error := one.future.exception())), None)
                if broken:
                    waiting.future.set_exception(broken)
                else:
                    waiting.future.set_result(sum_[0])

        for piece in pieces:
            piece.future.add_done_callback(ended)
            self._one_by_one(piece)

    def _record(self, tx: Transaction, deliveries: Sequence[Pushed]) -> list[Recorded]:
        """Record deliveries in one transaction; what became of each is known where it came alone."""
        points = [point for delivery in deliveries for point in delivery.metered]
        events = [event for one in deliveries for event in own_events(tx, one.events, one.scope)]
        if points:
            known = metric_series.load(tx, (point.series for point in points if point.is_cumulative))
            settled = settle(points, known)
            metric_series.save(tx, settled.states)
            events += priced_events(settled.events, self._prices)
        _record_produced(tx, [one for delivery in deliveries for one in delivery.produced])
        recorded = record_usage(tx, events, self._limits())
        for delivery in deliveries:
            _record_sessions(tx, delivery)
        observations = [report for delivery in deliveries for report in delivery.observations]
        throttles = [refusal for delivery in deliveries for refusal in delivery.throttles]
        if observations or throttles:
            record_word(tx, observations, throttles, self._limits())
        for delivery in deliveries:
            counters.add(tx, "quota_source_errors_total", (delivery.source,), len(delivery.refused))
            _tell(delivery)
        return [recorded] if len(deliveries) == 1 else [Recorded() for _ in deliveries]


def _record_produced(tx: Transaction, points: Sequence[Produced]) -> None:
    """Keep what was made, each once."""
    if points:
        known = metric_series.load(tx, (point.series for point in points if point.is_cumulative))
        added, states = produced.settle(points, known)
        metric_series.save(tx, states)
        produced_rows.add(tx, added)


def _record_sessions(tx: Transaction, delivery: Pushed) -> None:
    """Keep what sessions tell of themselves, as far as it is of who sent it."""
    if any(delivery.of_sessions):
        told = Batch(totals=delivery.totals, inherited=delivery.inherited, going_on=delivery.going_on)
        own = own_batch(tx, told, delivery.scope)
        session_totals.save(tx, delivery.source, own.totals, own.inherited, own.going_on)


def _tell(delivery: Pushed) -> None:
    for sentence in delivery.refused[:MOST_NAMED]:
        log.warning("source.garbled source=%s record=%s", delivery.source, sentence)


def _keys(delivery: Pushed) -> str:
    keys: Iterable[str] = [event.key for event in delivery.events] or [point.series for point in delivery.metered]
    return ",".join(list(keys)[:MOST_NAMED])
