"""What happened between two looks at the service: everything told is read from its answers.

Sight, Sight … ──Story──► usage, fan, deferred, started, alert_fired, alert_resolved, reset, woken, loan, repaid
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from quota_scheduler.demo.looking import Row, Sight

Kind = Literal[
    "usage", "fan", "deferred", "alert_fired", "alert_resolved", "reset", "woken", "loan", "repaid", "started"
]
SESSION = "session"
STEPS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the window at which usage is worth a line."""
TIGHTENED = 0.6
"""Of its first width: a fan that has come down to so much is told of."""
AFTER_RESET = timedelta(seconds=1.5)
"""Starts within this time of a reset are its doing."""
LONG = timedelta(seconds=4)
"""Whoever of class low has waited so long is worth a line when it starts."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; ``facts`` as the service had them."""

    kind: Kind
    at: datetime
    facts: dict[str, Any]


@dataclass(slots=True)
class Story:
    """Remembers what has been told, so that each thing is told once."""

    _before: Sight | None = None
    _step: int = 0
    _fan: tuple[float, float] | None = None
    _tightened: bool = False
    _window_ends: datetime | None = None
    _deferred: set[str] = field(default_factory=set)
    _waited: dict[str, datetime] = field(default_factory=dict)
    _alerts: dict[int, str] = field(default_factory=dict)
    _loans: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    _reset_at: datetime | None = None
    _crowd: dict[str, datetime] = field(default_factory=dict)

    def tell(self, look: Sight) -> list[Event]:
        """What has happened since the look before."""
        events = [
            *self._usage(look),
            *self._queue(look),
            *self._alert_changes(look),
            *self._loan_changes(look),
        ]
        self._before = look
        return events

    def _usage(self, look: Sight) -> Iterator[Event]:
        row = look.limits.get(SESSION)
        if row is None or row["forecast"] is None:
            return
        full = self._before.limits[SESSION] if self._before else row
        if self._window_ends is not None and look.at >= self._window_ends and row["used"] < full["used"]:
            self._reset_at, self._window_ends = self._window_ends, None
            self._step, self._fan, self._tightened = 0, None, False
            yield Event("reset", self._reset_at, {"waiting": len(self._waited), **_standing(full)})
        if not row["used"]:
            return
        self._window_ends = datetime.fromisoformat(row["ends_at"])
        passed = sum(row["usage_ratio"] >= step for step in STEPS)
        if passed > self._step:
            self._step = passed
            yield Event("usage", look.at, _standing(row))
        yield from self._fan_change(row, look)

    def _fan_change(self, row: Row, look: Sight) -> Iterator[Event]:
        forecast = row["forecast"]
        low, high = forecast["low"], forecast["high"]
        if self._fan is None:
            self._fan = low, high
        wide = self._fan[1] - self._fan[0]
        if not self._tightened and wide > 0 and high - low <= TIGHTENED * wide:
            self._tightened = True
            yield Event("fan", look.at, {"before": list(self._fan), "now": [low, high], **_standing(row)})

    def _queue(self, look: Sight) -> Iterator[Event]:
        for name, ticket in look.tickets.items():
            expected = ticket.get("expected_start")
            if ticket["state"] == "waiting" and expected and name not in self._deferred:
                self._deferred.add(name)
                if len(self._deferred) <= 2 or not len(self._deferred) % 4:
                    yield Event("deferred", look.at, _deferral(ticket))
        yield from self._woken(look)

    def _woken(self, look: Sight) -> Iterator[Event]:
        """Those who had waited and started just after a reset, together, when all have had the time to."""
        ends = self._reset_at or self._window_ends
        for row in look.running:
            since, waited_since = datetime.fromisoformat(row["since"]), self._waited.get(row["id"])
            if waited_since is None:
                continue
            if ends is not None and ends <= since <= ends + AFTER_RESET:
                self._crowd[row["key"]] = since
            elif row["class"] == "low" and since - waited_since >= LONG:
                yield Event("started", since, _who(row) | {"waited_seconds": (since - waited_since).total_seconds()})
        self._waited = {row["id"]: datetime.fromisoformat(row["since"]) for row in look.waiting}
        if self._reset_at is not None and look.at >= self._reset_at + AFTER_RESET:
            starts = [
                {"key": key, "after_seconds": round((at - self._reset_at).total_seconds(), 3)}
                for at, key in sorted((at, key) for key, at in self._crowd.items())
            ]
            yield Event("woken", self._reset_at, {"starts": starts, "waiting": len(look.waiting)})
            self._reset_at, self._crowd = None, {}

    def _alert_changes(self, look: Sight) -> Iterator[Event]:
        for row in look.alerts:
            if row["scope"] != SESSION:
                continue  # those of the teams say the same a moment earlier or later; the page has them
            phase, before = row["phase"], self._alerts.get(row["id"])
            self._alerts[row["id"]] = phase
            if phase == "firing" and before != "firing":
                yield Event("alert_fired", datetime.fromisoformat(row["fired_at"]), _alert(row))
            elif phase == "resolved" and before == "firing":
                yield Event("alert_resolved", datetime.fromisoformat(row["resolved_at"]), _alert(row))

    def _loan_changes(self, look: Sight) -> Iterator[Event]:
        """Loans that began, and loans that ended, together."""
        names = {(row["lender"], row["borrower"], row["since"]): row for row in look.loans}
        begun = [row for name, row in names.items() if name not in self._loans]
        borrowers = {row["borrower"] for row in begun}
        ended = [
            row
            for name, row in names.items()
            if row["ended"] and not self._loans.get(name) and row["borrower"] not in borrowers
        ]  # else the debt is only owed to somebody else from now on
        self._loans = {name: bool(row["ended"]) for name, row in names.items()}
        if begun:
            yield Event("loan", look.at, {"loans": begun})
        if ended:
            yield Event("repaid", look.at, {"loans": ended})


def _standing(row: Row) -> dict[str, Any]:
    forecast = row["forecast"]
    return {
        "limit": row["limit"], "used": row["used"], "amount": row["amount"], "ends_at": row["ends_at"],
        "low": forecast["low"], "expected": forecast["expected"], "high": forecast["high"],
    }  # fmt: skip


def _deferral(ticket: Row) -> dict[str, Any]:
    return {
        "key": ticket["key"], "class": ticket["class"], "reason": ticket["reason"], "message": ticket["message"],
        "position": ticket["position"], "limits": [row["limit"] for row in ticket["binding"]],
        "expected_start": ticket["expected_start"],
    }  # fmt: skip


def _who(row: Row) -> dict[str, Any]:
    return {"key": row["key"], "class": row["class"]}


def _alert(row: Row) -> dict[str, Any]:
    return {
        "rule": row["rule"], "scope": row["scope"], "severity": row["severity"], "value": row["value"],
        "fired_at": row["fired_at"], "resolved_at": row["resolved_at"],
    }  # fmt: skip
