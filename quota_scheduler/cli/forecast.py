"""``forecast``: where a limit's window ends, and why we think so."""

from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.status import state_of
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.units import Unit
from quota_scheduler.errors import QuotaSchedulerError
from quota_scheduler.glance.words import written


@click.command("forecast")
@click.argument("limit", required=False)
@click.option("--explain", is_flag=True, help="Say in five lines where the number comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, limit: str | None, explain: bool, as_json: bool) -> None:
    """Show where each window ends, or one LIMIT's.

    \b
    Examples:
      quota-scheduler forecast
      quota-scheduler forecast anthropic-monthly --explain
    """
    limits = state_of(reach.asking(ctx))["limits"]
    with_windows = [row for row in limits if row["forecast"]]
    chosen = [row for row in with_windows if limit in (None, row["limit"])]
    if limit and not chosen:
        names = ", ".join(row["limit"] for row in with_windows) or "none yet"
        raise QuotaSchedulerError(f"there is no forecast for {limit!r}; there are: {names}")
    if as_json:
        reach.print_json(
            [{"limit": e["limit"], "unit": e["unit"], "amount": e["amount"], **e["forecast"]} for e in chosen]
        )
        return
    if not chosen:
        reach.say("No forecasts yet: they come with the first usage.")
    for row in chosen:
        reach.say("\n".join(lines(row, explain=explain)))


def lines(row: dict[str, Any], *, explain: bool) -> list[str]:
    """One limit's forecast in words."""
    unit, forecast = Unit(row["unit"]), row["forecast"]
    out = forecast["exhaustion_at"]
    runs_out = f"runs out {local_time(parse_instant(out), row['timezone'])}" if out else ""
    if explain:
        first, *others = forecast["explained"]
        last = f" It {runs_out}." if out else ""
        return [f"{row['limit']}: {first}{last}", *(f"  {line}" for line in others)]
    ends_at = local_time(parse_instant(row["ends_at"]), row["timezone"])
    between = f"{written(forecast['low'], unit)} and {written(forecast['high'], unit)}"
    amounts = f"{written(forecast['expected'], unit)} of {written(row['amount'], unit)} {unit.value}"
    said = [f"{row['limit']}: {amounts} by {ends_at} (80 % between {between})", *([f"  {runs_out}"] if out else [])]
    said.append(f"  above the limit with probability {forecast['p_exceed']:.0%}; risk {row['risk']}")
    if not forecast["sufficient"]:
        said.append(f"  insufficient history: {forecast['observed_days']:.1f} days observed, 7 are needed")
    elif forecast["confidence"] is not None:
        said.append(f"  within 10 % of the truth with probability {forecast['confidence']:.0%}{_held(forecast)}")
    return said


def _held(forecast: dict[str, Any]) -> str:
    """How the last intervals fared, once any were judged."""
    track = forecast.get("track_record")
    return f"; of the last judged intervals {track['coverage']:.0%} held" if track else ""
