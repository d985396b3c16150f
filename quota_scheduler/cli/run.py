"""``run``: a command under a lease."""

import contextlib
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from quota_scheduler.cli.elsewhere import named_url
from quota_scheduler.wrapper.order import GRACE_SECONDS, TTL_SECONDS, Order
from quota_scheduler.wrapper.outlook import WarnAt

LABELS = ("provider", "account", "team", "project", "workflow", "task_type", "agent")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class TimeSpan(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A span of time such as 90s, 30m, 2h; seconds without a unit."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        match = _SPAN.fullmatch(str(value).strip())
        if not match:
            self.fail(f"{value!r} is no span of time: write 90s, 30m or 2h", param, ctx)
        return float(match[1]) * _UNITS[match[2] or ""]


SPAN = TimeSpan()


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.option("--provider", default="", help="Whose quota; by the agent where it is known, else anthropic.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label, as team=growth; repeatable.")
@click.option("--class", "priority", default="", metavar="CLASS", help="interactive, high, normal or low.")
@click.option("--estimate", default="", metavar="TOKENS", help="Expected tokens, such as 2M.")
@click.option("--describe", default="", metavar="TEXT", help="The task in words, where nobody knows its tokens.")
@click.option("--task-type", default="", help="What kind of task it is, such as testing.")
@click.option("--files", default=0, type=click.IntRange(0), help="How many files it is about.")
@click.option(
    "--complexity", default="", type=click.Choice(["", "simple", "normal", "complex"]), help="How hard it is."
)
@click.option("--model", default="", help="The model it will use, where the command does not name it.")
@click.option("--key", default="", help="Names this piece of work: asked again, it is the same ticket.")
@click.option("--run", "run_name", default="", metavar="NAME", help="The run this is a part of.")
@click.option("--flag", "flags", multiple=True, help="An optimization flag in force; repeatable.")
@click.option("--deadline", default="", metavar="WHEN", help="Instant, or a span from now, after which it is useless.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Whether to wait for room.")
@click.option("--max-wait", default=None, type=SPAN, metavar="SPAN", help="Wait so long at most.")
@click.option("--resume", default="", metavar="SESSION", help="Go on with a session of the agent.")
@click.option("--fail", default="closed", type=click.Choice(["open", "closed"]), show_default=True,
              help="What becomes of the work while the service is away.")  # fmt: skip
@click.option("--patience", default=15.0, type=SPAN, metavar="SPAN", help="How long a service that is away is tried.")
@click.option("--grace", default=GRACE_SECONDS, type=SPAN, metavar="SPAN",
              help="How long a step may go on when the quota has ended.")  # fmt: skip
@click.option(
    "--ttl", default=float(TTL_SECONDS), type=SPAN, metavar="SPAN", help="How long a lease outlives its runner."
)
@click.option("--read-output", default="auto", type=click.Choice(["auto", "yes", "no"]), show_default=True,
              help="Whether the output is read for usage; auto leaves a terminal to the command.")  # fmt: skip
@click.option("--warn/--no-warn", default=True, help="Whether Claude Code is told how far the wall is.")
@click.option("--warn-before", default=600.0, type=SPAN, metavar="SPAN", help="Warn so long before the wall.")
@click.option("--warn-at", default=95.0, type=click.FloatRange(1, 100), metavar="PERCENT", help="Warn at this share.")
@click.option("--issue", default="", metavar="OWNER/NAME#NUMBER", help="The GitHub issue at which people are told.")
@click.option("--quiet", is_flag=True, help="Say nothing of waits.")
@click.argument("command_line", nargs=-1, metavar="-- COMMAND…", type=click.UNPROCESSED)
@click.pass_context
def command(ctx: click.Context, /, command_line: tuple[str, ...], **given: Any) -> None:
    """Wait for room, run a command under a lease, and settle what it used.

    The exit status is the command's own. Beside it: 69 the service is away, 73 it waits, 75 the quota ended, 77 it may
    never start, 126 and 127 the command cannot be run or is not there, 2 this command line is wrong.

    \b
    Examples:
      quota-scheduler run --estimate 2M --class low -- claude -p "fix the flaky tests" --output-format json
      quota-scheduler run --task-type testing --files 12 --no-wait -- codex exec --json "add tests"
    """
    from quota_scheduler.wrapper.run import default_url, run

    if not command_line:
        raise click.UsageError("there is no command: write it after --, as in: run --estimate 2M -- claude -p …")
    environ = dict(os.environ)
    named = ctx.find_root().ensure_object(dict)
    where = environ | ({"QUOTA_CONFIG": named["config"]} if "config" in named else {})
    url = named_url(ctx) or default_url(named.get("listen", ""), where)
    sys.exit(run(_order(ctx, command_line, given, url), environ))


def _order(ctx: click.Context, command_line: tuple[str, ...], given: dict[str, Any], url: str) -> Order:
    labels = {"provider": given["provider"] or _provider_of(command_line)}
    for label in given["labels"]:
        name, sign, value = label.partition("=")
        if not sign or name not in LABELS:
            raise click.UsageError(f"--label {label!r}: write NAME=VALUE, where NAME is one of {', '.join(LABELS)}")
        labels[name] = value
    words = {"task_type": given["task_type"], "text": given["describe"], "files": given["files"],
             "complexity": given["complexity"]}  # fmt: skip
    describe = {name: value for name, value in words.items() if value}
    if given["estimate"] and set(describe) - {"task_type"}:
        raise click.UsageError("--estimate says how much it takes: leave --describe, --files and --complexity out")
    if not given["estimate"] and not describe:
        raise click.UsageError(
            "say how much it may take: --estimate 2M, or describe it: --task-type testing --files 12"
        )
    if given["estimate"]:
        labels |= {"task_type": given["task_type"]} if given["task_type"] else {}
    wait = 0.0 if not given["wait"] else given["max_wait"]
    try:
        return Order(
            command=command_line,
            key=given["key"] or f"run-{os.urandom(16).hex()}",
            labels=labels,
            estimate={"tokens": given["estimate"]} if given["estimate"] else {},
            describe={} if given["estimate"] else describe,
            priority=given["priority"],
            model=given["model"],
            run=given["run_name"],
            flags=given["flags"],
            deadline=_deadline(given["deadline"], ctx),
            wait=wait,
            resume=given["resume"],
            fail=given["fail"],
            patience=given["patience"],
            grace=given["grace"],
            ttl=max(1, round(given["ttl"])),
            read=given["read_output"],
            warn=given["warn"],
            thresholds=WarnAt(given["warn_before"] / 60, given["warn_at"] / 100),
            quiet=given["quiet"],
            url=url,
            issue=_issue(given["issue"]),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _provider_of(command_line: tuple[str, ...]) -> str:
    from quota_scheduler.wrapper.command import agent_of

    return {"codex": "openai", "gemini": "google", "qwen": "qwen"}.get(agent_of(command_line), "anthropic")


def _issue(text: str) -> tuple[str, int] | None:
    repo, sign, number = text.rpartition("#")
    if text and not (sign and re.fullmatch(r"[^/#\s]+/[^/#\s]+", repo) and re.fullmatch("[1-9][0-9]{0,8}", number)):
        raise click.UsageError(f"--issue {text!r}: write OWNER/NAME#NUMBER, such as acme/web#12")
    return (repo, int(number)) if text else None


def _deadline(text: str, ctx: click.Context) -> datetime | None:
    if not text:
        return None
    if match := _SPAN.fullmatch(text):
        return datetime.now(UTC) + timedelta(seconds=float(match[1]) * _UNITS[match[2] or ""])
    with contextlib.suppress(ValueError):
        if (at := datetime.fromisoformat(text)).tzinfo:
            return at
    from quota_scheduler.cli.connection import config_of
    from quota_scheduler.cli.spoken import typed_instant

    return datetime.fromisoformat(typed_instant(text, config_of(ctx).timezone, "--deadline"))
