"""The command line: verbs for people. Each verb lives in a module of its own, loaded when it is called.

Exit codes: 0 done; 1 it could not be done (the sentence says why); 2 the command line or the configuration is wrong;
3 nothing answers and there is no database to look into.
"""

import importlib
import sys

import click

import quota_scheduler
from quota_scheduler.errors import ConfigError, QuotaSchedulerError

VERBS = {
    "serve": "serve",
    "status": "status",
    "forecast": "forecast",
    "backtest": "backtest",
    "queue": "queue",
    "preflight": "preflight",
    "plan": "plan",
    "hold": "hold",
    "usage": "usage",
    "config": "configure",
    "doctor": "doctor",
    "alerts": "alerts",
}
"""Verb → module. Nothing of a verb is imported before it is called, so that looking stays quick."""


NOTHING_THERE = 3


class Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every verb, in the order people need them."""
        return list(VERBS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"quota_scheduler.cli.{VERBS[cmd_name]}")
        command: click.Command = module.command
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(quota_scheduler.__version__, prog_name="quota-scheduler")
@click.option("--config", "config_path", metavar="FILE", help="Configuration file (QUOTA_CONFIG).")
@click.option("--database", metavar="URL", help="Database, as sqlite:///file.db (QUOTA_DATABASE).")
@click.option("--listen", metavar="HOST:PORT", help="Where the service listens (QUOTA_LISTEN).")
@click.pass_context
def quota_scheduler_command(
    ctx: click.Context, config_path: str | None, database: str | None, listen: str | None
) -> None:
    """See every quota your agents share, forecast where each ends, and decide who starts now."""
    ctx.obj = {"config": config_path, "database": database, "listen": listen}


def main() -> None:
    """Run a verb; what goes wrong is one clear sentence, never a traceback."""
    try:
        quota_scheduler_command(prog_name="quota-scheduler", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"quota-scheduler: {problem}", err=True)
        sys.exit(2)
    except QuotaSchedulerError as error:
        click.echo(f"quota-scheduler: {error}", err=True)
        sys.exit(NOTHING_THERE if error.code == "nothing_there" else 1)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
