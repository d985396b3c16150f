"""Outbox → receiver: claim a target's open notifications, send them as one message, write down what became of it.

    deliver()   one thread per target with something due; a slow or dead receiver delays nobody else
       claim    ── transaction ──   commits before the send: no lock waits on somebody's mail server
       send     at most the notifier's own timeout
       settle   ── transaction ──   delivered | owed again after a wait | dead

A crash between send and settle repeats a message rather than losing one; its last line names the alert.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message
from quota_scheduler.core.alerts.state import NoticeKind
from quota_scheduler.core.alerts.wording import LONGEST, LONGEST_SUBJECT, cut, key_line
from quota_scheduler.store import Store, engine, outbox
from quota_scheduler.store.outbox import OwedMessage

log = logging.getLogger(__name__)


class Notifier(Protocol):
    """Sends messages; each call returns within a bounded time and never raises for what the receiver does."""

    def send(self, message: Message) -> Delivery:
        """Send one message to its target."""


Observer = Callable[[str, Delivery, float], None]
"""Told of each attempt: target, result, seconds."""


class Deliverer:
    """Delivers what is owed to ``targets``. One per process, and only the leader's runs."""

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        targets: Sequence[str],
        *,
        observe: Observer = lambda *_: None,
    ) -> None:
        """Give up what is owed to receivers that are no longer configured; nothing is sent yet."""
        self.store = store
        self.notifier = notifier
        self.targets = tuple(targets)
        self.observe = observe
        self._threads: dict[str, threading.Thread] = {}
        self._mutex = threading.Lock()
        self._closing = threading.Event()
        with store.transaction() as tx:
            forgotten = outbox.forget_targets(tx, self.targets)
        if forgotten:
            log.warning("notifications.forgotten count=%d reason=receiver_not_configured", forgotten)

    def deliver(self) -> None:
        """Start delivery to every target that has something due and is not being served; returns at once."""
        with self.store.reading() as tx:
            due = outbox.due_targets(tx, tx.now)
        with self._mutex:
            for target in due:
                if target in self.targets and not self._busy(target) and not self._closing.is_set():
                    self._start(target)

    def join(self, timeout_seconds: float) -> bool:
        """Wait for what is under way; False when something still is. Daemon threads: a process may end regardless."""
        deadline = time.monotonic() + timeout_seconds
        with self._mutex:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def close(self, timeout_seconds: float) -> bool:
        """Begin nothing new, and wait for what is under way."""
        self._closing.set()
        return self.join(timeout_seconds)

    def _busy(self, target: str) -> bool:
        thread = self._threads.get(target)
        return thread is not None and thread.is_alive()

    def _start(self, target: str) -> None:
        thread = threading.Thread(target=self._serve, args=(target,), name=f"deliver-{target}", daemon=True)
        self._threads[target] = thread
        thread.start()

    def _serve(self, target: str) -> None:
        """Deliver to one target until nothing is due."""
        try:
            while not self._closing.is_set() and self._one(target):
                pass
        except Exception as error:
            # What was claimed stays in ``sending`` and is taken again. A database in trouble is one sentence.
            known = _trouble(error)
            log.error("notification.interrupted target=%s error=%s", target, known or error, exc_info=not known)

    def _one(self, target: str) -> bool:
        """One message: claim, send, settle; False when nothing was due."""
        with self.store.transaction() as tx:
            group = outbox.claim(tx, target, tx.now)
        if not group:
            return False
        started = time.monotonic()
        delivery = self._send(compose(group))
        seconds = time.monotonic() - started
        with self.store.transaction() as tx:
            match delivery.outcome:
                case DeliveryOutcome.DELIVERED:
                    outbox.delivered(tx, group, delivery.detail)
                case DeliveryOutcome.RETRY:
                    outbox.failed(tx, group, delivery.detail, delivery.retry_after)
                case DeliveryOutcome.DEAD:
                    outbox.dead(tx, group, delivery.detail)
        self.observe(target, delivery, seconds)  # only now: what is counted as sent is also written down as sent
        log.info(
            "notification.%s target=%s alerts=%d attempt=%d detail=%s",
            delivery.outcome.value, target, len(group), group[0].attempts, delivery.detail or "-",
        )  # fmt: skip
        return True

    def _send(self, message: Message) -> Delivery:
        """Send; a defect of a notifier is a failed attempt like any other, and waits like one."""
        try:
            return self.notifier.send(message)
        except Exception as error:
            log.exception("notification.defect target=%s", message.target)
            return Delivery(DeliveryOutcome.RETRY, f"internal error ({type(error).__name__})", "error")


def _trouble(error: BaseException) -> str:
    """What is wrong with the database or its disk, empty for any other error; it may stand back in the chain."""
    link: BaseException | None = error
    refused = ""
    while link:
        if isinstance(link, Exception) and engine.is_disk_full(link):
            return f"the disk is full or cannot be written ({link}): make room; it is sent again then"
        refused = (
            f"the database did not take the write ({link}); it is sent again" if engine.is_refusal(link) else refused
        )
        link = link.__context__
    return refused


def compose(group: Sequence[OwedMessage]) -> Message:
    """One message of notifications for the same target: one alone as it is, several worst first, under 900 characters.

    Several are given whole where that fits, else by subject and key; what does not fit is counted by rule.
    """
    worst = sorted(group, key=lambda row: (-row.severity.rank, row.id))
    first = worst[0]
    resolved = first.kind is NoticeKind.RESOLVED
    if len(group) == 1:
        return Message(first.target, first.severity, first.subject, first.body, resolved)
    subject = cut(f"{_count(worst, resolved)}: {first.subject}", LONGEST_SUBJECT)
    whole = "\n\n".join(row.body for row in worst)
    return Message(first.target, first.severity, subject, whole if len(whole) <= LONGEST else _brief(worst), resolved)


def _count(rows: Sequence[OwedMessage], resolved: bool) -> str:
    if resolved:
        return f"{len(rows)} alerts resolved"
    by_severity = Counter(row.severity.value for row in rows)
    return f"{len(rows)} alerts ({', '.join(f'{count} {severity}' for severity, count in by_severity.items())})"


def _brief(rows: Sequence[OwedMessage]) -> str:
    """Subject and key of each, as many as fit, and how many more there are of which rule."""
    lines: list[str] = []
    for index, row in enumerate(rows):
        line = f"{row.subject}\n{key_line(row.rule, row.scope, row.episode)}"
        rest = _rest(rows[index + 1 :])
        if len("\n".join([*lines, line, rest])) > LONGEST:
            return "\n".join([*lines, _rest(rows[index:])])
        lines.append(line)
    return "\n".join(lines)


def _rest(rows: Sequence[OwedMessage]) -> str:
    if not rows:
        return ""
    by_rule = Counter(row.rule for row in rows)
    named = ", ".join(f"{count} {rule}" for rule, count in sorted(by_rule.items()))
    return f"And {len(rows)} more ({named}); see the list of alerts."
