"""``statusline``: hears an agent's status line, and draws it."""

import os
import sys

import click

from quota_scheduler.aside import statusline
from quota_scheduler.aside.begin import Options


@click.command("statusline", context_settings={"ignore_unknown_options": True})
@click.option("--then", default="", metavar="COMMAND", help="The command for a shell that drew the line before.")
@click.option("--account", default="", help="Whose plan it is; by default that of the configuration.")
@click.argument("line", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(ctx: click.Context, then: str, account: str, line: tuple[str, ...]) -> None:
    """Hear the JSON of a status line (`statusLine` in settings.json), report what it says, and draw the line.

    LINE is the command that drew it before, after `--`: it gets the same input, and its output and exit code are passed
    on. Without one a short line is drawn: how much of both windows is used, when they reset, who waits.

    \b
    Examples:
      quota-scheduler statusline
      quota-scheduler statusline --then '~/.claude/my-line.sh | head -1'
      quota-scheduler statusline --account max-1 -- bunx ccstatusline
    """
    if then and line:
        raise click.UsageError("--then and a command after -- are both the line: give one of them")
    listen = str(ctx.find_root().ensure_object(dict).get("listen", ""))
    sys.exit(statusline.run(Options(account, listen, then, line), os.environ))
