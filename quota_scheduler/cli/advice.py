"""``suggestions``, ``runs``, ``efficiency``: what would make the same work cost less, and where it goes."""

from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.pictures import terminal_width
from quota_scheduler.config import Config
from quota_scheduler.core.units import format_number

GROUPS = ("workflow", "provider", "model", "task_type", "team")
DAYS = click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="So many days back.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("suggestions")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="So many days back.")
@JSON
@click.pass_context
def suggestions(ctx: click.Context, days: int, as_json: bool) -> None:
    """Say what would make the same work cost less, with the saving and the runs that show it.

    Nothing is suggested that recorded runs do not show: five at least on each side of a comparison.

    \b
    Examples:
      quota-scheduler suggestions
      quota-scheduler suggestions --days 90 --json
    """
    answer = _suggested(reach.asking(ctx), days)
    if as_json:
        reach.print_json(answer)
        return
    for one in answer["suggestions"]:
        saving = f"${one['saving_usd']:,.2f}" if one["saving_usd"] >= 0.005 else ""
        click.echo(click.wrap_text(reach.shown(one["text"]), terminal_width(), "* ", "  "))
        shown = ", ".join(one["evidence"])
        facts = [
            f"saves {saving}" if saving else "",
            f"confidence {one['confidence']:.0%}" * bool(one["confidence"]),
            f"runs: {shown}" * bool(shown),
        ]
        if any(facts):
            click.echo(click.wrap_text(reach.shown("; ".join(filter(None, facts))), terminal_width(), "    ", "    "))
    if not answer["suggestions"]:
        reach.say(f"Nothing to suggest: {answer['runs']} runs of {days} days show nothing that would cost less.")
    if peaks := answer["peaks"]:
        hour = peaks["busiest_hour"]
        share, day_share = max(peaks["hours"]), max(peaks["weekdays"])
        reach.say(
            f"Busiest: {peaks['busiest_weekday']} ({day_share:.0%} of all tokens), and from {hour:02}:00 to "
            f"{(hour + 1) % 24:02}:00 {peaks['timezone']} ({share:.0%})."
        )


def _suggested(config: Config, days: int) -> dict[str, Any]:
    """What the service, else the database file, suggests."""

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.price_catalog import Prices
        from quota_scheduler.service.queries.advice import suggestions_document

        return suggestions_document(tx, config.limits, Prices(config.prices).price, days, zone=config.timezone)

    return reach.asked(config, f"/v1/suggestions?days={days}", of_file)


@click.command("runs")
@DAYS
@click.option("--limit", "most", type=click.IntRange(1, 10_000), default=20, show_default=True, help="So many rows.")
@JSON
@click.pass_context
def runs(ctx: click.Context, days: int, most: int, as_json: bool) -> None:
    """Show the largest runs: tokens, cost, cache hit rate, and how they ended.

    \b
    Examples:
      quota-scheduler runs
      quota-scheduler runs --days 30 --limit 5
    """
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.usage import runs_document

        return runs_document(tx, days, most)

    answer = reach.asked(config, f"/v1/runs?days={days}&limit={most}", of_file)
    if as_json:
        reach.print_json(answer)
        return
    rows = [["RUN", "WORKFLOW", "MODEL", "TOKENS", "OUTPUT", "HIT", "COST", "STATUS"]]
    rows += [[r["run"], r["workflow"], r["model"], *_figures(r), r["status"] or "running"] for r in answer["runs"]]
    reach.say(
        reach.table(rows, right=frozenset({3, 4, 5, 6})) if len(rows) > 1 else f"No runs in the last {days} days."
    )


@click.command("efficiency")
@click.option(
    "--by", type=click.Choice(GROUPS), default="workflow", show_default=True, help="What runs are grouped by."
)
@DAYS
@JSON
@click.pass_context
def efficiency(ctx: click.Context, by: str, days: int, as_json: bool) -> None:
    """Show runs added up by workflow, provider, model, task type or team: tokens a run, cache hits, success.

    What a commit and a pull request cost is known of sessions of Claude Code that export metrics; else it is "-".

    \b
    Examples:
      quota-scheduler efficiency
      quota-scheduler efficiency --by model --days 30
    """
    config = reach.asking(ctx)

    def of_file(tx: Any) -> dict[str, Any]:
        from quota_scheduler.service.queries.usage import efficiency_document

        return efficiency_document(tx, days, by)

    answer = reach.asked(config, f"/v1/efficiency?days={days}&by={by}", of_file)
    if as_json:
        reach.print_json(answer)
        return
    heads = ["RUNS", "TOKENS", "OUTPUT", "HIT", "COST", "A RUN", "SUCCESS", "A COMMIT", "A PR"]
    rows = [[by.replace("_", " ").upper(), *heads]]
    for row in answer[f"{by}s"]:
        success = "-" if row["success_rate"] is None else f"{row['success_rate']:.0%}"
        a_run = format_number(row["tokens_per_run"])
        rows.append([row[by], str(row["runs"]), *_figures(row), a_run, success, *_each(row)])
    right = frozenset(range(1, len(heads) + 1))
    reach.say(reach.table(rows, right=right) if len(rows) > 1 else f"No runs in the last {days} days.")


def _each(row: dict[str, Any]) -> list[str]:
    """What a commit and a pull request cost; a dash where no source tells of any."""
    costs = row.get("cost_per_commit_usd"), row.get("cost_per_pull_request_usd")
    return ["-" if cost is None else f"${cost:,.2f}" for cost in costs]


def _figures(row: dict[str, Any]) -> list[str]:
    rate = row["cache_hit_rate"]
    hit = "-" if rate is None else f"{rate:.0%}"
    return [format_number(row["tokens"]), format_number(row["output"]), hit, f"${row['cost_usd']:,.2f}"]
