"""Rules: whatever of a configuration decides who may start and what that costs, and in what two of them differ.

All replicas decide by the leader's. They are compared figure by figure; one at its default is left out, so that a
version that knows one figure more agrees with one that does not.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from msgspec import NODEFAULT, Struct, field
from msgspec.structs import FieldInfo, fields, replace

from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.thresholds import DEFAULT, Thresholds
from quota_scheduler.core.pricing import OwnPrice
from quota_scheduler.core.queue.policy import QueuePolicy

MOST_NAMED = 3
"""Differences that a sentence names; it counts the others."""
DEFAULTED = "the default"
"""What is said of a figure that one side does not state."""


class Rules(Struct, frozen=True):
    """The limits of the file, the policy of the queue, thresholds, models in order of preference, and own prices."""

    limits: tuple[Limit, ...] = ()
    policy: QueuePolicy = field(default_factory=QueuePolicy)
    thresholds: Thresholds = DEFAULT
    models: tuple[str, ...] = ()
    prices: Mapping[str, OwnPrice] = field(default_factory=dict)

    def figures(self) -> dict[str, str]:
        """Every figure that is not at its default, by a name for people: ``limit daily: amount``."""
        return {
            **{name: text for limit in self.limits for name, text in _of_limit(limit)},
            **{f"queue: {name}": text for name, text in _told(self.policy)},
            **{f"rules: {name}": text for name, text in _told(self.thresholds)},
            **{f"price of {model}: {name}": text for model, one in self.prices.items() for name, text in _told(one)},
            **({"models: fallback": _text(self.models)} if self.models else {}),
        }

    def fingerprint(self) -> str:
        """Differs where decisions may."""
        lines = "\n".join(f"{name}\t{text}" for name, text in sorted(self.figures().items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:16]


class RuleDifference(Struct, frozen=True):
    """One figure that two configurations do not have in common."""

    figure: str
    here: str
    there: str

    def __str__(self) -> str:
        return f"{self.figure} is {self.here} here and {self.there} there"


def differences(here: Rules, there: Rules) -> list[RuleDifference]:
    """Return in what rules differ, by name."""
    amounts, others = _amounts(here), _amounts(there)
    both = amounts.keys() & others.keys()
    ours, theirs = _within(here, both).figures(), _within(there, both).figures()
    return [
        *(
            RuleDifference(f"limit {name}", amounts.get(name, "not configured"), others.get(name, "not configured"))
            for name in sorted(amounts.keys() ^ others.keys())
        ),
        *(
            RuleDifference(name, ours.get(name, DEFAULTED), theirs.get(name, DEFAULTED))
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ),
    ]


def _amounts(rules: Rules) -> dict[str, str]:
    return {limit.id: _amount(limit) for limit in rules.limits}


def _within(rules: Rules, names: Collection[str]) -> Rules:
    """The rules with these limits only."""
    return replace(rules, limits=tuple(limit for limit in rules.limits if limit.id in names))


def differences_sentence(differing: list[RuleDifference], leader: str) -> str:
    """Say why a replica is not ready whose configuration differs from the leader's, and the way out."""
    named = "; ".join(map(str, differing[:MOST_NAMED]))
    more = f"; and {len(differing) - MOST_NAMED} more" if len(differing) > MOST_NAMED else ""
    return (
        f"the configuration here decides otherwise than that of the leader at {leader}: {named}{more}; "
        "give all replicas the same one: this one is ready as soon as they agree"
    )


def are_alike(limits: Sequence[Limit], others: Sequence[Limit]) -> bool:
    """Tell whether limits decide alike: what was learned of those in percent may differ by as little as is ignored."""
    return len(limits) == len(others) and all(
        replace(one, rate=None) == replace(other, rate=None)
        and (one.rate is other.rate or (one.rate is not None and one.rate.is_near(other.rate)))
        for one, other in zip(limits, others, strict=True)
    )


def _of_limit(limit: Limit) -> list[tuple[str, str]]:
    """The figures of a limit; its amount in its unit."""
    told = dict(_told(limit)) | {"amount": _amount(limit)}
    told.pop("id")
    return [(f"limit {limit.id}: {name}", text) for name, text in told.items()]


def _amount(limit: Limit) -> str:
    """To the last digit, unlike what people read elsewhere: two amounts that differ must look different."""
    return f"{Decimal(limit.amount) / limit.unit.base:,} {limit.unit.value}"


def _told(value: Any) -> list[tuple[str, str]]:
    """The fields of a value that are not at their defaults."""
    return [
        (one.name, _text(getattr(value, one.name)))
        for one in fields(value)
        if getattr(value, one.name) != _default(one)
    ]


def _default(one: FieldInfo) -> Any:
    return one.default_factory() if one.default_factory is not NODEFAULT else one.default


def _text(value: Any) -> str:
    """A value as people read it, the same in every process."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, Struct):
        inside = [_text(getattr(value, one.name)) for one in fields(value) if getattr(value, one.name) is not None]
        return f"{type(value).__name__.lower()} {' '.join(inside)}".strip()
    if isinstance(value, frozenset):
        return "|".join(sorted(map(_text, value)))
    if isinstance(value, tuple):
        return ", ".join("=".join(map(_text, one)) if isinstance(one, tuple) else _text(one) for one in value) or "none"
    return str(value)
