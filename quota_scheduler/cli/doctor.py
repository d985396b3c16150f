"""``doctor``: rebuild what the ledger covers and compare."""

import sys

import click

from quota_scheduler.cli import connection as reach


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check the database: counters against the ledger and the leases, and what no event has bound lately.

    Exit code 1 when something does not add up. Works beside a running service.

    \b
    Examples:
      quota-scheduler doctor
      quota-scheduler doctor --json
    """
    config = reach.config_of(ctx)
    from quota_scheduler.service.upkeep.doctor import examine

    with reach.look(config) as tx:
        findings = examine(tx, config.limits)
    wrong = [finding for finding in findings if finding.wrong]
    if as_json:
        reach.print_json([{"check": f.check, "wrong": f.wrong, "detail": f.detail} for f in findings])
    else:
        for finding in findings:
            reach.say(f"{'WRONG' if finding.wrong else 'ok   '}  {finding.check}: {finding.detail}")
    if wrong:
        sys.exit(1)
