"""Limits: at most this much of a unit per window, for whatever a scope selects."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from msgspec import Struct

from quota_scheduler.core.labels import UNASKED, Labels, Match, matches
from quota_scheduler.core.limits.schedule import PerRun, Schedule, Unwindowed, Window
from quota_scheduler.core.names import ANY, canonical
from quota_scheduler.core.observations.points import UNLEARNED, Rate
from quota_scheduler.core.observations.report_key import ReportKey
from quota_scheduler.core.units import MICRO, PICO, Unit, amount_in
from quota_scheduler.core.usage import EVEN_WEIGHTS, PER_MILLE, Usage, fineness

NO_VALUE = "none"
"""Instance of a ``per`` limit for what carries no value of that label."""
DEFAULT = "default"
"""What a setting by value calls the one of all values that it does not name."""
OTHER = "other"
"""Instance that all values past ``max_instances`` share."""
HOLDBACK_FADE = 0.1
"""Last share of a window over which the holdback fades to nothing (design, section 2: else it expires unused)."""
DEFAULT_HOLDBACK = 100
"""Holdback per mille while there is no history to forecast people from; see ``MIN_HISTORY``."""
MIN_HISTORY = timedelta(days=7)
"""Observed history from which on the forecast of people's demand stands in for the default holdback."""


class Mode(StrEnum):
    """What a limit does: decide, only count what it would have decided, or nothing."""

    ENFORCE = "enforce"
    WARN = "warn"
    OFF = "off"


class Policy(StrEnum):
    """Which test decides who may start: the two-sided inequality, or the founding documents' fixed thresholds."""

    TWO_SIDED = "two-sided"
    FIXED_THRESHOLDS = "fixed-thresholds"

    @classmethod
    def _missing_(cls, value: object) -> "Policy | None":
        return cls.FIXED_THRESHOLDS if value == "seed" else None  # how files and stored changes spelled it at first


class AtLimit(StrEnum):
    """What ``track`` does when a call fits no budget any more: another model, none, or this one all the same."""

    FALLBACK = "fallback"
    BLOCK = "block"
    GO_ON = "go_on"


class Holdback(Struct, frozen=True):
    """What is kept for people by decree: a share of the amount, or an amount, or the default that history retires."""

    per_mille: int | None = None
    amount: int | None = None

    def of(self, amount: int) -> int:
        """The holdback of a limit of ``amount``, in its unit, before it fades."""
        if self.amount is not None:
            return min(self.amount, amount)
        return amount * (self.per_mille or 0) // PER_MILLE


def parse_holdback(value: str, unit: Unit) -> Holdback:
    """Read ``"10%"`` as a share, anything else as an amount of ``unit``. Raises ValueError."""
    return Holdback(per_mille=parse_share(value)) if value.endswith("%") else Holdback(amount=amount_in(value, unit))


def parse_share(value: str) -> int:
    """Read a share as tenths of a per cent. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]))?\s*%?", value)
    found = int(match[1]) * 10 + int(match[2] or 0) if match else PER_MILLE + 1
    if found > PER_MILLE:
        raise ValueError(f"{value!r} is not a share: write 0% to 100%, one decimal at most")
    return found


def warning_share(value: str) -> int:
    """Read the share of a budget to warn from, per mille: more than nothing. Raises ValueError."""
    share = parse_share(value)
    if not share:
        raise ValueError(f"{value!r} would warn before anything is used: write more than 0%, such as 80%")
    return share


def instance_name(rule: str, value: str) -> str:
    """The name of a limit instance as people, metrics and the database have it: ``team-daily/growth``."""
    return f"{rule}/{value}" if value else rule


def parts_of(name: str) -> tuple[str, str]:
    """The rule and the value in the name of a limit instance; a value may hold further slashes, a rule none."""
    rule, _, value = name.partition("/")
    return rule, value


class Limit(Struct, frozen=True, dict=True):
    """A rule: at most ``amount`` of ``unit`` per window, for what ``match`` selects; one instance per ``per`` value.

    ``amount`` and ``overrides`` are in the base of the unit, ``weights`` per mille by token kind. ``holdback`` None is
    the default: a tenth while there are fewer than seven days of history. A member of the pool ``parent`` may borrow up
    to ``borrow`` of what the others do not need, and lends up to ``lend`` of its own (None: all of it). ``observed`` is
    the provider's window whose reports rule it, and ``rate`` what usage takes out of a limit in percent, None while
    nobody knows. ``warn_at`` (per mille) and ``at_limit`` are for who tracks calls, by value of ``per``; that of ``""``
    holds for all others.
    """

    id: str
    unit: Unit
    amount: int
    schedule: Schedule
    match: Match = ()
    per: str = ""
    values: tuple[str, ...] = ()
    overrides: tuple[tuple[str, int], ...] = ()
    max_instances: int = 200
    weights: tuple[int, ...] = EVEN_WEIGHTS
    holdback: Holdback | None = None
    mode: Mode = Mode.ENFORCE
    policy: Policy = Policy.TWO_SIDED
    zone: str = "UTC"
    parent: str = ""
    borrow: int = 0
    lend: int | None = None
    observed: ReportKey | None = None
    rate: Rate | None = None
    warn_at: tuple[tuple[str, int], ...] = ()
    at_limit: tuple[tuple[str, AtLimit], ...] = ()

    @cached_property
    def _amounts(self) -> Mapping[str, int]:
        """The overrides by instance: every window asks for its own, and there may be thousands."""
        return {self._named(name): amount for name, amount in self.overrides}

    def selects(self, labels: Labels) -> bool:
        """Whether usage or a ticket with these labels counts against this limit."""
        if self.per == "team" and labels.team == UNASKED:
            return False
        return self.mode is not Mode.OFF and matches(self.match, labels)

    def value_of(self, labels: Labels, known: Collection[str]) -> str:
        """Which instance these labels fall to: a value of ``per``, or the shared one when it is past the cap.

        ``known`` are the values that have instances already. Empty for a limit without ``per``.
        """
        if not self.per or self.is_per_run:
            return ""
        value = self._named(labels.value(self.per))
        if value in known:
            return value
        if (self.values and value not in {self._named(one) for one in self.values}) or len(known) >= self.max_instances:
            return OTHER
        return value

    def _named(self, value: str) -> str:
        """The instance that a value of ``per`` falls to: one for all spellings of a model or provider."""
        return NO_VALUE if value in ("", ANY) else canonical(self.per, value)

    def instance_id(self, value: str) -> str:
        """The name of an instance: ``team-daily/growth``, or the limit's own id."""
        return instance_name(self.id, value)

    def amount_of(self, value: str) -> int:
        """The amount of one instance, overrides considered."""
        return self._amounts.get(value, self.amount)

    def warn_at_of(self, value: str) -> float | None:
        """The share of its amount (0-1) from which who tracks calls of one instance is warned; None for their own."""
        by_value = {self._named(name) if name else "": share for name, share in self.warn_at}
        share = by_value.get(value, by_value.get(""))
        return None if share is None else share / PER_MILLE

    def at_limit_of(self, value: str) -> AtLimit | None:
        """What becomes of tracked calls of one instance when nothing fits any more; None for their own choice."""
        by_value = {self._named(name) if name else "": choice for name, choice in self.at_limit}
        return by_value.get(value, by_value.get(""))

    def charge(self, usage: Usage) -> int:
        """What this usage takes out of the limit, in its unit's base; of percent as best known, 0 while unlearned."""
        if self.unit is Unit.PERCENT:
            return self.fine_charge(usage) // self.fineness
        return usage.amount(self.unit, self.weights)

    def fine_charge(self, usage: Usage) -> int:
        """The same without rounding, in parts of the base: what windows add up."""
        if self.unit is Unit.PERCENT:
            return usage.cost_pico * self.rate.middle if self.rate else 0
        return usage.fine_amount(self.unit, self.weights)

    @property
    def fineness(self) -> int:
        """Parts of the base that make one."""
        return PICO * MICRO if self.unit is Unit.PERCENT else fineness(self.unit, self.weights)

    def reservation(self, usage: Usage) -> int:
        """What a lease on this estimate reserves: of percent the upper end of what is known, a fixed part before that.

        Never more than the limit where it would fit as best known: else it could not even start in an empty window.
        """
        if self.unit is not Unit.PERCENT:
            return self.charge(usage)
        upper = usage.cost_pico * self.rate.high // self.fineness if self.rate else UNLEARNED
        return min(upper, max(self.charge(usage), self.amount))

    @property
    def is_per_run(self) -> bool:
        """Whether it caps each run by itself."""
        return isinstance(self.schedule, PerRun)

    @property
    def is_windowed(self) -> bool:
        """Whether it has windows that reset."""
        return not isinstance(self.schedule, PerRun | Unwindowed)

    def held_back(self, amount: int, *, history: timedelta, window: Window | None, now: datetime) -> int:
        """What automation leaves to people at ``now``: nothing for run caps and concurrency, fading before a reset."""
        if window is None or not self.is_windowed:
            return 0
        holdback = self.holdback
        if holdback is None:
            holdback = Holdback(per_mille=DEFAULT_HOLDBACK if history < MIN_HISTORY else 0)
        left = max(0.0, (window.ends_at - now) / window.length)
        return int(holdback.of(amount) * min(1.0, left / HOLDBACK_FADE))

    def shape(self) -> tuple[object, ...]:
        """The parts whose change ends the running window: what is counted, and when it resets."""
        return self.match, self.per, self.unit, self.weights, self.schedule, self.observed
