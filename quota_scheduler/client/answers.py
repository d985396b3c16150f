"""What the service answers, as values. Unknown fields are ignored, so that a newer service can be asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Verdict = Literal["admit", "defer", "reject"]
AtLimit = Literal["fallback", "block", "go_on"]
OptimizationLevel = Literal["minimal", "balanced", "aggressive", "emergency"]


@dataclass(frozen=True)
class Decision:
    """What was decided about a ticket, or would be.

    ``until`` is when it is tried again, ``expected_start`` when it is expected to start, ``position`` its place in line
    from 1. ``model`` is advised instead of the one asked for, None where nothing is. ``answer`` is everything.
    """

    verdict: Verdict | None
    reason: str
    message: str
    state: str
    until: datetime | None = None
    position: int | None = None
    expected_start: datetime | None = None
    optimization_level: str = "minimal"
    model: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def fits(self) -> bool:
        """Whether it may start now."""
        return self.verdict == "admit"


@dataclass(frozen=True)
class Budget:
    """One limit as it stands; amounts are in ``unit``. ``remaining`` may be negative, and then says by how much.

    ``warn_at`` (0-1) and ``at_limit`` are what the service is configured to have trackers do, None where it is not.
    """

    limit: str
    unit: str
    amount: float
    used: float
    reserved: float
    remaining: float
    resets_at: datetime | None
    warn_at: float | None = None
    at_limit: AtLimit | None = None


@dataclass(frozen=True)
class UsageRow:
    """Usage of one group of a report: ``by`` has the values that it was grouped by."""

    by: Mapping[str, str]
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    requests: int
    cost_usd: float

    @property
    def tokens(self) -> int:
        """All kinds together."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.output


KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


def decision_in(answer: Mapping[str, Any]) -> Decision:
    """The decision in a ticket's or preflight's answer."""
    expected = answer.get("expected_start") or {}
    advice = answer.get("advice") or {}
    return Decision(
        verdict=answer.get("verdict"),
        reason=str(answer.get("reason") or ""),
        message=str(answer.get("message") or ""),
        state=str(answer.get("state") or ""),
        until=instant_in(answer.get("until")),
        position=answer.get("position"),
        expected_start=instant_in(expected.get("expected") if isinstance(expected, Mapping) else expected),
        optimization_level=str(advice.get("optimization_level") or "minimal"),
        model=advice.get("model"),
        answer=answer,
    )


def budget_in(row: Mapping[str, Any]) -> Budget:
    """A limit as ``GET /v1/limits`` has it."""
    return Budget(
        limit=row["limit"],
        unit=row["unit"],
        amount=row["amount"],
        used=row["used"],
        reserved=row["reserved"],
        remaining=row["headroom"],
        resets_at=instant_in(row.get("ends_at")),
        warn_at=share_in(row.get("warn_at")),
        at_limit=at_limit_in(row.get("at_limit")),
    )


def share_in(value: Any) -> float | None:
    """A share (0-1), as ``0.8`` or ``80%``; None for none."""
    if isinstance(value, str) and value.endswith("%"):
        return float(value[:-1]) / 100
    return float(value) if isinstance(value, int | float) else None


def at_limit_in(value: Any) -> AtLimit | None:
    """What trackers do when nothing fits any more; None where nothing is configured, or something newer is."""
    return value if value in ("fallback", "block", "go_on") else None


def usage_in(row: Mapping[str, Any], by: tuple[str, ...]) -> UsageRow:
    """A row of ``GET /v1/usage/summary``."""
    kinds = {kind: int(row.get(kind, 0)) for kind in KINDS}
    values = {name: str(row.get(name, "")) for name in by}
    return UsageRow(by=values, requests=int(row.get("requests", 0)), cost_usd=float(row.get("cost_usd", 0)), **kinds)


def instant_in(text: Any) -> datetime | None:
    """An instant, None for none."""
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None
