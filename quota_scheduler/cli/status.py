"""``status``: every limit at a glance."""

import sys
from typing import Any

import click

from quota_scheduler.cli import connection as reach
from quota_scheduler.config import Config
from quota_scheduler.core.instants import iso, parse_instant
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.readings.glance import loan_words
from quota_scheduler.core.units import Unit, format_amount
from quota_scheduler.wrapper.statuses import LIMIT_HIT, UNAVAILABLE

LEGEND = (
    "MEDIAN and P80 are where the window ends: half of the time below the one, four times of five below the other.\n"
    "RISK follows P80. RESERVED is held by what runs, LEVEL is what the queue does now; a session that has not begun\n"
    "resets so long after its first use."
)
"""What the columns mean, where numbers side by side would look like a contradiction."""


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--check", is_flag=True, help="Print nothing; the exit status tells.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, check: bool) -> None:
    """Show every limit: what is used, when it resets, where it ends.

    With --check the exit status is 0 while every limit that is enforced has room, 75 when one is spent, 69 when the
    service is away.

    \b
    Examples:
      quota-scheduler status
      quota-scheduler --database sqlite:////var/lib/quota-scheduler/quota.db status --json
    """
    config = reach.asking(ctx)
    if check:
        sys.exit(_checked(config))
    state = state_of(config)
    if as_json:
        reach.print_json(state)
        return
    reach.say(f"{state['from']}, as of {reach.when(state['at'], config.timezone)}")
    reach.say_hold(state, config.timezone)
    reach.say_breakers(state)
    if replica := state.get("replica"):
        reach.say(replicas_line(replica))
    for source in state.get("sources", []):
        if source["catching_up"]:
            reach.say(f"{source['source']} is still being read: the figures below grow")
    reach.say(limits_table(state["limits"]) if state["limits"] else "No readings yet: they come with the first tick.")
    if state["limits"]:
        reach.say(LEGEND)
    for line in words_of(state["limits"]):
        reach.say(line)
    for cap in state["run_caps"]:
        unit, mode = Unit(cap["unit"]), "" if cap["mode"] == "enforce" else f" ({cap['mode']})"
        reach.say(f"{cap['id']}{mode}: at most {format_amount(round(cap['amount'] * unit.base), unit)} a run")
    if muted := state.get("alerts_muted"):
        reach.say(_muted(muted))
    if not config.receivers and not reach.is_elsewhere(config):
        reach.say("No receiver is configured: alerts reach nobody (see `receivers` in docs/reference/config.md).")


def _checked(config: Config) -> int:
    """The exit status of ``--check``."""
    try:
        limits = reach.ask(config, "GET", "/v1/limits")["limits"]
    except reach.Unreachable:
        return UNAVAILABLE
    spent = [row for row in limits if row["mode"] == "enforce" and row["unit"] != "leases" and row["headroom"] <= 0]
    return LIMIT_HIT if spent else 0


def replicas_line(replica: dict[str, Any]) -> str:
    """Who leads, how many there are, and who is not ready for deciding otherwise."""
    there = replica["replicas"]
    leader = f"{replica['leader']} leads" if replica["leader"] else "nobody leads"
    differing = [one["address"] for one in there if one["problem"]]
    but = f"; not ready, configured otherwise: {', '.join(differing)}" if differing else ""
    return f"{len(there)} replica{'s' if len(there) != 1 else ''}, {leader}{but}"


def words_of(limits: list[dict[str, Any]]) -> list[str]:
    """What is to be said beside the figures: loans, and what providers say, its age, changes, use elsewhere."""
    lines = []
    for row in limits:
        if row.get("borrowed") or row.get("lent"):
            lines.append(_lent(row, Unit(row["unit"])))
        observed = row.get("observed") or {}
        parts = [observed.get("why", ""), *observed.get("noticed", ())]
        if observed.get("elsewhere_points"):
            parts.append(f"{observed['elsewhere_points']:g} points were used elsewhere.")
        if said := " ".join(part for part in parts if part):
            lines.append(f"{row['limit']} ({observed['freshness']}): {said}")
    return lines


def _lent(row: dict[str, Any], unit: Unit) -> str:
    said = loan_words(row, lambda value: written(value, unit))
    return f"{row['limit']}: {written(row['used'], unit)} of {written(row['amount'], unit)} used; {said}"


def state_of(config: Config) -> dict[str, Any]:
    """The limits as the service, else the database file, has them."""
    try:
        return {"from": f"The service at {config.listen}", **reach.ask(config, "GET", "/v1/limits")}
    except reach.Unreachable:
        from quota_scheduler.core.readings.refusing import breaker_documents
        from quota_scheduler.service.operate.holds import everything_held
        from quota_scheduler.service.queries.alerts import muted_document
        from quota_scheduler.store import breakers, documents

        with reach.look(config) as tx:
            bodies = documents.load_bodies(tx, "readings")
            at = tx.scalar("SELECT max(at) FROM readings")
            held, muted = everything_held(tx), muted_document(tx)
            refusing = breaker_documents(breakers.load(tx), tx.now)
        from quota_scheduler.config.writing import written_limit
        from quota_scheduler.core.instants import from_micros

        when = iso(from_micros(at)) if at else "never"
        return {
            "from": f"{config.database_named} (no service answers)",
            "at": when,
            "limits": [bodies[n] for n in sorted(bodies)],
            "hold": held.document() if held else None,
            "breakers": refusing,
            "run_caps": [written_limit(limit) for limit in config.limits if limit.is_per_run],
            "alerts_muted": muted,
        }


def limits_table(limits: list[dict[str, Any]]) -> str:
    """One row per limit."""
    rows = [["LIMIT", "USED", "OF", "", "RESERVED", "RESETS", "MEDIAN", "P80", "RUNS OUT", "RISK", "LEVEL", "WAITING"]]
    for row in limits:
        unit = Unit(row["unit"])
        resets = local_time(parse_instant(row["ends_at"]), row["timezone"]) if row["ends_at"] else "-"
        waiting = sum(group["waiting"] for group in row["waiting"])
        mode = "" if row["mode"] == "enforce" else f" ({row['mode']})"
        used = row["leases"] if unit is Unit.LEASES else row["used"]
        rows.append(
            [
                row["limit"] + mode,
                written(used, unit),
                written(row["amount"], unit),
                f"{row['usage_ratio']:.0%}" if unit is not Unit.LEASES else "",
                written(row["reserved"], unit),
                resets,
                *_forecast(row, unit),
                row["risk"],
                row["level"],
                str(waiting),
            ]
        )
    return reach.table(rows, right=frozenset({1, 2, 3, 4, 9}))


def _forecast(row: dict[str, Any], unit: Unit) -> tuple[str, str, str]:
    """Where the window ends, in half of all cases and in four of five, and when it runs out if it does."""
    forecast = row["forecast"]
    if not forecast:
        return "-", "-", "-"
    median = f"{written(forecast['expected'], unit)} ({forecast['expected_ratio']:.0%})"
    if not forecast["sufficient"]:
        return median, "little history", "-"
    out = forecast["exhaustion_at"]
    p80 = f"{written(forecast['p80'], unit)} ({forecast['p80'] / (row['amount'] or 1):.0%})"
    return median, p80, local_time(parse_instant(out), row["timezone"]) if out else "-"


def written(amount: float, unit: Unit) -> str:
    """An amount of a document, short."""
    return (
        format_amount(round(amount * unit.base), unit)
        .removesuffix(f" {unit.value}")
        .removesuffix(f" {unit.value[:-1]}")
    )


def _muted(muted: list[dict[str, Any]]) -> str:
    """The alerts that fire and reach nobody, and why."""
    named = "; ".join(f"{alert['rule']} of {alert['scope']} ({alert['why']})" for alert in muted)
    return f"These alerts fire and nobody is told: {named}. See quota-scheduler alerts list."
