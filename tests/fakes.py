"""Small real implementations of our own protocols: a clock that is set, a notifier that remembers."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message


class FixedClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> datetime:
        """Move on, and say what time it is."""
        self.at += by
        return self.at


class RecordingNotifier:
    """Keeps every message, in order, and answers as told: by a result per target, or by a function."""

    def __init__(self, answer: Callable[[Message], Delivery] | None = None) -> None:
        self.sent: list[Message] = []
        self.answer = answer or (lambda _: Delivery(DeliveryOutcome.DELIVERED))
        self._mutex = threading.Lock()

    def parts(self, receiver: str) -> tuple[str, ...]:
        """Every receiver is one target."""
        return (receiver,)

    def send(self, message: Message, _late: object = None) -> Delivery:
        with self._mutex:
            self.sent.append(message)
        return self.answer(message)

    def to(self, target: str) -> list[Message]:
        """What one target was sent."""
        return [message for message in self.sent if message.target == target]
