"""A history as a table with bars, as wide as the terminal: what fits shows, the least needed column goes first."""

from collections.abc import Iterator
from typing import Any

from quota_scheduler.cli import connection as reach
from quota_scheduler.cli.pictures import bar, cut, padded, shrunk, terminal_width, width_of
from quota_scheduler.core.history.periods import civil
from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.units import format_number

NEEDED = ("TOKENS", "COST", "HIT")
WANTED = ("UNLISTED", "OUTPUT", "FRESH", "WRITTEN", "READ", "REQUESTS")
"""What else there is to see, in the order in which room is given to it."""
ORDER = ("TOKENS", "FRESH", "WRITTEN", "READ", "OUTPUT", "UNLISTED", "HIT", "REQUESTS", "COST")
SHORTEST_BAR = 8
LONGEST_BAR = 60
GAP = 2
KEYS_SHARE = 0.48
"""Of the width, for what rows are by; a session's id fits into 80 columns."""
QUIET = 4
"""So many periods without use in a row become one line."""
NOBODY = "(none)"

Line = tuple[str, str]
"""What is printed, and the bar behind it."""


def history_table(document: dict[str, Any], width: int | None = None) -> Iterator[Line]:
    """The lines of a table; ``document`` is that of ``GET /v1/usage/history``."""
    width = width or terminal_width()
    zone = document["timezone"]
    span = " to ".join(civil(parse_instant(document[end]), zone) for end in ("since", "until"))
    if not document["usage"] and not document["forgotten"]:
        yield f"Nothing was used from {span} ({zone}).", ""
        return
    yield f"{span} ({zone})", ""
    yield from _table(document, width)
    yield from ((note, "") for note in _footnotes(document))


def _table(document: dict[str, Any], width: int) -> Iterator[Line]:
    names = document["by"]
    rows = [([_name(row[name]) for name in names], row) for row in _with_gaps(document)]
    rows = [*rows, *_sums(document)]
    heads = [name.replace("_", " ").upper() for name in names]
    widths = [max(width_of(head), *(width_of(keys[n]) for keys, _ in rows)) for n, head in enumerate(heads)]
    widths = shrunk(widths, int(width * KEYS_SHARE) - GAP * (len(names) - 1))
    figures = [_figures(row) for _, row in rows]
    columns, room = _columns(document, figures, width - sum(widths) - GAP * len(widths))
    measure = "cost_usd" if document["total"]["cost_usd"] else "tokens"
    most = max((row.get(measure, 0) for row in document["usage"]), default=0) or 1
    figure_widths = {name: max(len(name), *(len(row.get(name, "")) for row in figures)) for name in columns}

    def line(keys: list[str], cells: dict[str, str]) -> str:
        left = [padded(cut(key, size), size) for key, size in zip(keys, widths, strict=True)]
        right = [padded(cells.get(name, ""), figure_widths[name], right=True) for name in columns]
        return (" " * GAP).join([*left, *right])

    yield line(heads, {name: name for name in columns}).rstrip(), ""
    for (keys, row), cells in zip(rows, figures, strict=True):
        share = row.get(measure, 0) / most if row.get("is_bar", True) else 0
        picture = bar(share, room) if room >= SHORTEST_BAR else ""
        text = line(keys, cells)
        yield (text + " " * GAP, picture) if picture else (text.rstrip(), "")


def _with_gaps(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows; between those by time also the periods without use, many in a row as one."""
    rows, periods = document["usage"], document.get("periods")
    if not periods or document["others"]:
        return list(rows)
    name, by_period = document["by"][0], {row[document["by"][0]]: row for row in rows}
    first = next((place for place, period in enumerate(periods) if period in by_period), len(periods))
    gap: list[str] = []
    lines: list[dict[str, Any]] = []
    for period in periods[first:]:
        if period not in by_period:
            gap.append(period)
            continue
        lines += [*_gap(name, gap), by_period[period]]
        gap = []
    return [*lines, *_gap(name, gap)]


def _gap(name: str, periods: list[str]) -> list[dict[str, Any]]:
    if len(periods) < QUIET:
        return [{name: period} for period in periods]
    return [{name: f"{len(periods)} {name}s: nothing"}]


def _sums(document: dict[str, Any]) -> list[tuple[list[str], dict[str, Any]]]:
    """The rows below: all others, what nobody knows any more, and the total."""
    blank = [""] * (len(document["by"]) - 1)
    rows = []
    if others := document["others"]:
        rows.append(([f"{others['rows']} others", *blank], {**others, "is_bar": False}))
    if forgotten := document["forgotten"]:
        rows.append((["(not known)", *blank], {**forgotten, "is_bar": False}))
    return [*rows, (["total", *blank], {**document["total"], "is_bar": False})]


def _columns(document: dict[str, Any], figures: list[dict[str, str]], room: int) -> tuple[list[str], int]:
    """The columns that fit beside a bar, and how long that may be."""
    chosen: list[str] = []
    for name in (*NEEDED, *WANTED):
        if name == "UNLISTED" and not document["total"]["unlisted_tokens"]:
            continue
        size = GAP + max(len(name), *(len(row.get(name, "")) for row in figures))
        if name in NEEDED or room - size >= SHORTEST_BAR + GAP:
            chosen.append(name)
            room -= size
        else:
            break
    return [name for name in ORDER if name in chosen], min(LONGEST_BAR, room)


def _figures(row: dict[str, Any]) -> dict[str, str]:
    if "tokens" not in row:
        return {"TOKENS": "-"}
    rate = row["cache_hit_rate"]
    return {
        "TOKENS": format_number(row["tokens"]),
        "FRESH": format_number(row["input"]),
        "WRITTEN": format_number(row["cache_write_5m"] + row["cache_write_1h"]),
        "READ": format_number(row["cache_read"]),
        "OUTPUT": format_number(row["output"]),
        "UNLISTED": format_number(row["unlisted_tokens"]) if row["unlisted_tokens"] else "",
        "HIT": "-" if rate is None else f"{rate:.0%}",
        "REQUESTS": f"{row['requests']:,}",
        "COST": _dollars(row["cost_usd"], estimated=bool(row["unpriced_tokens"])),
    }


def _dollars(usd: float, *, estimated: bool) -> str:
    mark = "~" if estimated else ""
    return f"{mark}<$0.01" if 0 < usd < 0.005 else f"{mark}${usd:,.2f}"


def _name(text: str) -> str:
    return reach.shown(text) or NOBODY


def _footnotes(document: dict[str, Any]) -> Iterator[str]:
    total = document["total"]
    if unpriced := total["unpriced_tokens"]:
        yield f"~ {format_number(unpriced)} tokens have no known price and are charged a little above their kin."
    if unlisted := total["unlisted_tokens"]:
        yield f"UNLISTED: {format_number(unlisted)} tokens stand in no call, only in the sums of their sessions."
    if partial := total["partial_requests"]:
        were = "request was" if partial == 1 else "requests were"
        yield f"{partial} {were} interrupted: the rest of what they used is not known."
    if others := document["others"]:
        yield f"{others['rows']} rows are added up: --top 0 shows them all."
    yield from (f"{note[0].upper()}{note[1:]}." for note in document["notes"])
