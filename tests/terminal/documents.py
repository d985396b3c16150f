"""Documents as the service answers them, for pictures."""

from typing import Any

NOW = "2026-11-24T12:00:00Z"


def limit(name: str, **more: Any) -> dict[str, Any]:
    """A token limit of 100 from Monday to Monday, of which 40 are used and 10 reserved; it lasts."""
    return {
        "limit": name, "unit": "tokens", "period": "week", "timezone": "Europe/Berlin", "mode": "enforce",
        "amount": 100, "used": 40, "reserved": 10, "usage_ratio": 0.4, "leases": 0, "level": "open", "risk": "low",
        "starts_at": "2026-11-22T23:00:00Z", "ends_at": "2026-11-29T23:00:00Z", "waiting": [], "observed": None,
        "forecast": forecast(), "spent_by": "", "runs_remaining": None, **more,
    }  # fmt: skip


def forecast(**more: Any) -> dict[str, Any]:
    """60 by the reset, 80 at worst."""
    return {
        "sufficient": True, "expected": 60, "expected_ratio": 0.6, "p80": 70, "high": 80, "exhaustion_at": None,
        "explained": ["60 expected."], **more,
    }  # fmt: skip


def ticket(number: int, **more: Any) -> dict[str, Any]:
    """A ticket that waits since ten minutes."""
    return {
        "position": number, "id": f"t{number}", "key": f"key{number}", "class": "low", "reason": "exhausted",
        "since": "2026-11-24T11:50:00Z", "expires_at": "2026-11-24T12:05:00Z", "tokens": 200_000, "on_hold": False,
        "labels": {"provider": "anthropic", "workflow": f"work{number}"}, **more,
    }  # fmt: skip


def alert(number: int, **more: Any) -> dict[str, Any]:
    """An alert that fires since ten minutes."""
    return {
        "id": number, "rule": "usage_high", "scope": "weekly", "phase": "firing", "severity": "warning", "value": 0.8,
        "since": "2026-11-24T11:50:00Z", "acknowledged_by": None, "silenced_by": [], **more,
    }  # fmt: skip
