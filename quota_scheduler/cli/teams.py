"""``teams``: every team's budget, what is used, borrowed and lent of it, and what it should be."""

import csv
import io
from datetime import date, timedelta
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.core.history.recommendation import DAYS, recommended
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.units import Unit
from quota_scheduler.glance.words import written
from quota_scheduler.service.queries.usage_history import safe_cell

HEADS = ["TEAM", "BUDGET", "OF", "USED", "RESERVED", "BORROWED", "LENT", "FORECAST", f"P90 OF {DAYS} DAYS"]
FIGURES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "requests", "cost_usd",
           "unlisted_tokens", "unlisted_cost_usd")  # fmt: skip
"""Columns of a bill. What sessions used beyond the calls they list stands apart: both together are what was used."""
HOW_ENDED = {"repaid": "repaid", "window": "window ended"}


@click.group("teams", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show every team's budget: used, reserved, borrowed, lent, expected at the reset, and what would be enough.

    The last column is what nine of ten of the last 30 days kept to, with the days that it rests on. Needs the service.

    \b
    Examples:
      quota-scheduler teams
      quota-scheduler teams report --days 30 --csv > bill.csv
    """
    if ctx.invoked_subcommand:
        return
    config = reach.asking(ctx)
    limits = [row for row in reach.ask(config, "GET", "/v1/limits")["limits"] if row["limit"] != row["rule"]]
    rules = {row["rule"] for row in limits}
    by_team = {rule for rule in rules if reach.ask(config, "GET", f"/v1/limits/{rule}")["holds"].get("per") == "team"}
    limits = [row for row in limits if row["rule"] in by_team]
    loans = reach.ask(config, "GET", "/v1/loans?days=1")
    summary = reach.ask(config, "GET", f"/v1/usage/summary?days={DAYS}&by=day,team")
    rows = teams(limits, loans["loans"], summary["usage"], today=parse_instant(loans["at"]).date())
    if as_json:
        reach.print_json(rows)
        return
    table = [HEADS, *(_cells(row) for row in rows)]
    reach.say(reach.table(table) if rows else "No limit is per team: configure one with `per: team`.")


@command.command("report")
@click.option("--days", type=click.IntRange(1, 3660), default=DAYS, show_default=True, help="So many days back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for each day, team and model.")
@click.pass_context
def report(ctx: click.Context, days: int, as_json: bool, as_csv: bool) -> None:
    """Show what each team used, for billing: a table by team, or all days and models as CSV or JSON.

    \b
    Examples:
      quota-scheduler teams report
      quota-scheduler teams report --days 31 --csv > bill.csv
    """
    config = reach.asking(ctx)
    by = ["day", "team", "model"] if as_csv or as_json else ["team"]
    rows = reach.ask(config, "GET", f"/v1/usage/summary?days={days}&by={','.join(by)}")["usage"]
    if as_json:
        reach.print_json(rows)
    elif as_csv:
        click.echo(_csv(rows, by), nl=False)
    else:
        lines = [["TEAM", "TOKENS", "CALLS", "COST"]]
        lines += [
            [
                row["team"] or "(none)",
                f"{row['tokens'] + row['unlisted_tokens']:,}",
                f"{row['requests']:,}",
                f"${_cost(row):,.2f}",
            ]
            for row in rows
        ]
        reach.say(reach.table(lines) if rows else f"Nothing was used in the last {days} days.")


@command.command("loans")
@click.option("--days", type=click.IntRange(1, 3660), default=DAYS, show_default=True, help="Ended so many days back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def loans(ctx: click.Context, days: int, as_json: bool) -> None:
    """Show who owes whom within pools, and what was paid back when, the newest first.

    A loan that stands shows what is owed now, one that has ended the most that it was. Needs the service.

    \b
    Examples:
      quota-scheduler teams loans
      quota-scheduler teams loans --days 1 --json
    """
    rows = reach.ask(reach.asking(ctx), "GET", f"/v1/loans?days={days}")["loans"]
    if as_json:
        reach.print_json(rows)
        return
    table = [["BORROWER", "OWES", "AMOUNT", "OF", "SINCE", "ENDS", "HOW"], *(_loan(row) for row in rows)]
    reach.say(reach.table(table) if rows else f"Nobody owes anything, and nothing was paid back in {days} days.")


def _loan(row: dict[str, Any]) -> list[str]:
    amount = written(row["most"] if row["ended"] else row["amount"], Unit(row["unit"]))
    ends, how = row["ended_at"] or row["due"] or "–", HOW_ENDED[row["ended"]] if row["ended"] else "stands"
    names = [reach.shown(row[name]) for name in ("borrower", "lender", "pool")]
    return [*names[:2], amount, names[2], row["since"], ends, how]


def teams(
    limits: list[dict[str, Any]], loans: list[dict[str, Any]], usage: list[dict[str, Any]], *, today: date
) -> list[dict[str, Any]]:
    """A row for each of the teams' limits; the recommendation is in dollars, of limits in dollars a day."""
    daily = _daily(usage, today)
    rows = []
    for limit in limits:
        team = limit["limit"].partition("/")[2]
        in_dollars = limit["unit"] == "usd" and limit["period"] == "day"
        advice = recommended(daily.get(team, [])) if in_dollars else None
        stand = [loan for loan in loans if not loan["ended"]]
        rows.append(
            {
                "team": team,
                "limit": limit["limit"],
                "unit": limit["unit"],
                "amount": limit["amount"],
                "used": limit["used"],
                "reserved": limit["reserved"],
                "borrowed": sum(loan["amount"] for loan in stand if loan["borrower"] == limit["limit"]),
                "lent": sum(loan["amount"] for loan in stand if loan["lender"] == limit["limit"]),
                "forecast": (limit["forecast"] or {}).get("expected"),
                "recommended": advice.amount if advice else None,
                "recommended_from_days": advice.days if advice else 0,
            }
        )
    return rows


def _daily(usage: list[dict[str, Any]], today: date) -> dict[str, list[float]]:
    """Dollars by team and day, idle days since its first among them; today is not over and does not count."""
    costs: dict[str, dict[date, float]] = {}
    for row in usage:
        day = date.fromisoformat(row["day"])
        of_team = costs.setdefault(row["team"], {})
        of_team[day] = of_team.get(day, 0.0) + _cost(row)
    daily = {}
    for team, by_day in costs.items():
        span = (today - min(by_day)).days
        daily[team] = [by_day.get(min(by_day) + timedelta(days=n), 0.0) for n in range(span)]
    return daily


def _cost(row: dict[str, Any]) -> float:
    """What was charged to a team: its calls, and what its sessions cost beyond those."""
    cost: float = row["cost_usd"] + row["unlisted_cost_usd"]
    return cost


def _cells(row: dict[str, Any]) -> list[str]:
    unit = Unit(row["unit"])
    advice = "–"
    if row["recommended"] is not None:
        advice = f"{written(row['recommended'], unit)} ({row['recommended_from_days']} days)"
    figures = ("amount", "used", "reserved", "borrowed", "lent")
    expected = written(row["forecast"], unit) if row["forecast"] is not None else "–"
    return [reach.shown(row["team"]), reach.shown(row["limit"]), *(written(row[name], unit) for name in figures),
            expected, advice]  # fmt: skip


def _csv(rows: list[dict[str, Any]], by: list[str]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, [*by, *FIGURES], extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows({**row, **{name: safe_cell(row[name]) for name in by}} for row in rows)
    return text.getvalue()
