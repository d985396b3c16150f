"""A rule: a condition on one reading, and how it is told. It is data (``alerts/rules.yaml``)."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct

Fact = str | int | float | None
Facts = Mapping[str, Fact]
"""What is known about a scope, raw: amounts in the base of their unit, instants as RFC 3339 text in UTC."""
NEVER = timedelta(0)
"""A repeat interval that says an alert once and not again while it fires."""


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


class RuleTexts(Struct, frozen=True):
    """What a rule says to people: templates with ``{names}`` (see ``wording``).

    ``summary`` names the condition, ``title`` is the subject of a message, the others are its lines: while the alert
    fires, when it has cleared, and when its scope is gone. Empty ``resolved`` and ``gone`` say the usual.
    """

    summary: str
    title: str
    message: tuple[str, ...]
    resolved: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template of it."""
        return (self.summary, self.title, *self.message, *self.resolved, *self.gone)


class AlertRule(Struct, frozen=True):
    """A condition on one reading, and how it is told.

    It fires at ``threshold`` held for ``hold`` and resolves once ``clear`` has held for ``keep_firing_for``. ``floor``
    is the least size by unit: below it a sample is noise. ``evidence`` is the least size to go by at all: below it
    nothing is known. With ``drop_share`` a sample's baseline b moves the threshold: max(``drop_share`` · b, and from
    b >= threshold on min(threshold, b - ``drop_points``)); for 0.9, 0.7 and 0.03, a baseline of 0.95 alarms below 0.9,
    one of 0.92 below 0.89, one of 0.8 below 0.56.

    ``under`` names the rules above it on the ladder: while one of them is told for the same scope and episode, this one
    is not; rules under each other are one rung, of which the first is told. ``repeat`` 0 is never. A scope that is no
    longer reported resolves after ``gone_after``. ``once`` fires once per episode and says nothing at its end; else
    what has resolved fires again in the same episode after ``rearm`` at the earliest. Of windows shorter than
    ``tell_from`` it is shown where alerts are shown, and nobody is told. With ``goes_on``
    it fires only if what is used has gone on growing since it began, faster than an even pace: a report that comes once
    a day is no burn.
    """

    id: str
    reading: str
    op: Op
    threshold: float
    clear: float
    severity: Severity
    texts: RuleTexts
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
    goes_on: bool = False
    receivers: tuple[str, ...] = ()
