"""``limits windows``: what the windows of limits came to, one after another."""

from typing import Any
from urllib.parse import urlencode

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.pictures import bar, cut, padded, terminal_width, width_of
from quota_scheduler.core.history.asking import LONGEST
from quota_scheduler.core.history.periods import civil
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.limits.schedule import parse_span
from quota_scheduler.core.units import Unit
from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.glance.words import written

LONGEST_NAME = 24
LONGEST_BAR = 40
HEADS = ("LIMIT", "FROM", "TO", "USED", "OF", "")


@click.command("windows")
@click.argument("limit", required=False, default="")
@click.option("--last", metavar="SPAN", default="7d", show_default=True, help="Windows that ended so long ago at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, limit: str, last: str, as_json: bool) -> None:
    """Show past windows of every limit, or of LIMIT, the newest first: what was used of what.

    \b
    Examples:
      quota-scheduler limits windows
      quota-scheduler limits windows max-session --last 30d
    """
    config = reach.asking(ctx)
    try:
        back = parse_span(last)
    except ValueError as error:
        raise QuotaSchedulerError(str(error)) from None
    query = urlencode({"limit": limit, "last": last})

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.windows import windows_document

        return windows_document(tx, config.limits, name=limit, back=min(back, LONGEST))

    document = reach.asked(config, f"/v1/windows?{query}", of_file)
    if as_json:
        reach.print_json(document)
        return
    rows = document["windows"]
    if not rows:
        reach.say(f"No window{f' of {limit}' if limit else ''} in the last {last}.")
        return
    for line in _lines(rows):
        click.echo(line)


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    cells = [list(HEADS), *(_cells(row) for row in rows)]
    widths = [max(width_of(row[n]) for row in cells) for n in range(len(HEADS))]
    room = min(LONGEST_BAR, terminal_width() - sum(widths) - 2 * len(widths))
    pictures = ["", *(bar(min(1.0, row["usage_ratio"] or 0), room) if room > 0 else "" for row in rows)]
    return [
        "  ".join([*(padded(cell, widths[n], right=n > 2) for n, cell in enumerate(row)), picture]).rstrip()
        for row, picture in zip(cells, pictures, strict=True)
    ]


def _cells(row: dict[str, Any]) -> list[str]:
    unit, zone = Unit(row["unit"]), row["timezone"]
    ended = "now" if row["open"] else civil(parse_instant(row["ends_at"]), zone)
    share = "" if row["usage_ratio"] is None else f"{row['usage_ratio']:.0%}"
    return [
        cut(reach.shown(row["limit"]), LONGEST_NAME),
        civil(parse_instant(row["starts_at"]), zone),
        ended + (f" ({row['ended']})" if row["ended"] else ""),
        written(row["used"], unit),
        written(row["amount"], unit),
        share,
    ]
