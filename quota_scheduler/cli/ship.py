"""``ship``: read this host's sources and send what is new to a service elsewhere."""

import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from quota_scheduler.cli.connection import config_of, print_json, say
from quota_scheduler.errors import DatabaseBusy, QuotaSchedulerError

if TYPE_CHECKING:
    from quota_scheduler.config import Config
    from quota_scheduler.core.ledger.source_batch import FileState
    from quota_scheduler.outbound import OtherServer
    from quota_scheduler.shipping.shipper import Sent, Shipper
    from quota_scheduler.store import Store

HOST = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
ANSWER_SECONDS = 60.0
"""A shipment of thousands of events waits behind whatever else is written."""


@click.command("ship")
@click.option("--to", required=True, metavar="URL", help="Where the service listens, as http://quota.example:8484.")
@click.option("--host", default="", metavar="NAME", help="What this host is called there; by default its own name.")
@click.option("--state", type=click.Path(path_type=Path), help="File that remembers what has been sent.")
@click.option("--poll", default=5.0, show_default=True, metavar="SECONDS", help="Pause between two looks.")
@click.option("--once", is_flag=True, help="Send what is new and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with --once.")
@click.pass_context
def command(ctx: click.Context, to: str, host: str, state: Path | None, poll: float, once: bool, as_json: bool) -> None:
    """Read the agents' files on this host and send their usage to the service at URL.

    Which files, accounts and labels, this host's configuration says, as for `serve`. What has been sent is remembered
    here; sending it again changes nothing there. The token is read from QUOTA_TOKEN.

    \b
    Examples:
      quota-scheduler ship --to http://quota.example:8484
      QUOTA_TOKEN=… quota-scheduler ship --to https://quota.example --host build-7 --once
    """
    config = config_of(ctx)
    host = _host(host)
    if not 0.1 <= poll <= 3600:
        raise click.UsageError(f"--poll {poll:g}: choose from 0.1 to 3600 seconds")
    from quota_scheduler import logs
    from quota_scheduler.outbound import OtherServer

    logs.set_up(config.log_format.value, verbose=False)
    token = os.environ.get("QUOTA_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        server = OtherServer(to, headers=headers, seconds=ANSWER_SECONDS)
    except ValueError as error:
        raise click.UsageError(f"--to: {error}") from None
    with _store(state or _beside(config.database)) as store:
        shipper = _shipper(config, store, server, host, patient=not once)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: shipper.stop())
        shipper.greet()
        difference = shipper.difference.value.total_seconds()
        ahead = f"; its clock is {difference:+.0f} s from this host's" if difference else ""
        say(f"Shipping to {server.base} as {host}{ahead}", err=True)
        if once:
            _say_sent(shipper.ship(), as_json=as_json)
        else:
            shipper.run(poll)
    server.close()


def _beside(database: Path | str) -> Path:
    """Where it is kept what has been sent: beside the database, or at its usual place where that is on a server."""
    from quota_scheduler.config.places import default_database

    return (database if isinstance(database, Path) else default_database(os.environ)).with_name("shipped.db")


def _host(named: str) -> str:
    """What the host is called. Raises UsageError for a name that could be none."""
    host = named or socket.gethostname().partition(".")[0]
    if not HOST.match(host):
        raise click.UsageError(f"--host {host!r}: use up to 64 letters, digits, dots, dashes and underscores")
    return host


def _store(path: Path) -> "Store":
    """What has been sent so far. Raises QuotaSchedulerError where another shipper holds it."""
    from quota_scheduler.store import Store

    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return Store(path)
    except DatabaseBusy:
        raise QuotaSchedulerError(
            f"{path} is held by another shipper: stop that one, or give this one a file of its own with --state"
        ) from None


def _shipper(config: "Config", store: "Store", server: "OtherServer", host: str, *, patient: bool) -> "Shipper":
    import quota_scheduler
    from quota_scheduler.shipping.shipper import Shipped, Shipper
    from quota_scheduler.source_passes import readings_of
    from quota_scheduler.store import utc_now

    sources = [Shipped(name, reading.scan) for name, reading in readings_of(config).items()]
    program = f"quota-scheduler {quota_scheduler.__version__}"
    return Shipper(server, host, sources, states=StatesIn(store), clock=utc_now, program=program, patient=patient)


class StatesIn:
    """The states of files, in a database of the shipper's own."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def load(self, source: str) -> "dict[str, FileState]":
        """The states of one source by path."""
        from quota_scheduler.store import sources

        with self._store.reading() as tx:
            return sources.load(tx, source)

    def save(self, source: str, files: "Sequence[FileState]", gone: Sequence[str]) -> None:
        """Keep states, and forget files that are gone."""
        from quota_scheduler.store import sources

        if files or gone:
            with self._store.transaction() as tx:
                sources.save(tx, source, files)
                sources.forget(tx, source, gone)


def _say_sent(sent: "Sent", *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(sent))
    else:
        say(f"{sent.accepted} accepted, {sent.updated} updated, {sent.duplicate} known already")
    if sent.spooled:
        say(f"{sent.spooled} lie on the disk there until its database is back", err=True)
    if sent.refused:
        say(f"{sent.refused} could not be understood there: both must be of the same release", err=True)
        sys.exit(1)
