"""``config``: check what is configured, write a starter file, make a token."""

import hashlib
import secrets
from pathlib import Path

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config, Role, starter_yaml
from quota_scheduler.config.access import line_of, token_in
from quota_scheduler.core.instants import iso
from quota_scheduler.core.limits.proposing import Proposal
from quota_scheduler.errors import QuotaSchedulerError

SUBSCRIBED = {"claude_code": "anthropic", "codex": "openai"}
"""Agents that people use with a subscription, and whose it is."""


@click.group("config")
def command() -> None:
    """Check or write the configuration."""


@command.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print the whole configuration, secrets as ***.")
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Check the configuration completely; exit code 2 when something is wrong.

    \b
    Examples:
      quota-scheduler config check
      quota-scheduler --config quota.yaml config check --json
    """
    config = reach.config_of(ctx)
    problems = deep_problems(config)
    if problems:
        from quota_scheduler.errors import ConfigError

        raise ConfigError(problems)
    if as_json:
        from quota_scheduler.config.writing import redacted

        reach.print_json(redacted(config))
        return
    click.echo(f"The configuration is sound: {config.origin}")
    counts = ", ".join(
        f"{len(entries)} {word}{'' if len(entries) == 1 else 's'}"
        for word, entries in (("limit", config.limits), ("receiver", config.receivers), ("token", config.tokens))
    )
    click.echo(f"{counts}; database {config.database_shown}")
    if config.github:
        app = config.github.app
        click.echo(
            f"comments at issues through {config.github.url} as {f'App {app.id}' if app else 'the account of a token'}"
        )


def deep_problems(config: Config) -> list[str]:
    """What only the parts that use them can find: alert rules, receivers' addresses, an open door."""
    from quota_scheduler.alert_rules import load_rules
    from quota_scheduler.notify.addresses import AppriseReceiver
    from quota_scheduler.notify.notifier import AppriseNotifier

    load_rules(config.alerts, receivers=[receiver.id for receiver in config.receivers])
    app = config.github.app if config.github else None
    no_key = [f"github.app.key_file: {app.key_file} is no file"] if app and not app.key_file.is_file() else []
    open_door = [config.open_door] if config.open_door else []
    return (
        open_door
        + no_key
        + AppriseNotifier([AppriseReceiver(r.id, r.url, r.min_severity, r.match) for r in config.receivers]).problems()
    )


@command.command("init")
@click.argument("file", type=click.Path(path_type=Path), default="quota.yaml")
@click.option("--dry-run", is_flag=True, help="Print it and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def init(ctx: click.Context, file: Path, dry_run: bool, as_json: bool) -> None:
    """Write a commented starter configuration to FILE (quota.yaml); an existing file is left alone.

    Its limits are those of the subscriptions that the database knows of, or that left files here, in percent as their
    provider reports it; all only warn.

    \b
    Examples:
      quota-scheduler config init
      quota-scheduler config init /etc/quota.yaml
    """
    text = starter_yaml(_proposals(reach.config_of(ctx)))
    if dry_run:
        click.echo(text)
        return
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise QuotaSchedulerError(f"{file} exists already: choose another name, or remove it first") from None
    except OSError as error:
        raise QuotaSchedulerError(f"cannot write {file}: {error.strerror}") from None
    reach.print_json({"file": str(file)}) if as_json else click.echo(
        f"Wrote {file}. Next: quota-scheduler --config {file} config check"
    )


def _proposals(config: Config) -> list[Proposal]:
    """Limits for the subscriptions that the database has seen, or else that files on this host speak of."""
    from quota_scheduler.core.limits.proposing import proposed
    from quota_scheduler.source_passes import readings_of
    from quota_scheduler.store import ledger, observations, utc_now

    try:
        with reach.look(config) as tx:
            labels = [labels for labels, _ in ledger.label_sets(tx).values()]
            seen = [(one.provider, one.account) for one in labels if one.agent in SUBSCRIBED]
            if proposals := proposed(observations.newest(tx), seen, now=tx.now, zone=config.timezone):
                return proposals
    except QuotaSchedulerError:
        pass  # no database, or one of another version: what lies on the disk is told instead
    here = [
        (SUBSCRIBED[name], config.sources.by_name()[name].account)
        for name, reading in readings_of(config).items()
        if name in SUBSCRIBED and any(place.exists() for place in reading.places)
    ]
    return proposed((), here, now=utc_now(), zone=config.timezone)


@command.command("token")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.RUNNER.value,
    show_default=True,
    help="What it allows.",
)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Bind it: team=growth.")
@click.option("--expires", metavar="INSTANT", default="", help="From when on it is none any more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def token(name: str, role: str, labels: tuple[str, ...], expires: str, as_json: bool) -> None:
    """Make a new token called NAME: the secret is shown once, the configuration keeps its hash.

    \b
    Examples:
      quota-scheduler config token ci --role runner
      quota-scheduler config token growth --label team=growth --expires 2027-01-31T00:00:00Z
      quota-scheduler config token alice --role operator --json
    """
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    words = [*labels, *([f"expires={expires}"] if expires else [])]
    try:
        made = token_in(" ".join([f"{role}:{name}:{digest}", *words]))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        more: dict[str, object] = {"labels": dict(made.labels)} if made.labels else {}
        more |= {"expires": iso(made.expires)} if made.expires else {}
        reach.print_json({"name": name, "role": role, "token": secret, "sha256": digest, **more})
        return
    click.echo(f"token (give it to the client as QUOTA_TOKEN): {secret}")
    click.echo(f"line for tokens_file:                         {line_of(made)}")
