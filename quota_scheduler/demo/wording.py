"""The demo in words: each line of what happens is made of the service's own figures."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from quota_scheduler.demo.events import Event
from quota_scheduler.demo.world import HISTORY, RUNNERS, SESSION_TOKENS, WINDOW

TEAMS = sorted({runner.team for runner in RUNNERS})
FIRST = (
    f"Quota Scheduler, the demo: {len(RUNNERS)} runners of {len(TEAMS)} teams ({', '.join(TEAMS)}) against a real "
    "service of their own. Starting…"
)
SHOWN_STARTS = 6
"""Starts of a reset that are named; the rest are counted."""


def ready(url: str, has_page: bool, tokens: int, window: timedelta) -> str:
    """What to look at, and when something happens; ``tokens`` is what three weeks of history add up to."""
    page = f"  page     {url}/" if has_page else f"  API      {url}/docs"
    pace, seconds = window / WINDOW, window.total_seconds()
    first, second, third, fourth, last = (_minutes(moment * pace) for moment in (1, 3, 5, 20, 30))
    return f"""
{page}
  metrics  {url}/metrics

A window of {_tokens(SESSION_TOKENS)} tokens lasts {seconds:g} s here in place of five hours, and the runners
want more than that. The service has read {HISTORY.days} days of their past ({_tokens(tokens)} tokens), and forecasts
from it. What to watch (m:ss):

  {first}  low work waits for what more important work is expected to need, and is told when it will start
  {second}  a team borrows from the others; the loan is paid back when its runs settle, or with its window
  {third}  usage rises, and the fan of its forecast narrows towards the reset
  {fourth}  an alert fires before the window is full, and resolves after the reset
  {last}  the reset wakes the queue: who waits starts in order, one shortly after another; then all over again

Every line below is what the service answered. Ctrl-C ends it all, and nothing stays behind.
"""


def last(kept: Path | None) -> str:
    """The last line."""
    return f"\nEnded; everything lies in {kept}." if kept else "\nEnded, and everything is removed."


def line(seconds: float, event: Event) -> str:
    """One event for people, ``seconds`` after the runners began."""
    return f"{_minutes(seconds)}  {_text(event)}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02}"


def _text(event: Event) -> str:
    facts = event.facts
    match event.kind:
        case "usage":
            return (
                f"usage     {_of(facts)} used; {_tokens(facts['expected'])} expected by {_clock(facts['ends_at'])}, "
                f"between {_tokens(facts['low'])} and {_tokens(facts['high'])}"
            )
        case "fan":
            (low, high), (low_now, high_now) = facts["before"], facts["now"]
            return (
                f"forecast  the fan has narrowed, from {_tokens(high - low)} tokens between low and high "
                f"to {_tokens(high_now - low_now)}"
            )
        case "deferred":
            return f"waits     {_runner(facts)}: {_deferral(facts)}"
        case "started":
            return f"starts    {_runner(facts)} after {facts['waited_seconds']:.0f} s: there is room for it now"
        case "alert_fired":
            return f"alert     {facts['rule']} of {facts['scope']} fires ({facts['severity']}) at {facts['value']:.0%}"
        case "alert_resolved":
            return f"alert     {facts['rule']} of {facts['scope']} is resolved"
        case "reset":
            return f"reset     the window is over with {_of(facts)} used; {facts['waiting']} were waiting"
        case "woken":
            return f"wakes     {_starts(facts)}"
        case "loan":
            return f"loan      {_loans(facts['loans'], 'borrows', 'from', begin=True)}"
        case "repaid":
            return f"loan      {_loans(facts['loans'], 'has paid', 'back to')}"


ENDED = {None: "", "repaid": ": its runs took less than they had reserved", "window": " with the end of its window"}
"""How loans end."""
REASONS = {
    "paced": "what is left of {limit} is kept for more important work that is expected",
    "no_headroom": "{limit} has no room for it",
    "exhausted": "{limit} is used up",
}
"""Why work waits, by the service's code; others stand as they are."""


def _runner(facts: dict[str, Any]) -> str:
    return f"{facts['key'].split()[0]} ({facts['class']})"


def _loans(rows: list[dict[str, Any]], verb: str, whom: str, *, begin: bool = False) -> str:
    """Loans that began or ended in one moment, those of a borrower together."""
    sums: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for row in rows:
        ended = None if begin else row["ended"]
        sums.setdefault((row["borrower"], ended), []).append(row)
    return "; ".join(
        f"{_who(borrower)} {verb} {_tokens(sum(row['most'] for row in mine))} {whom} "
        f"{' and '.join(sorted({_who(row['lender']) for row in mine}))}{ENDED[ended]}"
        for (borrower, ended), mine in sums.items()
    )


def _deferral(facts: dict[str, Any]) -> str:
    expected = facts["expected_start"]
    low, middle, high = (_clock(expected[name]) for name in ("low", "expected", "high"))
    span = f", between {low} and {high}" if low != high else ""
    why = REASONS.get(facts["reason"], facts["reason"]).format(limit=" and ".join(facts["limits"]) or "its limits")
    return f"{why}; it is expected to start at {middle}{span}"


def _starts(facts: dict[str, Any]) -> str:
    starts = facts["starts"]
    shown = ", ".join(f"{start['key'].split()[0]} +{start['after_seconds']:.3f} s" for start in starts[:SHOWN_STARTS])
    more = f" and {len(starts) - SHOWN_STARTS} more" if len(starts) > SHOWN_STARTS else ""
    return f"{len(starts)} started one after another since the reset: {shown}{more}; {facts['waiting']} wait on"


def _who(name: str) -> str:
    return name.partition("/")[2] or "the common rest"


def _of(facts: dict[str, Any]) -> str:
    return f"{_tokens(facts['used'])} of {_tokens(facts['amount'])}"


def _clock(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%H:%M:%S}"


def _tokens(amount: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size:
            return f"{amount / size:.3g}{unit}" if amount < 100 * size else f"{amount / size:.0f}{unit}"
    return f"{amount:.0f}"
