"""Alert rules from data: the shipped ``alerts/rules.yaml``, with what the config changes about single rules.

Everything is checked before anything starts; every problem is reported with its path, the value and the way out.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

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
_ID = re.compile(r"[a-z][a-z0-9_]*")
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


def _share(value: Any) -> float:
    share = _number(value)
    if not 0 <= share < 1:
        raise ValueError("write a share of 0 or more and below 1")
    return share


def _floor(value: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, Mapping):
        raise ValueError("write one amount by unit, such as {tokens: 1k, usd: 0.50}")
    return tuple(sorted((Unit(unit).value, float(amount_in(amount, Unit(unit)))) for unit, amount in value.items()))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("write a text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("write a list of texts")
    return tuple(value)


def _lines(value: Any) -> tuple[str, ...]:
    if not (lines := _texts(value)):
        raise ValueError("write one line at least")
    return lines


def _id(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("write small letters, digits and underscores, a letter first")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _one_of(kind: type[Op] | type[Severity]) -> Callable[[Any], Op | Severity]:
    def read(value: Any) -> Op | Severity:
        if value not in list(kind):
            raise ValueError(f"write one of {', '.join(kind)}")
        return kind(value)

    return read


Words = Mapping[str, Callable[[Any], Any]]
"""What a mapping may say, and how each of it is read, which raises ValueError."""
CHANGES: Words = {
    "enabled": _truth,
    "threshold": _number,
    "clear": _number,
    "for": _span,
    "keep_firing_for": _span,
    "rearm": _span,
    "tell_from": _span,
    "repeat": _span,
    "floor": _floor,
    "evidence": _number,
    "severity": _one_of(Severity),
    "receivers": _texts,
    "runbook": _text,
}
"""What the config may change about one rule; what it does not name stays as shipped.

A new ``threshold`` without ``clear`` moves the clearing mark along with it.
"""
RULE: Words = {
    "id": _id,
    "reading": _text,
    "op": _one_of(Op),
    "threshold": _number,
    "clear": _number,
    "for": _span,
    "severity": _one_of(Severity),
    "summary": _text,
    "title": _text,
    "message": _lines,
    "keep_firing_for": _span,
    "gone_after": _span,
    "rearm": _span,
    "tell_from": _span,
    "repeat": _span,
    "floor": _floor,
    "evidence": _number,
    "drop_share": _share,
    "drop_points": _share,
    "under": _texts,
    "once": _truth,
    "goes_on": _truth,
    "resolved": _texts,
    "gone": _texts,
}
"""One rule as ``rules.yaml`` writes it; the words are explained in docs/reference/alerts.md."""
NEEDED = tuple(RULE)[: tuple(RULE).index("message") + 1]
"""What each rule must say; the others have defaults, those of ``AlertRule``."""
TEXTS = ("summary", "title", "message", "resolved", "gone")


def _read_words(
    where: str, given: Any, words: Words, problems: list[str], needed: Sequence[str] = ()
) -> dict[str, Any]:
    """What a mapping says, read; every problem is added to ``problems`` as path, reason and value."""
    if not isinstance(given, Mapping):
        problems.append(f"{where}: write what it says by key, not {given!r}")
        return {}
    read = {}
    for name, value in given.items():
        if name not in words:
            problems.append(f"{where}.{name}: there is no such key; it may have {', '.join(words)}")
            continue
        try:
            read[name] = words[name](value)
        except (ValueError, TypeError) as error:
            problems.append(f"{where}.{name}: {error} (given: {value!r})")
    problems += [f"{where}.{name}: is missing" for name in needed if name not in given]
    return read


def _rule_of(said: Mapping[str, Any]) -> AlertRule:
    """The rule as the core steps it."""
    texts = RuleTexts(**{name: said[name] for name in TEXTS if name in said})
    fields = {("hold" if name == "for" else name): value for name, value in said.items() if name not in TEXTS}
    return AlertRule(texts=texts, runbook=f"{RUNBOOKS}#{said['id']}", **fields)


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
        wrong: list[str] = []
        said = _read_words(f"{path.name}: {name}", entry, RULE, wrong, NEEDED)
        problems += wrong
        rules += [] if wrong else [_rule_of(said)]
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
    wrong: list[str] = []
    fields = _read_words(
        where, {key: value for key, value in (change or {}).items() if value is not None}, CHANGES, wrong
    )
    if wrong:
        problems += wrong
        return None
    is_wanted = fields.pop("enabled", True)
    if "for" in fields:
        fields["hold"] = fields.pop("for")
    if "threshold" in fields:
        fields.setdefault("clear", round(fields["threshold"] + rule.clear - rule.threshold, 9))
    if "floor" in fields:
        fields["floor"] = tuple(sorted({**dict(rule.floor), **dict(fields["floor"])}.items()))
    if "receivers" in fields:
        problems += _unknown_receivers(where, fields["receivers"], receivers)
    new = replace(rule, **fields)
    problems += [f"alerts.rules.{problem}" for problem in _mark_problem(new)]
    return new if is_wanted else None


def _unknown_receivers(where: str, names: Iterable[str], configured: Collection[str] | None) -> list[str]:
    if configured is None:
        return []
    listed = ", ".join(sorted(configured)) or "none"
    return [
        f"{where}.receivers: there is no receiver {n!r}; configured are: {listed}" for n in names if n not in configured
    ]
