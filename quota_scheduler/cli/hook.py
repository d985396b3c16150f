"""``hook``: hears an agent's hook."""

import os
import sys

import click

from quota_scheduler.aside import hook
from quota_scheduler.aside.begin import Options


@click.command("hook")
@click.option("--account", default="", help="Whose plan it is; by default that of the configuration.")
@click.pass_context
def command(ctx: click.Context, account: str) -> None:
    """Hear the JSON of a StopFailure hook (`hooks` in settings.json), and report when a limit ended the turn.

    It prints nothing and ends with 0 at once.

    \b
    Examples:
      quota-scheduler hook
      quota-scheduler hook --account max-1
    """
    listen = str(ctx.find_root().ensure_object(dict).get("listen", ""))
    sys.exit(hook.run(Options(account, listen), os.environ))
