"""Reaching the facts: the running service over HTTP, or else the database file, read-only.

Kept free of heavy imports: a verb that only looks must answer in a quarter of a second.
"""

import getpass
import http.client
import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from msgspec.structs import replace

from quota_scheduler.cli.elsewhere import named_url
from quota_scheduler.config import Config, Listen, load
from quota_scheduler.errors import QuotaSchedulerError, first_line
from quota_scheduler.glance.words import breaker_lines, hold_lines
from quota_scheduler.glance.words import shown as shown
from quota_scheduler.glance.words import table as table
from quota_scheduler.glance.words import when as when

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 30.0
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Unreachable(QuotaSchedulerError):
    """Nothing answers where the service should be."""

    code = "unreachable"


class NothingThere(QuotaSchedulerError):
    """Neither a service nor a database to look into."""

    code = "nothing_there"


def config_of(ctx: click.Context) -> Config:
    """The configuration this command line names."""
    given = ctx.find_root().ensure_object(dict)
    overrides = {name: given[name] for name in ("database", "listen") if name in given}
    path = Path(given["config"]) if "config" in given else None
    return load(path, os.environ, overrides)


class NamedService(Listen, frozen=True):
    """A service that was named by its URL. What stands in a file of this machine is not its answer."""

    url: str = ""

    def __str__(self) -> str:
        return self.url


def asking(ctx: click.Context) -> Config:
    """The configuration of a verb that asks a service; where a URL names one, that one is asked and no other."""
    config = config_of(ctx)
    if not (url := named_url(ctx)):
        return config
    parts = urlsplit(url if "//" in url else f"http://{url}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return replace(config, listen=NamedService(parts.hostname or "", port, url.rstrip("/")))


def is_elsewhere(config: Config) -> bool:
    """Whether a URL names the service, so that this machine's file and configuration say nothing of it."""
    return isinstance(config.listen, NamedService)


def ask(config: Config, method: str, path: str, body: Any = None, *, refused: str = "") -> Any:
    """Ask the running service. Raises Unreachable when nothing answers, QuotaSchedulerError for a refusal.

    A refusal that has the key ``refused`` is an answer too.
    """
    connection, prefix = _connection(config)
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        headers = {"Content-Type": "application/json"}
        if token := os.environ.get("QUOTA_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, f"{prefix}{path}", None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return _content(answer.status, answer.read(), config, refused)
    except ssl.SSLCertVerificationError as error:
        raise NothingThere(
            f"the certificate of {config.listen} is not trusted ({error.verify_message}): "
            "name the file of its authority, or its own where it has signed itself, in SSL_CERT_FILE"
        ) from None
    except (OSError, http.client.HTTPException, socket.gaierror) as error:
        raise Unreachable(f"nothing answers at {config.listen} ({error}): {_way_out(config)}") from None
    finally:
        connection.close()


def _connection(config: Config) -> tuple[http.client.HTTPConnection, str]:
    """A connection that is not open yet, and what stands before every path."""
    listen = config.listen
    if isinstance(listen, NamedService):
        parts = urlsplit(listen.url if "//" in listen.url else f"http://{listen.url}")
        if parts.scheme == "https":
            secure = http.client.HTTPSConnection(listen.host, listen.port, timeout=CONNECT_SECONDS)
            return secure, parts.path.rstrip("/")
        return http.client.HTTPConnection(listen.host, listen.port, timeout=CONNECT_SECONDS), parts.path.rstrip("/")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    if config.tls:
        secure = http.client.HTTPSConnection(
            host, listen.port, timeout=CONNECT_SECONDS, context=_trusting(config.tls.certificate)
        )
        return secure, ""
    return http.client.HTTPConnection(host, listen.port, timeout=CONNECT_SECONDS), ""


def _trusting(certificate: Path) -> Any:
    """What believes the service of this machine alone: that which has the certificate of the configuration."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False  # it is called by an address, and nobody else holds this certificate's key
    return context


def _way_out(config: Config) -> str:
    if is_elsewhere(config):
        return "start the service there, or name another with --url or QUOTA_URL"
    return "start it with `quota-scheduler serve`"


def _content(status: int, raw: bytes, config: Config, refused: str = "") -> Any:
    try:
        content = json.loads(raw)
    except ValueError:
        raise Unreachable(
            f"what answers at {config.listen} is not this service: choose another with "
            f"{'--url or QUOTA_URL' if is_elsewhere(config) else '--listen'}"
        ) from None
    if status >= 400 and not (isinstance(content, dict) and refused in content):
        detail = content.get("detail", "") if isinstance(content, dict) else ""
        if status == 401:
            detail += "; the token is read from QUOTA_TOKEN"
        refusal = QuotaSchedulerError(f"the service said {status}: {detail}")
        refusal.code = str(content.get("title", refusal.code)) if isinstance(content, dict) else refusal.code
        raise refusal
    return content


@contextmanager
def look(config: Config) -> Iterator[Any]:
    """A read-only view of the database file, also while a service holds it.

    Raises NothingThere without a file or where a URL names the service, QuotaSchedulerError when the file cannot be
    read: an older or newer schema, too.
    """
    from quota_scheduler.store import read_only

    if is_elsewhere(config):
        raise NothingThere(
            f"this service does not answer at {config.listen}, and this machine's file tells of another: "
            f"{_way_out(config)}; without a URL the file is read"
        )
    if isinstance(config.database, Path) and not config.database.exists():
        raise NothingThere(
            f"nothing answers at {config.listen} and there is no database at {config.database_shown}: "
            "start the service once, or name the file with --database"
        )
    try:
        with read_only(config.database) as tx:
            yield tx
    except QuotaSchedulerError:
        raise
    except Exception as error:
        raise QuotaSchedulerError(
            f"cannot read {config.database_shown}: {first_line(error)}; start the service once so that it brings it up "
            "to date, or name another file with --database"
        ) from error


def asked(config: Config, path: str, of_file: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """The document that the service answers to a GET, else what ``of_file`` makes of the database; raises as ``look``.

    ``of_file`` is handed a transaction, and loads what only a verb without a service needs.
    """
    try:
        document: dict[str, Any] = ask(config, "GET", path)
        return document
    except Unreachable:
        with look(config) as tx:
            return of_file(tx)


def say(text: str, *, err: bool = False) -> None:
    """Print lines for people; what names in them could make a terminal do is written out instead."""
    click.echo(shown(text), err=err)


def value_text(value: Any, zone: str) -> str:
    """A value of a document for people: instants in the zone, in sentences too; lists in words."""
    if isinstance(value, dict):
        texts = {name: value_text(part, zone) for name, part in value.items()}
        return ", ".join(f"{name or 'others'} {text}" for name, text in texts.items() if text)
    if isinstance(value, list):
        return ", ".join(value_text(part, zone) for part in value)
    return "" if value is None else _INSTANT.sub(lambda instant: when(instant[0], zone), str(value))


def say_hold(state: dict[str, Any], zone: str) -> None:
    """Say that everything is held, by whom and why, where it is."""
    for line in hold_lines(state, zone):
        say(line)


def say_breakers(state: dict[str, Any]) -> None:
    """Say which providers refuse for a moment, and what starts wait for."""
    for line in breaker_lines(state):
        say(line)


def print_json(value: Any) -> None:
    """Print JSON for programs."""
    click.echo(json.dumps(value, indent=2, default=str))


def local_author(config: Config) -> str:
    """Who sits at the terminal, where no token says who asks."""
    if config.tokens or os.environ.get("QUOTA_TOKEN"):
        return ""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
