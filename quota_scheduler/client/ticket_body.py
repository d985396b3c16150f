"""The body of a ticket as the service takes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

LABELS = ("provider", "account", "team", "project", "workflow", "task_type", "agent")


def ticket_body(
    key: str,
    provider: str,
    tokens: int | str | None,
    estimate: Mapping[str, Any] | None,
    describe: Mapping[str, Any] | None,
    priority: str | None,
    model: str,
    run: str,
    session: str,
    flags: Sequence[str],
    deadline: datetime | None,
    ttl: timedelta,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """The body of a ticket; what is empty is left out. Raises ValueError for a label nobody knows."""
    for name in labels:
        if name not in LABELS:
            raise ValueError(f"there is no label {name!r}: labels are {', '.join(LABELS)}")
    if deadline is not None and deadline.tzinfo is None:
        raise ValueError(f"deadline {deadline} has no time zone: an hour guessed is an hour wrong")
    told = {"tokens": tokens} if tokens is not None else dict(estimate or {})
    body: dict[str, Any] = {
        "key": key,
        "labels": {"provider": provider, **{name: value for name, value in labels.items() if value}},
        "class": priority,
        "estimate": told or None,
        "describe": dict(describe) if describe else None,
        "model": model,
        "run": run,
        "session": session,
        "flags": list(flags),
        "deadline": deadline.isoformat() if deadline else None,
        "ttl": f"{ttl.total_seconds():.0f}s",
    }
    return {name: value for name, value in body.items() if value}


def labels_of(ticket: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a body, its model among them."""
    return {**ticket["labels"], **({"model": ticket["model"]} if ticket.get("model") else {})}
