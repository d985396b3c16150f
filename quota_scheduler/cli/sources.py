"""``sources``: where usage comes from, and what nobody can see."""

from datetime import datetime
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.pictures import cut, terminal_width
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.units import format_number

LONGEST_NAME = 32
LATE_SECONDS = 60.0
"""A lag that is worth a word: passes follow each other every few seconds."""


@click.command("sources")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show where usage comes from: when last, how much, how far behind, what is wrong, and what it cannot see.

    EVENTS and TOKENS are those recorded in the last 24 hours. Without a service nobody knows how far reading is behind.

    \b
    Examples:
      quota-scheduler sources
      quota-scheduler sources --json
    """
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.sources import sources_document

        return sources_document(tx)

    document = reach.asked(config, "/v1/sources", of_file)
    if as_json:
        reach.print_json(document)
        return
    rows = document["sources"]
    if not rows:
        reach.say("Nothing has come from anywhere yet: see docs/reference/sources.md for what can be read.")
        return
    now = parse_instant(document["at"])
    heads = ["SOURCE", "DOOR", "EVENTS", "TOKENS", "LAST", "BEHIND", "ERRORS", "FILES"]
    reach.say(reach.table([heads, *(_row(row, now) for row in rows)], right=frozenset({2, 3, 4, 5, 6, 7})))
    if document["events_at_least"]:
        reach.say("There were more events than are counted here: EVENTS and TOKENS are the least there were.")
    left_out = [door for door in document["doors"] if not door["counts"]]
    if left_out:
        reach.say("Told by several doors whose calls cannot be matched:")
    for door in left_out:
        reach.say(_wrapped(f"  {_left_out(door)}"))
    for line in _notes(rows):
        reach.say(line)


def _left_out(door: dict[str, Any]) -> str:
    """A door whose calls stand back, and for which others."""
    account = f" of {door['account']}" if door["account"] else ""
    host = f" on {door['host']}" if door["host"] else ""
    others = " and ".join(door["instead"])
    return f"{door['agent']}{account}{host}: {door['told_by']} count only where {others} tell nothing."


def _row(row: dict[str, Any], now: datetime) -> list[str]:
    counts = row["door"] != "word"
    return [
        cut(reach.shown(row["origin"]), LONGEST_NAME),
        row["door"],
        f"{row['events']:,}" if counts else _windows(row["windows"]),
        format_number(row["tokens"]) if counts else "",
        _ago(row["came_at"] or row["last_at"], now),
        _behind(row),
        "-" if row["errors"] is None else f"{row['errors']:,}",
        f"{row['files']:,}" if row["files"] else "-",
    ]


def _ago(text: str | None, now: datetime) -> str:
    if not text:
        return "-"
    seconds = max(0, round((now - parse_instant(text)).total_seconds()))
    return f"{_short(seconds)} ago"


def _short(seconds: int) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{name}"
    return f"{seconds}s"


def _behind(row: dict[str, Any]) -> str:
    if row["catching_up"]:
        return "reading"
    if row["silent"]:
        return "silent"
    lag = row["lag_seconds"]
    return "-" if lag is None else _short(round(lag)) if lag >= LATE_SECONDS else "no"


def _notes(rows: list[dict[str, Any]]) -> list[str]:
    """What each source cannot see, once, and clocks that differ."""
    by_name = {row["source"] if row["door"] != "word" else row["door"]: row["cannot_see"] for row in rows}
    told = [f"  {name}: {sentence}" for name, sentence in by_name.items() if sentence]
    lines = ["What they cannot see:", *(_wrapped(line) for line in told)] if told else []
    for row in rows:
        if row["clock_seconds"] and abs(row["clock_seconds"]) >= 1:
            ahead = "behind" if row["clock_seconds"] > 0 else "ahead of"
            seconds = f"{abs(row['clock_seconds']):.0f} s {ahead} ours"
            lines.append(f"The clock of {row['origin']} is {seconds}; its times are put right.")
    return lines


def _wrapped(line: str) -> str:
    import textwrap

    return textwrap.fill(line, terminal_width(), subsequent_indent="    ", break_long_words=False)


def _windows(count: int) -> str:
    return f"{count} window{'' if count == 1 else 's'}"
