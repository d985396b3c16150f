"""``backup`` and ``restore``: a copy of the database beside a running service, and back again."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config
from quota_scheduler.errors import QuotaSchedulerError

if TYPE_CHECKING:
    from quota_scheduler.service.upkeep.backup import Loss

LARGE = 64 * 1024 * 1024
"""Bytes from which on it is said how far it is."""


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--replace", is_flag=True, help="Put it in the place of an older backup of the same name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def backup(ctx: click.Context, file: Path | None, replace: bool, as_json: bool) -> None:
    """Write a checked copy of the database to FILE, or with the time in its name into a folder; the service goes on.

    Without FILE it lies beside the database. It appears whole or not at all, readable for its owner only.

    \b
    Examples:
      quota-scheduler backup
      quota-scheduler backup /var/backups/quota/
      quota-scheduler backup nightly.db --replace
    """
    config = reach.config_of(ctx)
    from quota_scheduler.service.upkeep import backup as upkeep

    database = _file(config, "pg_dump --format=custom --file=FILE {}")
    if not database.exists():
        raise reach.NothingThere(f"there is no database at {database}: name it with --database")
    target = _target(database, file)
    if target.exists() and not replace:
        raise QuotaSchedulerError(f"{target} exists: name another file, or let it be replaced with --replace")
    done = upkeep.backup(database, target, further=CopyProgress(database))
    if as_json:
        reach.print_json({"file": done.file, "bytes": done.size, "taken_at": done.taken_at.isoformat(),
                          "events": done.events})  # fmt: skip
        return
    reach.say(f"{done.file}: {done.size / 1e6:.1f} MB, {done.events} events, whole and checked")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Also where something newer than the backup is lost.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def restore(ctx: click.Context, file: Path, yes: bool, as_json: bool) -> None:
    """Put the backup FILE in the place of the database, while no service holds it.

    Says what would be lost and, if that is anything, changes nothing without --yes. The replaced file stays beside it.

    \b
    Examples:
      quota-scheduler restore quota.db.20261128T020000Z
      quota-scheduler restore /var/backups/quota/nightly.db --yes
    """
    config = reach.config_of(ctx)
    from quota_scheduler.service.upkeep import backup as upkeep

    database = _file(config, "stop every replica, then pg_restore --clean --if-exists --dbname={} FILE")
    seen = upkeep.loss(database, file)
    if seen.is_any and not yes:
        raise QuotaSchedulerError(f"{_lost(seen, config)}; nothing was changed: say --yes to restore all the same")
    aside = upkeep.restore(database, file, further=CopyProgress(file))
    if as_json:
        reach.print_json({"database": config.database, "replaced": aside, "events_lost": seen.events,
                          "tickets_lost": seen.tickets, "deeds_lost": seen.deeds})  # fmt: skip
        return
    reach.say(
        f"{config.database} is {file} now, {seen.there.events} events"
        + (f"; {_lost(seen, config)}" if seen.is_any else "")
    )
    if aside:
        reach.say(f"the file before lies at {aside}")


class CopyProgress:
    """Says each tenth of a large file on standard error."""

    def __init__(self, file: Path) -> None:
        self._is_large = file.exists() and file.stat().st_size >= LARGE
        self._said = 0

    def __call__(self, done: int, of: int) -> None:
        """Note how many pages are done."""
        tenth = 10 * done // max(1, of)
        if self._is_large and tenth > self._said:
            self._said = tenth
            click.echo(f"{10 * tenth} %", err=True)


def _file(config: Config, command: str) -> Path:
    """The database, where it is a file. Raises UsageError with the command of PostgreSQL's own where it is not."""
    if isinstance(config.database, Path):
        return config.database
    url = shlex.quote(config.database_shown)
    raise click.UsageError(f"the database is on a server, whose own programs copy it: {command.format(url)}")


def _target(database: Path, file: Path | None) -> Path:
    from quota_scheduler.store import utc_now

    folder = database.parent if file is None else file
    if file is not None and not file.is_dir():
        return file
    return folder / f"{database.name}.{utc_now():%Y%m%dT%H%M%SZ}"


def _lost(seen: "Loss", config: Config) -> str:
    """What is lost, in one sentence without its end."""
    if seen.problem:
        return f"nobody can say what would be lost: {seen.problem}"

    names = (("event", seen.events), ("ticket", seen.tickets), ("deed of an operator", seen.deeds))
    parts = [f"{count} {name.replace(' ', 's ', 1) if count != 1 and ' ' in name else name + 's' * (count != 1)}"
             for name, count in names if count]  # fmt: skip
    there, here = seen.there.newest_event, seen.here.newest_event if seen.here else None
    until = ", ".join(
        f"{name} goes up to {reach.when(at.isoformat(), config.timezone)}"
        for name, at in (("this backup", there), ("the database", here))
        if at
    )
    return f"this loses {', '.join(parts)}" + (f" ({until})" if until else "")
