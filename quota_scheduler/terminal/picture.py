"""The whole screen as lines, by its size; without a height everything is drawn."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.text import Text

from quota_scheduler.core.readings.glance import STOPPED, by_urgency
from quota_scheduler.terminal import limits as limit_rows
from quota_scheduler.terminal.facts import STALE_AFTER, Facts
from quota_scheduler.terminal.fan import LEGEND, signs
from quota_scheduler.terminal.view import PANES, View, chosen_row, ids_of
from quota_scheduler.terminal.words import clock, instant, shown, span
from quota_scheduler.terminal.work import alert_line, running_line, ticket_details, waiting_line

KEYS = "q quit  Tab next list  ↑↓ move  Enter more  h hold  H hold all  s start  c cancel  a acknowledge  ? help"
SHORT_KEYS = "q quit  Tab ↑↓ move  Enter more  h/H hold  s start  c cancel  a ack  ? help"
WEIGHTS = {"limits": 3, "waiting": 2, "running": 1, "alerts": 1}
"""Rows of a crowded screen by pane; the one the reader is in has as many as the first."""
TITLES = {"limits": "LIMITS", "waiting": "WAITING", "running": "RUNNING", "alerts": "ALERTS"}
EMPTY = {"waiting": "nothing waits", "running": "nothing runs", "alerts": "nothing fires"}
HELP = (
    "Bars: {legend}",
    "USED is of the limit. P80: four windows of five end below it. RUNS OUT: when, if it does before the reset.",
    "Marks: !! critical or stopped, ! high risk, ? the provider's word is not live. Times are in the limit's zone.",
    "Tab, Shift-Tab: next list, the one before. ↑ ↓ j k PgUp PgDn Home End: move. Enter: all about the row. Esc: back.",
    "h: hold the ticket, or let it go on. s: start it now, whatever limits say. c: cancel it, or take its lease away.",
    "H: hold everything, or let it go on. a: acknowledge the alert. Each says what it will do and asks first.",
)

Block = list[Text]


def picture(
    facts: Facts, view: View, tick: float, *, width: int, height: int | None, zone: str, blocks: bool
) -> list[Text]:
    """The lines of the screen, each cut to ``width``; exactly ``height`` of them where that is given."""
    now = facts.now(tick)
    head = [*_alive(facts, tick, width), *_next(facts, now), *_notices(facts)]
    foot = _foot(view, width) if height is not None else []
    if view.help:
        body = _help(width, blocks=blocks)
    elif view.detail:
        body = _detail(facts, view, width)
    else:
        room = None if height is None else max(0, height - len(head) - len(foot))
        body = _panes(facts, view, now, width=width, room=room, zone=zone, blocks=blocks)
    if height is None:
        return [_cut(line, width) for line in (*head, *body)]
    head = head[: max(1, height - len(foot) - 4)]
    body = body[: max(0, height - len(head) - len(foot))]
    gap = [Text()] * (height - len(head) - len(body) - len(foot))
    return [_cut(line, width) for line in (*head, *body, *gap, *foot)][:height]


def _alive(facts: Facts, tick: float, width: int) -> Block:
    """Whether the service answers, and how old what is shown is."""
    if facts.heard_at is None:
        if not facts.problem:
            return [Text(shown(f"Asking {facts.source} …"), style="bold")]
        return [Text(line.plain, style="bold red") for line in _wrapped(shown(f"!! {facts.problem}"), width)]
    age = facts.age(tick)
    figures = "no figures yet" if age is None else f"figures {span(age)} old"
    if age is not None and age < timedelta(seconds=-5):
        figures = "! the service's clock was set back: figures are ahead of it"
    if facts.problem:
        lost = span(timedelta(seconds=max(0.0, tick - facts.since)))
        word = "REFUSED" if facts.is_refused else "NO ANSWER"
        lines = [Text(f"!! {word} for {lost}: what is shown are the last figures, {figures}", style="bold red")]
        return [*lines, *(Text(line.plain, style="red") for line in _wrapped(shown(facts.problem), width))]
    is_old = age is not None and age > STALE_AFTER
    return [Text(shown(f"{facts.source}  {'!! ' if is_old else ''}{figures}"), style="bold red" if is_old else "bold")]


def _next(facts: Facts, now: datetime | None) -> Block:
    """What has run out, what runs out next, and how many wait."""
    rows = by_urgency(facts.rows)
    if not rows:
        return [Text("No readings yet: they come with the first tick.")] if facts.heard_at is not None else []
    stopped = [row for row in rows if row["level"] in STOPPED]
    lines = []
    if stopped:
        until = instant(stopped[0]["ends_at"])
        when = f" until {clock(until, stopped[0]['timezone'], now)}" if until and now else ""
        more = f" and {len(stopped) - 1} more" if len(stopped) > 1 else ""
        lines.append(Text(shown(f"!! Stopped: {stopped[0]['limit']}{when}{more}"), style="red"))
    for row in rows:
        forecast = row["forecast"] or {}
        at = instant(forecast.get("exhaustion_at")) if forecast.get("sufficient") else None
        if at and now and at > now and row not in stopped:
            when = clock(at, row["timezone"], now)
            said = f"Next to run out: {row['limit']} in {span(at - now)} ({when} {row['timezone']}), risk {row['risk']}"
            return [*lines, Text(shown(said))]
    is_new = any(row["forecast"] and not row["forecast"]["sufficient"] for row in rows)
    said = "Nothing is known to run out; some limits are too new to tell" if is_new else "All lasts until its reset"
    return [*lines, Text(said)]


def _notices(facts: Facts) -> Block:
    """What keeps everybody waiting, and what figures do not hold yet."""
    lines = []
    if hold := facts.queue.get("hold") or facts.limits.get("hold"):
        by = f" by {hold['who']}" if hold.get("who") else ""
        lines.append(Text(shown(f"!! Everything is held{by}: {hold['reason']}  (H lets it go on)"), style="bold red"))
    breakers = facts.queue.get("breakers") or facts.limits.get("breakers") or ()
    lines += [Text(shown(f"! {breaker['message']}"), style="yellow") for breaker in breakers]
    for source in facts.limits.get("sources", ()):
        if source["catching_up"]:
            lines.append(Text(shown(f"! {source['source']} is still being read: figures grow"), style="yellow"))
    if muted := facts.limits.get("alerts_muted"):
        lines.append(Text(f"{len(muted)} firing alerts reach nobody: see quota-scheduler alerts list", style="dim"))
    return lines


def _panes(
    facts: Facts, view: View, now: datetime | None, *, width: int, room: int | None, zone: str, blocks: bool
) -> Block:
    blocks_by_pane = _blocks(facts, now, width=width, zone=zone, blocks=blocks)
    wants = {pane: sum(map(len, rows)) for pane, rows in blocks_by_pane.items()}
    names = [shown(row["limit"]) for row in facts.rows]
    headers = 1 if names else 0
    rooms = wants if room is None else _shared(wants, room - len(PANES) - headers, view.pane)
    ids, lines = ids_of(facts), []
    for pane in PANES:
        rows = blocks_by_pane[pane]
        at = chosen_row(view, pane, ids[pane]) if rows else 0
        first, last = window([len(row) for row in rows], at, rooms[pane])
        lines.append(_title(pane, first, last, len(rows), width, here=room is not None and pane == view.pane))
        if pane == "limits" and names:
            lines.append(limit_rows.header(width, names))
        for number in range(first, last):
            drawn = [line.copy() for line in rows[number]]
            if room is not None and pane == view.pane and number == at:
                drawn[0] = Text("> ", style="bold").append_text(drawn[0][2:])
            lines += drawn
    return lines


def _blocks(facts: Facts, now: datetime | None, *, width: int, zone: str, blocks: bool) -> dict[str, list[Block]]:
    """The rows of each pane; a row may take several lines."""
    rows = by_urgency(facts.rows)
    names = [shown(row["limit"]) for row in rows]
    waiting = [
        waiting_line({**ticket, "state": state}, facts.tickets.get(ticket["id"]), width, now, zone)
        for state in ("offered", "waiting")
        for ticket in facts.of_queue(state)
    ]
    return {
        "limits": [
            [
                limit_rows.line(row, width, names, now, blocks=blocks),
                *filter(None, [limit_rows.loans_of(row), limit_rows.word_of(row, now)]),
            ]
            for row in rows
        ],
        "waiting": [[line] for line in waiting],
        "running": [[running_line(ticket, width, now, blocks=blocks)] for ticket in facts.of_queue("running")],
        "alerts": [[alert_line(alert, now)] for alert in facts.firing],
    }


def _shared(wants: dict[str, int], room: int, focus: str) -> dict[str, int]:
    """Share the lines of a screen out, one after the other, to whoever has least of what it may have."""
    given = dict.fromkeys(wants, 0)
    weights = {**WEIGHTS, focus: WEIGHTS["limits"]}
    for _ in range(max(0, room)):
        wanting = [pane for pane in wants if given[pane] < wants[pane]]
        if not wanting:
            break
        given[min(wanting, key=lambda pane: given[pane] / weights[pane])] += 1
    return given


def window(heights: Sequence[int], at: int, room: int) -> tuple[int, int]:
    """The rows, from the first to before the last, that fit ``room`` lines and hold the row ``at``."""
    first, lines = 0, sum(heights[: at + 1])
    while first < at and lines > room:
        lines -= heights[first]
        first += 1
    last = min(at + 1, len(heights)) if lines <= room else first
    while last < len(heights) and lines + heights[last] <= room and last > at:
        lines += heights[last]
        last += 1
    return first, last


def _title(pane: str, first: int, last: int, count: int, width: int, *, here: bool) -> Text:
    """The name of a pane with how much of it there is, as a rule over the width."""
    said = f"{count}" if last - first >= count else f"{first + 1}-{last} of {count}"
    said = EMPTY.get(pane, "none yet") if count == 0 else said
    text = f"{'> ' if here else '  '}{TITLES[pane]}  {said} "
    return Text(text + "-" * max(0, width - len(text)), style="bold" if here else "dim")


def _detail(facts: Facts, view: View, width: int) -> Block:
    rows = ids_of(facts)[view.pane]
    if not rows:
        return [Text("Nothing is chosen: Esc goes back.")]
    name = rows[chosen_row(view, view.pane, rows)]
    said: list[str] = []
    if view.pane == "limits":
        said = limit_rows.details(next(row for row in facts.rows if row["limit"] == name))
    elif view.pane == "alerts":
        alert = next(row for row in facts.firing if str(row["id"]) == name)
        said = [shown(f"{alert['rule']} of {alert['scope']}: {alert['severity']}, value {alert['value']:g}.")]
    else:
        tickets = [row for state in ("offered", "waiting", "running") for row in facts.of_queue(state)]
        said = ticket_details(next(row for row in tickets if row["id"] == name), facts.tickets.get(name))
    return [Text(), *(line for text in said for line in _wrapped(text, width)), Text(), Text("Esc goes back.")]


def _help(width: int, *, blocks: bool) -> Block:
    legend = LEGEND.format(**signs(blocks=blocks))
    return [line for text in HELP for line in _wrapped(text.format(legend=legend), width)]


def _wrapped(text: str, width: int) -> list[Text]:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width - 2:
            lines.append(Text(f"  {line}"))
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, Text(f"  {line}")]


def _foot(view: View, width: int) -> Block:
    if view.deed is not None:
        asks = f"{view.deed.asks} y: yes, n: no"
        return [Text(str(line), style="bold reverse") for line in _wrapped(asks, width)]
    if view.note:
        return _wrapped(shown(view.note), width)
    return [Text(KEYS if width >= len(KEYS) else SHORT_KEYS, style="dim")]


def _cut(line: Text, width: int) -> Text:
    line = line.copy()
    line.rstrip()
    line.truncate(width, overflow="ellipsis" if width > 1 else "crop")
    return line
