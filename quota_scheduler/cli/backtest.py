"""``backtest``: how every forecasting method would have done, on recorded traces or on the own ledger."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.core.forecast.baselines import OLD_NAMES
from quota_scheduler.errors import QuotaSchedulerError

if TYPE_CHECKING:
    from quota_scheduler.backtest.run import Result
    from quota_scheduler.backtest.traces import Trace
    from quota_scheduler.core.forecast.series import Buckets

NAMES = ("weighted-mean", "pro-rata", "mean-7", "ours")
"""The methods by name; those of ``quota_scheduler.backtest``, which is too heavy to load for a help text."""
DAY, HOUR, FIVE_HOURS = timedelta(days=1), timedelta(hours=1), timedelta(hours=5)


@click.command("backtest")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--methods", default=",".join(NAMES), show_default=True, help="Which methods, with commas between.")
@click.option("--by", type=click.Choice(["limit", "provider"]), default="limit", show_default=True,
              help="One series for each, of the own ledger.")  # fmt: skip
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Draw a picture of the errors too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, folder: Path | None, methods: str, by: str, svg: Path | None, as_json: bool) -> None:
    """Compare forecasting methods over a FOLDER with daily.csv or hourly.csv, or over the own ledger.

    \b
    Every method sees only what lay before the moment it is asked at; "leak-free" says that this was checked.
    Examples:
      quota-scheduler backtest
      quota-scheduler backtest traces/ --methods weighted-mean,ours --svg errors.svg
    """
    chosen = _chosen(methods)
    result = _of_folder(folder, chosen) if folder else _of_ledger(ctx, chosen, by)
    if svg:
        try:
            svg.write_text(result.to_svg(), encoding="utf-8")
        except OSError as error:
            raise QuotaSchedulerError(f"cannot write {svg}: {error.strerror}") from None
    click.echo(result.to_json() if as_json else result.to_text())


def _chosen(methods: str) -> list[str]:
    given = [name.strip() for name in methods.split(",") if name.strip()]
    names = [OLD_NAMES.get(name, name) for name in given]
    if unknown := [name for name in names if name not in NAMES]:
        raise QuotaSchedulerError(f"there is no method {unknown[0]!r}; there are: {', '.join(NAMES)}")
    return names or list(NAMES)


def _of_folder(folder: Path, methods: list[str]) -> "Result":
    from msgspec.structs import replace

    from quota_scheduler.backtest import run as backtest

    try:
        traces, said = backtest.read_said(folder)
    except ValueError as error:
        raise QuotaSchedulerError(str(error)) from None
    if not traces:
        raise QuotaSchedulerError(
            f"{folder} holds neither daily.csv nor hourly.csv (series_id, date or hour_utc, tokens)"
        )
    return replace(_judged(traces, methods), assumed=tuple(said))


def _of_ledger(ctx: click.Context, methods: list[str], by: str) -> "Result":
    config = reach.config_of(ctx)
    from quota_scheduler.core.limits.schedule import Session
    from quota_scheduler.service.queries import history

    with reach.look(config) as tx:
        if by == "provider":
            traces = [_trace(name, series, DAY) for name, series in history.recorded_by_provider(tx)]
        else:
            traces = [
                _trace(binding.name, series, HOUR if binding.limit.schedule == Session(FIVE_HOURS) else DAY)
                for binding, series in history.recorded(tx, config.limits)
            ]
    return _judged(traces, methods)


def _trace(name: str, history: "Buckets", step: timedelta) -> "Trace":
    """A series of whole steps, idle ones included, from the first recorded one on; the unfinished last is left out."""
    from quota_scheduler.backtest.traces import Trace

    width = step.total_seconds()
    first, last = (int(history.starts[i] // width) for i in (0, -1))
    values = [0.0] * (last - first)
    for at, amount in zip(history.starts.tolist(), history.values.tolist(), strict=True):
        if (place := int(at // width) - first) < len(values):
            values[place] += amount
    start = datetime.fromtimestamp(first * width, UTC).replace(tzinfo=None)
    return Trace(name, start, step, tuple(values))


def _judged(traces: "list[Trace]", methods: list[str]) -> "Result":
    from quota_scheduler.backtest import run as backtest

    result = backtest.verify(traces, methods)
    if not result.rows:
        longest = max((len(trace.values) * trace.step for trace in traces), default=timedelta(0))
        raise QuotaSchedulerError(
            f"the longest of {len(traces)} series has {longest / DAY:.0f} whole days: "
            "a week of history and a whole week to forecast are needed"
        )
    return result
