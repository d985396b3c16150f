"""``status``: every limit at a glance."""

import sys
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config
from quota_scheduler.core.instants import iso
from quota_scheduler.glance.words import NO_RECEIVER, is_any_spent, state_lines
from quota_scheduler.wrapper.statuses import LIMIT_HIT, UNAVAILABLE


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--check", is_flag=True, help="Print nothing; the exit status tells.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, check: bool) -> None:
    """Show every limit: what is used, when it resets, where it ends.

    With --check the exit status is 0 while every limit that is enforced has room, 75 when one is spent, 69 when the
    service is away.

    \b
    Examples:
      quota-scheduler status
      quota-scheduler --database sqlite:////var/lib/quota-scheduler/quota.db status --json
    """
    config = reach.asking(ctx)
    if check:
        sys.exit(_checked(config))
    state = state_of(config)
    if as_json:
        reach.print_json(state)
        return
    for line in state_lines(state, config.timezone):
        reach.say(line)
    if not config.receivers and not reach.is_elsewhere(config):
        reach.say(NO_RECEIVER)


def _checked(config: Config) -> int:
    """The exit status of ``--check``."""
    try:
        limits = reach.ask(config, "GET", "/v1/limits")["limits"]
    except reach.Unreachable:
        return UNAVAILABLE
    return LIMIT_HIT if is_any_spent(limits) else 0


def state_of(config: Config) -> dict[str, Any]:
    """The limits as the service, else the database file, has them."""
    try:
        return {"from": f"The service at {config.listen}", **reach.ask(config, "GET", "/v1/limits")}
    except reach.Unreachable:
        from quota_scheduler.core.readings.refusing import breaker_documents
        from quota_scheduler.service.operate.holds import everything_held
        from quota_scheduler.service.queries.alerts import muted_document
        from quota_scheduler.store import breakers, documents

        with reach.look(config) as tx:
            bodies = documents.limit_documents(tx)
            at = tx.scalar("SELECT max(at) FROM readings")
            held, muted = everything_held(tx), muted_document(tx)
            refusing = breaker_documents(breakers.load(tx), tx.now)
        from quota_scheduler.config.writing import written_limit
        from quota_scheduler.core.instants import from_micros

        when = iso(from_micros(at)) if at else "never"
        return {
            "from": f"{config.database_named} (no service answers)",
            "at": when,
            "limits": [bodies[n] for n in sorted(bodies)],
            "hold": held.document() if held else None,
            "breakers": refusing,
            "run_caps": [written_limit(limit) for limit in config.limits if limit.is_per_run],
            "alerts_muted": muted,
        }
