"""``observe``: what a provider says, told by people, or heard in the output of a headless run."""

import os
import sys
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.spoken import percent_of, reset_of, window_of
from quota_scheduler.core.instants import iso
from quota_scheduler.errors import QuotaSchedulerError

STREAM = "-"


@click.command("observe")
@click.argument("window", required=False, default="")
@click.argument("used", required=False, default="")
@click.option("--resets", default="", metavar="TIME", help="When the window resets: 17:40, 'mon 09:00', 'in 2h10m'.")
@click.option("--account", default="", help="Whose plan it is; by default that of the configuration.")
@click.option("--from-stream", is_flag=True, help="Hear a headless run on standard input, as `-` does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context, window: str, used: str, resets: str, account: str, from_stream: bool, as_json: bool
) -> None:
    """Report how much of a provider's WINDOW is USED. Without arguments, show what was reported last about each.

    WINDOW is PROVIDER/five_hour, /weekly, /weekly/MODEL or /monthly; `claude` is anthropic, `codex` openai. With `-`
    the output of `claude -p --output-format stream-json` or `json` is passed through unchanged, and heard.

    \b
    Examples:
      quota-scheduler observe claude/five_hour 43% --resets 17:40
      quota-scheduler observe claude/weekly/opus 80% --resets 'mon 09:00' --account max-1
      claude -p "…" --output-format stream-json --verbose | quota-scheduler observe - > run.jsonl
      quota-scheduler observe
    """
    if from_stream or window == STREAM:
        if used or resets or (from_stream and window not in ("", STREAM)):
            raise click.UsageError("a stream says itself what is used: leave WINDOW, USED and --resets out")
        from quota_scheduler.cli.stream import hear

        listen = str(ctx.find_root().ensure_object(dict).get("listen", ""))
        sys.exit(hear(0, 1, account=account, listen=listen, environ=os.environ))
    config = reach.asking(ctx)
    if window and not used and not resets:
        raise click.UsageError("say how much is used, as in: observe claude/five_hour 43%")
    if window:
        said = reach.ask(config, "POST", "/v1/observations", _report(window, used, resets, account, config.timezone))
        if as_json:
            reach.print_json(said)
            return
    _show(reach.ask(config, "GET", "/v1/observations"), window, config.timezone, as_json=as_json)


def _report(window: str, used: str, resets: str, account: str, zone: str) -> dict[str, Any]:
    """What somebody said, as the service takes it. Raises UsageError with the way out."""
    now = datetime.now(UTC)
    try:
        about = window_of(window)
        percent = percent_of(used) if used else None
        at = reset_of(resets, now, ZoneInfo(zone)) if resets else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    body = {
        "provider": about.provider,
        "account": account,
        "window": about.window.value,
        "scope": about.scope,
        "used_percent": percent,
        "resets_at": iso(at) if at else None,
        "source": "person",
    }
    return {name: value for name, value in body.items() if value not in ("", None)}


def _show(state: dict[str, Any], window: str, zone: str, *, as_json: bool) -> None:
    """What was reported last, of the window that was just told about or of all."""
    rows = state["observations"]
    if window:
        about = window_of(window)
        wanted = (about.provider, about.window.value, about.scope)
        rows = [row for row in rows if (row["provider"], row["window"], row["scope"]) == wanted]
        if not rows:
            raise QuotaSchedulerError("the service took it and does not show it: see quota-scheduler observe")
    if as_json:
        reach.print_json({**state, "observations": rows})
        return
    reach.say_breakers(state)
    if not rows:
        reach.say("Nothing was reported yet: see docs/how-to/see-what-is-left.md for who can.")
        return
    head = ["PROVIDER", "ACCOUNT", "WINDOW", "USED", "RESETS", "SAID", "BY", "IS", "WHY NOT NEWER"]
    reach.say(reach.table([head, *(_row(row, zone) for row in rows)], right=frozenset({3})))


def _row(row: dict[str, Any], zone: str) -> list[str]:
    window = f"{row['window']}/{row['scope']}" if row["scope"] else row["window"]
    used = "?" if row["used_ratio"] is None else f"{row['used_ratio']:.0%}"
    used = f"{used} {row['status']}".strip() if row["status"] == "rejected" else used
    resets = reach.when(row["resets_at"], zone) if row["resets_at"] else "?"
    said = f"{_span(row['age_seconds'])} ago" if row["age_seconds"] else "now"
    return [
        row["provider"],
        row["account"],
        window,
        used,
        resets,
        said,
        row["source"],
        row["state"],
        row["why_not_newer"],
    ]


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
