"""A message to one receiver, and what became of it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from quota_scheduler.core.alerts.rule import Severity


class DeliveryOutcome(StrEnum):
    """What became of a message."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one attempt. ``reason`` of a failure is from a closed set: error, timeout, nomatch, rejected.

    ``detail`` is for people and never holds an address or a secret. ``retry_after`` is the least wait before the next
    attempt.
    """

    outcome: DeliveryOutcome
    detail: str = ""
    reason: str = ""
    retry_after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to one target. ``resolved`` closes incidents where the receiver knows them."""

    target: str
    severity: Severity
    subject: str
    body: str
    resolved: bool = False
