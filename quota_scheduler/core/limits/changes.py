"""Run-time changes of limits: the file is the base, stored changes lie on top until they expire or are taken back.

Only what takes effect at once can be changed: amounts, modes, and what trackers do at their thresholds. What is
counted, and when it resets, is the file's. Of a field with a value for each team, each is a change of its own,
``overrides.sales``: one of another team leaves it alone, and each may have its own end.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.limits.limit import (
    DEFAULT,
    AtLimit,
    Holdback,
    Limit,
    Mode,
    Policy,
    parse_holdback,
    warning_share,
)
from quota_scheduler.core.observations.points import WHOLE
from quota_scheduler.core.units import Unit, amount_in, format_amount

T = TypeVar("T")
FIELDS = ("amount", "holdback", "borrow", "lend", "overrides", "mode", "policy", "warn_at", "at_limit")
"""What may be changed at run time."""
BY_VALUE = ("overrides", "warn_at", "at_limit")
"""Those that may have a value for each instance."""


class LimitChange(Struct, frozen=True):
    """One field of one limit, as JSON wrote it; ``expires_at`` None lasts until it is taken back."""

    rule: str
    field: str
    value: Any
    who: str
    at: datetime
    expires_at: datetime | None = None


def one_by_one(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as changes of their own: those by value one for each, as ``overrides.sales``."""
    changes: dict[str, Any] = {}
    for field, value in fields.items():
        if field in BY_VALUE and isinstance(value, Mapping):
            changes |= {f"{field}.{name}": one for name, one in value.items()}
        else:
            changes[field] = value
    return changes


def changed(limit: Limit, field: str, value: Any) -> Limit:
    """Return a limit with one field changed. Raises ValueError, in one sentence, for a value that does not fit.

    ``overrides.sales`` is the field ``overrides`` for one value.
    """
    field, dot, name = field.partition(".")
    if dot and field in BY_VALUE:
        value = {name: value}
    match field:
        case "amount":
            return _checked(replace(limit, amount=amount_in(value, limit.unit)))
        case "holdback":
            return _checked(replace(limit, holdback=None if value is None else parse_holdback(str(value), limit.unit)))
        case "borrow" | "lend" if limit.parent:
            size = amount_in(value, limit.unit)
            return replace(limit, borrow=size) if field == "borrow" else replace(limit, lend=size)
        case "borrow" | "lend":
            raise ValueError(f"{limit.id} is no member of a pool, so it has nothing to {field}")
        case "overrides":
            return replace(limit, overrides=_overrides(limit, value))
        case "mode":
            return replace(limit, mode=_one_of(Mode, value))
        case "policy":
            return replace(limit, policy=_one_of(Policy, value))
        case "warn_at":
            return replace(limit, warn_at=_by_value(limit, limit.warn_at, value, field, _warning_share))
        case "at_limit":
            return replace(limit, at_limit=_by_value(limit, limit.at_limit, value, field, _at_limit))
        case _:
            raise ValueError(f"{field!r} cannot be changed at run time, only {', '.join(FIELDS)}: change the file")


def _checked(limit: Limit) -> Limit:
    if limit.unit is Unit.PERCENT and not 0 < limit.amount <= WHOLE:
        raise ValueError(f"{limit.id} counts percent: its amount is more than 0 and at most 100")
    if limit.holdback and (limit.holdback.amount or 0) > limit.amount:
        kept = format_amount(limit.holdback.amount or 0, limit.unit)
        raise ValueError(f"a holdback of {kept} is more than the amount of {format_amount(limit.amount, limit.unit)}")
    if limit.holdback != Holdback() and limit.holdback and not limit.is_windowed:
        raise ValueError("a holdback has no effect on run caps and concurrency, where nothing resets")
    return limit


def _overrides(limit: Limit, value: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, Mapping) or not limit.per or limit.is_per_run:
        raise ValueError(
            f"overrides are amounts by value, for a limit with one instance per label; {limit.id} has none"
        )
    merged = dict(limit.overrides) | {str(name): amount_in(amount, limit.unit) for name, amount in value.items()}
    return tuple(sorted(merged.items()))


def _by_value(
    limit: Limit, before: tuple[tuple[str, T], ...], value: Any, field: str, parse: Callable[[Any], T]
) -> tuple[tuple[str, T], ...]:
    """One value for all (``""``), or one for each that is named; the others as before."""
    if not isinstance(value, Mapping):
        value = {"": value}
    elif not limit.per or limit.is_per_run:
        raise ValueError(f"{field} by value is for a limit with one instance per label; {limit.id} has none")
    named = {"" if name == DEFAULT else str(name): parse(one) for name, one in value.items()}
    return tuple(sorted((dict(before) | named).items()))


def _warning_share(value: Any) -> int:
    return warning_share(str(value))


def _at_limit(value: Any) -> AtLimit:
    return AtLimit(_one_of(AtLimit, value))


def _one_of(kind: type[Mode] | type[Policy] | type[AtLimit], value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{value!r} is none of {', '.join(kind)}") from None


def effective(limits: Iterable[Limit], changes: Iterable[LimitChange], *, now: datetime) -> tuple[Limit, ...]:
    """Return the limits with every change that still lasts; one that no longer fits the file is passed over."""
    by_id = {limit.id: limit for limit in limits}
    for change in sorted(changes, key=lambda c: (c.at, c.rule, c.field)):
        limit = by_id.get(change.rule)
        if limit is None or (change.expires_at and change.expires_at <= now):
            continue
        try:
            by_id[change.rule] = changed(limit, change.field, change.value)
        except ValueError:
            continue
    return tuple(by_id.values())


class LimitsHold(Struct, frozen=True):
    """The limits that hold from now on, when the next run-time change of them expires, and when the last one did."""

    limits: tuple[Limit, ...]
    expire_at: datetime | None = None
    expired_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether others hold at ``now``: a change expires, or one that had expired lasts again, the clock put back."""
        expires = self.expire_at is not None and self.expire_at <= now
        return expires or (self.expired_at is not None and now < self.expired_at)


def holding(limits: tuple[Limit, ...], changes: Iterable[LimitChange], *, now: datetime) -> LimitsHold:
    """Return the limits with how long they hold by these changes."""
    ends = [change.expires_at for change in changes if change.expires_at]
    return LimitsHold(
        limits,
        min((end for end in ends if end > now), default=None),
        max((end for end in ends if end <= now), default=None),
    )
