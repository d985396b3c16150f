"""The body of a ticket as the service takes it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

ISSUE = re.compile(r"([\w.-]+/[\w.-]+)#([1-9]\d{0,8})", re.ASCII)
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
    issue: str = "",
) -> dict[str, Any]:
    """The body of a ticket; what is empty is left out. Raises ValueError for what cannot be meant."""
    labels_named(labels)
    if deadline is not None and deadline.tzinfo is None:
        raise ValueError(f"deadline {deadline} has no time zone: an hour guessed is an hour wrong")
    if tokens is None and not estimate and not describe:
        raise ValueError("say how much it may take: tokens=20_000, estimate={...} or describe={'task_type': 'testing'}")
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
        "github": issue_named(issue) if issue else None,
    }
    return {name: value for name, value in body.items() if value}


def labels_of(ticket: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a body, its model among them."""
    return {**ticket["labels"], **({"model": ticket["model"]} if ticket.get("model") else {})}


def labels_named(labels: Mapping[str, str]) -> dict[str, str]:
    """The same labels. Raises ValueError for one that nobody knows."""
    for name in labels:
        if name not in LABELS:
            raise ValueError(f"there is no label {name!r}: labels are {', '.join(LABELS)}")
    return dict(labels)


def issue_named(text: str) -> dict[str, Any]:
    """The issue or pull request of ``OWNER/NAME#NUMBER``. Raises ValueError for anything else."""
    if not (named := ISSUE.fullmatch(text)):
        raise ValueError(f"issue={text!r} is none: write OWNER/NAME#NUMBER, such as acme/web#12")
    return {"repo": named[1], "issue": int(named[2])}
