"""``preflight``: would it start now, and if not, why."""

import sys
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.core.units import format_number
from quota_scheduler.wrapper.statuses import NEVER, UNAVAILABLE, WAITS


@click.command("preflight")
@click.option("--provider", default="anthropic", show_default=True, help="Whose quota.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label, such as team=growth; repeatable."
)
@click.option("--class", "priority", default="normal", show_default=True, help="Priority class.")
@click.option("--estimate", required=True, metavar="TOKENS", help="Expected tokens, such as 2M.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context, provider: str, labels: tuple[str, ...], priority: str, estimate: str, as_json: bool
) -> None:
    """Check quota, forecast and run budget for work like this, without asking for it.

    The exit status is 0 when it fits, 73 when it would wait, 77 when it may never start as it is, 69 when the service
    is away.

    \b
    Examples:
      quota-scheduler preflight --estimate 2M
      quota-scheduler preflight --estimate 500k --class low --label team=growth
    """
    given: dict[str, str] = {"provider": provider}
    for label in labels:
        name, sign, value = label.partition("=")
        if not sign:
            raise click.UsageError(f"--label {label!r}: write NAME=VALUE, such as team=growth")
        given[name] = value
    body = {"labels": given, "class": priority, "estimate": {"tokens": estimate}}
    try:
        answer = reach.ask(reach.asking(ctx), "POST", "/v1/preflight", body)
    except reach.Unreachable as away:
        click.echo(f"quota-scheduler: {away}", err=True)
        sys.exit(UNAVAILABLE)
    if as_json:
        reach.print_json(answer)
    else:
        reach.say(_estimated(answer["estimate"]))
        for check in answer["checks"]:
            reach.say(f"{'ok  ' if check['ok'] else 'FAIL'}  {check['check']}: {check['detail']}")
            if check["advice"]:
                reach.say(f"      {check['advice']}")
        reach.say(answer["message"])
    if answer["verdict"] != "admit":
        sys.exit(NEVER if answer["verdict"] == "reject" else WAITS)


def _estimated(estimate: dict[str, Any]) -> str:
    """What it is expected to use, how that is known, and how far to believe it."""
    tokens, held = format_number(estimate["tokens"]), format_number(estimate["reserved_tokens"])
    more = f", {held} reserved" if held != tokens else ""
    price = "" if estimate["price_known"] else ", by an estimated price"
    return (
        f"estimate: {tokens} tokens{more}, ${estimate['cost_usd']:,.2f}{price} "
        f"(basis {estimate['basis']}, confidence {estimate['confidence']:.0%})"
    )
