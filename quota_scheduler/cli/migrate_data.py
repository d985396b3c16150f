"""``migrate-data``: move a SQLite installation to PostgreSQL."""

from pathlib import Path

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.progress import progress


@click.command("migrate-data")
@click.option("--to", "url", required=True, metavar="URL", help="An empty database: postgresql://user@host:5432/quota.")
@click.option("--again", is_flag=True, help="Replace the data that is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, url: str, again: bool, as_json: bool) -> None:
    """Copy the SQLite database into a PostgreSQL database, and compare every table.

    The service may go on meanwhile; what it writes to the file in that time is not moved, and that is said. All or
    nothing arrives. The file stays as it is.

    \b
    Examples:
      quota-scheduler migrate-data --to postgresql://quota@db.example.org/quota
      quota-scheduler migrate-data --to postgresql://quota@db.example.org/quota --again
    """
    from quota_scheduler.config import places, servers

    config = reach.config_of(ctx)
    if isinstance(config.database, str):
        raise click.UsageError(
            f"{config.database_shown} is on a server already: name the file with --database sqlite:///quota.db"
        )
    try:
        target = places.database(Path.cwd(), config.home, url)
    except ValueError as error:
        raise click.UsageError(f"--to: {error}") from None
    if not isinstance(target, str):
        raise click.UsageError(f"--to {url} is a file: write {servers.SERVER}")
    from quota_scheduler.store.moving import move

    moved, since = move(config.database, target, again=again, progress=progress("moved"))
    if as_json:
        reach.print_json({"tables": {one.table: one.written for one in moved}, "since": since._asdict()})
        return
    for one in moved:
        reach.say(f"ok  {one.table}: {one.written} {'row' if one.written == 1 else 'rows'}, all sums equal")
    reach.say(f"moved {config.database} to {places.shown(target)}; the file is as it was")
    if since.anything:
        reach.say(
            f"written to the file since: {since.events} events, {since.tickets} tickets, and what became of others; "
            "stop the service, run this once more with --again, and start it with the new database"
        )
