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
COUNTED_BY = ("day", "limit", "class", "reason")
"""As the service has them; its module is too heavy to import for a look."""


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
    config = reach.asking(ctx)
    state = queue_of(config)
    if as_json:
        reach.print_json(state)
        return
    reach.say_hold(state, config.timezone)
    reach.say_breakers(state)
    rows = [["#", "TICKET", "STATE", "CLASS", "TOKENS", "SINCE", "WHY", "KEY"]]
    for name in ("waiting", "offered", "running"):
        rows += [_row(ticket, name, config.timezone) for ticket in state[name]]
    reach.say(reach.table(rows, right=frozenset({0, 4})) if len(rows) > 1 else "Nothing waits and nothing runs.")


def queue_of(config: Config) -> dict[str, Any]:
    """The throttle queue as the service, else the database file, has it."""

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.core.queue.policy import QueuePolicy
        from quota_scheduler.service.queries.queue import queue_document

        return queue_document(tx, QueuePolicy(config.aging_step, config.fair_share, config.claim_within))

    return reach.asked(config, "/v1/queue", of_file)


def _row(ticket: dict[str, Any], state: str, zone: str) -> list[str]:
    place, tokens = str(ticket["position"] or ""), format_number(ticket["tokens"])
    since = reach.when(ticket["since"], zone)
    return [place, ticket["id"], state, ticket["class"], tokens, since, ticket["reason"], ticket["key"]]


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
    config = reach.asking(ctx)
    answer = reach.ask(config, "GET", f"/v1/tickets/{_id_of(config, ticket)}?claim=no")
    if as_json:
        reach.print_json(answer)
        return
    message = reach.value_text(answer["message"], config.timezone)
    reach.say(f"{answer['id']} ({answer['key']}), class {answer['class']}: {message}")
    if answer["position"]:
        reach.say(f"  place {answer['position']} in the queue")
    for blocker in answer["binding"]:
        reach.say(f"  {blocker['limit']}: {blocker['reason']}, until {reach.when(blocker['until'], config.timezone)}")
    if start := answer["expected_start"]:
        expected, low, high = (reach.when(start[name], config.timezone) for name in ("expected", "low", "high"))
        reach.say(f"  expected start {expected} (between {low} and {high})")
    for change in answer["counterfactuals"]:
        other = (
            f"model {change['model']}" if change["change"] == "model" else f"an estimate of {change['tokens']} tokens"
        )
        reach.say(f"  with {other} it could start now")


@command.command("counts")
@click.option("--days", type=click.IntRange(1, 400), default=7, show_default=True, help="Civil days, today included.")
@click.option("--by", default="limit,class", show_default=True, help="What to add up by: day, limit, class, reason.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def counts(ctx: click.Context, days: int, by: str, as_json: bool) -> None:
    """Say how often work was admitted, deferred, throttled, woken and rejected.

    \b
    Examples:
      quota-scheduler queue counts
      quota-scheduler queue counts --days 30 --by day,reason --json
    """
    names = _names_in(by)
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.decisions import decisions_document

        return decisions_document(tx, days, names, zone=config.timezone)

    answer = reach.asked(config, f"/v1/decisions?days={days}&by={','.join(names)}", of_file)
    if as_json:
        reach.print_json(answer)
        return
    words = list(answer["totals"])
    rows = [[name.upper() for name in (*names, *words)]]
    rows += [[str(row[name]) for name in (*names, *words)] for row in answer["decisions"]]
    rows.append([*("total" if n == 0 else "" for n in range(len(names))), *(str(answer["totals"][w]) for w in words)])
    numbers = frozenset(range(len(names), len(names) + len(words)))
    reach.say(f"Since {answer['since']}:" if answer["decisions"] else f"Nothing was decided since {answer['since']}.")
    if answer["decisions"]:
        reach.say(reach.table(rows, right=numbers))


def _names_in(by: str) -> list[str]:
    """What to add up by. Raises a usage error for what counts are not kept by."""
    names = [name.strip() for name in by.split(",") if name.strip()]
    if unknown := [name for name in names if name not in COUNTED_BY]:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(COUNTED_BY)}", param_hint="--by")
    if not names:
        raise click.BadParameter(f"name at least one of {', '.join(COUNTED_BY)}", param_hint="--by")
    return list(dict.fromkeys(names))


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
