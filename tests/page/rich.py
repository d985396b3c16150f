"""A service that has something of everything the page shows, and all of it at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.page.seen import Seen, seen_in
from tests.shell.edge import event, ticket

LIMITS = """
timezone: Europe/Berlin
limits:
  - {id: weekly, match: {provider: anthropic}, unit: tokens, amount: 40M,
     window: {every: week, timezone: America/New_York}}
  - {id: spent, match: {provider: openai}, unit: tokens, amount: 1500, window: week, holdback: 0}
  - {id: money, unit: usd, amount: 1500, window: month}
  - {id: session, match: {provider: anthropic}, unit: tokens, amount: 900k, window: {session: 5h}}
  - {id: calls, match: {provider: anthropic}, per: team, unit: requests, amount: 40, window: day, mode: warn}
  - {id: runs, match: {provider: anthropic}, unit: leases, amount: 3}
  - {id: plan, match: {account: max-1}, unit: percent, amount: 100,
     window: {session: 5h}, observed: claude/five_hour}
  - {id: pool, match: {provider: mistral}, unit: tokens, amount: 3000, window: week, holdback: 0}
  - {id: part, match: {provider: mistral}, per: team, unit: tokens, amount: 1000, window: week,
     holdback: 0, parent: pool, borrow: 1000}
sources: {claude_code: {enabled: false}}
"""
TEAMS = ("growth", "platform", "research")
PRICED = "claude-haiku-4-5"


def history(now: datetime) -> list[dict[str, Any]]:
    """Two weeks and a day: three teams, two workflows, of one the tokens double in the second week."""
    events = []
    for number in range(15 * 6):
        at = now - timedelta(hours=4 * number + 1)
        workflow = ("nightly", "review")[number % 2]
        recent = number < 7 * 6
        labels = {"team": TEAMS[number % 3], "workflow": workflow}
        tokens = 61_234 * (2 if recent and workflow == "nightly" else 1)
        events.append(
            event(
                f"h{number}", tokens, at=f"{at:%Y-%m-%dT%H:%M:%SZ}", labels=labels, run=f"{workflow}-{number // 4}",
                model=PRICED, cache_read=tokens * (3 if recent else 1), input=tokens,
            )
        )  # fmt: skip
    return events


def other(key: str, tokens: int, at: datetime, provider: str, **labels: str) -> dict[str, Any]:
    """Usage of another provider."""
    return {"provider": provider, "key": key, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "output": tokens, "labels": labels}


def asks(number: int, tokens: int, priority: str, provider: str = "anthropic", **labels: str) -> dict[str, Any]:
    """A ticket of somebody."""
    return ticket(f"k{number}", tokens, labels={"provider": provider, **labels}, **{"class": priority})


@contextmanager
def rich_in(folder: Path) -> Iterator[Seen]:
    """The service, until the block ends."""
    with seen_in(folder, LIMITS) as service:
        now = datetime.now(UTC).replace(microsecond=0)
        service.ask("POST", "/v1/usage", history(now))
        lately = now - timedelta(seconds=5)
        service.ask("POST", "/v1/usage", [
            other("o1", 2_000, lately, "openai"), other("m1", 1_400, lately, "mistral", team="research"),
            other("m2", 10, lately, "mistral", team="growth"),
        ])  # fmt: skip
        service.ask("POST", "/v1/tickets", [
            *(asks(n, 1_000 * n, "normal", team=TEAMS[n % 3], workflow="review") for n in range(1, 6)),
            *(asks(n, 120_000, "low", team="growth", workflow="nightly") for n in range(6, 30)),
            asks(30, 100, "interactive", "openai", team="growth"),
        ])  # fmt: skip
        service.ask(
            "POST",
            "/v1/observations",
            {"provider": "claude", "window": "five_hour", "account": "max-1", "used_percent": 41},
        )
        service.tick()
        service.ask("POST", "/v1/tickets/t6/hold", {"on": True, "reason": "not today"})
        service.ask("PATCH", "/v1/tickets/t7", {"class": "normal"})
        service.ask("PATCH", "/v1/limits/money", {"amount": "$1600"})
        firing = [one for one in service.ask("GET", "/v1/alerts")["alerts"] if one["phase"] == "firing"]
        service.ask("POST", f"/v1/alerts/{firing[0]['id']}/ack", {})
        matchers = {"rule": firing[-1]["rule"], "scope": firing[-1]["scope"]}
        service.ask("POST", "/v1/silences", {"matchers": matchers, "for": "4h", "comment": "known"})
        service.ask("POST", "/v1/hold", {"on": True, "reason": "a deploy"})
        service.tick()
        yield service
