"""The values that alerts are made of: rules, samples, states, silences and what is to be told.

All immutable. A rule is data (``alerts/rules.yaml``), a sample is what a tick knows, a state is what has become of a
rule for one scope and episode, a transition is the only thing that may cause a notification.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol

Fact = str | int | float | None
Facts = Mapping[str, Fact]
"""What is known about a scope, raw: amounts in the base of their unit, instants as RFC 3339 text in UTC."""
Key = tuple[str, str, str]
"""Rule, scope, episode: one alert, whatever the number of ticks, restarts and replicas."""
Matchers = tuple[tuple[str, str], ...]
"""Names and shell patterns, alternatives with ``|``; all of them must fit, and none fit everything."""
NEVER = timedelta(0)
"""A repeat interval that says an alert once and not again while it fires."""
MATCHABLE = (
    *("rule", "severity", "scope", "limit", "provider", "account", "model", "team", "project", "workflow"),
    *("task_type", "run", "source", "unit", "period", "mode"),
)
"""What a silence or a receiver may match: the alert's own names, and the labels that are known of its scope."""


class Severity(StrEnum):
    """How bad it is, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least bad."""
        return SEVERITIES.index(self)


SEVERITIES = tuple(Severity)


class Op(StrEnum):
    """On which side of its threshold a rule holds."""

    AT_LEAST = ">="
    ABOVE = ">"
    BELOW = "<"


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


class Kind(StrEnum):
    """What a notification says: it fires, it still fires, it is over."""

    FIRED = "fired"
    REPEAT = "repeat"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A condition on one reading, and how it is told.

    It fires at ``threshold`` held for ``hold`` and resolves once ``clear`` has held for ``keep_firing_for``. ``floor``
    is the least size by unit: below it a sample is noise. ``evidence`` is the least size to judge by at all: below it
    nothing is known. With ``drop_share`` a sample's baseline b moves the threshold: max(``drop_share`` · b, and from
    b >= threshold on min(threshold, b - ``drop_points``)). ``under`` names the rules above it on the ladder: while one
    of them is told for the same scope and episode, this one is not; rules under each other are one rung, of which the
    first is told. ``repeat`` 0 is never. A scope that is no longer
    reported resolves after ``gone_after``. ``once`` fires once per episode and says nothing at its end; else what has
    resolved fires again in the same episode after ``rearm`` at the earliest.

    Of windows shorter than ``tell_from`` it is shown where alerts are shown, and nobody is told.

    ``summary``, ``title`` and the lines of ``message``, ``resolved`` and ``gone`` are templates (core/alert_text.py).
    """

    id: str
    reading: str
    op: Op
    threshold: float
    clear: float
    severity: Severity
    summary: str
    title: str
    message: tuple[str, ...]
    resolved: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    runbook: str = ""
    hold: timedelta = timedelta(0)
    keep_firing_for: timedelta = timedelta(0)
    gone_after: timedelta = timedelta(0)
    rearm: timedelta = timedelta(0)
    tell_from: timedelta = timedelta(0)
    repeat: timedelta = NEVER
    floor: tuple[tuple[str, float], ...] = ()
    evidence: float = 0.0
    drop_share: float = 0.0
    drop_points: float = 0.0
    under: tuple[str, ...] = ()
    once: bool = False
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
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


@dataclass(frozen=True, slots=True)
class AlertState:
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


def named(rule: str, severity: Severity, scope: str, facts: Facts) -> dict[str, str]:
    """What is known of an alert by the names that matchers may use."""
    known = {name: str(facts[name]) for name in MATCHABLE if facts.get(name) not in (None, "")}
    return {**known, "rule": rule, "severity": severity.value, "scope": scope}


def fits(matchers: Matchers, names: Mapping[str, str]) -> bool:
    """Whether every matcher fits; a name that is not known counts as empty, which only ``*`` fits."""
    return all(_fits_one(names.get(name, ""), pattern) for name, pattern in matchers)


def _fits_one(value: str, pattern: str) -> bool:
    return any(fnmatchcase(value, part) for part in pattern.split("|"))


@dataclass(frozen=True, slots=True)
class Silence:
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
        """Whether it silences this alert at ``now``."""
        return self.starts_at <= now < self.ends_at and fits(self.matchers, state.names)


class Target(Protocol):
    """A receiver as routing sees it."""

    @property
    def id(self) -> str: ...
    @property
    def min_severity(self) -> Severity: ...
    @property
    def match(self) -> Matchers: ...


@dataclass(frozen=True, slots=True)
class Transition:
    """A notification that is due, written out.

    ``above`` are the rules of its ladder that are told instead; ``still`` are the lower rungs that go on firing, and
    are told along when this one resolves. ``names`` are what a receiver may match.
    """

    kind: Kind
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
        """Whether this receiver is told: it wants the rule, and hears of no higher rung instead."""
        return wants(target, self.rule, self.names) and not any(wants(target, up, self.names) for up in self.above)


def wants(target: Target, rule: AlertRule, names: Mapping[str, str]) -> bool:
    """Whether a rule is routed to a receiver: by name where the rule names any, else by severity and labels."""
    if rule.receivers:
        return target.id in rule.receivers
    told = {**names, "rule": rule.id, "severity": rule.severity.value}
    return rule.severity.rank >= target.min_severity.rank and fits(target.match, told)


@dataclass(frozen=True, slots=True)
class StepResult:
    """All states after a step, those of them that must be written, the keys to forget, and what is to be told."""

    states: tuple[AlertState, ...] = ()
    changed: tuple[AlertState, ...] = ()
    dropped: tuple[Key, ...] = ()
    transitions: tuple[Transition, ...] = ()
