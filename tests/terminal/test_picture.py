"""What is drawn, by facts and size; lines never leave the screen."""

from dataclasses import replace
from typing import Any

import pytest

from quota_scheduler.core.instants import parse_instant
from quota_scheduler.core.readings.glance import by_urgency
from quota_scheduler.terminal.facts import Facts
from quota_scheduler.terminal.fan import bar
from quota_scheduler.terminal.picture import picture, window
from quota_scheduler.terminal.view import View
from tests.terminal.documents import NOW, alert, forecast, limit, ticket

TICK = 1000.0
CACHED = {
    "reported_ratio": 0.43,
    "freshness": "cached",
    "observed_at": "2026-11-24T11:50:00Z",
    "elsewhere_points": 2,
}


def facts(limits: list[dict[str, Any]], **more: Any) -> Facts:
    queue = {"at": NOW, "hold": None, "waiting": [], "offered": [], "running": [], **more}
    alerts = {"alerts": queue.pop("alerts", [])}
    return Facts("Here", {"at": "2026-11-24T11:59:58Z", "limits": limits}, queue, alerts, heard_at=TICK)


def drawn(some: Facts, view: View | None = None, *, width: int = 80, height: int = 24, later: float = 0.0) -> list[str]:
    lines = picture(some, view or View(), TICK + later, width=width, height=height, zone="Europe/Berlin", blocks=True)
    return [line.plain for line in lines]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(limit("a"), "████▓┃░░  ", id="used, reserved under the expected end, the pace, the worst end"),
        pytest.param(
            limit("a", used=0, reserved=0, forecast=None), "  ┃       ",
            id="nothing used yet: the pace alone",
        ),
        pytest.param(
            limit("a", forecast=forecast(expected=120, high=150), starts_at=None), "████▓▒▒▒▒»",
            id="what ends above the limit shows at its end",
        ),
        pytest.param(
            limit("a", used=1, reserved=0, forecast=None, starts_at=None), "█         ",
            id="something shows for anything above nothing",
        ),
        pytest.param(
            limit("a", unit="leases", amount=4, leases=3, forecast=None, starts_at=None), "████████  ",
            id="leases fill it by their number",
        ),
        pytest.param(limit("a", amount=0), " " * 10, id="of nothing there is no part"),
    ],
)  # fmt: skip
def test_a_bar_shows_used_reserved_fan_and_pace(row: dict[str, Any], expected: str) -> None:
    assert (
        bar(
            row, 10, parse_instant("2026-11-26T15:00:00Z" if "░" in expected else NOW), blocks=True, style="green"
        ).plain
        == expected
    )


def test_limits_come_in_the_order_in_which_they_end() -> None:
    rows = [
        limit("lasts"),
        limit("fuller", usage_ratio=0.9),
        limit("in an hour", forecast=forecast(exhaustion_at="2026-11-24T13:00:00Z")),
        limit("has run out", level="exhausted", usage_ratio=1.2),
        limit("in ten minutes", forecast=forecast(exhaustion_at="2026-11-24T12:10:00Z")),
        limit("no forecast", forecast=None, usage_ratio=0.1),
    ]
    names = [row["limit"] for row in by_urgency(rows)]
    assert names == ["has run out", "in ten minutes", "in an hour", "fuller", "lasts", "no forecast"]


@pytest.mark.parametrize(
    ("some", "line"),
    [
        pytest.param(facts([limit("a")]), "All lasts until its reset", id="nothing runs out"),
        pytest.param(
            facts([limit("a", forecast=forecast(exhaustion_at="2026-11-24T12:13:00Z"), risk="critical")]),
            "Next to run out: a in 13 min (13:13 Europe/Berlin), risk critical",
            id="the next to run out, with span, clock of its zone and risk",
        ),
        pytest.param(
            facts([limit("a", level="exhausted", usage_ratio=1.0)]), "!! Stopped: a until Mon 00:00",
            id="what has run out is no forecast",
        ),
        pytest.param(
            facts([limit("a", forecast=forecast(sufficient=False))]),
            "Nothing is known to run out; some limits are too new to tell",
            id="too new to tell is not all well",
        ),
        pytest.param(facts([]), "No readings yet: they come with the first tick.", id="just started"),
        pytest.param(
            facts([limit("a")], hold={"who": "ana", "reason": "incident"}),
            "!! Everything is held by ana: incident  (H lets it go on)", id="the incident switch",
        ),
        pytest.param(
            facts([limit("a")], breakers=[{"message": "anthropic refuses"}]), "! anthropic refuses",
            id="a provider that refuses for a moment",
        ),
        pytest.param(
            facts([limit("a", observed=CACHED)]),
            "    ? the provider says 43% (cached, 10 min ago); counted here 40%; 2 points us…",
            id="the provider's word stands beside the own sum, with its age",
        ),
        pytest.param(
            replace(facts([limit("a")]), problem="nothing answers", since=TICK - 60),
            "!! NO ANSWER for 60 s: what is shown are the last figures, figures 2 s old",
            id="a service that is away",
        ),
        pytest.param(
            replace(facts([limit("a")]), problem="the service said 401", since=TICK - 60, is_refused=True),
            "!! REFUSED for 60 s: what is shown are the last figures, figures 2 s old",
            id="a token that is not valid any more",
        ),
        pytest.param(
            facts([limit("a")], at="2026-11-24T11:00:00Z"),
            "Here  ! the service's clock was set back: figures are ahead of it", id="a clock that was set back",
        ),
        pytest.param(
            facts([limit("a")], waiting=[ticket(1)]),
            "    1 t1    work1           200k 10 min  -          the limit is used up",
            id="who waits, for how long and why",
        ),
        pytest.param(
            facts([limit("a")], running=[ticket(1, spent_ratio=1.25)]),
            "  t1    work1          ██████████ 125% of 200k over by 25%  runs 10 min, ends i…",
            id="a lease beyond its reservation",
        ),
        pytest.param(
            facts([limit("a")], alerts=[alert(7, severity="critical")]),
            "  !! critical #7 usage_high of weekly, for 10 min", id="an alert that fires",
        ),
        pytest.param(
            facts([limit("a\x1b[2J")]), "> a\\x1b[2J ", id="a name that would steer the terminal is written out",
        ),
    ],
)  # fmt: skip
def test_what_a_glance_finds(some: Facts, line: str) -> None:
    assert any(text == line or (line.endswith(" ") and text.startswith(line)) for text in drawn(some)), "\n".join(
        drawn(some)
    )


def test_figures_age_while_nothing_comes() -> None:
    lost = replace(facts([limit("a")]), problem="gone", since=TICK)
    assert drawn(lost, later=120)[0] == "!! NO ANSWER for 2 min: what is shown are the last figures, figures 2 min old"


MANY = facts(
    [limit(f"limit-{n:03}") for n in range(200)],
    waiting=[ticket(n) for n in range(1, 90)],
    running=[ticket(n) for n in range(100, 130)],
    alerts=[alert(n) for n in range(20)],
)
WIDE_NAMES = facts([limit("日本語の長い名前" * 6)], waiting=[ticket(1, labels={"workflow": "日本" * 40})])


@pytest.mark.parametrize("some", [pytest.param(MANY, id="200 limits"), pytest.param(WIDE_NAMES, id="wide names")])
@pytest.mark.parametrize("view", [View(), View(help=True), View(detail=True), View(note="x" * 300)])
@pytest.mark.parametrize(("width", "height"), [(20, 6), (60, 12), (80, 24), (117, 30), (118, 30), (200, 60)])
def test_lines_are_as_many_as_there_are_rows_and_none_is_longer(
    some: Facts, view: View, width: int, height: int
) -> None:
    lines = picture(some, view, TICK, width=width, height=height, zone="UTC", blocks=True)
    assert (len(lines), max(line.cell_len for line in lines) <= width) == (height, True)


@pytest.mark.parametrize(
    ("heights", "at", "room", "expected"),
    [
        pytest.param([1] * 9, 0, 3, (0, 3), id="from the first on"),
        pytest.param([1] * 9, 5, 3, (3, 6), id="so far that the chosen row shows"),
        pytest.param([2, 1, 2], 2, 4, (1, 3), id="rows of several lines"),
        pytest.param([2], 0, 1, (0, 0), id="no room for it"),
        pytest.param([], 0, 5, (0, 0), id="no rows"),
    ],
)
def test_a_pane_scrolls_to_what_is_chosen(heights: list[int], at: int, room: int, expected: tuple[int, int]) -> None:
    assert window(heights, at, room) == expected
