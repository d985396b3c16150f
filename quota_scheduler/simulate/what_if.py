"""What if: which limits a replay is played under, and what is different about runs and limits.

-20 %, 80 %, 300M       an amount: less than now by a share, a share of now, or as it says
day, week, month, 5h    a window: of the calendar, or a session of that length
50M/week                an amount and a window: a new limit
workflow=nightly        a label and its value: whose class is another
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.core.history.recorded_runs import RecordedRun
from quota_scheduler.core.labels import LABEL_NAMES, Labels, match_of
from quota_scheduler.core.limits.limit import Limit, Mode
from quota_scheduler.core.limits.schedule import Calendar, Every, Schedule, Session, parse_span
from quota_scheduler.core.names import canonical_model
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit, amount_in, unit_named
from quota_scheduler.core.usage import Usage
from quota_scheduler.simulate.policies import POLICIES, current_name

Reprice = Callable[[Labels, Usage, datetime], Usage]
"""Puts the cost of other labels on a usage."""
EVERY_LIMIT = "*"
"""The key of ``amounts`` and ``windows`` that is meant for every limit."""
_SHARE = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]+)?)\s*%")
LARGEST_SHARE = 10_000.0
"""Percent of the present amount that an amount may become."""
FIRST_DAY = {Every.DAY: 0, Every.WEEK: 0, Every.MONTH: 1}
"""Where windows begin whose beginning nobody gives: weeks on Monday, months on the first."""


class WhatIf(Struct, frozen=True):
    """What is asked, as it was written. Everything empty: how it would have been, as things are."""

    policies: tuple[str, ...] = ("two-sided",)
    limits: tuple[str, ...] = ()
    amounts: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, str] = field(default_factory=dict)
    quotas: tuple[str, ...] = ()
    budgets: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether anything would be different from how things are."""
        return bool(self.amounts or self.windows or self.quotas or self.budgets or self.classes or self.models)


def chosen_policies(names: Iterable[str]) -> tuple[str, ...]:
    """Return the policies by their present names, each once. Raises ValueError for an unknown one."""
    given = [name.strip() for name in names if name.strip()]
    for name in given:
        if current_name(name) not in POLICIES:
            raise ValueError(f"there is no policy {name!r}: there are {', '.join(POLICIES)} (seed is fixed-thresholds)")
    return tuple(dict.fromkeys(map(current_name, given))) or ("two-sided",)


def chosen_limits(limits: Sequence[Limit], names: Sequence[str]) -> tuple[tuple[Limit, ...], tuple[str, ...]]:
    """Return the limits to play under, and in sentences what is not played of them.

    Those that are named, else the enforced ones with windows, else those that only warn. Raises ValueError for an
    unknown name.
    """
    by_name = {limit.id: limit for limit in limits}
    for name in names:
        _known(name, by_name)
    chosen = [by_name[name] for name in dict.fromkeys(names)]
    windowed = [limit for limit in limits if limit.is_windowed and limit.mode is not Mode.OFF]
    if not names:
        chosen = [limit for limit in windowed if limit.mode is Mode.ENFORCE] or windowed
    played: list[Limit] = []
    said = []
    if not names and chosen and chosen[0].mode is not Mode.ENFORCE:
        said.append(f"No limit is enforced: {', '.join(limit.id for limit in chosen)} is played as if it were.")
    for limit in chosen:
        if reason := _not_played(limit):
            said.append(f"The limit {limit.id} is not played: {reason}.")
        else:
            played.append(replace(limit, mode=Mode.ENFORCE))
    if pools := sorted({limit.id for limit in played if limit.parent}):
        said.append(f"Loans within pools are not played: {', '.join(pools)} have their own amounts only.")
    if not names and (left := [limit.id for limit in limits if limit not in chosen and _not_played(limit)]):
        said.append(f"Limits without windows that reset are not played: {', '.join(left)}.")
    return tuple(played), tuple(said)


def _not_played(limit: Limit) -> str:
    if not limit.is_windowed:
        return "it has no window that resets"
    if limit.unit is Unit.PERCENT and limit.rate is None:
        return "it counts percent, and nobody knows yet what a percent is worth"
    return "its amount is 0" if not limit.amount else ""


def _known(name: str, limits: Mapping[str, Limit]) -> Limit:
    if name not in limits:
        there = f"there are {', '.join(limits)}" if limits else "there is none: give --quota 50M/week"
        raise ValueError(f"there is no limit {name!r}: {there}")
    return limits[name]


def changed_limits(limits: Sequence[Limit], asked: WhatIf, *, zone: str = "UTC") -> tuple[Limit, ...]:
    """Return the limits as they would be. Raises ValueError for what cannot be meant."""
    by_name = {limit.id: limit for limit in limits}
    for name, text in asked.amounts.items():
        for limit in list(by_name.values()) if name == EVERY_LIMIT else [_known(name, by_name)]:
            by_name[limit.id] = _with_amount(limit, text)
    for name, text in asked.windows.items():
        for limit in list(by_name.values()) if name == EVERY_LIMIT else [_known(name, by_name)]:
            by_name[limit.id] = replace(limit, schedule=_schedule(text, limit.zone), observed=None)
    added = [_new_limit(f"quota-{n}" if n > 1 else "quota", text, zone) for n, text in enumerate(asked.quotas, 1)]
    for team, text in asked.budgets.items():
        match = () if team == EVERY_LIMIT else match_of({"team": team})
        limit = _new_limit("budget" if team == EVERY_LIMIT else f"budget-{team}", text, zone)
        added.append(replace(limit, match=match, per="team" if team == EVERY_LIMIT else ""))
    for limit in added:
        if limit.id in by_name:
            raise ValueError(f"there is a limit {limit.id!r} already: rename it, or change its amount")
        by_name[limit.id] = limit
    return tuple(by_name.values())


def _with_amount(limit: Limit, text: str) -> Limit:
    if share := _SHARE.fullmatch(text.strip()):
        percent = float(share[2])
        factor = (100 + (percent if share[1] == "+" else -percent) if share[1] else percent) / 100
        if not 0 < factor * 100 <= LARGEST_SHARE:
            raise ValueError(f"{text!r} leaves {limit.id} {factor:.0%} of its amount: it must be more than 0 %")
        scaled = tuple((name, _scaled(amount, factor)) for name, amount in limit.overrides)
        return replace(limit, amount=_scaled(limit.amount, factor), overrides=scaled)
    amount = amount_in(text, limit.unit)
    if not amount:
        raise ValueError(f"an amount of 0 lets nothing start under {limit.id}: write more than 0")
    return replace(limit, amount=amount)


def _scaled(amount: int, factor: float) -> int:
    return max(1, round(amount * factor))


def _schedule(text: str, zone: str) -> Schedule:
    word = text.strip().lower()
    if word in tuple(Every):
        every = Every(word)
        return Calendar(every, zone, FIRST_DAY[every])
    try:
        return Session(parse_span(word))
    except ValueError:
        raise ValueError(f"{text!r} is no window: write day, week, month, or a length such as 5h") from None


def _new_limit(name: str, text: str, zone: str) -> Limit:
    amount_text, slash, window = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r} says no window: write an amount and a window, such as 50M/week")
    unit = unit_named(amount_text) or Unit.TOKENS
    if unit not in (Unit.TOKENS, Unit.USD, Unit.REQUESTS):
        raise ValueError(f"{text!r} counts {unit}: write tokens, dollars or requests, such as 50M/week or $10/day")
    amount = amount_in(amount_text.strip(), unit)
    if not amount:
        raise ValueError(f"{text!r} lets nothing start: write an amount of more than 0")
    return Limit(name, unit, amount, _schedule(window, zone), zone=zone)


def changed_runs(runs: Sequence[RecordedRun], asked: WhatIf, reprice: Reprice) -> tuple[RecordedRun, ...]:
    """Return the runs as they would be: of other classes, with other models. Raises ValueError for an unknown one."""
    classes = [(*_label(text), _class(name)) for text, name in asked.classes.items()]
    models = {canonical_model(old): new for old, new in asked.models.items()}
    for old in asked.models:
        if runs and not any(canonical_model(run.labels.model) == canonical_model(old) for run in runs):
            raise ValueError(f"no run used the model {old!r}: {_used(runs, 'model')}")
    for name, value, _ in classes:
        if runs and not any(run.labels.value(name) == value for run in runs):
            raise ValueError(f"no run has the {name} {value!r}: {_used(runs, name)}")
    return tuple(_changed(run, classes, models, reprice) for run in runs)


def _used(runs: Sequence[RecordedRun], name: str) -> str:
    values = sorted({run.labels.value(name) for run in runs} - {""})
    more = f" and {len(values) - 10} more" if len(values) > 10 else ""
    return f"there are {', '.join(values[:10])}{more}" if values else f"no run names a {name}"


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if name not in LABEL_NAMES or not equals or not value:
        raise ValueError(f"{text!r} is no label and value: write one of {', '.join(LABEL_NAMES)}, such as team=growth")
    return name, value


def _class(name: str) -> Priority:
    try:
        return Priority(name)
    except ValueError:
        raise ValueError(f"there is no class {name!r}: there are {', '.join(Priority)}") from None


def _changed(
    run: RecordedRun, classes: Sequence[tuple[str, str, Priority]], models: Mapping[str, str], reprice: Reprice
) -> RecordedRun:
    for name, value, priority in classes:
        if run.labels.value(name) == value:
            run = replace(run, priority=priority)
            break
    if model := models.get(canonical_model(run.labels.model)):
        labels = run.labels._replace(model=model)
        reserve = run.reserve and reprice(labels, run.reserve, run.at)
        run = replace(run, labels=labels, usage=reprice(labels, run.usage, run.at), reserve=reserve)
    return run
