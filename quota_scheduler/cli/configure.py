"""``config``: check what is configured, write a starter file, make a token."""

import hashlib
import secrets
from pathlib import Path

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config, Role, starter_yaml
from quota_scheduler.errors import QuotaSchedulerError


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
    click.echo(f"{counts}; database {config.database}")


def deep_problems(config: Config) -> list[str]:
    """What only the parts that use them can find: alert rules, receivers' addresses, an open door."""
    from quota_scheduler.alert_rules import load_rules
    from quota_scheduler.notify.addresses import AppriseReceiver
    from quota_scheduler.notify.notifier import AppriseNotifier

    load_rules(config.alerts, receivers=[receiver.id for receiver in config.receivers])
    open_door = [config.open_door] if config.open_door else []
    return (
        open_door
        + AppriseNotifier([AppriseReceiver(r.id, r.url, r.min_severity, r.match) for r in config.receivers]).problems()
    )


@command.command("init")
@click.argument("file", type=click.Path(path_type=Path), default="quota.yaml")
@click.option("--dry-run", is_flag=True, help="Print it and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def init(file: Path, dry_run: bool, as_json: bool) -> None:
    """Write a commented starter configuration to FILE (quota.yaml); an existing file is left alone.

    \b
    Examples:
      quota-scheduler config init
      quota-scheduler config init /etc/quota.yaml
    """
    if dry_run:
        click.echo(starter_yaml())
        return
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(starter_yaml())
    except FileExistsError:
        raise QuotaSchedulerError(f"{file} exists already: choose another name, or remove it first") from None
    except OSError as error:
        raise QuotaSchedulerError(f"cannot write {file}: {error.strerror}") from None
    reach.print_json({"file": str(file)}) if as_json else click.echo(
        f"Wrote {file}. Next: quota-scheduler --config {file} config check"
    )


@command.command("token")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.RUNNER.value,
    show_default=True,
    help="What it allows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def token(name: str, role: str, as_json: bool) -> None:
    """Make a new token called NAME: the secret is shown once, the configuration keeps its hash.

    \b
    Examples:
      quota-scheduler config token ci --role runner
      quota-scheduler config token alice --role operator --json
    """
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if as_json:
        reach.print_json({"name": name, "role": role, "token": secret, "sha256": digest})
        return
    click.echo(f"token (give it to the client as QUOTA_TOKEN): {secret}")
    click.echo(f"line for tokens_file:                         {role}:{name}:{digest}")
