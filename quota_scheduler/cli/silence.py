"""``silence``: tell nobody about alerts that fit, for a while."""

from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.spoken import typed_instant
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.errors import QuotaSchedulerError


@click.group("silence")
def command() -> None:
    """Tell nobody about alerts that fit, for a while; look at silences and end them."""


@command.command("add")
@click.argument("matchers", nargs=-1, required=True)
@click.option("--for", "length", metavar="LENGTH", help="How long, as 2h.")
@click.option("--until", metavar="TIME", help="Until when: 18:00, 'mon 09:00'; instead of --for.")
@click.option("--comment", required=True, help="Why; shown to whoever looks.")
@click.option("--author", default="", help="Who; by default the token's name or, without tokens, the local user.")
@click.option("--dry-run", is_flag=True, help="Say which alerts that fire would be silenced, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def add(ctx: click.Context, /, matchers: tuple[str, ...], dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Silence alerts that all MATCHERS fit: NAME=PATTERN, as rule=usage_high or limit=team-daily/*.

    \b
    Examples:
      quota-scheduler silence add limit=max-weekly --for 2h --comment "load test"
      quota-scheduler silence add rule=burn_* severity=warning --until 2026-11-23T08:00:00Z --comment "over night"
    """
    wanted = dict(_matcher(matcher) for matcher in matchers)
    config = reach.asking(ctx)
    if dry_run:
        _would(config, wanted, as_json=as_json)
        return
    until = typed_instant(asked["until"], config.timezone, "--until") if asked["until"] else None
    when = {"for": asked["length"], "until": until}
    body = {"matchers": wanted, "comment": asked["comment"], "author": asked["author"] or reach.local_author(config)}
    made = reach.ask(config, "POST", "/v1/silences", {**body, **{k: v for k, v in when.items() if v}})
    if as_json:
        reach.print_json(made)
        return
    reach.say(f"Silence {made['id']} until {local_time(parse_instant(made['ends_at']), config.timezone)}")
    covered = len(made["alerts"])
    reach.say(f"It covers {covered} {'alert' if covered == 1 else 'alerts'} now.")


def _would(config: Any, wanted: dict[str, str], *, as_json: bool) -> None:
    """Say which alerts that fire would be silenced."""
    from quota_scheduler.cli.alerts import listed
    from quota_scheduler.core.alerts.routing import fits

    matchers = tuple(wanted.items())
    state = [a for a in listed(config)["alerts"] if a["phase"] == "firing" and fits(matchers, a["names"])]
    if as_json:
        reach.print_json({"alerts": [alert["id"] for alert in state]})
        return
    named = ", ".join(f"{alert['rule']} {alert['scope']}" for alert in state) or "none"
    reach.say(f"would silence {len(state)} that fire now: {named}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show silences that have not ended.

    \b
    Examples:
      quota-scheduler silence list
      quota-scheduler silence list --json
    """
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.alerts import silences_document

        return silences_document(tx)

    state = reach.asked(config, "/v1/silences", of_file)
    if as_json:
        reach.print_json(state)
        return
    rows = [["ID", "WHAT", "UNTIL", "AUTHOR", "COVERS", "COMMENT"]]
    for silence in state["silences"]:
        what = " ".join(f"{name}={pattern}" for name, pattern in silence["matchers"].items())
        ends = local_time(parse_instant(silence["ends_at"]), config.timezone)
        rows.append(
            [str(silence["id"]), what, ends, silence["author"], str(len(silence["alerts"])), silence["comment"]]
        )
    reach.say(reach.table(rows) if len(rows) > 1 else "No silences.")


@command.command("end")
@click.argument("silence", type=int)
@click.option("--dry-run", is_flag=True, help="Say what would end and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def end(ctx: click.Context, silence: int, dry_run: bool, as_json: bool) -> None:
    """End a SILENCE now; what still fires is told then.

    \b
    Examples:
      quota-scheduler silence end 3
      quota-scheduler silence end 3 --dry-run
    """
    if dry_run:
        reach.say(f"would end silence {silence}")
        return
    state = reach.ask(reach.asking(ctx), "DELETE", f"/v1/silences/{silence}")
    reach.print_json(state) if as_json else reach.say(f"Ended: silence {silence}")


def _matcher(text: str) -> tuple[str, str]:
    """A matcher as people write it. Raises QuotaSchedulerError for anything else."""
    name, equals, pattern = text.partition("=")
    if not (name and equals and pattern):
        raise QuotaSchedulerError(f"{text!r} is no matcher: write NAME=PATTERN, such as limit=team-daily/*")
    return name.strip(), pattern.strip()
