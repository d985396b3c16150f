"""Apprise behind the Notifier protocol: each message in a thread of its own, a result for each, no secret told.

    send ──► _Call (daemon thread) ──► Apprise ──► receiver
       ◄── its result, or after the time limit that there is none yet; a result that comes later is handed to ``late``

The threads are daemons, and Apprise is kept from its own pool, so a process may end although a receiver trickles.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message, defused, one_line, receiver_of
from quota_scheduler.core.alerts.rule import Severity
from quota_scheduler.notify.addresses import Address, AppriseReceiver, read_addresses
from quota_scheduler.notify.answers import Judge, listen, note_answers

if TYPE_CHECKING:
    from requests import Response

TIMEOUT_SECONDS = 60.0
"""Longest wait for one message: connecting, a distance kept to the last message, and 30 s of a receiver's silence."""
FORGET_SECONDS = 600.0
"""A call that has not ended by then is given up: until then nothing else is sent to its target."""
Late = Callable[[Delivery], None]
"""Told how a call ended that had not ended within the time limit."""


class AppriseNotifier:
    """Sends to receivers through Apprise. Loading Apprise takes a second: it happens with the first use, once."""

    def __init__(self, receivers: Sequence[AppriseReceiver], *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.receivers = tuple(receivers)
        self.timeout_seconds = timeout_seconds
        self._loading = threading.Lock()
        self._loaded: tuple[Mapping[str, tuple[Address, ...]], list[str]] | None = None
        self._calls: dict[str, _Call] = {}

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids of all receivers."""
        return tuple(receiver.id for receiver in self.receivers)

    def warm(self) -> None:
        """Begin to load Apprise beside other work, so that the first message and the first check need not wait."""
        if self.receivers:
            threading.Thread(target=self._load, name="notify-warm", daemon=True).start()

    def problems(self, *, wait: bool = True) -> list[str]:
        """What is wrong with the receivers' addresses, one sentence each; empty when all can be sent to.

        Without ``wait`` it answers at once, also while Apprise is still being loaded.
        """
        if not wait and self._loaded is None and self.receivers:
            return ["the receivers' addresses are still being checked"]
        return list(self._load()[1])

    def parts(self, receiver: str) -> tuple[str, ...]:
        """The targets behind a receiver's address, such as ``ops/1`` and ``ops/2``; itself where there is one."""
        return tuple(address.target for address in self._load()[0].get(receiver, ())) or (receiver,)

    def send(self, message: Message, late: Late = lambda _: None) -> Delivery:
        """Send one message to its target, or to every target of its receiver, within the time limit for each.

        Failures of every kind are worth another attempt, also a receiver that is configured wrongly: it may be put
        right before the message is too old. ``late`` is told the result of a call that ends after the limit; until
        it has ended, nothing else is sent to its target.
        """
        addresses = self._load()[0].get(receiver_of(message.target), ())
        chosen = [address for address in addresses if message.target in (address.target, receiver_of(address.target))]
        if not chosen:
            return Delivery(DeliveryOutcome.RETRY, "the receiver's address is not usable: see config check", "nomatch")
        deliveries = [self._send(address, message, late) for address in chosen]
        failed = next((one for one in deliveries if one.outcome is not DeliveryOutcome.DELIVERED), None)
        return failed or Delivery(DeliveryOutcome.DELIVERED, "; ".join(one.detail for one in deliveries))

    def _send(self, address: Address, message: Message, late: Late) -> Delivery:
        before = self._calls.get(address.target)
        if before and before.under_way and before.seconds < FORGET_SECONDS:
            detail = f"the message before has no answer since {before.seconds:.0f} s; nothing was sent"
            return Delivery(DeliveryOutcome.RETRY, detail, "timeout")
        call = self._calls[address.target] = _Call(address, message, late, not_before=_next_start(before))
        return call.wait(self.timeout_seconds)

    def _load(self) -> tuple[Mapping[str, tuple[Address, ...]], list[str]]:
        if not self.receivers:
            return {}, []
        with self._loading:
            if self._loaded is None:
                listen()
                self._loaded = read_addresses(self.receivers)
            return self._loaded


class _Call:
    """One message on its way to one target."""

    def __init__(self, address: Address, message: Message, late: Late, *, not_before: float) -> None:
        """Begin at once, or at ``not_before`` of the monotonic clock."""
        self.address, self._message, self._late, self._not_before = address, message, late, not_before
        self._began = time.monotonic()
        self._heard: Sequence[Response | Exception] = ()
        self._judge = Judge(_name(address), address.secrets)
        self._result: Delivery | Exception | None = None
        self._abandoned = False
        self._ended = threading.Event()
        self._mutex = threading.Lock()
        threading.Thread(target=self._run, name=f"send-{address.target}", daemon=True).start()

    @property
    def under_way(self) -> bool:
        """Whether the receiver may still be reading."""
        return not self._ended.is_set()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    @property
    def next_start(self) -> float:
        """When the next message to this target may begin, by the monotonic clock."""
        return self._began + self.address.spacing_seconds

    def wait(self, seconds: float) -> Delivery:
        """Its result, or what is known after ``seconds``. Raises what a defect of the library raised."""
        self._ended.wait(seconds)
        with self._mutex:
            if isinstance(self._result, Exception):
                raise self._result
            if self._result is None:
                self._abandoned = True
                return self._judge.unanswered(seconds, self._heard)
            return self._result

    def _run(self) -> None:
        self._heard = note_answers()
        result: Delivery | Exception
        try:
            if (distance := self._not_before - time.monotonic()) > 0:
                self._ended.wait(distance)
            self._began = time.monotonic()
            result = self._judge.delivery(self._notify(), self._heard)
        except Exception as error:
            result = error
        with self._mutex:
            self._result = result
        try:
            if self._abandoned and isinstance(result, Delivery):
                self._late(result)  # before it counts as ended: then the next attempt would begin
        finally:
            self._ended.set()

    def _notify(self) -> bool:
        message = self._message
        result = self.address.service.notify(
            body=defused(message.body),
            title=defused(one_line(message.subject)),
            notify_type=_notify_type(message),
            body_format="text",
        )
        return bool(result)


def _next_start(before: _Call | None) -> float:
    return before.next_start if before else 0.0


def _name(address: Address) -> str:
    (service,) = address.service
    return str(service.service_name)


def _notify_type(message: Message) -> str:
    if message.resolved:
        return "success"
    return {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}[message.severity]
