"""Apprise behind the Notifier protocol: one Apprise object per receiver, a result for each message, no secret told.

Addresses of receivers hold tokens. They are never logged, answered or put into an error: Apprise's own log is kept to
itself (it prints addresses it cannot read), and what is said about a failure is made of the receiver's id, the name of
its service and an HTTP status.
"""

import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from quota_scheduler.core.alerts.message import Delivery, DeliveryOutcome, Message
from quota_scheduler.core.alerts.routing import Matchers
from quota_scheduler.core.alerts.rule import Severity

if TYPE_CHECKING:
    from apprise import Apprise, AppriseResult

SERVICES = "https://github.com/caronc/apprise/wiki"
TIMEOUT_SECONDS = 10.0
"""Longest wait for one message; Apprise itself gives a server 4 s to connect and 4 s to answer."""
RATE_LIMITED = 429
RATE_LIMIT_WAIT = timedelta(minutes=2)
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]{0,30})://", re.IGNORECASE)
_STATUS = re.compile(r"error=(\d{3})\b")


@dataclass(frozen=True, slots=True)
class AppriseReceiver:
    """Where notifications go: an Apprise address, the least severity it wants to hear of, and which labels."""

    id: str
    url: str = field(repr=False)
    min_severity: Severity = Severity.WARNING
    match: Matchers = ()


class AppriseNotifier:
    """Sends to receivers through Apprise. Loading Apprise takes a second: it happens with the first use, once."""

    def __init__(self, receivers: Sequence[AppriseReceiver], *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.receivers = tuple(receivers)
        self.timeout_seconds = timeout_seconds
        self._loading = threading.Lock()
        self._loaded: tuple[dict[str, Apprise], list[str]] | None = None

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

    def send(self, message: Message) -> Delivery:
        """Send one message to its target, within the time limit.

        Failures of every kind are worth another attempt, also a receiver that is configured wrongly: it may be put
        right before the message is too old.
        """
        service = self._load()[0].get(message.target)
        if service is None:
            return Delivery(DeliveryOutcome.RETRY, "the receiver's address is not usable: see config check", "nomatch")
        result = service.notify(
            body=message.body,
            title=message.subject,
            notify_type=_notify_type(message),
            body_format="text",
            timeout=self.timeout_seconds,
        )
        return _delivery(result)

    def _load(self) -> "tuple[dict[str, Apprise], list[str]]":
        if not self.receivers:
            return {}, []
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self.receivers)
            return self._loaded


def _load(receivers: Sequence[AppriseReceiver]) -> "tuple[dict[str, Apprise], list[str]]":
    _hush()
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(app_id="Quota Scheduler", app_desc="Quota Scheduler", app_url="", storage_mode="memory")
    services: dict[str, Apprise] = {}
    problems: list[str] = []
    for receiver in receivers:
        service = Apprise(asset=asset)
        accepted = bool(receiver.url.strip()) and service.add(receiver.url)
        if accepted and len(service) == 1 and receiver.id not in services:
            services[receiver.id] = service
        else:
            problems.append(f"receivers.{receiver.id}: {_problem(receiver, len(service), receiver.id in services)}")
    return services, problems


def _hush() -> None:
    """Keep addresses out of every log: Apprise prints those it cannot read, urllib3 prints paths when it debugs."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def _problem(receiver: AppriseReceiver, count: int, twice: bool) -> str:
    """Why a receiver cannot be used, without its address."""
    from apprise.plugins import N_MGR

    if twice:
        return "there are two receivers of this id: rename one"
    if not receiver.url.strip():
        return "its url is empty: is the environment variable that holds it set?"
    if count > 1:
        return "its url names several services: give each a receiver of its own, so that one can fail alone"
    scheme = _SCHEME.match(receiver.url.strip())
    if scheme is None:
        return f"its url has no scheme: write one of the addresses listed at {SERVICES}, such as slack://…"
    if scheme[1].lower() not in N_MGR:
        return f"Apprise knows no service {scheme[1]}://; the known ones are listed at {SERVICES}"
    return f"the {scheme[1]}:// address is not complete or not valid; its form is described at {SERVICES}"


def _notify_type(message: Message) -> str:
    if message.resolved:
        return "success"
    return {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}[message.severity]


def _delivery(result: "AppriseResult") -> Delivery:
    """What Apprise's result means for us; its log lines serve only to find the HTTP status."""
    from apprise import AppriseResultStatus

    names = ", ".join(sorted({str(service.name) for service in result})) or "no service"
    match result.status:
        case AppriseResultStatus.SUCCESS:
            return Delivery(DeliveryOutcome.DELIVERED, names)
        case AppriseResultStatus.TIMEOUT:
            return Delivery(DeliveryOutcome.RETRY, f"{names}: no answer in time", "timeout")
        case AppriseResultStatus.NOMATCH:
            return Delivery(DeliveryOutcome.RETRY, "no service took the message", "nomatch")
        case _:
            return _failure(names, [str(entry.message) for service in result for entry in service.logs()])


def _failure(names: str, lines: Sequence[Any]) -> Delivery:
    statuses = [int(found[1]) for line in lines if (found := _STATUS.search(line))]
    if not statuses:
        return Delivery(DeliveryOutcome.RETRY, f"{names}: cannot connect, or no valid answer", "error")
    if statuses[-1] == RATE_LIMITED:
        return Delivery(DeliveryOutcome.RETRY, f"{names}: HTTP 429, asked to slow down", "rejected", RATE_LIMIT_WAIT)
    reason = "rejected" if 400 <= statuses[-1] < 500 else "error"
    return Delivery(DeliveryOutcome.RETRY, f"{names}: HTTP {statuses[-1]}", reason)
