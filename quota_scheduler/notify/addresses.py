"""Receivers' addresses, read once: a target for each topic, channel or mailbox behind one, a sentence for a bad one.

    ntfy://host/alerts/night  ──►  ops/1 (alerts), ops/2 (night)      json://host/hook  ──►  ops

Apprise sends to the topics of one address one after the other and says one result for all: a topic that refuses would
let the others hear the same message again and again. So each becomes a target that is told, and fails, alone.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from quota_scheduler.core.alerts.message import PART
from quota_scheduler.core.alerts.routing import Matchers
from quota_scheduler.core.alerts.rule import Severity

if TYPE_CHECKING:
    from apprise import Apprise, AppriseAsset

SERVICES = "https://github.com/caronc/apprise/wiki"
CONNECT_SECONDS = 10.0
"""Longest wait for a connection; Apprise's own 4 s are too short for a host that is far or busy."""
ANSWER_SECONDS = 30.0
"""Longest silence of a receiver that has the message. Apprise's own 4 s let one that takes 5 s hear it twice."""
LEAST_SECRET = 4
"""Shorter parts of an address are no secret: a port, a version, the name of a method."""
_HOST = re.compile(r"localhost|(?:[a-z0-9-]+\.)+(?:[a-z]{2,24}|\d{1,3})")
"""What is a name or an IP number of a host, so no secret: people must read where they are sent."""
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]{0,30})://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AppriseReceiver:
    """Where notifications go: an Apprise address, the least severity it wants to hear of, and which labels."""

    id: str
    url: str = field(repr=False)
    min_severity: Severity = Severity.WARNING
    match: Matchers = ()


@dataclass(frozen=True, slots=True)
class Address:
    """One target: what Apprise sends it with, the least seconds between two messages, and what is never said."""

    target: str
    service: "Apprise" = field(repr=False)
    spacing_seconds: float = 0.0
    secrets: tuple[str, ...] = field(default=(), repr=False)


def read_addresses(receivers: Sequence[AppriseReceiver]) -> tuple[dict[str, tuple[Address, ...]], list[str]]:
    """Return the targets behind each usable receiver, by its id, and what is wrong with the others, a sentence each."""
    _hush()
    from apprise import AppriseAsset

    asset = AppriseAsset(
        app_id="Quota Scheduler", app_desc="Quota Scheduler", app_url="", storage_mode="memory",
        http_redirects=False,  # a POST that follows one arrives as a GET without its text, and is answered 200
        service_timeout=0,  # Apprise's own limit takes a thread that the process would wait for at its end
    )  # fmt: skip
    addresses: dict[str, tuple[Address, ...]] = {}
    problems: list[str] = []
    for receiver in receivers:
        services: list[Any] = []
        targets: tuple[Address, ...] = ()
        try:
            services = _services(receiver, asset)
            targets = _targets(receiver, services[0], asset) if len(services) == 1 else ()
        except Exception:  # of a plugin; not told, because its text may hold the address
            targets = ()
        if targets and receiver.id not in addresses:
            addresses[receiver.id] = targets
        else:
            problems.append(f"receivers.{receiver.id}: {_problem(receiver, len(services), receiver.id in addresses)}")
    return addresses, problems


def _hush() -> None:
    """Keep addresses out of every log: Apprise prints those it cannot read, urllib3 prints paths when it debugs."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def _services(receiver: AppriseReceiver, asset: "AppriseAsset") -> list[Any]:
    from apprise import Apprise

    service = Apprise(asset=asset)
    accepted = bool(receiver.url.strip()) and service.add(receiver.url)
    return list(service) if accepted else []


def _targets(receiver: AppriseReceiver, whole: Any, asset: "AppriseAsset") -> tuple[Address, ...]:
    """The targets of one address; a service that cannot be taken apart stays one."""
    from apprise import Apprise

    parts = _apart(receiver.url, whole, asset) if len(whole) > 1 else []
    secrets = _secrets(receiver.url)
    addresses = []
    for number, plugin in enumerate(parts or [whole], 1):
        spacing = _set_up(plugin)
        service = Apprise(asset=asset)
        service.add(plugin)
        target = f"{receiver.id}{PART}{number}" if parts else receiver.id
        addresses.append(Address(target, service, spacing, secrets))
    return tuple(addresses)


def _apart(url: str, whole: Any, asset: "AppriseAsset") -> list[Any]:
    """A service for each of the targets that an address names; empty when it does not come out even."""
    from apprise import Apprise
    from apprise.plugins import url_to_dict

    listed = (url_to_dict(url) or {}).get("targets") or ()
    names = [name for entry in listed for name in (re.split(r"[,\s]+", entry) if isinstance(entry, str) else [entry])]
    services = [Apprise.instantiate({**url_to_dict(url), "targets": [name]}, asset=asset) for name in names if name]
    even = len(services) == len(whole) and all(service is not None and len(service) == 1 for service in services)
    return services if even else []


def _set_up(plugin: Any) -> float:
    """Give a service time limits that fit, where its address sets none; return the seconds between its messages.

    Apprise keeps that distance by the wall clock: after a step back of an hour the next message would wait an hour.
    The notifier keeps it by the monotonic clock.
    """
    from apprise.plugins import N_MGR

    usual = type(plugin)
    if plugin.socket_read_timeout == usual.socket_read_timeout:
        plugin.socket_read_timeout = ANSWER_SECONDS
    if plugin.socket_connect_timeout == usual.socket_connect_timeout:
        # A mail server is given one time for every step, also for the one that takes the message in.
        plugin.socket_connect_timeout = ANSWER_SECONDS if isinstance(plugin, N_MGR["mailto"]) else CONNECT_SECONDS
    plugin.redirects = False
    spacing = float(plugin.request_rate_per_sec)
    plugin.request_rate_per_sec = 0
    return spacing


def _secrets(url: str) -> tuple[str, ...]:
    """Every part of an address that might be one, longest first, as written and as meant."""
    parts = re.split(r"[/:@?&=,+#;\s]+", url.partition("://")[2])
    meant = {spelling for part in parts for spelling in (part, unquote(part))}
    secrets = (part for part in meant if len(part) >= LEAST_SECRET and not _HOST.fullmatch(part))
    return tuple(sorted(secrets, key=len, reverse=True))


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
