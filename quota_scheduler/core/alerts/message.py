"""A message to one receiver, and what became of it."""

import re
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct

from quota_scheduler.core.alerts.rule import Severity

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but the tab and the line break."""
_MENTION = re.compile(r"@(?=everyone|here|channel|all\b)|(?<!\w)@(?=\w)|<(?=[!@]|at>)", re.IGNORECASE)
_APART = "\u200b"
"""A space of no width: people read the same, and no receiver takes it for a mention."""
PART = "/"
"""Between a receiver's id and the number of a target behind its address, as in ``ops/2``; no id holds one."""


class DeliveryOutcome(StrEnum):
    """What became of a message."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"


class Delivery(Struct, frozen=True):
    """The result of one attempt. ``reason`` of a failure is from a closed set: error, timeout, nomatch, rejected.

    ``detail`` is for people and never holds an address or a secret. ``retry_after`` is the least wait before the next
    attempt.
    """

    outcome: DeliveryOutcome
    detail: str = ""
    reason: str = ""
    retry_after: timedelta = timedelta(0)


class Message(Struct, frozen=True):
    """What is sent to one target. ``resolved`` closes incidents where the receiver knows them."""

    target: str
    severity: Severity
    subject: str
    body: str
    resolved: bool = False


def receiver_of(target: str) -> str:
    """The id of the receiver that a target belongs to."""
    return target.partition(PART)[0]


def one_line(text: str) -> str:
    """The text without line breaks and control characters: what a subject, a header or a log line takes."""
    return _BREAKS.sub(" ", text).strip()


def defused(text: str) -> str:
    """The text with mentions that receivers would act on taken apart: labels come from anybody.

    ``@everyone``, ``@here``, ``<!channel>`` and ``<@U123>`` read the same and call nobody; control characters are left
    out. An ``@`` within a word, as in ``opus@default``, stays as it is.
    """
    return _MENTION.sub(lambda sign: sign[0] + _APART, _CONTROLS.sub("", text))
