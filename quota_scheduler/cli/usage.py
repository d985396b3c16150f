"""``usage``: record usage from a file, and write out what is recorded."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config
from quota_scheduler.errors import DatabaseBusy, QuotaSchedulerError

BATCH = 500
PAGE = 5_000
"""Events that are written out at a time."""


@click.group("usage")
def command() -> None:
    """Record usage from files, and write it out."""


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check every line and record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def import_(ctx: click.Context, file: Path, dry_run: bool, as_json: bool) -> None:
    """Record the usage events of FILE: JSON lines as POST /v1/usage takes them, `-` for standard input.

    The same event again changes nothing. The running service records them; when none runs, the database file is written
    directly.

    \b
    Examples:
      quota-scheduler usage import events.jsonl
      zcat old.jsonl.gz | quota-scheduler usage import - --dry-run
    """
    config = reach.asking(ctx)
    counts = {"accepted": 0, "updated": 0, "duplicate": 0, "rejected": []}
    record = _checker() if dry_run else _recorder(config)
    for batch, garbled in _batches(file):
        counts["rejected"] += garbled  # type: ignore[operator]
        done = record([item for _, item in batch]) if batch else {"rejected": []}
        for name in ("accepted", "updated", "duplicate"):
            counts[name] += done.get(name, 0)
        counts["rejected"] += [{"line": batch[r["index"]][0], "reason": r["reason"]} for r in done["rejected"]]  # type: ignore[operator]
    _say(counts, as_json=as_json, dry_run=dry_run)
    if counts["rejected"]:
        sys.exit(1)


@command.command("export")
@click.option("--since", metavar="TIME", default="", help="From a day (2026-11-01) or an instant on; all by default.")
@click.option("--rollups", is_flag=True, help="Sums by hour and labels instead of events: all there ever was.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV, for spreadsheets; it is not imported again.")
@click.option("--json", "_as_json", is_flag=True, help="Write JSON lines, as without it.")
@click.pass_context
def export(ctx: click.Context, since: str, rollups: bool, as_csv: bool, _as_json: bool) -> None:
    """Write recorded events to standard output as JSON lines, which `usage import` takes again.

    Events are kept 35 days, sums by hour for ever. Imported elsewhere they add up to the same; do not import sums by
    hour into a database that holds their events, or they count twice.

    \b
    Examples:
      quota-scheduler usage export > events.jsonl
      quota-scheduler usage export --since 2026-11-01 --csv > november.csv
      quota-scheduler usage export --rollups | gzip > all.jsonl.gz
    """
    from quota_scheduler.service.queries.export import csv_lines, json_lines

    written = csv_lines if as_csv else json_lines
    for lines in written(_pages(reach.asking(ctx), "rollups" if rollups else "events", since)):
        click.echo(lines, nl=False)


def _pages(config: Config, kind: str, since: str) -> Iterator[list[dict[str, Any]]]:
    """Pages of events as the service, else the database file, has them."""
    from urllib.parse import urlencode

    place: int | None = 0
    try:
        while place is not None:
            query = urlencode({"kind": kind, "after": place, "limit": PAGE} | ({"since": since} if since else {}))
            page = reach.ask(config, "GET", f"/v1/usage/events?{query}")
            yield page["events"]
            place = page["next"]
    except reach.Unreachable:
        if place:
            raise
        yield from _pages_of_file(config, kind, since)


def _pages_of_file(config: Config, kind: str, since: str) -> Iterator[list[dict[str, Any]]]:
    from quota_scheduler.core.history.asking import Words, question
    from quota_scheduler.service.queries.export import export_page

    with reach.look(config) as tx:
        try:
            begin = question(Words(since=since), zone=config.timezone, now=tx.now).since if since else None
        except ValueError as error:
            raise QuotaSchedulerError(str(error)) from None
        place: int | None = 0
        while place is not None:
            page = export_page(tx, kind, after=place, since=begin, most=PAGE)
            yield page["events"]
            place = page["next"]


def _batches(file: Path) -> Iterator[tuple[list[tuple[int, Any]], list[dict[str, Any]]]]:
    import json

    try:
        stream = sys.stdin if str(file) == "-" else file.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise QuotaSchedulerError(f"cannot read {file}: {error.strerror}") from None
    batch: list[tuple[int, Any]] = []
    garbled: list[dict[str, Any]] = []
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            batch.append((number, json.loads(line)))
        except ValueError as error:
            garbled.append({"line": number, "reason": f"not JSON: {error}"})
        if len(batch) >= BATCH:
            yield batch, garbled
            batch, garbled = [], []
    yield batch, garbled


def _checker() -> Any:
    from quota_scheduler.api.usage import valid_events

    def check(items: list[Any]) -> dict[str, Any]:
        events, rejected = valid_events(items)
        return {"accepted": len(events), "rejected": rejected}

    return check


def _recorder(config: Config) -> Any:
    """Through the service when one answers, else into the file itself."""
    try:
        reach.ask(config, "GET", "/healthz")
        return lambda items: reach.ask(config, "POST", "/v1/usage", items, refused="rejected")
    except reach.Unreachable as unreachable:
        if reach.is_elsewhere(config):
            raise
        from quota_scheduler.api.usage import valid_events
        from quota_scheduler.price_catalog import Prices
        from quota_scheduler.service.apply_prices import priced_events
        from quota_scheduler.service.record import record_usage
        from quota_scheduler.store import Store

        try:
            store = Store(config.database)
        except DatabaseBusy as busy:
            raise QuotaSchedulerError(f"{busy}; {unreachable}") from None
        prices = Prices(config.prices)

        def record(items: list[Any]) -> dict[str, Any]:
            events, rejected = valid_events(items)
            with store.transaction() as tx:
                done = record_usage(tx, priced_events(events, prices), config.limits)
            return {
                "accepted": done.accepted,
                "updated": done.updated,
                "duplicate": done.duplicate,
                "rejected": rejected,
            }

        return record


def _say(counts: dict[str, Any], *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        reach.print_json(counts)
        return
    word = "would be accepted" if dry_run else "accepted"
    reach.say(f"{counts['accepted']} {word}, {counts['updated']} updated, {counts['duplicate']} known already")
    for line in counts["rejected"][:20]:
        reach.say(f"line {line['line']}: {line['reason']}", err=True)
    if len(counts["rejected"]) > 20:
        reach.say(f"and {len(counts['rejected']) - 20} more rejected lines", err=True)
