"""Alert rules from data: the shipped ``alerts/rules.yaml``, with what the config changes about single rules.

Everything is checked before anything starts; every problem is reported with its path, the value and the way out.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from msgspec.structs import replace
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from quota_scheduler.core.alerts.rule import AlertRule, Op, RuleTexts, Severity
from quota_scheduler.core.alerts.wording import WORDS, placeholders
from quota_scheduler.core.limits.schedule import parse_span
from quota_scheduler.core.units import MICRO, Unit, amount_in, parse_amount
from quota_scheduler.data_files import data_dir
from quota_scheduler.errors import ConfigError

SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same in C where the wheel has it: a tenth of the time, which every start waits for."""
RUNBOOKS = "alerts/runbooks.md"
RATIOS = {"usage_ratio", "forecast_ratio", "unused_ratio", "cache_hit_rate", "cache_hit_rate_alone"}
MOST_RATIO = 10.0
"""A ratio threshold above this is a percentage by mistake."""


def _span(value: Any) -> timedelta:
    """A length of time, or nothing: ``0s`` and ``never`` are allowed here, unlike for windows."""
    return timedelta(0) if value in (0, "0", "0s", "never", timedelta(0)) else parse_span(value)


def _number(value: Any) -> float:
    """A number as people write it: ``0.8``, ``80%``, ``3M``, ``1_000``."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        return float(parse_amount(value.rstrip().removesuffix("%"), Unit.USD)) / MICRO / 100
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float(parse_amount(value))
    )


def _floor(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError("write one amount by unit, such as {tokens: 1k, usd: 0.50}")
    return {Unit(unit).value: float(amount_in(amount, Unit(unit))) for unit, amount in value.items()}


Span = Annotated[timedelta, BeforeValidator(_span)]
Number = Annotated[float, BeforeValidator(_number)]
Floor = Annotated[dict[str, float], BeforeValidator(_floor)]


class RuleChange(BaseModel):
    """What the config may change about one rule; what it does not name stays as shipped.

    A new ``threshold`` without ``clear`` moves the clearing mark along with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    threshold: Number | None = None
    clear: Number | None = None
    hold: Span | None = Field(default=None, alias="for")
    keep_firing_for: Span | None = None
    rearm: Span | None = None
    tell_from: Span | None = None
    repeat: Span | None = None
    floor: Floor | None = None
    evidence: Number | None = None
    severity: Severity | None = None
    receivers: list[str] | None = None
    runbook: str | None = None


class RuleFile(BaseModel):
    """One rule as ``rules.yaml`` writes it; the fields are explained in docs/reference/alerts.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    reading: str
    op: Op
    threshold: Number
    clear: Number
    hold: Span = Field(alias="for")
    keep_firing_for: Span = timedelta(0)
    gone_after: Span = timedelta(0)
    rearm: Span = timedelta(0)
    tell_from: Span = timedelta(0)
    repeat: Span = timedelta(0)
    floor: Floor = {}
    evidence: Number = 0.0
    drop_share: float = Field(default=0.0, ge=0, lt=1)
    drop_points: float = Field(default=0.0, ge=0, lt=1)
    severity: Severity
    under: list[str] = []
    once: bool = False
    goes_on: bool = False
    summary: str
    title: str
    message: list[str] = Field(min_length=1)
    resolved: list[str] = []
    gone: list[str] = []

    def rule(self) -> AlertRule:
        """Return the rule as the core steps it."""
        return AlertRule(
            id=self.id,
            reading=self.reading,
            op=self.op,
            threshold=self.threshold,
            clear=self.clear,
            severity=self.severity,
            texts=RuleTexts(self.summary, self.title, tuple(self.message), tuple(self.resolved), tuple(self.gone)),
            runbook=f"{RUNBOOKS}#{self.id}",
            hold=self.hold,
            keep_firing_for=self.keep_firing_for,
            gone_after=self.gone_after,
            rearm=self.rearm,
            tell_from=self.tell_from,
            repeat=self.repeat,
            floor=tuple(sorted(self.floor.items())),
            evidence=self.evidence,
            drop_share=self.drop_share,
            drop_points=self.drop_points,
            under=tuple(self.under),
            once=self.once,
            goes_on=self.goes_on,
        )


def load_rules(
    changes: Mapping[str, Any] | None = None, *, receivers: Collection[str] | None = None, path: Path | None = None
) -> tuple[AlertRule, ...]:
    """Read the rules of ``path`` (default: those that ship), ``changes`` by rule id applied and disabled ones left out.

    ``receivers`` are the configured receivers, to check names against; None leaves names unchecked.
    Raises ConfigError with every problem found.
    """
    path = path or data_dir("alerts") / "rules.yaml"
    rules = _read(path)
    problems: list[str] = []
    ids = {rule.id for rule in rules}
    for name in sorted((changes or {}).keys() - ids):
        problems.append(f"alerts.rules.{name}: there is no such rule; the rules are {', '.join(sorted(ids))}")
    changed = [_changed(rule, (changes or {}).get(rule.id, {}), receivers, problems) for rule in rules]
    if problems:
        raise ConfigError(problems)
    return tuple(rule for rule in changed if rule is not None)


def _read(path: Path) -> list[AlertRule]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), SafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    if not isinstance(document, dict) or set(document) != {"rules"} or not isinstance(document["rules"], list):
        raise ConfigError([f"{path}: must hold one list named rules, and nothing else"])
    problems: list[str] = []
    rules: list[AlertRule] = []
    for index, entry in enumerate(document["rules"]):
        name = entry.get("id", index) if isinstance(entry, dict) else index
        try:
            rules.append(RuleFile.model_validate(entry).rule())
        except ValidationError as error:
            problems += _problems_of(f"{path.name}: {name}", RuleFile, error)
    problems += [f"{path.name}: {problem}" for problem in check(rules)]
    if problems:
        raise ConfigError(problems)
    return rules


def check(rules: Iterable[AlertRule]) -> list[str]:
    """Tell what is wrong with well-formed rules: unknown readings, names, rungs; marks on the wrong side."""
    rules = list(rules)
    ids = [rule.id for rule in rules]
    problems = [f"{name}: is there twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
    for rule in rules:
        problems += _mark_problem(rule) + _word_problems(rule)
        problems += [f"{rule.id}.under: there is no rule {name!r}" for name in rule.under if name not in ids]
        if rule.id in rule.under:
            problems.append(f"{rule.id}.under: a rule cannot be under itself")
    return problems


def _mark_problem(rule: AlertRule) -> list[str]:
    if rule.reading in RATIOS and not 0 <= rule.threshold <= MOST_RATIO:
        return [f"{rule.id}.threshold: {rule.threshold:g} is no ratio; write 0.8 or 80% for 80 percent"]
    wrong = rule.clear < rule.threshold if rule.op is Op.BELOW else rule.clear > rule.threshold
    side = "at or above" if rule.op is Op.BELOW else "at or below"
    flaps = f"{rule.clear:g} must lie {side} the threshold {rule.threshold:g}, or the alert would flap"
    return [f"{rule.id}.clear: {flaps}"] if wrong else []


def _word_problems(rule: AlertRule) -> list[str]:
    if rule.reading not in WORDS:
        return [f"{rule.id}.reading: {rule.reading!r} is not known; the readings are {', '.join(WORDS)}"]
    unknown = sorted(
        {name for template in rule.texts.templates for name in placeholders(template)} - WORDS[rule.reading]
    )
    names = ", ".join(sorted(WORDS[rule.reading]))
    return [f"{rule.id}: {{{name}}} is not known for {rule.reading}; known are {names}" for name in unknown]


def _changed(rule: AlertRule, change: Any, receivers: Collection[str] | None, problems: list[str]) -> AlertRule | None:
    """The rule with what the config changes; None when it is disabled or the change is not well-formed."""
    where = f"alerts.rules.{rule.id}"
    try:
        wanted = RuleChange.model_validate(change or {})
    except ValidationError as error:
        problems += _problems_of(where, RuleChange, error)
        return None
    fields = {name: getattr(wanted, name) for name in wanted.model_fields_set if name != "enabled"}
    fields = {name: value for name, value in fields.items() if value is not None}
    if "threshold" in fields:
        fields.setdefault("clear", round(fields["threshold"] + rule.clear - rule.threshold, 9))
    if "floor" in fields:
        fields["floor"] = tuple(sorted({**dict(rule.floor), **fields["floor"]}.items()))
    if "receivers" in fields:
        problems += _unknown_receivers(where, fields["receivers"], receivers)
        fields["receivers"] = tuple(fields["receivers"])
    new = replace(rule, **fields)
    problems += [f"alerts.rules.{problem}" for problem in _mark_problem(new)]
    return new if wanted.enabled else None


def _unknown_receivers(where: str, names: Iterable[str], configured: Collection[str] | None) -> list[str]:
    if configured is None:
        return []
    listed = ", ".join(sorted(configured)) or "none"
    return [
        f"{where}.receivers: there is no receiver {n!r}; configured are: {listed}" for n in names if n not in configured
    ]


def _problems_of(where: str, model: type[BaseModel], error: ValidationError) -> list[str]:
    """Each problem of a validation as path, value and reason."""
    problems = []
    keys = [field.alias or name for name, field in model.model_fields.items()]
    for detail in error.errors():
        path = ".".join([where, *(str(part) for part in detail["loc"])])
        if detail["type"] == "extra_forbidden":
            problems.append(f"{path}: there is no such key; it may have {', '.join(keys)}")
            continue
        value = "" if detail["type"] == "missing" else f" (given: {detail['input']!r})"
        problems.append(f"{path}: {detail['msg'].removeprefix('Value error, ')}{value}")
    return problems
