"""The configuration written back: the spelling of the file, secrets as ``***``; and the hash of the limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from msgspec.structs import asdict

from quota_scheduler.config.tree import AgentSource, ApiToken, Config, GitHub, Sources
from quota_scheduler.core.instants import iso
from quota_scheduler.core.labels import LabelRule
from quota_scheduler.core.limits.limit import DEFAULT, Holdback, Limit, Policy
from quota_scheduler.core.limits.schedule import WEEKDAYS, Calendar, Every, PerRun, Schedule, Session, span_text
from quota_scheduler.core.units import in_units
from quota_scheduler.core.usage import EVEN_WEIGHTS, KINDS, PER_MILLE

SECRET = "***"
HASH_DIGITS = 16


def limits_hash(config: Config) -> str:
    """A short hash of the effective limits, equal for equal ones in every process, whatever their order in the file."""
    specs = [written_limit(limit) for limit in sorted(config.limits, key=lambda limit: limit.id)]
    return hashlib.sha256(json.dumps(specs, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]


def redacted(config: Config) -> dict[str, object]:
    """Every key with its effective value; loads again where no secrets are needed."""
    return {
        "listen": str(config.listen),
        "timezone": config.timezone,
        "database": config.database_shown if config.is_on_server else f"sqlite:///{quote(str(config.database))}",
        "sources": _sources(config.sources),
        "limits": [written_limit(limit) for limit in config.limits],
        "bills": [
            {
                "provider": one.provider.value,
                "account": one.account,
                "key": SECRET,
                "api": one.api.value,
                "every": span_text(one.every),
                **({"url": one.url} if one.url else {}),
            }
            for one in config.bills
        ],
        **({"github": _github(config.github)} if config.github else {}),
        "receivers": [
            {
                "id": one.id,
                "url": SECRET,
                "min_severity": one.min_severity.value,
                **({"match": dict(one.match)} if one.match else {}),
            }
            for one in config.receivers
        ],
        "alerts": {"rules": {rule: _plain_values(change) for rule, change in config.alerts.items()}},
        "tokens": [_token(one) for one in config.tokens],
        "tokens_file": _path(config.tokens_file),
        "metrics_auth": config.metrics_auth,
        "rate_limit": {"per_second": config.rate_limit.per_second, "burst": config.rate_limit.burst},
        **({"tls": {"certificate": str(config.tls.certificate), "key": str(config.tls.key)}} if config.tls else {}),
        "trusted_proxies": list(config.trusted_proxies),
        **({"traces": asdict(config.traces)} if config.traces.endpoint else {}),
        "prices": {model: _plain_values(asdict(price)) for model, price in config.prices.items()},
        "models": {"fallback": list(config.models.fallback)},
        "rules": asdict(config.rules),
        "tick_seconds": config.tick_seconds,
        "database_patience": config.database_patience,
        "spool": {"file": str(config.spool.file), "bytes": config.spool.bytes},
        "leader_ttl": config.leader_ttl,
        "claim_within": span_text(config.claim_within),
        "aging_step": span_text(config.aging_step),
        "fair_share": config.fair_share,
        "max_offers": config.max_offers,
        "high_usage_run": config.high_usage_run,
        "raw_retention": span_text(config.raw_retention),
        "key_retention": span_text(config.key_retention),
        "log_format": config.log_format.value,
    }


def _token(token: ApiToken) -> dict[str, object]:
    return {
        "name": token.name,
        "role": token.role.value,
        "sha256": SECRET,
        **({"labels": dict(token.labels)} if token.labels else {}),
        **({"expires": iso(token.expires)} if token.expires else {}),
    }


def _github(github: GitHub) -> dict[str, object]:
    app = github.app
    named = {"id": app.id, "key_file": str(app.key_file), "installation": app.installation} if app else None
    return {
        "url": github.url,
        **({"app": named} if named else {"token": SECRET}),
        **({"login": github.login} if github.login else {}),
    }


def written_limit(limit: Limit) -> dict[str, object]:
    """A limit as it would stand in the file; what is at its default is left out."""
    spec: dict[str, object] = {"id": limit.id}
    if limit.match:
        spec["match"] = {label: sorted(values) for label, values in limit.match}
    if limit.per:
        spec["per"] = limit.per
    if limit.values:
        spec["values"] = list(limit.values)
    spec |= {"unit": limit.unit.value, "amount": in_units(limit.amount, limit.unit)}
    if limit.overrides:
        spec["overrides"] = {value: in_units(amount, limit.unit) for value, amount in limit.overrides}
    if limit.per and not limit.is_per_run:
        spec["max_instances"] = limit.max_instances
    if limit.weights != EVEN_WEIGHTS:
        spec["weights"] = {kind: weight / PER_MILLE for kind, weight in zip(KINDS, limit.weights, strict=True)}
    if (window := _window(limit.schedule, limit.zone)) is not None:
        spec["window"] = window
    if limit.holdback is not None:
        spec["holdback"] = _holdback(limit.holdback, limit)
    spec["mode"] = limit.mode.value
    if limit.policy is not Policy.TWO_SIDED:
        spec["policy"] = limit.policy.value
    if limit.parent:
        spec |= {"parent": limit.parent, "borrow": in_units(limit.borrow, limit.unit)}
    if limit.lend is not None:
        spec["lend"] = in_units(limit.lend, limit.unit)
    if limit.warn_at:
        spec["warn_at"] = _by_value({name: f"{share / 10:g}%" for name, share in limit.warn_at})
    if limit.at_limit:
        spec["at_limit"] = _by_value({name: choice.value for name, choice in limit.at_limit})
    if limit.observed:
        spec["observed"] = limit.observed.written
    return spec


def _by_value(values: dict[str, str]) -> object:
    """One value where it is for all, else those by value and the default."""
    if set(values) == {""}:
        return values[""]
    return {name or DEFAULT: value for name, value in values.items()}


def _window(schedule: Schedule, zone: str) -> object:
    match schedule:
        case Calendar(every, zone, day, clock):
            return {"every": every.value, "starts": _starts(every, day, clock), "timezone": zone}
        case Session(length):
            return {"session": span_text(length), "timezone": zone}
        case PerRun():
            return "run"
        case _:
            return None


def _starts(every: Every, day: int, clock: time) -> str:
    on = {Every.DAY: "", Every.WEEK: f"{WEEKDAYS[day % 7]} ", Every.MONTH: f"{day or 1} "}[every]
    return f"{on}{clock:%H:%M}"


def _holdback(holdback: Holdback, limit: Limit) -> str | int | float:
    if holdback.amount is not None:
        return in_units(holdback.amount, limit.unit)
    return f"{(holdback.per_mille or 0) / 10:g}%"


def _sources(sources: Sources) -> dict[str, object]:
    first = sources.claude_code
    others = {name: _agent(source) for name, source in sources.others}
    own = {"poll_seconds": first.poll_seconds, "usage_endpoint": sources.usage_endpoint}
    return {"claude_code": {**_agent(first), **own}, **others}


def _agent(source: AgentSource) -> dict[str, object]:
    return {
        "enabled": source.enabled,
        "account": source.account,
        "roots": [_root(root, dict(source.accounts).get(root)) for root in source.roots],
        "labels": [_label_rule(rule) for rule in source.labels],
        "without": source.without.value,
    }


def _root(root: Path, account: str | None) -> object:
    return {"path": str(root), "account": account} if account else str(root)


def _label_rule(rule: LabelRule) -> dict[str, object]:
    labels = dict(rule.set) | ({"class": rule.priority.value} if rule.priority else {})
    return {"when": dict(rule.when), "set": labels}


def _plain_values(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: object) -> object:
    match value:
        case timedelta():
            return span_text(value)
        case Decimal():
            return f"{value:f}"
        case StrEnum():
            return value.value
        case _:
            return value


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)
