"""A limit as people write it, into ``core.limits.Limit``; and the two limits that hold where none are written.

The spellings of the founding documents are accepted beside ours: ``quota_ceiling_usd`` (amount and unit),
``max_quota_percent`` and ``reserved_budget_usd`` (holdback), ``billing_cycle_start`` (start of the window).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

from msgspec.structs import replace

from quota_scheduler.config.fields import Fields
from quota_scheduler.config.nodes import Branch, Listing, Problems, Scalar
from quota_scheduler.config.observed import check_observed, observed_by, scoped
from quota_scheduler.config.scalars import amount, not_among, one_of, one_of_names, slug, text, whole
from quota_scheduler.config.schedules import read_schedule
from quota_scheduler.core.labels import LABEL_NAMES, Match, match_of
from quota_scheduler.core.limits.limit import (
    DEFAULT,
    AtLimit,
    Holdback,
    Limit,
    Mode,
    Policy,
    parse_holdback,
    parse_share,
    warning_share,
)
from quota_scheduler.core.limits.schedule import Calendar, Every, PerRun
from quota_scheduler.core.units import Unit, format_amount, unit_named
from quota_scheduler.core.usage import EVEN_WEIGHTS, KINDS, PER_MILLE

T = TypeVar("T")
RUN = "run"
MOST_INSTANCES = 200
"""Values of a label that have an instance of their own where nothing else is said."""
PRESETS: Mapping[str, tuple[int, ...]] = {
    "all": EVEN_WEIGHTS,
    "uncached": tuple(0 if kind == "cache_read" else PER_MILLE for kind in KINDS),
}
"""Named weights. ``uncached``: most API input limits do not count what was read from the cache."""
HOLDBACKS = ("holdback", "max_quota_percent", "reserved_budget_usd")
BOTH_WRITES = ("cache_write_5m", "cache_write_1h")
HEAVIEST = 1000
EXAMPLES = {Unit.TOKENS: "300M", Unit.USD: "100", Unit.REQUESTS: "1000", Unit.LEASES: "5", Unit.PERCENT: "100"}
VARIABLES: Mapping[str, str] = {"ANTHROPIC_QUOTA_LIMIT": "anthropic-monthly", "MAX_TOKENS_PER_WORKFLOW": "run-cap"}
"""Variables of the founding documents and the default limit whose amount each sets and enforces."""
ADVICE = {
    key: f"belongs into the window: `window: {{{example}}}`"
    for key, example in {
        "every": "every: week",
        "starts": "every: week, starts: monday 09:00",
        "timezone": "every: day, timezone: Europe/Berlin",
        "session": "session: 5h",
    }.items()
}


def default_limits(zone: str) -> tuple[Limit, ...]:
    """What is watched without a configuration; only warns, since nobody is blocked by a number they never chose."""
    month = Calendar(Every.MONTH, zone, day=1)
    return (
        Limit(
            "anthropic-monthly",
            Unit.TOKENS,
            300_000_000,
            month,
            match=match_of({"provider": "anthropic"}),
            mode=Mode.WARN,
            zone=zone,
        ),
        Limit("run-cap", Unit.TOKENS, 5_000_000, PerRun(), per=RUN, mode=Mode.WARN, zone=zone),
    )


def enforced(
    limits: tuple[Limit, ...], chosen: Mapping[str, Scalar], zone: str, problems: Problems
) -> tuple[Limit, ...]:
    """The limits with the amounts that ``VARIABLES`` set; a default limit that is not there is added."""
    by_name = {limit.id: limit for limit in limits}
    for default in default_limits(zone):
        node = chosen.get(default.id)
        if node is None or node.text is None:
            continue
        limit = by_name.get(default.id, default)
        try:
            if limit.unit is not Unit.TOKENS:
                raise ValueError(f"the limit {limit.id} counts {limit.unit}, not tokens: unset the variable")
            by_name[limit.id] = replace(limit, amount=amount(Unit.TOKENS)(node.text), mode=Mode.ENFORCE)
        except ValueError as error:
            problems.add(node, str(error))
    return tuple(by_name.values())


def read_limits(items: Iterable[Fields], zone: str, problems: Problems) -> tuple[Limit, ...]:
    """Every limit of the list, ids unique."""
    by_name: dict[str, Limit] = {}
    members: list[tuple[Fields, Limit]] = []
    for fields in items:
        before = len(problems)
        limit = read_limit(fields, zone)
        if len(problems) == before and limit.id in by_name:
            fields.complain("id", f"{limit.id!r} is the id of an earlier limit: give each its own")
        by_name[limit.id] = limit
        members.append((fields, limit))
    for fields, limit in members:
        _check_pool(fields, limit, by_name)
    return tuple(by_name.values())


def _check_pool(fields: Fields, limit: Limit, limits: Mapping[str, Limit]) -> None:
    """Note what is wrong between a member and its pool: one level, one unit, windows that reset."""
    for key in ("borrow", "lend"):
        if fields.has(key) and not limit.parent:
            fields.complain(key, "needs the pool it is about: add `parent: the-pool`, or remove it")
    if not limit.parent:
        return
    pool = limits.get(limit.parent)
    if pool is None or pool.id == limit.id:
        fields.complain("parent", f"the limit {not_among(limit.parent, [name for name in limits if name != limit.id])}")
    elif pool.parent or pool.per:
        fields.complain("parent", f"{pool.id} cannot be a pool: a pool has neither `parent` nor `per`")
    elif pool.unit is not limit.unit:
        fields.complain("parent", f"{pool.id} counts {pool.unit}, this limit {limit.unit}: a pool has one unit")
    elif not (pool.is_windowed and limit.is_windowed):
        fields.complain("parent", "pools are of limits with windows that reset: remove it")


def read_limit(fields: Fields, zone: str) -> Limit:
    """One limit; ``zone`` is that of its windows where it names none."""
    problems = fields.problems
    before = len(problems)
    with fields:
        fields.hints = ADVICE
        unit, size = _unit_and_amount(fields)
        match = _match(fields)
        observed = observed_by(fields, match)
        schedule, zone = read_schedule(fields, zone, is_concurrency=unit is Unit.LEASES, observed=observed)
        limit = Limit(
            id=fields.require("id", slug, "unnamed", "name it, as in `id: team-daily`"),
            unit=unit,
            amount=size,
            schedule=schedule,
            match=scoped(match, observed),
            per=fields.read("per", one_of_names([*LABEL_NAMES, RUN]), RUN if isinstance(schedule, PerRun) else ""),
            values=fields.several("values", text),
            overrides=_overrides(fields, unit),
            max_instances=fields.read("max_instances", whole(1, 100_000), MOST_INSTANCES),
            weights=_weights(fields),
            holdback=_holdback(fields, unit),
            mode=fields.read("mode", one_of(Mode), Mode.ENFORCE),
            policy=fields.read("policy", one_of(Policy), Policy.TWO_SIDED),
            zone=zone,
            parent=fields.read("parent", slug, ""),
            borrow=fields.read("borrow", amount(unit), 0),
            lend=fields.read("lend", amount(unit), None),
            observed=observed,
            warn_at=_by_value(fields, "warn_at", warning_share),
            at_limit=_by_value(fields, "at_limit", one_of(AtLimit)),
        )
    if len(problems) == before:
        _check(fields, limit)
    return limit


def _unit_and_amount(fields: Fields) -> tuple[Unit, int]:
    fields.know("amount", "quota_ceiling_usd")
    seed = fields.has("quota_ceiling_usd")
    unit = fields.read("unit", one_of(Unit), Unit.USD if seed else None)
    if seed and fields.has("amount"):
        fields.complain("amount", "is also given as quota_ceiling_usd: keep one")
    if seed and unit is not Unit.USD:
        fields.complain("unit", "must be usd beside quota_ceiling_usd: remove it")
    if seed:
        return Unit.USD, fields.read("quota_ceiling_usd", amount(Unit.USD), 0)
    written = fields.node.entries.get("amount")
    if unit is None and isinstance(written, Scalar):
        unit = unit_named(written.text or "")
    unit = unit or Unit.TOKENS
    return unit, fields.require("amount", amount(unit), 0, f"say how much, as in `amount: {EXAMPLES[unit]}`")


def _match(fields: Fields) -> Match:
    spec: dict[str, str | list[str]] = {}
    for label, node in fields.entries("match").items():
        if label not in LABEL_NAMES:
            fields.problems.add(node, f"the label {not_among(label, LABEL_NAMES)}")
            continue
        spec[label] = list(fields.all_of(node, text))
        if isinstance(node, Listing) and not node.items:
            fields.problems.add(node, "selects nothing: name a value or remove the label")
    return match_of(spec)


def _overrides(fields: Fields, unit: Unit) -> tuple[tuple[str, int], ...]:
    nodes = fields.entries("overrides").items()
    return tuple(sorted((value, fields.parsed(node, amount(unit), 0)) for value, node in nodes))


def _by_value(fields: Fields, key: str, parse: Callable[[str], T]) -> tuple[tuple[str, T], ...]:
    """One value for all instances, kept under the empty name, or one for each that is named and for ``default``."""
    node = fields.node.entries.get(key)
    if isinstance(node, Branch):
        entries = fields.entries(key).items()
        given = [("" if name == DEFAULT else name, fields.parsed(one, parse, None)) for name, one in entries]
    else:
        given = [("", fields.read(key, parse, None))]
    return tuple(sorted((name, value) for name, value in given if value is not None))


def _weights(fields: Fields) -> tuple[int, ...]:
    node = fields.node.entries.get("weights")
    if isinstance(node, Scalar):
        return PRESETS[fields.read("weights", one_of_names(PRESETS), "all")]
    weights = dict(zip(KINDS, EVEN_WEIGHTS, strict=True))
    entries = fields.entries("weights")
    for kind in sorted(entries, key=lambda kind: kind != "cache_write"):
        if kind not in (*KINDS, "cache_write"):
            fields.problems.add(entries[kind], f"the token kind {not_among(kind, (*KINDS, 'cache_write'))}")
            continue
        for one in BOTH_WRITES if kind == "cache_write" else (kind,):
            weights[one] = fields.parsed(entries[kind], _weight, PER_MILLE)
    return tuple(weights.values())


def _weight(value: str) -> int:
    """A weight per mille."""
    exact = re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?|\.[0-9]{1,3}", value)
    if not exact or Decimal(value) > HEAVIEST:
        raise ValueError(f"{value!r} is not a weight: write a number from 0 to {HEAVIEST}, three decimals at most")
    return int(Decimal(value) * PER_MILLE)


def _holdback(fields: Fields, unit: Unit) -> Holdback | None:
    fields.know(*HOLDBACKS)
    given = [key for key in HOLDBACKS if fields.has(key)]
    for key in given[1:]:
        fields.complain(key, f"says the same as {given[0]}: keep one")
    if fields.has("reserved_budget_usd") and unit is not Unit.USD:
        fields.complain("reserved_budget_usd", f"is in dollars, but the unit is {unit}: write `holdback` instead")
    return (
        fields.read("holdback", lambda value: parse_holdback(value, unit), None)
        or fields.read("max_quota_percent", lambda value: Holdback(per_mille=PER_MILLE - parse_share(value)), None)
        or fields.read("reserved_budget_usd", lambda value: Holdback(amount=amount(Unit.USD)(value)), None)
    )


def _check(fields: Fields, limit: Limit) -> None:
    """Note what is right by itself but not together."""
    per_run = isinstance(limit.schedule, PerRun)
    if limit.per == RUN and not per_run:
        fields.complain("per", "caps each run by itself: write `window: run`, or name a label")
    if per_run and limit.per != RUN:
        fields.complain("per", f"{limit.per!r} does not go with `window: run`, which caps each run: remove it")
    if per_run and limit.unit not in (Unit.TOKENS, Unit.USD):
        fields.complain("unit", f"{limit.unit} cannot be capped per run: use tokens or usd")
    for key in ("overrides", "values", "max_instances"):
        is_given = limit.max_instances != MOST_INSTANCES if key == "max_instances" else fields.has(key)
        if is_given and limit.per in ("", RUN):
            fields.complain(key, "needs one instance per label: add `per: team` or another label, or remove it")
    for key, by_value in (("warn_at", limit.warn_at), ("at_limit", limit.at_limit)):
        if any(name for name, _ in by_value) and limit.per in ("", RUN):
            fields.complain(key, "by value needs one instance per label: add `per: team`, or write one value")
    for value, _ in limit.overrides:
        if limit.values and value not in limit.values:
            fields.complain("overrides", f"{value!r} is not among the values: add it there or remove it")
    if limit.unit is not Unit.TOKENS and limit.weights != EVEN_WEIGHTS:
        fields.complain("weights", f"count tokens, but the unit is {limit.unit}: remove them")
    check_observed(fields, limit)
    if limit.holdback is not None:
        _check_holdback(fields, limit, limit.holdback)


def _check_holdback(fields: Fields, limit: Limit, holdback: Holdback) -> None:
    key = next(key for key in HOLDBACKS if fields.has(key))
    if not limit.is_windowed:
        fields.complain(key, "has no effect on run caps and concurrency, where nothing resets: remove it")
    elif (holdback.amount or 0) > limit.amount:
        fields.complain(key, f"keeps back more than the amount of {format_amount(limit.amount, limit.unit)}: lower it")
