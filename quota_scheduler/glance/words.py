"""How limits stand, in lines for people. Loads little: whoever looks waits for what is loaded."""

from typing import Any

from quota_scheduler.core.instants import local_time, parse_instant
from quota_scheduler.core.readings.glance import loan_words
from quota_scheduler.core.units import Unit, format_amount

LEGEND = (
    "MEDIAN and P80 are where the window ends: half of the time below the one, four times of five below the other.\n"
    "RISK follows P80. RESERVED is held by what runs, LEVEL is what the queue does now; a session that has not begun\n"
    "resets so long after its first use."
)
"""What the columns mean, where numbers side by side would look like a contradiction."""


def state_lines(state: dict[str, Any], zone: str) -> list[str]:
    """Everything that ``status`` says of a state, as ``GET /v1/limits`` has it with ``from``: where it is from."""
    lines = [f"{state['from']}, as of {when(state['at'], zone)}", *hold_lines(state, zone), *breaker_lines(state)]
    if replica := state.get("replica"):
        lines.append(replicas_line(replica))
    for source in state.get("sources", []):
        if source["catching_up"]:
            lines.append(f"{source['source']} is still being read: the figures below grow")
    if state["limits"]:
        lines += [limits_table(state["limits"]), LEGEND, *words_of(state["limits"])]
    else:
        lines.append("No readings yet: they come with the first tick.")
    for cap in state["run_caps"]:
        unit, mode = Unit(cap["unit"]), "" if cap["mode"] == "enforce" else f" ({cap['mode']})"
        lines.append(f"{cap['id']}{mode}: at most {format_amount(round(cap['amount'] * unit.base), unit)} a run")
    if muted := state.get("alerts_muted"):
        lines.append(_muted(muted))
    return lines


NO_RECEIVER = "No receiver is configured: alerts reach nobody (see `receivers` in docs/reference/config.md)."


def hold_lines(state: dict[str, Any], zone: str) -> list[str]:
    """That everything is held, by whom and why, where it is."""
    if not (hold := state.get("hold")):
        return []
    by = f" by {hold['who']}" if hold["who"] else ""
    since = f" since {when(hold['since'], zone)}" if hold["since"] else ""
    return [f"Everything is held{by}{since}: {hold['reason']}"]


def breaker_lines(state: dict[str, Any]) -> list[str]:
    """Which providers refuse for a moment, and what starts wait for."""
    return [f"{breaker['message']}." for breaker in state.get("breakers", [])]


def is_any_spent(limits: list[dict[str, Any]]) -> bool:
    """Whether a limit that is enforced has no room."""
    return any(row["mode"] == "enforce" and row["unit"] != "leases" and row["headroom"] <= 0 for row in limits)


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
    return table(rows, right=frozenset({1, 2, 3, 4, 9}))


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


def shown(text: str) -> str:
    """Lines as they may be printed: what names in them could make a terminal do is written out instead."""
    return "".join(sign if sign.isprintable() or sign == "\n" else _written_out(sign) for sign in text)


def _written_out(sign: str) -> str:
    from quota_scheduler.core.labels import is_control  # such signs are rare

    return sign.encode("unicode_escape").decode() if is_control(sign) else sign


def when(instant: str | None, zone: str) -> str:
    """An instant of a document for people, in the zone that it names; a dash for none, and a word as it is."""
    try:
        return local_time(parse_instant(instant), zone) if instant else "-"
    except ValueError:  # "never"
        return str(instant)


def table(rows: list[list[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns wide enough for their longest cell; those in ``right`` are aligned to the right."""
    rows = [[shown(cell).replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if n in right else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
