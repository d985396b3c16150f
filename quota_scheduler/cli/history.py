"""``history``: what was used, by time and by whatever usage carries."""

import os
from typing import Any
from urllib.parse import urlencode

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.history_table import history_table
from quota_scheduler.config import Config
from quota_scheduler.core.history.asking import ADDED_BY, Words, question
from quota_scheduler.core.history.periods import PERIODS
from quota_scheduler.core.labels import LABEL_NAMES
from quota_scheduler.errors import QuotaSchedulerError

ROWS_IN_TABLE = 40
"""Rows by label that a table shows where nobody says: what fits a screen; the others are added up."""


@click.command("history")
@click.argument("by", nargs=-1, type=click.Choice(ADDED_BY), metavar="[BY]...")
@click.option("--since", metavar="TIME", default="", help="From a day (2026-11-01) or an instant on.")
@click.option("--until", metavar="TIME", default="", help="Until the end of a day, or an instant; now by default.")
@click.option("--last", metavar="SPAN", default="", help="So long back (30d, 12h, 8w), from the begin of its period.")
@click.option("--timezone", "zone", metavar="ZONE", default="", help="Whose days; `timezone` of the configuration.")
@click.option("--top", type=click.IntRange(min=0), help="Keep the N costliest rows and add up the others; 0 keeps all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    by: tuple[str, ...],
    since: str,
    until: str,
    last: str,
    zone: str,
    top: int | None,
    as_json: bool,
    as_csv: bool,
    **labels: tuple[str, ...],
) -> None:
    """Show what was used BY hour, day, week or month, and by a label, account, session, run or origin.

    BY is one or more of: hour, day, week, month, provider, account, model, team, project, workflow, task_type, agent,
    session, run, origin. Without it, it is by day.

    Costs marked ~ hold tokens of models without a known price, charged like their kin. A call
    counts in the period of its own time. Sums by hour are kept for ever; by session, run, agent and origin only the raw
    events of the last weeks tell.

    \b
    Examples:
      quota-scheduler history
      quota-scheduler history month model --since 2026-01-01
      quota-scheduler history project --last 7d --team growth --top 10
      quota-scheduler history session --last 12h
      quota-scheduler history day model --csv > usage.csv
    """
    config = reach.asking(ctx)
    by_labels = not set(by) & set(PERIODS) and bool(by)
    most = top if top is not None else ROWS_IN_TABLE if by_labels and not (as_json or as_csv) else 0
    matched: dict[str, str | list[str]] = {name: list(values) for name, values in labels.items() if values}
    document = history_of(config, Words(by, since, until, last, zone, matched, most))
    if as_json:
        reach.print_json(document)
    elif as_csv:
        from quota_scheduler.service.queries.usage_history import csv_of

        click.echo(csv_of(document), nl=False)
    else:
        for line, picture in history_table(document):
            click.echo(line + (painted(picture) if picture else ""))


for _name in LABEL_NAMES:
    command.params.append(
        click.Option(
            [f"--{_name.replace('_', '-')}"],
            multiple=True,
            metavar="VALUE",
            help="Only this one, or what fits `x*`; may be given again.",
        )
    )


def painted(picture: str) -> str:
    """A bar in colour; what is piped, and NO_COLOR, keep it plain."""
    return picture if os.environ.get("NO_COLOR") else click.style(picture, fg="green")


def history_of(config: Config, words: Words) -> dict[str, Any]:
    """The history as the service, else the database file, has it. Raises QuotaSchedulerError for no question."""
    given = {"by": ",".join(words.by), "since": words.since, "until": words.until, "last": words.last}
    fields = [(name, value) for name, value in {**given, "timezone": words.zone}.items() if value]
    fields += [(name, value) for name, values in words.labels.items() for value in values]
    fields += [("top", str(words.top))] if words.top else []

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.usage_history import history_document

        return history_document(tx, _asked(words, config, tx.now))

    return reach.asked(config, f"/v1/usage/history?{urlencode(fields)}", of_file)


def _asked(words: Words, config: Config, now: Any) -> Any:
    try:
        return question(words, zone=config.timezone, now=now)
    except ValueError as error:
        raise QuotaSchedulerError(str(error)) from None
