"""The rows of limits: the one to run out next first; narrow terminals keep what is needed most."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from quota_scheduler.core.readings.glance import STOPPED, has_run_out, loan_words
from quota_scheduler.terminal.fan import bar
from quota_scheduler.terminal.words import amount, clock, instant, percent, shown, span

WIDE = 118
"""Columns from which amounts, the clock of running out and who waits have columns of their own."""
STYLES = {"critical": "red", "high": "yellow", "medium": "cyan"}
MARKS = {"critical": "!! ", "high": "! "}
"""Risk in shape beside its colour."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the table: its name, how wide, and whether it is aligned to the right."""

    name: str
    width: int
    right: bool = False


def columns(width: int, names: list[str]) -> list[Cell]:
    """The columns that fit; the bar gets what is left of the width."""
    wide = width >= WIDE
    cells = [Cell("USED", 5, True), Cell("P80", 5, True)]
    if wide:
        cells = [Cell("USED", 5, True), Cell("OF", 17, True), Cell("RESERVED", 9, True), Cell("P80", 5, True)]
    cells += [Cell("RUNS OUT", 12 if wide else 11), Cell("RESETS", 23 if wide else 11), Cell("STATE", 13)]
    cells += [Cell("WAIT", 5, True)] if wide else []
    taken = sum(cell.width + 1 for cell in cells) + 2
    longest = max([cell_len(name) for name in names] + [5])
    room = width - taken
    name = min(longest, max(10, room - (24 if wide else 10)))
    return [Cell("LIMIT", name), Cell("", max(0, room - name - 1)), *cells]


def header(width: int, names: list[str]) -> Text:
    """The names of the columns."""
    texts = [_sized(cell.name, cell) for cell in columns(width, names)]
    return Text("  " + " ".join(texts).rstrip(), style="dim")


def line(row: dict[str, Any], width: int, names: list[str], now: datetime | None, *, blocks: bool) -> Text:
    """One limit."""
    style, cells = STYLES.get(_risk(row), "green"), columns(width, names)
    texts = _texts(row, now, wide=width >= WIDE)
    drawn = Text("  ")
    for number, cell in enumerate(cells):
        drawn.append(" " if number else "")
        if cell.name == "":
            drawn.append_text(bar(row, cell.width, now, blocks=blocks, style=style))
        else:
            plain = cell.name in ("LIMIT", "RESETS", "OF", "RESERVED")
            drawn.append(_sized(texts[cell.name], cell), style="" if plain else style)
    return drawn


def _texts(row: dict[str, Any], now: datetime | None, *, wide: bool) -> dict[str, str]:
    unit, forecast = row["unit"], row["forecast"] or {}
    used = row["leases"] if unit == "leases" else row["used"]
    whole = row["amount"] or 0
    ratio = used / whole if whole else row["usage_ratio"]
    is_known = bool(forecast.get("sufficient"))
    return {
        "LIMIT": shown(row["limit"]),
        "USED": percent(ratio),
        "OF": f"{amount(used, unit)} of {amount(whole, unit)}",
        "RESERVED": amount(row["reserved"], unit) if row["reserved"] else "-",
        "P80": percent(forecast["p80"] / whole) if is_known and whole else "-",
        "RUNS OUT": _runs_out(row, now, wide=wide),
        "RESETS": _resets(row, now, wide=wide),
        "STATE": _state(row),
        "WAIT": str(sum(group["waiting"] for group in row["waiting"]) or "-"),
    }


def _runs_out(row: dict[str, Any], now: datetime | None, *, wide: bool) -> str:
    """When a window runs out before its reset, as a span; what has run out says so."""
    forecast = row["forecast"] or {}
    if row["unit"] == "leases":
        return "-"
    if has_run_out(row):
        return "has run out"
    if row["usage_ratio"] >= 1:
        return "on loan"
    if not forecast:
        return "-"
    if not forecast["sufficient"]:
        return "too new" if not wide else "too new yet"
    out = instant(forecast["exhaustion_at"])
    return "lasts" if out is None or now is None else f"in {span(out - now)}"


def _resets(row: dict[str, Any], now: datetime | None, *, wide: bool) -> str:
    ends_at = instant(row["ends_at"])
    if ends_at is None or now is None:
        return "-"
    if instant(row["starts_at"]) is None:
        return "on first use"
    when = clock(ends_at, row["timezone"], now)
    return f"{when}, in {span(ends_at - now)}" if wide else when


def _risk(row: dict[str, Any]) -> str:
    return "critical" if row["level"] in STOPPED else str(row["risk"])


def _state(row: dict[str, Any]) -> str:
    """How the queue treats the limit; where it is open, how likely that ends."""
    if row["mode"] != "enforce":
        return f"{MARKS.get(_risk(row), '')}{row['mode']} only"
    if row["unit"] == "leases" and row["level"] not in STOPPED:
        return "full" if row["leases"] >= row["amount"] else f"{row['amount'] - row['leases']:g} free"
    word = row["level"] if row["level"] != "open" else row["risk"]
    return f"{MARKS.get(_risk(row), '')}{word}"


def _sized(text: str, cell: Cell) -> str:
    if cell_len(text) > cell.width:
        return set_cell_size(text, max(0, cell.width - 1)) + "~" if cell.width else ""
    room = " " * (cell.width - cell_len(text))
    return room + text if cell.right else text + room


def word_of(row: dict[str, Any], now: datetime | None) -> Text | None:
    """What the provider says of a limit beside the own sum, and how fresh that is; None where it says nothing."""
    observed = row.get("observed")
    if not observed:
        return None
    if observed["reported_ratio"] is None:
        said = "the provider has said nothing of this window"
    else:
        at = instant(observed["observed_at"])
        age = f", {span(now - at)} ago" if now and at else ""
        said = f"the provider says {percent(observed['reported_ratio'])} ({observed['freshness']}{age})"
    beyond = f"; {observed['elsewhere_points']:g} points used elsewhere" if observed["elsewhere_points"] else ""
    mark = "" if observed["freshness"] == "live" else "? "
    return Text(f"    {mark}{said}; counted here {percent(row['usage_ratio'])}{beyond}", style="dim")


def loans_of(row: dict[str, Any]) -> Text | None:
    """What a limit has borrowed and lent; None where no loan stands."""
    said = loan_words(row, lambda value: amount(value, row["unit"]))
    return Text(shown(f"    {said}"), style="dim") if said else None


def details(row: dict[str, Any]) -> list[str]:
    """Everything that is known of one limit, in sentences."""
    forecast, observed = row["forecast"] or {}, row.get("observed") or {}
    unit = row["unit"]
    lines = [
        f"{row['limit']}: {amount(row['used'], unit)} used and {amount(row['reserved'], unit)} reserved of "
        f"{amount(row['amount'], unit)} {unit} a {row['period'] or 'run'}; level {row['level']}, risk {row['risk']}."
    ]
    lines += forecast.get("explained", [])
    lines += [said for said in (observed.get("why", ""), *observed.get("noticed", ())) if said]
    if row["spent_by"]:
        lines.append(f"Spent most by: {row['spent_by']}.")
    if row["runs_remaining"] is not None:
        lines.append(f"About {row['runs_remaining']:g} more runs of the usual size fit.")
    return [shown(text) for text in lines]
