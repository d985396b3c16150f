"""Outbox → receiver: claim a target's open notifications, send them as one message, write down what became of it.

    deliver()   one thread per target with something due; a slow or dead receiver delays nobody else
       share    ── transaction ──   what is owed to an address of several targets becomes one row for each
       claim    ── transaction ──   commits before the send: no lock waits on somebody's mail server
       send     at most the notifier's own timeout; an answer that comes later still settles what it was to
       settle   ── transaction ──   delivered | owed again after a wait | dead

A crash between send and settle repeats a message rather than losing one; its last line names the alert. A database
that refuses to settle is asked again, and the receiver is not.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message, receiver_of
from quota_scheduler.core.alerts.retries import may_be_tried
from quota_scheduler.errors import NotLeading, first_line
from quota_scheduler.service.digest import compose
from quota_scheduler.store import Store, Transaction, engine, outbox
from quota_scheduler.store.outbox import OwedMessage

log = logging.getLogger(__name__)


Late = Callable[[Delivery], None]
"""Told how a message went whose result had not come in time."""


class Notifier(Protocol):
    """Sends messages; each call returns within a bounded time and never raises for what the receiver does."""

    def parts(self, receiver: str) -> Sequence[str]:
        """The targets behind a receiver's address; itself where there is one."""

    def send(self, message: Message, late: Late) -> Delivery:
        """Send one message to its target."""


Observer = Callable[[str, Delivery, float], None]
"""Told of each attempt: receiver, result, seconds."""


class Deliverer:
    """Delivers what is owed to ``receivers``. One per process, and only the leader's runs.

    ``problem`` says why nothing can be written down, and is empty while all is well.
    """

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        receivers: Sequence[str],
        *,
        observe: Observer = lambda *_: None,
        monotonic: Callable[[], float] = time.monotonic,
        transaction: Callable[[], AbstractContextManager[Transaction]] | None = None,
        must_lead: Callable[[], None] = lambda: None,
    ) -> None:
        """``transaction`` and ``must_lead`` raise NotLeading where another process delivers by now."""
        self.store = store
        self._transaction, self._must_lead = transaction or store.transaction, must_lead
        self._begun = False
        self.notifier = notifier
        self.receivers = tuple(receivers)
        self.observe = observe
        self._monotonic = monotonic
        self._threads: dict[str, threading.Thread] = {}
        self._wait_ends: dict[str, float] = {}
        self._unsettled: dict[str, tuple[tuple[OwedMessage, ...], Delivery]] = {}
        self._problems: dict[str, str] = {}
        self._mutex = threading.Lock()
        self._closing = threading.Event()

    @property
    def problem(self) -> str:
        """Why what is owed cannot be written down, of the first target that has such trouble."""
        return next(iter(dict(self._problems).values()), "")

    def deliver(self) -> None:
        """Start delivery to every target that has something due and is not being served; returns at once."""
        self._begin()
        with self.store.reading() as tx:
            waits = outbox.open_targets(tx, tx.now)
        with self._mutex:
            for target, wait_left in waits.items():
                if receiver_of(target) in self.receivers and self._is_due(target, wait_left) and not self._busy(target):
                    self._start(target)

    def begin_anew(self) -> None:
        """Look again at what is owed to whom: another process has delivered meanwhile."""
        self._begun = False

    def _begin(self) -> None:
        """Give up, once, what is owed to receivers that are no longer configured."""
        if self._begun:
            return
        with self._transaction() as tx:
            forgotten = outbox.forget_targets(tx, self.receivers)
        if forgotten:
            log.warning("notifications.forgotten count=%d reason=receiver_not_configured", forgotten)
        self._begun = True

    def join(self, timeout_seconds: float) -> bool:
        """Wait for what is under way; False when something still is. Daemon threads: a process may end regardless."""
        deadline = time.monotonic() + timeout_seconds
        while threads := self._alive():
            if (left := deadline - time.monotonic()) <= 0:
                return False
            threads[0].join(left)
        return True

    def close(self, timeout_seconds: float) -> bool:
        """Begin nothing new, and wait for what is under way."""
        self._closing.set()
        return self.join(timeout_seconds)

    def _alive(self) -> list[threading.Thread]:
        with self._mutex:
            return [thread for thread in self._threads.values() if thread.is_alive()]

    def _is_due(self, target: str, wait_left: timedelta) -> bool:
        """Whether a wait is over, by the stored instant or by the monotonic clock: the wall clock may step back.

        Of a wait that this process did not begin, the stored instant is all there is.
        """
        ends = self._wait_ends.get(target)
        return may_be_tried(wait_left) if ends is None else not wait_left or self._monotonic() >= ends

    def _busy(self, target: str) -> bool:
        thread = self._threads.get(target)
        return thread is not None and thread.is_alive()

    def _start(self, target: str) -> None:
        if self._closing.is_set():
            return
        thread = threading.Thread(target=self._serve, args=(target,), name=f"deliver-{target}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads: the next target may get one
            self._say(target, str(error))
        else:
            self._threads[target] = thread

    def _serve(self, target: str) -> None:
        """Deliver to one target until nothing is due."""
        try:
            if self._shared(target):
                self.deliver()
                return
            while not self._closing.is_set() and self._one(target):
                self._say(target, "")
        except NotLeading:
            return  # what was claimed is claimed again by who leads
        except Exception as error:
            # What was claimed stays in ``sending`` and is taken again. A database in trouble is one sentence.
            self._say(target, _trouble(error) or repr(error), error)

    def _say(self, target: str, problem: str, error: Exception | None = None) -> None:
        """Log trouble with the database when it begins, changes, and ends, and not with each attempt."""
        before = self._problems.get(target, "")
        if problem == before:
            return
        if problem:
            self._problems[target] = problem
            trace = error if error and not _trouble(error) else None
            log.error("notification.interrupted target=%s error=%s", target, problem, exc_info=trace)
        else:
            self._problems.pop(target)
            log.info("notification.goes_on target=%s after=%s", target, before)

    def _shared(self, target: str) -> bool:
        """Share what is owed to an address of several targets among them; True when ``target`` is not to be served."""
        receiver = receiver_of(target)
        targets = self.notifier.parts(receiver)
        if target in targets:
            return False
        with self._transaction() as tx:
            outbox.share(tx, receiver, targets)
        return True

    def _one(self, target: str) -> bool:
        """One message: claim, send, settle; False when nothing was due."""
        if target in self._unsettled:
            self._settle(target, *self._unsettled[target])
        with self._transaction() as tx:
            wait_left = outbox.open_targets(tx, tx.now).get(target)
            if wait_left is None or not self._is_due(target, wait_left):
                return False
            group = outbox.claim(tx, target, tx.now, waited=True)
        self._wait_ends.pop(target, None)
        self._must_lead()  # between claim and send a process may have been stopped for any time
        started = time.monotonic()
        delivery = self._send(group)
        seconds = time.monotonic() - started
        self._unsettled[target] = group, delivery
        self._settle(target, group, delivery)
        self.observe(receiver_of(target), delivery, seconds)  # only now: what counts as sent is also written down
        return True

    def _settle(self, target: str, group: tuple[OwedMessage, ...], delivery: Delivery) -> None:
        """Write down what became of an attempt, however often the database refuses."""
        wait = None
        with self._transaction() as tx:
            match delivery.outcome:
                case DeliveryOutcome.DELIVERED:
                    outbox.delivered(tx, group, delivery.detail)
                case DeliveryOutcome.RETRY:
                    wait = outbox.failed(tx, group, delivery.detail, delivery.retry_after)
                case DeliveryOutcome.DEAD:
                    outbox.dead(tx, group, delivery.detail)
        self._unsettled.pop(target, None)
        if wait is not None:
            self._wait_ends[target] = self._monotonic() + wait.total_seconds()
        log.info(
            "notification.%s target=%s alerts=%d attempt=%d detail=%s",
            delivery.outcome.value, target, len(group), group[0].attempts, delivery.detail or "-",
        )  # fmt: skip

    def _send(self, group: tuple[OwedMessage, ...]) -> Delivery:
        """Send; a defect of a notifier is a failed attempt like any other, and waits like one."""
        try:
            return self.notifier.send(compose(group), lambda delivery: self._came_late(group, delivery))
        except Exception as error:
            log.exception("notification.defect target=%s", group[0].target)
            return Delivery(DeliveryOutcome.RETRY, f"internal error ({type(error).__name__})", "error")

    def _came_late(self, group: tuple[OwedMessage, ...], delivery: Delivery) -> None:
        """Take an answer for what it is, though it came after the time limit: who has heard is not told again."""
        target = group[0].target
        if delivery.outcome is not DeliveryOutcome.DELIVERED:
            log.info("notification.late target=%s detail=%s", target, delivery.detail)
            return
        try:
            with self._transaction() as tx:
                settled = outbox.delivered_late(tx, group, f"{delivery.detail} (after the time limit)")
        except Exception as error:
            log.warning("notification.late target=%s error=%s", target, _trouble(error) or error)
            return
        log.info("notification.delivered target=%s alerts=%d late=yes detail=%s", target, settled, delivery.detail)


def _trouble(error: BaseException) -> str:
    """What is wrong with the database or its disk, empty for any other error; it may stand back in the chain."""
    link: BaseException | None = error
    refused = ""
    while link:
        if isinstance(link, Exception) and engine.is_disk_full(link):
            return f"the disk is full or cannot be written ({first_line(link)}): make room; it is sent again then"
        refused = (
            f"the database did not take the write ({first_line(link)}); it is sent again"
            if engine.is_refusal(link)
            else refused
        )
        link = link.__context__
    return refused
