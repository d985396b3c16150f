"""Every section but the limits: nodes in, the tree out. The names read here are the keys of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from quota_scheduler.config import places, tree
from quota_scheduler.config.access import read_metrics_auth, read_proxies, read_rate_limit, read_tls, read_tokens
from quota_scheduler.config.alerting import read_alert_rules, read_receivers
from quota_scheduler.config.billing import read_bills
from quota_scheduler.config.doors import LITELLM_NAMES, OTLP_NAMES, read_door
from quota_scheduler.config.fields import Fields
from quota_scheduler.config.github import read_github
from quota_scheduler.config.limits import default_limits, enforced, read_limits
from quota_scheduler.config.nodes import Branch, Listing, Problems, Scalar
from quota_scheduler.config.scalars import (
    amount,
    days,
    dollars,
    number,
    one_of,
    one_of_names,
    ratio,
    seconds,
    span,
    text,
    whole,
    yes_or_no,
)
from quota_scheduler.config.tracing import read_traces
from quota_scheduler.core.labels import LABEL_NAMES, LONGEST_VALUE, LabelRule
from quota_scheduler.core.limits.limit import Limit
from quota_scheduler.core.limits.schedule import check_zone
from quota_scheduler.core.limits.thresholds import Thresholds
from quota_scheduler.core.pricing import WEB_SEARCH, OwnPrice
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import Unit

FACTS = ("cwd", "root", "model", "branch")
"""What a transcript says about itself, and label rules can look at."""
SETTABLE = tuple(name for name in LABEL_NAMES if name not in ("provider", "model"))
OTHER_AGENTS = ("codex", "gemini", "opencode", "pi", "qwen", "copilot")
"""Agents beside Claude Code whose files are read."""
SPOOL_BYTES = 64 * 1024 * 1024
"""Two hundred thousand calls or more, packed: hours of a busy team."""
ZERO = Decimal(0)
SHARES_IN_ORDER = (
    ("risk_medium", "risk_high", "risk_critical"),
    ("fixed_normal", "fixed_stop"),
    ("optimization_emergency", "optimization_aggressive", "optimization_balanced"),
)


class Surroundings(Struct, frozen=True):
    """What the configuration is read in: the user's folders, and variables that are not ours but matter."""

    home: Path
    database: Path | str
    variables: Mapping[str, str]
    chosen: Mapping[str, Scalar]


def read_config(root: Branch, around: Surroundings, problems: Problems, seen: set[str]) -> tree.Config:
    """The whole tree; of no use when there are problems."""
    with Fields(root, problems, seen) as top:
        zone = top.read("timezone", check_zone, "UTC")
        receivers = read_receivers(top)
        tokens, tokens_file = read_tokens(top, around.home)
        config = tree.Config(
            origin="",
            file=None,
            listen=top.read("listen", _listen, tree.Listen()),
            timezone=zone,
            database=top.read(
                "database", partial(places.database, top.folder("database"), around.home), around.database
            ),
            database_patience=top.read("database_patience", seconds(1, 60), 3.0),
            spool=_spool(top, around),
            sources=_sources(top, around),
            otlp=read_door(top, "otlp", OTLP_NAMES),
            litellm=read_door(top, "litellm", LITELLM_NAMES),
            limits=_limits(top, around, zone),
            bills=read_bills(top),
            github=read_github(top, around.home),
            receivers=receivers,
            alerts=read_alert_rules(top, tuple(one.id for one in receivers)),
            tokens=tokens,
            tokens_file=tokens_file,
            metrics_auth=read_metrics_auth(top, tokens),
            rate_limit=read_rate_limit(top),
            tls=read_tls(top, around.home),
            trusted_proxies=read_proxies(top),
            traces=read_traces(top),
            prices=_prices(top),
            models=_models(top),
            rules=_rules(top),
            tick_seconds=top.read("tick_seconds", seconds(0.1, 60), 2.0),
            leader_ttl=top.read("leader_ttl", seconds(1, 60), 5.0),
            claim_within=top.read("claim_within", span, timedelta(minutes=2)),
            aging_step=top.read("aging_step", span, timedelta(minutes=30)),
            fair_share=top.read("fair_share", one_of_names(LABEL_NAMES), "team"),
            max_offers=top.read("max_offers", whole(1, 100), 3),
            high_usage_run=top.read("high_usage_run", amount(Unit.TOKENS), 3_000_000),
            raw_retention=top.read("raw_retention", days, timedelta(days=35)),
            key_retention=top.read("key_retention", days, timedelta(days=400)),
            log_format=top.read("log_format", one_of(tree.LogFormat), tree.LogFormat.TEXT),
            home=around.home,
            variables=around.variables,
        )
        if config.key_retention < config.raw_retention:
            top.complain("key_retention", "is shorter than raw_retention: a replay would count twice; lengthen it")
    return config


def _spool(top: Fields, around: Surroundings) -> tree.SpoolPlace:
    with top.section("spool") as spool:
        folder = spool.folder("file")
        file = spool.read("file", lambda value: places.resolved(text(value), folder, around.home), None)
        size = spool.read("bytes", whole(0, 10**12), SPOOL_BYTES)
        return tree.SpoolPlace(file or Path(around.database).with_name("spool.db"), size, is_named=file is not None)


def _listen(value: str) -> tree.Listen:
    host, colon, port = value.rpartition(":")
    if not colon and value.isdigit():
        host = "127.0.0.1"
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    is_host = (
        bool(host) and not any(c.isspace() or c == "/" for c in host) and (":" not in host or value.startswith("["))
    )
    if not is_host or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise ValueError(f"{value!r} is not an address to listen on: write host:port, such as 127.0.0.1:8484")
    return tree.Listen(host, int(port))


def _sources(top: Fields, around: Surroundings) -> tree.Sources:
    with top.section("sources") as sources:
        with sources.section("claude_code") as claude:
            poll_seconds = claude.read("poll_seconds", seconds(0.1, 3600), 1.0)
            claude_code = _agent(claude, around, poll_seconds)
            usage_endpoint = claude.read("usage_endpoint", yes_or_no, False)
        others = []
        for name in OTHER_AGENTS:
            with sources.section(name) as agent:
                others.append((name, _agent(agent, around, poll_seconds)))
        return tree.Sources(claude_code, tuple(others), usage_endpoint)


def _agent(agent: Fields, around: Surroundings, poll_seconds: float) -> tree.AgentSource:
    """The files of one agent; all are looked at in one pass, as often as the first one says."""
    roots, accounts = _roots(agent, around.home)
    return tree.AgentSource(
        enabled=agent.read("enabled", yes_or_no, True),
        account=agent.read("account", text, "default"),
        roots=roots,
        accounts=accounts,
        labels=tuple(_label_rule(rule, around.home) for rule in agent.each("labels")),
        without=agent.read("without", one_of(tree.Without), tree.Without.IGNORE),
        poll_seconds=poll_seconds,
    )


def _roots(agent: Fields, home: Path) -> tuple[tuple[Path, ...], tuple[tuple[Path, str], ...]]:
    """The folders to look in, and the accounts of those that name one: each entry is a path, or a path and more."""
    folder = agent.folder("roots")

    def path(value: str) -> Path:
        return places.resolved(text(value), folder, home)

    node = agent.node.entries.get("roots")
    if not isinstance(node, Listing):
        return agent.several("roots", path), ()
    agent.know("roots")
    roots: list[Path] = []
    accounts: list[tuple[Path, str]] = []
    for item in node.items:
        if not isinstance(item, Branch):
            roots += [root] if (root := agent.parsed(item, path, None)) else []
            continue
        with agent.inside(item) as entry:
            root = entry.require("path", path, None, "name the folder, as in `path: ~/.claude-work`")
            account = entry.read("account", _label_value, "")
        roots += [root] if root else []
        accounts += [(root, account)] if root and account else []
    return tuple(roots), tuple(accounts)


def _label_rule(rule: Fields, home: Path) -> LabelRule:
    with rule:
        with rule.section("when") as when:
            patterns = [(fact, when.read(fact, text, "")) for fact in FACTS]
        with rule.section("set") as labels:
            given = [(name, labels.read(name, _label_value, "")) for name in SETTABLE]
            priority = labels.read("class", one_of(Priority), None)
        if not any(pattern for _, pattern in patterns):
            rule.complain("when", f"must say when the rule applies: give a pattern for {', '.join(FACTS)}")
        if priority is None and not any(value for _, value in given):
            rule.complain("set", "must set a label or a class, as in `set: {team: growth}`")
    return LabelRule(
        when=tuple(
            (fact, _at_home(pattern, home) if fact in ("cwd", "root") else pattern)
            for fact, pattern in patterns
            if pattern
        ),
        set=tuple((name, value) for name, value in given if value),
        priority=priority,
    )


def _label_value(value: str) -> str:
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"{value!r} is too long: a label has {LONGEST_VALUE} characters at most")
    return text(value)


def _at_home(pattern: str, home: Path) -> str:
    return f"{home}{pattern[1:]}" if pattern == "~" or pattern.startswith("~/") else pattern


def _limits(top: Fields, around: Surroundings, zone: str) -> tuple[Limit, ...]:
    written = top.has("limits")
    limits = read_limits(top.each("limits"), zone, top.problems)
    return enforced(limits if written else default_limits(zone), around.chosen, zone, top.problems)


def _prices(top: Fields) -> dict[str, OwnPrice]:
    read = {}
    for model, node in sorted(top.entries("prices").items()):
        with top.inside(node) as one:
            read[model] = OwnPrice(
                input=one.require("input", dollars, ZERO, "write dollars per million tokens; 0 means free"),
                output=one.require("output", dollars, ZERO, "write dollars per million tokens; 0 means free"),
                cache_read=one.read("cache_read", dollars, None),
                cache_write_5m=one.read("cache_write_5m", dollars, None),
                cache_write_1h=one.read("cache_write_1h", dollars, None),
                request=one.read("request", dollars, ZERO),
                web_search=one.read("web_search", dollars, WEB_SEARCH),
            )
    return read


def _models(top: Fields) -> tree.Models:
    with top.section("models") as models:
        return tree.Models(fallback=models.several("fallback", text))


def _rules(top: Fields) -> Thresholds:
    with top.section("rules") as rules:
        before = len(top.problems)
        default = Thresholds()
        given: dict[str, Any] = {
            f.name: rules.read(_spelling(f.name, rules), _rule(f.name), getattr(default, f.name))
            for f in fields(Thresholds)
        }
        read = Thresholds(**given)
        for names in SHARES_IN_ORDER if len(top.problems) == before else ():
            values = [given[name] for name in names]
            if values != sorted(values):
                rules.complain(names[0], f"{' ≤ '.join(names)} does not hold: {', '.join(f'{v:g}' for v in values)}")
    return read


def _spelling(name: str, rules: Fields) -> str:
    """The key of a rule as it is given: those of the fixed thresholds had another name at first."""
    former = name.replace("fixed_", "seed_")
    rules.know(former)
    return former if rules.has(former) and not rules.has(name) else name


def _rule(name: str) -> Callable[[str], float]:
    return number if name.endswith("_factor") else ratio
