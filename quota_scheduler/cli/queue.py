"""``queue``: who waits, who runs."""

from typing import Any

import click

from quota_scheduler.cli import reach
from quota_scheduler.core.units import format_number


@click.command("queue")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the throttle queue in order, and what runs.

    \b
    Examples:
      quota-scheduler queue
      quota-scheduler queue --json
    """
    config = reach.config_of(ctx)
    try:
        found = reach.ask(config, "GET", "/v1/queue")
    except reach.Unreachable:
        from quota_scheduler.core.queue import QueuePolicy
        from quota_scheduler.service.look import queue_document

        with reach.look(config) as tx:
            found = queue_document(tx, QueuePolicy(config.aging_step, config.fair_share, config.claim_within))
    if as_json:
        reach.print_json(found)
        return
    rows = [["#", "TICKET", "STATE", "CLASS", "TOKENS", "SINCE", "WHY", "KEY"]]
    for state in ("waiting", "offered", "running"):
        rows += [_row(each, state) for each in found[state]]
    click.echo(reach.table(rows, right=frozenset({0, 4})) if len(rows) > 1 else "Nothing waits and nothing runs.")


def _row(each: dict[str, Any], state: str) -> list[str]:
    place, tokens = str(each["position"] or ""), format_number(each["tokens"])
    return [place, each["id"], state, each["class"], tokens, each["since"], each["reason"], each["key"]]
