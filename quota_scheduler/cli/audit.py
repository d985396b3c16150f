"""``audit``: what was done by hand, by whom."""

from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.core.instants import iso, parse_instant


@click.command("audit")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many, newest first.")
@click.option("--since", metavar="TIME", default="", help="From when on: a day, or an instant.")
@click.option("--until", metavar="TIME", default="", help="Until before when: a day, or an instant.")
@click.option("--who", metavar="NAME", default="", help="Whose deeds.")
@click.option("--what", metavar="WHAT", default="", help="Which: 'limit.changed', 'ticket.*'.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, limit: int, since: str, until: str, who: str, what: str, as_json: bool) -> None:
    """Show what was done by hand: holds, changed limits, revoked leases, silences, tokens; newest first.

    \b
    Examples:
      quota-scheduler audit
      quota-scheduler audit --limit 10 --json
      quota-scheduler audit --what 'limit.*' --who ana --since 2026-11-01
    """
    config = reach.asking(ctx)

    begin, end = (_at(text, config.timezone) for text in (since, until))

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.operate.holds import audit_document
        from quota_scheduler.store.audit import Wanted

        return audit_document(tx, Wanted(limit, begin, end, who, what or "*"))

    given = {"since": begin and iso(begin), "until": end and iso(end), "who": who, "what": what}
    query = urlencode({"limit": limit, **{name: value for name, value in given.items() if value}})
    entries = reach.asked(config, f"/v1/audit?{query}", of_file)["audit"]
    if as_json:
        reach.print_json(entries)
        return
    rows = [["AT", "WHO", "WHAT", "DETAIL"]]
    rows += [
        [
            reach.when(entry["at"], config.timezone),
            entry["who"],
            entry["what"],
            _detail(entry["detail"], config.timezone),
        ]
        for entry in entries
    ]
    reach.say(reach.table(rows) if entries else "Nothing was done by hand.")


def _detail(detail: dict[str, Any], zone: str) -> str:
    """What was done, as it would be typed."""
    texts = {name: reach.value_text(value, zone) for name, value in detail.items()}
    return ", ".join(f"{name}={text}" for name, text in texts.items() if text)


def _at(text: str, zone: str) -> datetime | None:
    """A civil day's beginning, or an instant; None where nothing is said. Raises UsageError."""
    from quota_scheduler.core.history.periods import begin_of_day

    if not text:
        return None
    try:
        return begin_of_day(date.fromisoformat(text), zone)
    except ValueError:
        pass
    try:
        return parse_instant(text)
    except ValueError:
        raise click.UsageError(
            f"{text!r} is no time: write a day such as 2026-11-27, or an instant such as 2026-11-27T09:00Z"
        ) from None
