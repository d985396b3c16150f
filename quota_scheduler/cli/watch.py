"""``watch``: everything on a terminal, until one leaves."""

import os
import sys
import time
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.alerts import listed
from quota_scheduler.cli.pictures import shows_blocks, terminal_width
from quota_scheduler.cli.queue import queue_of
from quota_scheduler.cli.status import state_of
from quota_scheduler.config import Config
from quota_scheduler.errors import QuotaSchedulerError

EVERY_SECONDS = 2.0
"""How often the service is asked: as often as somebody looks."""


@click.command("watch")
@click.option("--once", is_flag=True, help="Print it once and end, as in a pipe.")
@click.option(
    "--every", type=click.FloatRange(0.2, 3600), default=EVERY_SECONDS, show_default=True, help="Seconds between looks."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures once, as JSON.")
@click.pass_context
def command(ctx: click.Context, once: bool, every: float, as_json: bool) -> None:
    """Show limits, queue, leases and alerts, and keep them fresh until q; keys hold, start, cancel, acknowledge.

    In a pipe it prints once, plain. Without colour (NO_COLOR) signs and words say the same.

    \b
    Examples:
      quota-scheduler watch
      quota-scheduler watch --once | head -40
    """
    config = reach.asking(ctx)
    if as_json:
        reach.print_json({"limits": state_of(config), "queue": queue_of(config), "alerts": listed(config)})
    elif once or not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        _print_once(config)
    else:
        _watch(config, every)


def _watch(config: Config, every: float) -> None:
    from quota_scheduler.terminal.screen import Screen

    def ask(method: str, path: str, body: Any) -> Any:
        if path.endswith("/ack"):
            body = {"author": reach.local_author(config), "comment": ""}
        return reach.ask(config, method, path, body)

    source = f"Quota Scheduler at {config.listen}"
    Screen(ask, source, every=every, zone=config.timezone, blocks=shows_blocks()).run()


def _print_once(config: Config) -> None:
    from quota_scheduler.terminal.asking import asked
    from quota_scheduler.terminal.facts import Facts
    from quota_scheduler.terminal.picture import picture
    from quota_scheduler.terminal.screen import printed
    from quota_scheduler.terminal.view import View

    source = f"Quota Scheduler at {config.listen}"
    facts = asked(lambda *asks: reach.ask(config, *asks), Facts(source), time.monotonic)
    if facts.is_refused:
        raise QuotaSchedulerError(facts.problem)
    if facts.problem:
        said = f"{config.database_named} (no service answers at {config.listen})"
        facts = Facts(said, state_of(config), queue_of(config), listed(config), heard_at=time.monotonic())
    width = terminal_width()
    lines = picture(
        facts, View(), time.monotonic(), width=width, height=None, zone=config.timezone, blocks=shows_blocks()
    )
    printed(lines, width=width)
