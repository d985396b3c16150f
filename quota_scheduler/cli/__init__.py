"""The command line: verbs for people. Each verb lives in a module of its own, loaded when it is called.

Exit codes: 0 done; 1 it could not be done (the sentence says why); 2 the command line or the configuration is wrong;
3 nothing answers and there is no database to look into.
"""

import importlib
import sys

import click

import quota_scheduler
from quota_scheduler.cli.elsewhere import HERE
from quota_scheduler.errors import ConfigError, QuotaSchedulerError

VERBS = {
    "serve": "serve",
    "demo": "demo",
    "status": "status",
    "watch": "watch",
    "limits": "limits",
    "forecast": "forecast",
    "backtest": "backtest",
    "simulate": "simulate",
    "queue": "queue",
    "preflight": "preflight",
    "plan": "plan",
    "run": "run",
    "hold": "hold",
    "history": "history",
    "suggestions": "advice",
    "runs": "advice",
    "efficiency": "advice",
    "sources": "sources",
    "reconcile": "reconcile",
    "usage": "usage",
    "ship": "ship",
    "observe": "observe",
    "statusline": "statusline",
    "hook": "hook",
    "mcp": "mcp",
    "config": "configure",
    "doctor": "doctor",
    "migrate-data": "migrate_data",
    "backup": "backup",
    "restore": "backup",
    "alerts": "alerts",
    "silence": "silence",
    "audit": "audit",
    "teams": "teams",
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
        command: click.Command = getattr(module, "command", None) or getattr(module, cmd_name)
        return anywhere(command, frozenset({"url"}) if cmd_name in HERE else frozenset())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; a misspelt one is told which may be meant."""
        if args and args[0] not in VERBS:
            import difflib

            if close := difflib.get_close_matches(args[0], VERBS, n=1):
                ctx.fail(f"there is no verb {args[0]!r}: did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)


COMMON = {
    "config": ("FILE", "Configuration file (QUOTA_CONFIG)."),
    "database": ("URL", "Database, as sqlite:///file.db (QUOTA_DATABASE)."),
    "listen": ("HOST:PORT", "Where the service listens (QUOTA_LISTEN)."),
    "url": ("URL", "A service elsewhere, asked in place of all of this machine (QUOTA_URL)."),
}
"""Options that every verb takes, before it or after it; --url those that ask a service."""


def anywhere(command: click.Command, without: frozenset[str] = frozenset()) -> click.Command:
    """Let a verb, and the verbs below it, take the common options too; there they win."""
    names = {name for option in command.params for name in option.opts} | {f"--{name}" for name in without}
    for name, (metavar, text) in COMMON.items():
        if f"--{name}" not in names:
            command.params.append(
                click.Option([f"--{name}", f"_{name}"], metavar=metavar, help=text, expose_value=False, callback=keep)
            )
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        anywhere(below, without)
    return command


def keep(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    """Note a common option where every verb looks for it."""
    if value is not None:
        ctx.find_root().ensure_object(dict)[str(option.name).removeprefix("_")] = value


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(quota_scheduler.__version__, prog_name="quota-scheduler")
@click.pass_context
def quota_scheduler_command(ctx: click.Context) -> None:
    """See every quota your agents share, forecast where each ends, and decide who starts now."""
    ctx.ensure_object(dict)


anywhere(quota_scheduler_command)


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
            click.echo(f"quota-scheduler: {problem}{_explained(error.code)}", err=True)
        sys.exit(2)
    except QuotaSchedulerError as error:
        click.echo(f"quota-scheduler: {error}{_explained(error.code)}", err=True)
        sys.exit(NOTHING_THERE if error.code == "nothing_there" else 1)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


def _explained(code: str) -> str:
    """Where an error is explained, behind its sentence; nothing where that is all there is to say."""
    from quota_scheduler.explanations import EXPLANATIONS, PAGE

    return f" ({PAGE}#{code})" if code in EXPLANATIONS and code != "error" else ""
