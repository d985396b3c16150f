"""Where the reader is, and what each key does. Values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from quota_scheduler.core.readings.glance import by_urgency
from quota_scheduler.terminal.deeds import Deed, deed_of
from quota_scheduler.terminal.facts import Facts

PANES = ("limits", "waiting", "running", "alerts")
PAGE = 10
"""Rows that a page moves by."""
MOVES = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -PAGE, "pagedown": PAGE, "home": -(10**6), "end": 10**6}
DOING = ("h", "H", "s", "c", "a")
NOWHERE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class View:
    """``chosen`` is by pane the id of the row the reader is on: it stays on it when rows move.

    ``deed`` waits for a yes; ``note`` is what is said at the foot until the next key.
    """

    pane: str = "limits"
    chosen: Mapping[str, str] = field(default_factory=lambda: NOWHERE)
    help: bool = False
    detail: bool = False
    deed: Deed | None = None
    note: str = ""
    leaving: bool = False


def ids_of(facts: Facts) -> dict[str, list[str]]:
    """The rows of each pane in the order they are drawn."""
    return {
        "limits": [row["limit"] for row in by_urgency(facts.rows)],
        "waiting": [row["id"] for state in ("offered", "waiting") for row in facts.of_queue(state)],
        "running": [row["id"] for row in facts.of_queue("running")],
        "alerts": [str(row["id"]) for row in facts.firing],
    }


def chosen_row(view: View, pane: str, ids: Sequence[str]) -> int:
    """The number of the row the reader is on in a pane; the first where that row is gone."""
    wanted = view.chosen.get(pane, "")
    return ids.index(wanted) if wanted in ids else 0


def on_key(view: View, key: str, facts: Facts) -> tuple[View, Deed | None]:
    """What a key makes of a view, and what is to be done now that it was confirmed."""
    if view.deed is not None:
        if key in ("y", "Y"):
            return replace(view, deed=None, note="Asking the service…"), view.deed
        return replace(view, deed=None, note="Nothing was done."), None
    view = replace(view, note="")
    if key in ("q", "Q", "ctrl-c"):
        return replace(view, leaving=True), None
    if key == "escape":
        return replace(view, help=False, detail=False), None
    if key == "?":
        return replace(view, help=not view.help, detail=False), None
    if key == "enter":
        return replace(view, detail=not view.detail, help=False), None
    if key in ("tab", "backtab"):
        step = 1 if key == "tab" else -1
        return replace(view, pane=PANES[(PANES.index(view.pane) + step) % len(PANES)], detail=False), None
    ids = ids_of(facts)
    rows = ids[view.pane]
    if key in MOVES:
        if not rows:
            return view, None
        row = min(max(chosen_row(view, view.pane, rows) + MOVES[key], 0), len(rows) - 1)
        return replace(view, chosen={**view.chosen, view.pane: rows[row]}), None
    if key in DOING:
        deed = deed_of(key, view.pane, rows[chosen_row(view, view.pane, rows)] if rows else "", facts)
        return (replace(view, note=deed) if isinstance(deed, str) else replace(view, deed=deed)), None
    return view, None
