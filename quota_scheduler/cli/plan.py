"""``plan check`` and ``preflight``: the decision before anything is asked for."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.errors import QuotaSchedulerError


@click.group("plan")
def command() -> None:
    """Look at a whole plan before it runs."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Say what the items of FILE are expected to cost, and which will fit; exit code 1 when some will not.

    FILE holds a JSON or YAML list of tickets as POST /v1/tickets takes them, `-` for standard input.

    \b
    Examples:
      quota-scheduler plan check nightly.yaml
      quota-scheduler plan check - --json < nightly.json
    """
    answer = reach.ask(reach.config_of(ctx), "POST", "/v1/plans/estimate", {"items": items_of(file)})
    if as_json:
        reach.print_json(answer)
    else:
        reach.say(answer["sentence"])
        for item in answer["items"]:
            if not item["fits"]:
                reach.say(f"  {item['key']}: unlikely to complete, {item['short_of']} has no room for it")
    if answer["fitting"] < len(answer["items"]):
        sys.exit(1)


def items_of(file: Path) -> list[Any]:
    """The items of a plan file. Raises QuotaSchedulerError with what is wrong."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QuotaSchedulerError(f"cannot read {file}: {error}") from None
    items = _parsed(text, file)
    if isinstance(items, dict) and "items" in items:
        items = items["items"]
    if not isinstance(items, list):
        raise QuotaSchedulerError(f"{file} is not a list of tickets: write them as POST /v1/tickets takes them")
    return items


def _parsed(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        from quota_scheduler.config.yaml_file import plain_yaml

        return plain_yaml(text, str(file))
