"""``alerts``: what fires, who takes care of it, and whether receivers hear it."""

import sys
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config
from quota_scheduler.errors import QuotaSchedulerError


@click.group("alerts")
def command() -> None:
    """Look at alerts, acknowledge one, try receivers."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show alerts that are pending, firing or resolved lately.

    \b
    Examples:
      quota-scheduler alerts list
      quota-scheduler alerts list --json
    """
    config = reach.asking(ctx)
    answer = listed(config)
    if as_json:
        reach.print_json(answer)
        return
    rows = [["ID", "PHASE", "SEVERITY", "RULE", "SCOPE", "SINCE", "QUIET BECAUSE"]]
    rows += [
        [
            str(a["id"]),
            a["phase"],
            a["severity"],
            a["rule"],
            a["scope"],
            reach.when(a["since"], config.timezone),
            _quiet(a),
        ]
        for a in answer["alerts"]
    ]
    reach.say(reach.table(rows) if len(rows) > 1 else "No alerts.")


def listed(config: Config) -> dict[str, Any]:
    """The alerts as the service, else the database file, has them."""

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.alerts import alerts_document

        return alerts_document(tx)

    return reach.asked(config, "/v1/alerts", of_file)


def _quiet(alert: dict[str, Any]) -> str:
    """Why nobody is told of an alert that fires."""
    by = [f"acknowledged by {alert['acknowledged_by']}"] if alert["acknowledged_by"] else []
    return ", ".join([*by, *(f"silence {number}" for number in alert["silenced_by"])])


@command.command("ack")
@click.argument("alert", type=int)
@click.option("--author", default="", help="Who takes care of it; by default the token's name.")
@click.option("--comment", default="", help="What to say about it.")
@click.option("--dry-run", is_flag=True, help="Say what would be acknowledged and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def ack(ctx: click.Context, alert: int, author: str, comment: str, dry_run: bool, as_json: bool) -> None:
    """Acknowledge a firing ALERT, by its number in the list: it is not repeated, and its end is told.

    \b
    Examples:
      quota-scheduler alerts ack 12 --comment "on it"
      quota-scheduler alerts ack 12 --author ana
    """
    if dry_run:
        reach.say(f"would acknowledge alert {alert}")
        return
    config = reach.asking(ctx)
    body = {"author": author or reach.local_author(config), "comment": comment}
    answer = reach.ask(config, "POST", f"/v1/alerts/{alert}/ack", body)
    if as_json:
        reach.print_json(answer)
    else:
        reach.say(f"Acknowledged by {answer['acknowledged_by']}: alert {alert}")


@command.command("test")
@click.argument("receiver", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def test(ctx: click.Context, receiver: str | None, as_json: bool) -> None:
    """Send a real test message to every receiver, or to RECEIVER, and say what became of each.

    \b
    Examples:
      quota-scheduler alerts test
      quota-scheduler alerts test ops --json
    """
    config = reach.asking(ctx)
    from quota_scheduler.core.alerts.message import DeliveryOutcome, Message
    from quota_scheduler.core.alerts.rule import Severity
    from quota_scheduler.notify.addresses import AppriseReceiver
    from quota_scheduler.notify.notifier import AppriseNotifier

    chosen = [r for r in config.receivers if receiver in (None, r.id)]
    if not chosen:
        names = ", ".join(r.id for r in config.receivers) or "none: add receivers to the configuration"
        raise QuotaSchedulerError(f"there is no receiver {receiver or 'to test'}; configured: {names}")
    notifier = AppriseNotifier([AppriseReceiver(r.id, r.url, r.min_severity, r.match) for r in chosen])
    results = []
    for target in chosen:
        text = "This is a test message of Quota Scheduler. Nothing needs to be done."
        done = notifier.send(Message(target.id, Severity.INFO, "Test of Quota Scheduler", text))
        results.append({"receiver": target.id, "result": done.outcome.value, "detail": done.detail})
    if as_json:
        reach.print_json(results)
    else:
        for row in results:
            reach.say(f"{row['receiver']}: {row['result']}{' - ' + row['detail'] if row['detail'] else ''}")
    if any(row["result"] != DeliveryOutcome.DELIVERED.value for row in results):
        sys.exit(1)
