"""``queue``: who waits, who runs."""

import difflib
import re
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config
from quota_scheduler.core.units import format_number
from quota_scheduler.errors import QuotaSchedulerError

ID = re.compile(r"t[0-9]{1,18}")
"""What a ticket's id looks like; anything else is a key."""


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
    state = queue_of(reach.config_of(ctx))
    if as_json:
        reach.print_json(state)
        return
    reach.say_hold(state)
    reach.say_breakers(state)
    rows = [["#", "TICKET", "STATE", "CLASS", "TOKENS", "SINCE", "WHY", "KEY"]]
    for name in ("waiting", "offered", "running"):
        rows += [_row(ticket, name) for ticket in state[name]]
    reach.say(reach.table(rows, right=frozenset({0, 4})) if len(rows) > 1 else "Nothing waits and nothing runs.")


def queue_of(config: Config) -> dict[str, Any]:
    """The throttle queue as the service, else the database file, has it."""
    try:
        answer: dict[str, Any] = reach.ask(config, "GET", "/v1/queue")
        return answer
    except reach.Unreachable:
        from quota_scheduler.core.queue.policy import QueuePolicy
        from quota_scheduler.service.queries.queue import queue_document

        with reach.look(config) as tx:
            return queue_document(tx, QueuePolicy(config.aging_step, config.fair_share, config.claim_within))


def _row(ticket: dict[str, Any], state: str) -> list[str]:
    place, tokens = str(ticket["position"] or ""), format_number(ticket["tokens"])
    return [place, ticket["id"], state, ticket["class"], tokens, ticket["since"], ticket["reason"], ticket["key"]]


@command.command("explain")
@click.argument("ticket")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def explain(ctx: click.Context, ticket: str, as_json: bool) -> None:
    """Say why TICKET, an id or a key, waits, until when, and what would let it start sooner.

    \b
    Examples:
      quota-scheduler queue explain t42
      quota-scheduler queue explain nightly-42 --json
    """
    config = reach.config_of(ctx)
    answer = reach.ask(config, "GET", f"/v1/tickets/{_id_of(config, ticket)}?claim=no")
    if as_json:
        reach.print_json(answer)
        return
    reach.say(f"{answer['id']} ({answer['key']}), class {answer['class']}: {answer['message']}")
    if answer["position"]:
        reach.say(f"  place {answer['position']} in the queue")
    for blocker in answer["binding"]:
        reach.say(f"  {blocker['limit']}: {blocker['reason']}, until {blocker['until']}")
    if start := answer["expected_start"]:
        reach.say(f"  expected start {start['expected']} (between {start['low']} and {start['high']})")
    for change in answer["counterfactuals"]:
        other = (
            f"model {change['model']}" if change["change"] == "model" else f"an estimate of {change['tokens']} tokens"
        )
        reach.say(f"  with {other} it could start now")


def _id_of(config: Config, ticket: str) -> str:
    """The id of a ticket that is named by its id or its key. Raises QuotaSchedulerError for a key nobody has."""
    if ID.fullmatch(ticket):
        return ticket
    state = reach.ask(config, "GET", "/v1/queue")
    by_key = {row["key"]: row["id"] for name in ("waiting", "offered", "running") for row in state[name]}
    if ticket not in by_key:
        close = difflib.get_close_matches(ticket, by_key, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "quota-scheduler queue shows those there are"
        raise QuotaSchedulerError(f"no open ticket has the id or key {ticket!r}: {hint}")
    return str(by_key[ticket])
