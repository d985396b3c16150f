"""What is to be run, and how: the options of ``run`` as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from quota_scheduler.wrapper.outlook import WarnAt

Fail = Literal["open", "closed"]
Read = Literal["auto", "yes", "no"]
TTL_SECONDS = 180
"""A lease whose wrapper was killed ends so much after its last word; it is renewed every third of this."""
GRACE_SECONDS = 600.0
"""A command that does not know of quotas may go on for so long with its step when the quota has ended."""


@dataclass(frozen=True)
class Order:
    """One piece of work. ``wait`` is in seconds, None for as long as it takes. Empty strings say nothing."""

    command: tuple[str, ...]
    key: str
    labels: Mapping[str, str]
    estimate: Mapping[str, Any] = field(default_factory=dict)
    describe: Mapping[str, Any] = field(default_factory=dict)
    priority: str = ""
    model: str = ""
    run: str = ""
    flags: tuple[str, ...] = ()
    deadline: datetime | None = None
    wait: float | None = None
    resume: str = ""
    fail: Fail = "closed"
    patience: float = 15.0
    grace: float = GRACE_SECONDS
    ttl: int = TTL_SECONDS
    read: Read = "auto"
    warn: bool = True
    thresholds: WarnAt = field(default_factory=WarnAt)
    quiet: bool = False
    url: str = ""
    issue: tuple[str, int] | None = None

    def ticket(self, session: str, model: str) -> dict[str, Any]:
        """The ticket as ``POST /v1/tickets`` takes it."""
        body: dict[str, Any] = {
            "key": self.key,
            "labels": dict(self.labels),
            "class": self.priority,
            "estimate": dict(self.estimate),
            "describe": dict(self.describe),
            "model": self.model or model,
            "run": self.run,
            "session": session,
            "flags": list(self.flags),
            "deadline": self.deadline.isoformat() if self.deadline else None,
            "ttl": f"{self.ttl}s",
            "github": {"repo": self.issue[0], "issue": self.issue[1]} if self.issue else None,
        }
        return {name: value for name, value in body.items() if value}
