"""A small fleet at work: a past of two weeks, runners of every class, some that wait, overrun, fail or vanish.

What it does makes every figure move that the service exports; nothing here is chance, so that a test can wait for it.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from tests.system.service_process import ServiceProcess
from tests.system.transcripts import Agent

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
CLASSES = ("interactive", "high", "normal", "low")
AT_ONCE = "{for: 0s, keep_firing_for: 0s}"


def config(good: str, bad: str) -> str:
    """Limits of every unit and length, a pool, one that only warns, one receiver that works and one that does not."""
    now = datetime.now(UTC)
    day = f'{{every: day, starts: "{now - DAY / 2:%H:%M}"}}'
    week = f'{{every: week, starts: "{now - 3 * DAY:%A} {now:%H:%M}"}}'.lower()
    return f"""
limits:
  - {{id: anthropic-monthly, match: {{provider: anthropic}}, unit: tokens, amount: 500M, window: month}}
  - {{id: anthropic-weekly, match: {{provider: anthropic}}, unit: tokens, amount: 240M, window: {week}}}
  - {{id: nightly-daily, match: {{workflow: nightly}}, unit: tokens, amount: 6M, window: {day}}}
  - {{id: spend, match: {{provider: anthropic}}, unit: usd, amount: 10000, window: {week}}}
  - {{id: marketing, match: {{team: [growth, content]}}, unit: usd, amount: 100, window: {day}}}
  - {{id: team-daily, match: {{team: [growth, content]}}, per: team, unit: usd, amount: 40, window: {day},
     parent: marketing, borrow: 10}}
  - {{id: calls, match: {{provider: openai}}, unit: requests, amount: 1500, window: {day}}}
  - {{id: burst, match: {{provider: openai}}, unit: tokens, amount: 50M, window: {{session: 4s}}}}
  - {{id: openai-runs, match: {{provider: openai}}, unit: leases, amount: 3}}
  - {{id: plan, match: {{account: max-1}}, unit: percent, amount: 100, window: {{session: 5h}},
     observed: claude/five_hour}}
  - {{id: strict, match: {{team: content}}, unit: tokens, amount: 1M, window: {day}, mode: warn}}
  - {{id: run-cap, per: run, unit: tokens, amount: 3M, window: run, mode: warn}}
receivers:
  - {{id: ops, url: "{good}"}}
  - {{id: pager, url: "{bad}"}}
alerts:
  rules:
    usage_high: {AT_ONCE}
    usage_nearly_exhausted: {AT_ONCE}
    exhausted: {AT_ONCE}
"""


def past(home: Path) -> None:
    """Transcripts of the sixteen days before today: two workflows, cached well."""
    for age in range(1, 17):
        for number, (workflow, tokens) in enumerate((("nightly", 1_500_000), ("site", 900_000))):
            name, cwd = f"{workflow}-{age}", f"/srv/work/{workflow}"
            agent = Agent(home, name, cwd=cwd, seed=number)
            for hours in (1, 9, 13):
                wobble = 1 + 0.1 * ((age * 7 + hours) % 5)
                kinds = {"input": int(tokens * 0.02 * wobble), "cache_read": int(tokens * wobble)}
                agent.spend(ago=age * DAY - hours * DAY / 24, cache_write_5m=20_000, output=9_000, **kinds)


class Fleet:
    """Runners of one service, moved on by ``round``."""

    def __init__(self, service: ServiceProcess, home: Path, *, first: int = 0) -> None:
        self.service, self.home = service, home
        self.held: list[dict[str, Any]] = []
        self.big: list[dict[str, Any]] = []
        self._keys = count(first)
        self._agent = Agent(home, "nightly-today")
        self._site = Agent(home, "site-today", cwd="/srv/work/site")
        self._resets = datetime.now(UTC) + 2 * HOUR

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.service.ask(method, path, body)
        assert reply.status == 200, reply
        return reply.body

    def submit(self, tokens: int, *, provider: str, ttl: int = 600, **more: Any) -> dict[str, Any]:
        """Ask to run."""
        labels = {"provider": provider, "model": more.pop("model", "claude-sonnet-5")} | more.pop("labels", {})
        key = f"fleet-{next(self._keys)}"
        body = {"key": key, "labels": labels, "estimate": {"output": tokens}, "run": key, "ttl": ttl}
        found: dict[str, Any] = self._ask("POST", "/v1/tickets", body | more)
        return found

    def finish(self, ticket: dict[str, Any], tokens: int, status: str = "completed") -> None:
        """End a run."""
        assert ticket["state"] == "running", ticket
        lease = ticket["lease"]
        usage = {"input": tokens // 10, "cache_read": tokens // 2, "output": tokens - tokens // 10 - tokens // 2}
        self._ask("POST", f"/v1/leases/{lease['id']}/release", self._report(lease, usage) | {"status": status})

    def renew(self, ticket: dict[str, Any], tokens: int) -> None:
        """Tell how much a run has used."""
        self._ask(
            "POST", f"/v1/leases/{ticket['lease']['id']}/renew", self._report(ticket["lease"], {"output": tokens})
        )

    @staticmethod
    def _report(lease: dict[str, Any], usage: dict[str, int]) -> dict[str, Any]:
        return {"fence": lease["fence"], "usage": usage}

    def morning(self) -> None:
        """What was before today's work: a limit that will not last, runs with an optimization and without, failures."""
        self._agent.spend(cache_read=5_400_000, output=2_000)
        labels = {"workflow": "docs", "task_type": "documentation"}
        for number in range(8):
            for flags, tokens in (((), 40_000), (("batching",), 26_000), (("context_pruning",), 34_000)):
                ticket = self.submit(tokens, provider="anthropic", labels=labels, flags=list(flags))
                failed = number == 7 and flags != ("batching",)
                self.finish(ticket, tokens + 900 * number, "failed" if failed else "completed")

    def mishaps(self) -> None:
        """What an operator wants to see: clocks ahead, unknown models, late and huge usage, lines that are garbled."""
        now = datetime.now(UTC)
        huge = {"task_type": "analysis", "workflow": "migration", "team": "content"}
        odd: list[tuple[str, dict[str, Any]]] = [
            ("skewed", {"at": now + timedelta(minutes=10)}),
            ("unpriced", {"model": "model-of-tomorrow", "output": 5_000}),
            (
                "huge",
                {"run": "huge", "output": 3_200_000, "labels": huge},
            ),
        ]
        for key, changes in odd:
            self.use(key, **changes)
        path = self._site.session.path
        self._site.spend(cache_read=300_000, output=500)
        with path.open("ab") as file:
            file.write(b'{"type":"assistant","requestId":"r","message":{"id":"m","usage":{"input_tokens":\n')
        for step in range(12):
            self.plan(step, ago=(60 - 4 * step) * MINUTE)

    def plan(self, step: int, *, ago: timedelta = timedelta(0)) -> None:
        """A dollar of a plan is used, and its provider says so: two points more, with a reset that jitters."""
        at = datetime.now(UTC) - ago
        spent = {"provider": "anthropic", "model": "claude-sonnet-5", "labels": {"account": "max-1"}}
        self.use(f"plan-{next(self._keys)}", at=at, output=100, cost_usd=1, **spent)
        said = {"provider": "anthropic", "account": "max-1", "window": "five_hour", "used_ratio": min(0.02 * step, 0.5)}
        jitter = (step % 3 - 1) * timedelta(seconds=40)
        times = {"resets_at": (self._resets + jitter).isoformat(), "observed_at": (at + MINUTE / 2).isoformat()}
        self._ask("POST", "/v1/observations", said | times)

    def hidden(self, number: int) -> None:
        """What a session used beyond its calls (titles, compaction): its own total says so, and grows."""
        used = {"claude-haiku-4-5": {"inputTokens": 1_000 * (number + 1), "outputTokens": 90 * (number + 1)}}
        line = {"type": "cost-state", "sessionId": "site-today", "modelUsage": used}
        with self._site.session.path.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")

    def use(self, key: str, *, at: datetime | None = None, **changes: Any) -> None:
        """Usage that comes over HTTP."""
        instant = (at or datetime.now(UTC)).isoformat()
        event = {"provider": "openai", "key": key, "at": instant, "model": "gpt-5", "output": 2_000}
        self._ask("POST", "/v1/usage", [event | changes])

    def round(self, number: int) -> None:
        """A moment of work: calls, runs that start and end, tickets that wait for them."""
        self._agent.spend(input=900, cache_read=45_000, cache_write_5m=2_000, cache_write_1h=500, output=1_500)
        self._site.spend(input=4_000, cache_read=16_000, output=700)
        self.hidden(number)
        if number % 20 == 0:
            self.plan(12 + number // 20)
        team = ("growth", "content")[number % 2]
        self.use(f"call-{number}-{next(self._keys)}", labels={"team": team}, input=3_000, cache_read=9_000)
        self.use(f"late-{next(self._keys)}", at=datetime.now(UTC) - timedelta(seconds=9), output=100)
        self._ask_for_room(number)
        self._let_go(number)

    def _ask_for_room(self, number: int) -> None:
        priority = CLASSES[number % len(CLASSES)]
        labels = {"team": ("growth", "content")[number % 2], "task_type": ("testing", "review")[number % 2]}
        if len(self.held) < 9:
            more = {"labels": labels, "class": priority}
            self.held.append(self.submit(60_000, provider="openai", model="gpt-5", **more))
        if number % 10 == 0:
            self.submit(50_000, provider="anthropic", ttl=1, labels={"workflow": "site"})
            waits = {"class": ("low", "interactive")[number // 10 % 2], "labels": {"workflow": "nightly"}}
            self.big.append(self.submit(3_000_000, provider="anthropic", **waits))
        if len(self.big) > 3:
            self._ask("DELETE", f"/v1/tickets/{self.big.pop(0)['id']}")

    def _let_go(self, number: int) -> None:
        """End the oldest run when there are enough; whoever is offered its place takes it."""
        self.held = [self._ask("GET", f"/v1/tickets/{ticket['id']}") for ticket in self.held]
        running = [ticket for ticket in self.held if ticket["state"] == "running"]
        if running and number % 3 == 1:
            self.renew(running[-1], 75_000)
        if len(running) > 2 and number % 2:
            self.finish(running[0], 52_000 + 900 * (number % 7), "failed" if number % 9 == 5 else "completed")
            self.held.remove(running[0])


def work(fleet: Fleet, enough: Callable[[int], bool]) -> None:
    """Rounds until it is enough."""
    for number in count():
        fleet.round(number)
        if enough(number):
            return
