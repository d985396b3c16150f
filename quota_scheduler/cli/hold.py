"""``hold``: the incident switch."""

import click

from quota_scheduler.cli import connection as reach


@click.command("hold")
@click.argument("ticket", required=False)
@click.option("--release", is_flag=True, help="Let it go on.")
@click.option("--reason", default="", help="Why; shown everywhere.")
@click.option("--dry-run", is_flag=True, help="Say what would be held and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, ticket: str | None, release: bool, reason: str, dry_run: bool, as_json: bool) -> None:
    """Hold everything, or one TICKET: nothing of it starts until it is released.

    \b
    Examples:
      quota-scheduler hold --reason "provider incident"
      quota-scheduler hold --release
      quota-scheduler hold t42
    """
    what = ticket or "everything"
    if dry_run:
        reach.say(f"would {'release' if release else 'hold'} {what}")
        return
    path = f"/v1/tickets/{ticket}/hold" if ticket else "/v1/hold"
    answer = reach.ask(reach.asking(ctx), "POST", path, {"on": not release, "reason": reason})
    reach.print_json(answer) if as_json else reach.say(f"{'Released' if release else 'Held'}: {what}")
