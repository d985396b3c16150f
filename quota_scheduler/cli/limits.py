"""``limits``: what may be used, and changing it while the service runs."""

from typing import Any
from urllib.parse import quote

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.limit_ceilings import command as ceilings
from quota_scheduler.cli.limit_windows import command as windows
from quota_scheduler.cli.spoken import typed_instant
from quota_scheduler.config import Config
from quota_scheduler.core.limits.limit import DEFAULT
from quota_scheduler.errors import QuotaSchedulerError

FIELDS = ("amount", "holdback", "borrow", "lend", "overrides", "mode", "policy", "warn_at", "at_limit")
BY_VALUE = ("overrides", "warn_at", "at_limit")
"""What can be changed at run time; the service has the last word."""


@click.group("limits")
def command() -> None:
    """Look at limits, and change one while the service runs."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show every limit as it is configured: amount, window, what it selects, mode.

    \b
    Examples:
      quota-scheduler limits list
      quota-scheduler limits list --json
    """
    config = reach.asking(ctx)
    specs = _of_service(config) if reach.is_elsewhere(config) else _as_configured(config)
    if as_json:
        reach.print_json(specs)
        return
    rows = [["LIMIT", "AMOUNT", "UNIT", "WINDOW", "SELECTS", "MODE"]]
    rows += [
        [spec["id"], str(spec["amount"]), spec["unit"], _window(spec), _selects(spec), spec["mode"]] for spec in specs
    ]
    reach.say(reach.table(rows, right=frozenset({1})) if specs else "No limits.")


@command.command("show")
@click.argument("limit")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, limit: str, as_json: bool) -> None:
    """Show LIMIT as it holds now, and what was changed about it, by whom and until when.

    \b
    Examples:
      quota-scheduler limits show team-daily
      quota-scheduler limits show team-daily --json
    """
    config = reach.asking(ctx)
    state = reach.ask(config, "GET", f"/v1/limits/{quote(limit, safe='')}")
    if as_json:
        reach.print_json(state)
        return
    for name, value in state["holds"].items():
        was = state["file"].get(name)
        in_file = f"  (in the file: {_plain(was, config)})" if was != value else ""
        reach.say(f"{name:<12} {_plain(value, config)}{in_file}")
    for change in state["changes"]:
        until = f", until {reach.when(change['until'], config.timezone)}" if change["until"] else ""
        at = reach.when(change["at"], config.timezone)
        reach.say(f"changed: {change['field']} to {_plain(change['value'], config)} by {change['who']} at {at}{until}")


@command.command("set")
@click.argument("limit")
@click.argument("changes", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--until", metavar="TIME", help="When the file's values hold again: 18:00, 'mon 09:00', 'in 2h'.")
@click.option("--dry-run", is_flag=True, help="Say what would hold, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def set_(
    ctx: click.Context, limit: str, changes: tuple[str, ...], until: str | None, dry_run: bool, as_json: bool
) -> None:
    """Change fields of LIMIT at once, also for what waits. An empty value takes a change back.

    \b
    Examples:
      quota-scheduler limits set team-daily amount=$25 --dry-run
      quota-scheduler limits set max-weekly amount=120 holdback=5% --until 2026-11-29T00:00:00Z
      quota-scheduler limits set team-daily overrides.sales=40 warn_at.sales=90% at_limit.sales=block
      quota-scheduler limits set max-weekly amount=
    """
    config = reach.asking(ctx)
    body: dict[str, Any] = {"dry_run": dry_run, **_changes(changes)}
    if until:
        body["until"] = typed_instant(until, config.timezone, "--until")
    answer = reach.ask(config, "PATCH", f"/v1/limits/{quote(limit, safe='')}", body)
    if as_json:
        reach.print_json(answer)
        return
    for name in answer["changed"]:
        word = "would be" if dry_run else "is"
        before, after = (_plain(answer[side][name], config) for side in ("before", "after"))
        reach.say(f"{limit}: {name} {word} {after} (was {before})")


command.add_command(ceilings)
command.add_command(windows)


def _changes(texts: tuple[str, ...]) -> dict[str, Any]:
    """The fields to change. Raises QuotaSchedulerError for what is no FIELD=VALUE."""
    fields: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        field, _, of = name.strip().partition(".")
        if not equals or field not in FIELDS or (field == "overrides" and not of) or (of and field not in BY_VALUE):
            raise QuotaSchedulerError(
                f"{text!r} is no change: write FIELD=VALUE, such as amount=20M; the fields are "
                f"{', '.join(FIELDS[:4])}, overrides.VALUE, mode, policy, warn_at, at_limit (or warn_at.VALUE)"
            )
        if of:
            _of(fields, field)[of] = value.strip() or None
        elif isinstance(fields.get(field), dict):
            fields[field][DEFAULT] = value.strip() or None
        else:
            fields[field] = value.strip() or None
    return fields


def _of(fields: dict[str, Any], field: str) -> dict[str, Any]:
    """The values that a field is given; one for all others stands under the empty name."""
    given = fields.get(field)
    if not isinstance(given, dict):
        given = {} if field not in fields else {DEFAULT: given}
        fields[field] = given
    return given


def _as_configured(config: Config) -> list[dict[str, Any]]:
    """Every limit of this machine's configuration, as it holds where the service answers."""
    from quota_scheduler.config.writing import written_limit

    return [dict(_held(config, limit.id) or written_limit(limit)) for limit in config.limits]


def _of_service(config: Config) -> list[dict[str, Any]]:
    """Every limit that a service elsewhere tells of: this machine's configuration is not its own."""
    state = reach.ask(config, "GET", "/v1/limits")
    names = dict.fromkeys([*(row["rule"] for row in state["limits"]), *(cap["id"] for cap in state["run_caps"])])
    return [reach.ask(config, "GET", f"/v1/limits/{quote(name, safe='')}")["holds"] for name in names]


def _held(config: Config, limit: str) -> dict[str, Any] | None:
    """The limit as it holds in the running service; None where none answers or knows it."""
    try:
        holds: dict[str, Any] = reach.ask(config, "GET", f"/v1/limits/{quote(limit, safe='')}")["holds"]
        return holds
    except QuotaSchedulerError:
        return None


def _plain(value: Any, config: Config) -> str:
    return reach.value_text(value, config.timezone) or "as usual"


def _window(spec: dict[str, Any]) -> str:
    window = spec.get("window")
    if isinstance(window, dict):
        return str(window.get("every") or f"session {window.get('session')}")
    return {"run": "each run"}.get(str(window), "at once")


def _selects(spec: dict[str, Any]) -> str:
    match = ", ".join(f"{name}={'|'.join(values)}" for name, values in spec.get("match", {}).items())
    instances = f"each {spec['per']}" if spec.get("per") and spec.get("window") != "run" else ""
    return ", ".join(filter(None, (match, instances))) or "everything"
