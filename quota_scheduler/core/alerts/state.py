"""The values that alerts are made of: rules, samples, states, silences and what is to be told.

All immutable. A rule is data (``alerts/rules.yaml``), a sample is what a tick knows, a state is what has become of a
rule for one scope and episode, a transition is the only thing that may cause a notification.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from quota_scheduler.core.alerts.routing import Matchers, Target, fits, named, wants
from quota_scheduler.core.alerts.rule import AlertRule, Facts, Severity

Key = tuple[str, str, str]
"""Rule, scope, episode: one alert, whatever the number of ticks, restarts and replicas."""


class Phase(StrEnum):
    """Where an alert stands; *inactive* is the absence of a state."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Cause(StrEnum):
    """Why an alert resolved: its condition cleared, a new window began, or its scope is no longer reported."""

    CLEARED = "cleared"
    NEW_WINDOW = "new_window"
    GONE = "gone"


class NoticeKind(StrEnum):
    """What a notification says: it fires, it still fires, it is over."""

    FIRED = "fired"
    REPEAT = "repeat"
    RESOLVED = "resolved"


class Sample(Struct, frozen=True):
    """One reading of one scope at one instant. ``value`` None: the scope exists, the value is not known.

    ``episode`` tells this window, or run, from the next: it is part of the alert's key. ``size`` is what floors look
    at, in the base of ``unit``.
    """

    reading: str
    scope: str
    episode: str
    value: float | None
    size: float = 0.0
    unit: str = ""
    baseline: float | None = None
    facts: Facts = field(default_factory=dict)


class AlertState(Struct, frozen=True):
    """What has become of one rule for one scope and episode.

    ``since`` is when the condition began to hold, ``clear_since`` and ``absent_since`` since when a firing alert has
    been clear, or its scope unreported. ``last_notified_at`` None: nobody has been told. ``facts`` are the last known.
    """

    rule: str
    scope: str
    episode: str
    phase: Phase
    severity: Severity
    since: datetime
    value: float
    facts: Facts = field(default_factory=dict)
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    cause: Cause | None = None
    clear_since: datetime | None = None
    absent_since: datetime | None = None
    last_notified_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""

    @property
    def key(self) -> Key:
        """Rule, scope and episode."""
        return self.rule, self.scope, self.episode

    @property
    def names(self) -> dict[str, str]:
        """What matchers look at."""
        return named(self.rule, self.severity, self.scope, self.facts)


class Silence(Struct, frozen=True):
    """Nobody is told about alerts that every matcher fits, until ``ends_at``; their states go on.

    Without matchers it silences everything.
    """

    matchers: Matchers
    author: str
    comment: str
    starts_at: datetime
    ends_at: datetime
    id: int = 0

    def covers(self, state: AlertState, now: datetime) -> bool:
        """Tell whether it silences this alert at ``now``."""
        return self.starts_at <= now < self.ends_at and fits(self.matchers, state.names)


class Transition(Struct, frozen=True):
    """A notification that is due, written out.

    ``above`` are the rules of its ladder that are told instead; ``still`` are the lower rungs that go on firing, and
    are told along when this one resolves. ``names`` are what a receiver may match.
    """

    kind: NoticeKind
    rule: AlertRule
    scope: str
    episode: str
    severity: Severity
    subject: str
    body: str
    above: tuple[AlertRule, ...] = ()
    still: tuple[Key, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Rule, scope and episode."""
        return self.rule.id, self.scope, self.episode

    def reaches(self, target: Target) -> bool:
        """Tell whether this receiver is told: it wants the rule, and hears of no higher rung instead."""
        return wants(target, self.rule, self.names) and not any(wants(target, up, self.names) for up in self.above)


class StepResult(Struct, frozen=True):
    """All states after a step, those of them that must be written, the keys to forget, and what is to be told."""

    states: tuple[AlertState, ...] = ()
    changed: tuple[AlertState, ...] = ()
    dropped: tuple[Key, ...] = ()
    transitions: tuple[Transition, ...] = ()
