"""``simulate``: what would have happened under other policies, amounts, windows, classes, models or budgets."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.pictures import terminal_width
from quota_scheduler.cli.progress import progress
from quota_scheduler.config import Config
from quota_scheduler.errors import QuotaSchedulerError

if TYPE_CHECKING:
    from quota_scheduler.core.history.recorded_runs import Recording
    from quota_scheduler.core.limits.limit import Limit
    from quota_scheduler.simulate import PolicyRow
    from quota_scheduler.simulate.what_if import WhatIf

PAIR = "NAME=VALUE"


@click.command("simulate")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=click.Path(exists=True, path_type=Path))
@click.option("--policy", "policies", multiple=True, help="none, fixed90, safe, seed, two-sided, clairvoyant.")
@click.option(
    "--amount", "amounts", help="LIMIT=300M, LIMIT=-20%, or -20% for every limit.", multiple=True, metavar=PAIR
)
@click.option(
    "--window", "windows", help="LIMIT=day, week, month, or a length such as 5h.", multiple=True, metavar=PAIR
)
@click.option("--limit", "limits", multiple=True, help="Play only these limits of the configuration.")
@click.option("--quota", "quotas", multiple=True, metavar="50M/week", help="A limit more, on everything.")
@click.option(
    "--budget",
    "budgets",
    help="A limit more, on a team: growth=$10/day; *=5M/day for each.",
    multiple=True,
    metavar=PAIR,
)
@click.option("--class", "classes", help="Another class: workflow=nightly:low.", multiple=True, metavar=PAIR)
@click.option("--model", "models", help="Another model: OLD=NEW; costs are priced anew.", multiple=True, metavar=PAIR)
@click.option("--last", default="", help="So far back, such as 30d.")
@click.option("--since", default="", help="From a day or an instant on.")
@click.option("--until", default="", help="Up to a day, that day included, or an instant.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the answer too, as SVG.")
@click.option("--fleets", type=click.IntRange(0, 50), default=0, help="Of traces: also so many fleets of six series.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context, /, sources: tuple[Path, ...], picture: Path | None, fleets: int, as_json: bool, **given: Any
) -> None:
    """Replay runs through the scheduler as things are, and as they might be; nothing is written.

    Without SOURCE the runs of the own ledger are taken, else those of a CSV (at, tokens, class, team, …), or of a
    folder with daily.csv or hourly.csv. Several share the limits as one fleet.

    \b
    Examples:
      quota-scheduler simulate --amount -20%
      quota-scheduler simulate --policy none,two-sided --budget 'growth=$10/day' --last 14d
      quota-scheduler simulate runs.csv --quota 50M/week --policy seed --policy two-sided --picture what-if.svg
      quota-scheduler simulate traces/
    """
    config = reach.config_of(ctx)
    try:
        if sources and _is_table(sources, given):
            _say_table(sources, given["policies"], picture, fleets, as_json=as_json)
            return
        answer = _answer(config, sources, given)
    except ValueError as error:
        raise QuotaSchedulerError(str(error)) from None
    if picture:
        _draw(picture, answer)
    if as_json:
        reach.print_json(answer)
    else:
        _say(answer)


def _answer(config: Config, sources: tuple[Path, ...], given: dict[str, Any]) -> dict[str, Any]:
    from quota_scheduler.core.history.asking import Words, question
    from quota_scheduler.price_catalog import Prices
    from quota_scheduler.service.queries.replay import priced_by
    from quota_scheduler.simulate.replay import Replay, replay_document

    asked = _what_if(given)
    words = Words(since=given["since"], until=given["until"], last=given["last"] or ("" if given["since"] else "30d"))
    if sources:
        recording, limits = _of_files(config, sources, asked)
        now = max(run.at + run.length for run in recording.runs)
        span = question(words, zone=config.timezone, now=now)
        since = span.since if given["since"] or given["last"] else None
        until = span.until if given["until"] else None
    else:
        recording, limits, since, until = _of_ledger(config, words)
        since = since if given["since"] or given["last"] else None
    one = Replay(recording, limits, asked, since, until, config.timezone)
    return replay_document(one, reprice=priced_by(Prices(config.prices)), progress=progress())


def _what_if(given: dict[str, Any]) -> "WhatIf":
    from quota_scheduler.simulate.what_if import WhatIf, chosen_policies

    return WhatIf(
        chosen_policies(_split(given["policies"])),
        tuple(_split(given["limits"])),
        _pairs(given["amounts"], alone="*"),
        _pairs(given["windows"], alone="*"),
        tuple(_split(given["quotas"])),
        _pairs(given["budgets"]),
        _pairs(given["classes"], sign=":"),
        _pairs(given["models"]),
    )


def _split(values: Iterable[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _pairs(values: Iterable[str], *, alone: str = "", sign: str = "=") -> dict[str, str]:
    """NAME=VALUE by name; what has no name is about everything, where that can be."""
    pairs: dict[str, str] = {}
    for value in values:
        name, parted, text = value.rpartition(sign)
        if not (parted or alone) or not text:
            raise ValueError(f"{value!r} is not of the form NAME{sign}VALUE")
        if (name or alone) in pairs:
            raise ValueError(f"{name or 'every limit'} is given twice: {pairs[name or alone]} and {text}")
        pairs[name or alone] = text
    return pairs


def _of_files(config: Config, sources: tuple[Path, ...], asked: "WhatIf") -> "tuple[Recording, tuple[Limit, ...]]":
    """The runs of files, and the limits of the configuration that bind any of them, unless others are given."""
    from quota_scheduler.simulate.run_files import read_fleet

    recording = read_fleet(sources)
    if asked.limits or not (asked.quotas or asked.budgets):
        labels = {run.labels.asking for run in recording.runs}
        binding = (limit for limit in config.limits if any(limit.selects(one) for one in labels))
        return recording, config.limits if asked.limits else tuple(binding)
    return recording, ()


def _of_ledger(config: Config, words: Any) -> "tuple[Recording, tuple[Limit, ...], datetime, datetime]":
    from quota_scheduler.core.history.asking import question
    from quota_scheduler.service.queries.replay import limits_as_they_hold, recorded_runs

    with reach.look(config) as tx:
        span = question(words, zone=config.timezone, now=tx.now)
        limits = limits_as_they_hold(tx, config.limits)
        return recorded_runs(tx, span.since, span.until), limits, span.since, min(span.until, tx.now)


def _draw(path: Path, answer: dict[str, Any]) -> None:
    from quota_scheduler.simulate.picture import picture

    if path.suffix.lower() not in ("", ".svg"):
        raise QuotaSchedulerError(f"pictures are SVG: name the file {path.with_suffix('.svg').name}")
    try:
        path.write_text(picture(answer), encoding="utf-8")
    except OSError as error:
        raise QuotaSchedulerError(f"cannot write {path}: {error.strerror}") from None


def _say(answer: dict[str, Any]) -> None:
    from quota_scheduler.core.units import format_number
    from quota_scheduler.simulate.table import LEGEND, limit_table, policy_table

    tokens = format_number(answer["tokens"])
    runs = f"{answer['runs']:,} run{'' if answer['runs'] == 1 else 's'}"
    reach.say(f"{runs} of {tokens} tokens from {answer['since']} to {answer['until']}")
    for case in answer["cases"]:
        reach.say(f"\n{case['case'].capitalize()}\n")
        for rows, names in ((policy_table(case), 1), (limit_table(case), 2)):
            if len(rows) == 1:  # no limit binds any of the runs
                continue
            click.echo(reach.table(rows, right=frozenset(range(names, len(rows[0])))) + "\n")
    for sentence in (LEGEND, *answer["assumed"]):
        click.echo(click.wrap_text(reach.shown(sentence), terminal_width(), "* ", "  "))


def _is_table(sources: tuple[Path, ...], given: dict[str, Any]) -> bool:
    """Whether totals are to be played under made-up quotas, as scheduling is judged: nothing says under which."""
    from quota_scheduler.simulate.run_files import is_of_totals

    names = ("amounts", "windows", "limits", "quotas", "budgets", "classes", "models", "last", "since", "until")
    return all(map(is_of_totals, sources)) and not any(given[name] for name in names)


def _say_table(
    sources: tuple[Path, ...], policies: tuple[str, ...], picture: Path | None, count: int, *, as_json: bool
) -> None:
    """The table that scheduling is judged by: every kind of window, at quotas of .7, .9 and 1.1 of the demand."""
    from msgspec.structs import asdict

    from quota_scheduler.simulate import to_text
    from quota_scheduler.simulate.policies import POLICIES
    from quota_scheduler.simulate.what_if import chosen_policies

    if picture:
        raise QuotaSchedulerError("a picture is of a replay: give a quota, such as --quota 50M/week")
    names = chosen_policies(_split(policies)) if policies else POLICIES
    rows, said = _judged(sources, names, count)
    if as_json:
        reach.print_json({"rows": [asdict(row) for row in rows], "assumed": said})
        return
    reach.say(to_text(rows))
    for sentence in said:
        reach.say(sentence)


def _judged(sources: tuple[Path, ...], names: tuple[str, ...], count: int) -> "tuple[list[PolicyRow], list[str]]":
    """The rows of every series as one developer, and of ``count`` fleets drawn from them; and what is to be said."""
    from quota_scheduler.simulate import compare
    from quota_scheduler.simulate.run_files import read_traces
    from quota_scheduler.simulate.world import FLEET, FLEET_LEAST, fleets, single

    traces, said = [], []
    for source in sources:
        series, sentences = read_traces(source)
        traces += series
        said += sentences
    hears = progress()
    share = len(traces) / (len(traces) + count)
    rows = compare("1", [single(trace) for trace in traces], policies=names, progress=lambda part: hears(part * share))
    if not any(row.normal_done or row.denied_interactive for row in rows):
        said.append("No series has a week of history and a whole window after it: nothing was played.")
    pooled = fleets(traces, count)
    if count and not pooled:
        said.append(f"No fleet was drawn: there are fewer than {FLEET} series of {FLEET_LEAST} days.")
    rows += compare(str(FLEET), pooled, policies=names, progress=lambda part: hears(share + part * (1 - share)))
    return rows, said
