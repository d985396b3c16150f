"""``queue``: who waits, who runs."""

from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.core.units import format_number


@click.group("queue", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the throttle queue in order, and what runs.

    \b
    Examples:
      quota-scheduler queue
      quota-scheduler queue explain t42
    """
    if ctx.invoked_subcommand:
        return
    config = reach.config_of(ctx)
    try:
        found = reach.ask(config, "GET", "/v1/queue")
    except reach.Unreachable:
        from quota_scheduler.core.queue.policy import QueuePolicy
        from quota_scheduler.service.queries.queue import queue_document

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


@command.command("explain")
@click.argument("ticket")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def explain(ctx: click.Context, ticket: str, as_json: bool) -> None:
    """Say why TICKET waits, until when, and what would let it start sooner.

    \b
    Examples:
      quota-scheduler queue explain t42
      quota-scheduler queue explain t42 --json
    """
    config = reach.config_of(ctx)
    found = reach.ask(config, "GET", f"/v1/tickets/{ticket}?claim=no")
    if as_json:
        reach.print_json(found)
        return
    click.echo(f"{found['id']} ({found['key']}), class {found['class']}: {found['message']}")
    if found["position"]:
        click.echo(f"  place {found['position']} in the queue")
    for held in found["binding"]:
        click.echo(f"  {held['limit']}: {held['reason']}, until {held['until']}")
    if start := found["expected_start"]:
        click.echo(f"  expected start {start['expected']} (between {start['low']} and {start['high']})")
    for change in found["counterfactuals"]:
        other = (
            f"model {change['model']}" if change["change"] == "model" else f"an estimate of {change['tokens']} tokens"
        )
        click.echo(f"  with {other} it could start now")
