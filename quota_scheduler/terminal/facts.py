"""What the service said last, and what o'clock it is there: a clock that is stepped here changes no figure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.instants import parse_instant

Document = dict[str, Any]
NOT_ASKED: Mapping[str, Document] = {}
STALE_AFTER = timedelta(seconds=90)
"""Figures older than this are marked: one and a half of the slowest tick (60 s)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The answers of ``/v1/limits``, ``/v1/queue`` and ``/v1/alerts``, and of single tickets by id.

    ``heard_at`` is the monotonic second at which they came, None before the first; ``problem`` is why the newest
    question was not answered, ``is_refused`` that the service did answer, and refused it (a token that is not valid any
    more), and ``since`` the monotonic second of the first such question.
    """

    source: str
    limits: Document = field(default_factory=dict)
    queue: Document = field(default_factory=dict)
    alerts: Document = field(default_factory=dict)
    tickets: Mapping[str, Document] = field(default_factory=lambda: NOT_ASKED)
    heard_at: float | None = None
    problem: str = ""
    since: float = 0.0
    is_refused: bool = False

    def now(self, tick: float) -> datetime | None:
        """What o'clock it is for the service at the monotonic second ``tick``; None before it said so."""
        said = self.queue.get("at") or self.limits.get("at")
        if not said or said == "never" or self.heard_at is None:
            return None
        return parse_instant(said) + timedelta(seconds=max(0.0, tick - self.heard_at))

    def age(self, tick: float) -> timedelta | None:
        """How old the figures are, by the service's own clock; below nothing where that was set back."""
        now, at = self.now(tick), self.limits.get("at")
        return now - parse_instant(at) if now and at and at != "never" else None

    @property
    def rows(self) -> list[Document]:
        """The limits."""
        return list(self.limits.get("limits", ()))

    def of_queue(self, state: str) -> list[Document]:
        """The tickets that are ``waiting``, ``offered`` or ``running``."""
        return list(self.queue.get(state, ()))

    @property
    def firing(self) -> list[Document]:
        """Alerts that fire, the most severe first."""
        alerts = [alert for alert in self.alerts.get("alerts", ()) if alert["phase"] == "firing"]
        return sorted(alerts, key=lambda alert: (SEVERITIES.get(alert["severity"], 9), alert["since"]))


SEVERITIES = {"critical": 0, "page": 0, "warning": 1, "ticket": 1, "info": 2}
"""What comes first in a list of alerts."""
