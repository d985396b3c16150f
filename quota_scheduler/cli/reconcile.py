"""``reconcile``: own sums, providers' words and bills side by side."""

from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.pictures import cut, padded, terminal_width, width_of
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.units import format_number

LONGEST_NAME = 18
HEADS = ("ACCOUNT", "WINDOW", "OWN", "SAID", "BILLED", "DRIFT", "WHY")


@click.command("reconcile")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show own sums, providers' words and bills side by side, with their drift and its likely cause.

    OWN is what was counted here until the provider said what it says, in percent where that is learned. A bill is of
    the last days that it is closed for.

    \b
    Examples:
      quota-scheduler reconcile
      quota-scheduler reconcile --json
    """
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.reconcile import reconciliation_document

        return reconciliation_document(tx, config.limits)

    document = reach.asked(config, "/v1/reconciliation", of_file)
    if as_json:
        reach.print_json(document)
        return
    rows = document["reconciliation"]
    if not rows:
        reach.say("Nothing to compare yet: no provider has said anything, and no bill was read.")
        return
    for line in _lines(rows, config.timezone):
        reach.say(line)


def _lines(rows: list[dict[str, Any]], zone: str) -> list[str]:
    cells = [list(HEADS), *(_cells(row) for row in rows)]
    widths = [max(width_of(row[n]) for row in cells) for n in range(len(HEADS))]
    table = [
        "  ".join(padded(cell, widths[n], right=2 <= n <= 5) for n, cell in enumerate(row)).rstrip() for row in cells
    ]
    return [*table, *(line for row in rows for line in _told(row, zone))]


def _cells(row: dict[str, Any]) -> list[str]:
    own, said, bill = row["own"], row["said"], row["bill"]
    percent, tokens = own["percent"], format_number(own["tokens"])
    drift = row["drift_percent"]
    return [
        cut(reach.shown(f"{row['provider']}/{row['account']}"), LONGEST_NAME),
        cut(reach.shown(row["window"]), LONGEST_NAME),
        f"{percent:.1f}%" if percent is not None else tokens,
        "-" if not said or said["percent"] is None else f"{'~' if said['stale'] else ''}{said['percent']:.1f}%",
        "-" if not bill else format_number(bill["tokens"]),
        f"{drift:+.1f}" if drift is not None else _signed(row["drift_tokens"]),
        row["cause"].replace("_", " "),
    ]


def _signed(tokens: int | None) -> str:
    if tokens is None:
        return "-"
    return f"{'+' if tokens > 0 else ''}{format_number(tokens)}"


def _told(row: dict[str, Any], zone: str) -> list[str]:
    """What does not agree, with when and why."""
    if row["cause"] == "agrees":
        return []
    import textwrap

    head = cut(reach.shown(f"{row['provider']}/{row['account']} {row['window']}"), 3 * LONGEST_NAME)
    by = f" ({row['said']['source']}, {local_time(parse_instant(row['as_of']), zone)})" if row["said"] else ""
    money = ""
    if row["bill"] and row["bill"]["cost_usd"] is not None:
        money = f" Charged ${row['bill']['cost_usd']:,.2f}, counted ${row['own']['cost_usd']:,.2f}."
    text = f"  {head}{by}: {row['detail']}{money}"
    return [textwrap.fill(text, terminal_width(), subsequent_indent="    ", break_long_words=False)]
