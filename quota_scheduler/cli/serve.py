"""``serve``: run the service."""

import contextlib
import gc
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from quota_scheduler.cli.connection import config_of

if TYPE_CHECKING:
    from quota_scheduler.runtime import Service


@click.command("serve")
@click.option("--verbose", is_flag=True, help="Log more.")
@click.pass_context
def command(ctx: click.Context, verbose: bool) -> None:
    """Run the service until it is told to stop.

    \b
    Examples:
      quota-scheduler serve
      quota-scheduler --config quota.yaml --listen 127.0.0.1:9000 serve
    """
    config = config_of(ctx)
    with nothing_is_garbage():
        from quota_scheduler import assemble, logs, server
        from quota_scheduler.facade import Facade

        server.share_heaps()
        logs.set_up(config.log_format.value, verbose=verbose)
        where = server.listen(config.listen)
        try:
            service = assemble.assemble(config)
        except BaseException:
            where.close()
            raise
    try:
        service.start()
        _say(service, where.getsockname()[1])
        service.tokens_changed = lambda: assemble.reload_tokens(service, lambda: config_of(ctx))
        server.serve(service, Facade(service), where, reload=lambda: assemble.reload(service, lambda: config_of(ctx)))
    finally:
        service.stop()
    leave()


@contextlib.contextmanager
def nothing_is_garbage() -> Iterator[None]:
    """Look for no garbage while what stays is loaded and built, nor in it later: a sixth of the time of a start.

    What is new when looking begins again would be gone through at once, all of it: 50 ms before the first answer.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def leave() -> None:
    """End the process, also where a library has left a thread behind that waits for an answer.

    The interpreter would join it: a receiver that sends a byte now and then would keep us until somebody kills.
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(0)


def _say(service: "Service", port: int) -> None:
    """What it found, where it listens, where its data lies."""
    from quota_scheduler.core.readings.measure import period_text, scope_text
    from quota_scheduler.core.units import format_amount

    config = service.config
    host = f"[{config.listen.host}]" if ":" in config.listen.host else config.listen.host
    scheme = "https" if config.tls else "http"
    doors = "the page at /, metrics at /metrics, API at /docs"
    lines = [f"Quota Scheduler listens on {scheme}://{host}:{port}  ({doors})"]
    lines.append(f"  configuration  {config.origin}")
    lines.append(f"  database       {config.database_shown}")
    for ingest in service.parts.ingests:
        there = ", ".join(str(place) for place in ingest.places if place.exists())
        nothing = f"no transcripts yet; looking in {', '.join(map(str, ingest.places))}"
        if there or ingest.name == "claude_code":  # what is not installed here is not worth a line
            lines.append(f"  {ingest.name:<13}  {there or nothing}")
    for limit in config.limits:
        period = period_text(limit)
        amount = format_amount(limit.amount, limit.unit) + (" at once" if period == "none" else f" per {period}")
        lines.append(f"  limit          {limit.id}: {amount}, {scope_text(limit)} ({limit.mode.value})")
    if not config.receivers:
        lines.append("  alerts         no receiver is configured: they show in /v1/alerts and in /metrics only")
    click.echo("\n".join(lines))
