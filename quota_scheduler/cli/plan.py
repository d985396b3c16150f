"""``plan``: a file of tasks, looked at as a whole, run within its budget, and reported."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.errors import ConfigError, QuotaSchedulerError

if TYPE_CHECKING:
    from quota_scheduler.plans.checks import Checks
    from quota_scheduler.plans.plan import PlanBudget, TaskPlan

VARIABLES = {
    "QUOTA_MAX_PERCENT": "max_quota_percent",
    "QUOTA_CEILING_USD": "quota_ceiling_usd",
    "QUOTA_BILLING_CYCLE_START": "billing_cycle_start",
    "QUOTA_RESERVED_BUDGET_USD": "reserved_budget_usd",
}
"""The budget in the environment; an option rules before it, it before the file."""
LARGEST_FILE = 4 << 20
PATIENT_SECONDS, ONCE_SECONDS = 3_600.0, 60.0
"""How long a service that is away is tried: by a plan that waits for resets, and by one that runs once."""


@click.group("plan")
def command() -> None:
    """Look at a whole plan before it runs, run it within its budget, and say how far it is."""


def budget_options(function: Any) -> Any:
    """The options of ``meta.budget``."""
    for names, text in (
        (("--max-budget-pct", "--max-quota-percent", "max_quota_percent"), "Stop at this share of the week (90)."),
        (("--quota-ceiling-usd", "quota_ceiling_usd"), "The weekly quota in USD, where no limit says it."),
        (("--billing-cycle-start", "billing_cycle_start"), "The weekday on which it resets (monday)."),
        (("--reserved-budget-usd", "reserved_budget_usd"), "Leave so many USD of the week alone."),
    ):
        function = click.option(*names, default="", help=text)(function)
    return function


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@budget_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, /, file: Path, as_json: bool, **budget: str) -> None:
    """Say what the items of FILE are expected to cost, and which will fit; exit code 1 when some will not.

    FILE is a plan, or a JSON or YAML list of tickets as POST /v1/tickets takes them; `-` for standard input. Nothing is
    started, and nothing reserved.

    \b
    Examples:
      quota-scheduler plan check nightly.yaml
      quota-scheduler plan check - --json < nightly.json
    """
    text = _text(file)
    plan = _plan_in(text, file)
    if plan is None:
        _check_list(ctx, items_of(text, file), as_json)
        return
    chosen = _budget(plan, budget)
    checks = _checks(ctx, plan, chosen, 5.0)
    from quota_scheduler.plans.budget import why_stop

    def look() -> tuple[Any, str]:
        week = checks.week()
        return checks.whole(plan.items, len(plan.tasks), week), why_stop(week, chosen)

    whole, why = _asked(look)
    if as_json:
        reach.print_json({**whole.answer, "sentence": whole.sentence, "warning": whole.warning, "stop": why})
    else:
        for line in (whole.sentence, whole.warning, why):
            if line:
                reach.say(line)
        _say_short(whole.answer)
    if whole.warning or why:
        sys.exit(1)


@command.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@budget_options
@click.option("--once", is_flag=True, help="End with 75 when the quota does not allow more, in place of waiting.")
@click.option("--restart", is_flag=True, help="Begin anew, whatever is done.")
@click.option("--state", type=click.Path(path_type=Path), help="Keep the state here, in place of beside the plan.")
@click.option("--report", "report_file", type=click.Path(path_type=Path), help="Write the report here too, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    file: Path,
    once: bool,
    restart: bool,
    state: Path | None,
    report_file: Path | None,
    as_json: bool,
    **budget: str,
) -> None:
    """Run the tasks of FILE one after another, each work item under a lease, and stop before the budget is passed.

    Run again, it goes on where it stopped. Exit status: 0 completed, 1 something failed or was skipped, 75
    paused_quota, 69 the service is away, 130 interrupted, 2 the plan is wrong.

    \b
    Examples:
      quota-scheduler plan run nightly.yaml --max-budget-pct 90
      quota-scheduler plan run nightly.yaml --once --report report.json
    """
    from quota_scheduler.plans.launch import RunTerms
    from quota_scheduler.plans.report import lines
    from quota_scheduler.plans.run import PlanRun
    from quota_scheduler.plans.state import StateFile, state_path

    plan = _required(_text(file), file)
    chosen = _budget(plan, budget)
    patience = ONCE_SECONDS if once else PATIENT_SECONDS
    terms = RunTerms(_url(ctx), once, patience, dict(os.environ), file.resolve().parent)
    checks = _checks(ctx, plan, chosen, patience)
    where = StateFile(state or state_path(file.resolve(), os.environ))
    running = PlanRun(plan, chosen, checks, where, terms, lambda text: reach.say(text, err=True))

    def end(_number: int, _frame: FrameType | None) -> None:
        running.end()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    status, document = _asked(lambda: running.run(restart=restart))
    _tell(document, report_file, as_json, lines(document))
    sys.exit(status)


@command.command("report")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--state", type=click.Path(path_type=Path), help="Where the state is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(file: Path, state: Path | None, as_json: bool) -> None:
    """Say how far the last run of FILE is, and why it stopped; the service is not asked.

    \b
    Examples:
      quota-scheduler plan report nightly.yaml
      quota-scheduler plan report nightly.yaml --json
    """
    from quota_scheduler.plans.report import PlanFigures, lines
    from quota_scheduler.plans.report import report as report_of
    from quota_scheduler.plans.state import StateFile, state_path

    plan = _required(_text(file), file)
    where = StateFile(state or state_path(file.resolve(), os.environ))
    kept = _asked(where.load)
    if kept is None:
        raise QuotaSchedulerError(f"{file} has not been run yet: there is no {where.path}")
    document = report_of(plan, kept, PlanFigures())
    _tell(document, None, as_json, lines(document))


def _tell(document: dict[str, Any], file: Path | None, as_json: bool, lines: list[str]) -> None:
    if file is not None:
        try:
            file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            reach.say(f"quota-scheduler: the report cannot be written to {file}: {error.strerror}", err=True)
    if as_json:
        reach.print_json(document)
        return
    for line in lines:
        reach.say(line)


# The file


def _text(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read(LARGEST_FILE + 1) if str(file) == "-" else _bytes(file)
        if len(data) > LARGEST_FILE:
            raise QuotaSchedulerError(f"{file} is larger than {LARGEST_FILE >> 20} MiB: this is no plan")
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise QuotaSchedulerError(f"cannot read {file}: {error}") from None


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(LARGEST_FILE + 1)


def _plan_in(text: str, file: Path) -> "TaskPlan | None":
    """The plan, None for a list of tickets. Raises ConfigError with everything that is wrong."""
    from quota_scheduler.config.nodes import Branch, Listing, Problems
    from quota_scheduler.config.yaml_file import node_of

    problems = Problems()
    root = node_of(text, str(file), problems)
    if len(problems):
        raise ConfigError(problems.sentences())
    if isinstance(root, Listing) or (isinstance(root, Branch) and "items" in root.entries):
        return None
    return _required(text, file)


def _required(text: str, file: Path) -> "TaskPlan":
    """The plan. Raises ConfigError with everything that is wrong."""
    from quota_scheduler.config.nodes import Problems
    from quota_scheduler.plans.reading import read_plan

    problems = Problems()
    plan = read_plan(text, str(file), problems, search=os.environ.get("PATH"))
    if plan is None:
        raise ConfigError(problems.sentences())
    return plan


def _budget(plan: "TaskPlan", flags: Mapping[str, str]) -> "PlanBudget":
    """The budget that rules. Raises ConfigError for an option or variable that is wrong."""
    from quota_scheduler.plans.budget import chosen
    from quota_scheduler.plans.reading import budget_of

    wrong: list[str] = []
    variables = {name: os.environ.get(variable, "") for variable, name in VARIABLES.items()}
    places = {name: variable for variable, name in VARIABLES.items()}
    environ = budget_of(variables, lambda name, what: wrong.append(f"{places[name]}: {what}"))
    options = {"max_quota_percent": "--max-budget-pct"}
    given = budget_of(
        flags, lambda name, what: wrong.append(f"{options.get(name, '--' + name.replace('_', '-'))}: {what}")
    )
    if wrong:
        raise ConfigError(wrong)
    return chosen(plan.budget, environ, given)


# The service


def _checks(ctx: click.Context, plan: "TaskPlan", budget: "PlanBudget", patience: float) -> "Checks":
    from quota_scheduler.client.transport import Transport
    from quota_scheduler.plans.checks import Checks

    transport = Transport(_url(ctx), os.environ.get("QUOTA_TOKEN", ""), patience=patience)
    return Checks(plan, budget, transport, zone=reach.config_of(ctx).timezone)


def _url(ctx: click.Context) -> str:
    from quota_scheduler.cli.elsewhere import named_url
    from quota_scheduler.wrapper.run import default_url

    named = ctx.find_root().ensure_object(dict)
    where = dict(os.environ) | ({"QUOTA_CONFIG": named["config"]} if "config" in named else {})
    return named_url(ctx) or default_url(named.get("listen", ""), where)


def _asked(call: Any) -> Any:
    """The answer; what the service or the state file refuses is a sentence."""
    from quota_scheduler.client.errors import Refused, Unavailable
    from quota_scheduler.plans.state import StateUnusable
    from quota_scheduler.wrapper.statuses import UNAVAILABLE

    try:
        return call()
    except Unavailable as away:
        reach.say(f"quota-scheduler: the service is away: {away}; start it with `quota-scheduler serve`", err=True)
        sys.exit(UNAVAILABLE)
    except (Refused, StateUnusable) as error:
        raise QuotaSchedulerError(str(error)) from None


# A list of tickets


def _check_list(ctx: click.Context, items: list[Any], as_json: bool) -> None:
    answer = reach.ask(reach.asking(ctx), "POST", "/v1/plans/estimate", {"items": items})
    if as_json:
        reach.print_json(answer)
    else:
        reach.say(answer["sentence"])
        _say_short(answer)
    if answer["fitting"] < len(answer["items"]):
        sys.exit(1)


def _say_short(answer: Mapping[str, Any]) -> None:
    for item in answer["items"]:
        if not item["fits"]:
            reach.say(f"  {item['key']}: unlikely to complete, {item['short_of']} has no room for it")


def items_of(text: str, file: Path) -> list[Any]:
    """The tickets of a list, or below `items`. Raises QuotaSchedulerError with what is wrong."""
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
