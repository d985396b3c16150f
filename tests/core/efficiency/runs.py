"""Builders for runs and days of a workflow."""

from datetime import UTC, date, datetime, timedelta

from quota_scheduler.core.efficiency.cache import DayUsage
from quota_scheduler.core.efficiency.runs import RunSummary
from quota_scheduler.core.usage import Usage

TODAY = date(2026, 11, 22)
SINCE = datetime(2026, 11, 22, tzinfo=UTC)


def run(number: int, tokens: int, *flags: str, **changes: object) -> RunSummary:
    values: dict[str, object] = {
        "run": f"r{number}",
        "workflow": "nightly",
        "task_type": "testing",
        "team": "growth",
        "provider": "anthropic",
        "model": "claude-sonnet-5",
        "flags": flags,
        "prompt_versions": (),
        "usage": Usage(input=tokens),
        "started_at": SINCE,
        "last_at": SINCE,
        "status": "completed",
    }
    return RunSummary(**{**values, **changes})  # type: ignore[arg-type]


def day(ago: int, hits_of_million: int, workflow: str = "nightly", scale: int = 1) -> DayUsage:
    usage = Usage(input=(1_000_000 - hits_of_million) // scale, cache_read=hits_of_million // scale)
    return DayUsage(workflow, TODAY - timedelta(days=ago), usage, "anthropic")
