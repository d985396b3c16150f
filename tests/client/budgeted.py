"""A team with ten dollars a day: what it has used by the ledger, and how it comes to have used so much."""

import time

from quota_scheduler.client import Client

CONFIG = """
limits:
  - {id: team-daily, per: team, unit: usd, amount: 10, window: day, holdback: 0}
models:
  fallback: [claude-opus-4-5, claude-sonnet-4-5, claude-haiku-4-5]
"""
OPUS, SONNET, HAIKU = "claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"


def used_by(client: Client, team: str) -> dict[str, int] | None:
    """What the ledger has of a team, by kind."""
    rows = [row for row in client.usage_report(by=["team"]) if row.by["team"] == team]
    if not rows:
        return None
    (row,) = rows
    return {"input": row.input, "read": row.cache_read, "write": row.cache_write_5m, "output": row.output,
            "calls": row.requests}  # fmt: skip


def spend(client: Client, team: str, dollars: float) -> None:
    """Let a team have used so much today."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {"provider": "anthropic", "key": f"{team}-{dollars}", "at": now, "model": HAIKU, "input": 1,
             "cost_usd": dollars, "labels": {"team": team}}  # fmt: skip
    assert client.record(event)["accepted"] == 1


def seen(client: Client, team: str, share: float) -> None:
    """Wait until the readings have it."""
    deadline = time.monotonic() + 20
    while (budget := client.remaining_budget(team)) is None or budget.used / budget.amount < share:
        assert time.monotonic() < deadline
        time.sleep(0.02)
