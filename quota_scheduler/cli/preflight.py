"""``preflight``: would it start now, and if not, why."""

import sys
from typing import Any

import click

from quota_scheduler.cli import connection as reach


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
    """Check quota, forecast and run budget for work like this, without asking for it; exit code 1 when one fails.

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
    body = {"key": "preflight", "labels": given, "class": priority, "estimate": {"tokens": estimate}}
    found: dict[str, Any] = reach.ask(reach.config_of(ctx), "POST", "/v1/preflight", body)
    if as_json:
        reach.print_json(found)
    else:
        for check in found["checks"]:
            reach.say(f"{'ok  ' if check['ok'] else 'FAIL'}  {check['check']}: {check['detail']}")
            if check["advice"]:
                reach.say(f"      {check['advice']}")
        reach.say(found["message"])
    if found["verdict"] != "admit":
        sys.exit(1)
