"""``doctor``: rebuild what the ledger covers and compare."""

import sys
from pathlib import Path

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config


@click.command("doctor")
@click.option("--providers", is_flag=True, help="Name what providers and agents write that nobody here knows.")
@click.option("--verify", is_flag=True, help="Make every kept sum anew from raw rows and compare each row of it.")
@click.option("--mend", is_flag=True, help="Let go of kept histories, so that the next start makes them anew.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, providers: bool, verify: bool, mend: bool) -> None:
    """Check the database: counters against the ledger and the leases, and what no event has bound lately.

    Exit code 1 when something does not add up. Works beside a running service, on what one instant left. With --verify
    it takes longer and misses nothing: seconds for a hundred thousand events. With --providers it looks at the newest
    files and answers instead, and the exit code is 0. With --mend it lets go of what forecasts would go on from, where
    --verify found that wrong: stop the service first.

    \b
    Examples:
      quota-scheduler doctor
      quota-scheduler doctor --verify
      quota-scheduler doctor --providers --json
    """
    config = reach.config_of(ctx)
    if providers:
        _providers(config, as_json=as_json)
        return
    from quota_scheduler.service.upkeep.doctor import examine
    from quota_scheduler.service.upkeep.verify import verify as everything

    if mend:
        _mend(config)
    with reach.look(config) as tx:
        findings = everything(tx, config.limits, step=_step) if verify else examine(tx, config.limits)
    if verify and sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    wrong = [finding for finding in findings if finding.wrong]
    if as_json:
        reach.print_json([{"check": f.check, "wrong": f.wrong, "detail": f.detail} for f in findings])
    else:
        for finding in findings:
            reach.say(f"{'WRONG' if finding.wrong else 'ok   '}  {finding.check}: {finding.detail}")
    if wrong:
        sys.exit(1)


def _mend(config: Config) -> None:
    """Let go of kept histories. Raises DatabaseBusy while a service holds the file."""
    from quota_scheduler.service.upkeep.verify_histories import mend
    from quota_scheduler.store import Store

    with reach.look(config):  # says what is missing or wrong, and makes no file
        pass
    store = Store(config.database)
    try:
        with store.transaction() as tx:
            mend(tx)
    finally:
        store.close()


def _step(name: str) -> None:
    """Say what is looked at, where somebody watches."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{name} … ", err=True, nl=False)


def _providers(config: Config, *, as_json: bool) -> None:
    """Say which fields of usage and limits stand in the newest files, or came as answers, and are not read."""
    from quota_scheduler.service.upkeep.unknown import seen_fields
    from quota_scheduler.sources.unknown_fields import unknown_fields

    fields = [
        {"source": one.source, "field": one.field, "version": one.version, "where": one.where}
        for one in unknown_fields(_places(config))
    ]
    named = {(field["source"], field["field"]) for field in fields}
    if isinstance(config.database, str) or config.database.exists():
        with reach.look(config) as tx:
            seen = [one for one in seen_fields(tx) if (one.door, one.field) not in named]
        fields += [
            {"source": one.door, "field": one.field, "version": "", "where": f"seen {one.seen_at}"} for one in seen
        ]
    if as_json:
        reach.print_json(fields)
        return
    for field in fields:
        version = f" of {field['version']}" if field["version"] else ""
        reach.say(f"{field['source']}{version}: {field['field']} ({field['where']})")
    if not fields:
        reach.say("every field of usage and limits in the newest files and answers is known")


def _places(config: Config) -> dict[str, list[Path]]:
    """Where the files of each agent are that is read."""
    from quota_scheduler.sources import claude_code
    from quota_scheduler.sources.agents import AGENTS

    places: dict[str, list[Path]] = {}
    for name, source in config.sources.by_name().items():
        if source.enabled and (agent := AGENTS.get(name)):
            bases = agent.bases(config.variables, config.home, source.roots)
            places[name] = [base / inside for base in bases for inside in agent.inside]
        elif source.enabled:
            roots = [str(root) for root in source.roots]
            places[name] = claude_code.find_roots(config.variables, config.home, roots)
    return places
