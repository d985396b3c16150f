"""What an alert says to people: the fact first, then how long it lasts, why, and what to do; under 900 characters.

A template is a line with ``{names}``; a line whose name has nothing to say is left out, so that one template serves
limits with and without a forecast, a cause or a baseline. Every text ends with the alert's key, because a receiver may
get the same message twice.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from quota_scheduler.core.alerts.lasting import dry_spell, in_time, instant, number, runway, span, what_of
from quota_scheduler.core.alerts.rule import AlertRule, Facts
from quota_scheduler.core.alerts.state import AlertState, Cause, NoticeKind
from quota_scheduler.core.limits.schedule import local_time
from quota_scheduler.core.units import Unit, format_amount, format_number

LONGEST = 900
"""Longest text in characters: Teams cuts at 1000, PagerDuty at 1024 (both as of November 2026)."""
LONGEST_SUBJECT = 160
"""Longest subject in characters: what phones and mail clients show of one line."""
PLACEHOLDER = re.compile(r"\{(\w+)\}")
ABOUT_WORDS = frozenset({"scope", "threshold", "fired_for"})
LIMIT_WORDS = ABOUT_WORDS | {
    *(
        "limit",
        "provider",
        "used",
        "amount",
        "reserved",
        "left",
        "percent",
        "pace",
        "cause",
        "waiting",
        "runway",
        "dry_spell",
    ),
    *("forecast", "expected", "reset", "next_reset", "mode_note", "figure_note", "rate_fast", "rate_slow"),
}
UNUSED_WORDS = LIMIT_WORDS | {"unused", "unused_percent", "held_back"}
WAIT_WORDS = LIMIT_WORDS | {"waited"}
OBSERVED_WORDS = LIMIT_WORDS | {"elsewhere", "changes", "unreported", "why"}
CACHE_WORDS = ABOUT_WORDS | {"workflow", "provider", "hit_rate", "baseline", "input_tokens", "changed", "in_time"}
RUN_WORDS = ABOUT_WORDS | {
    *("run", "workflow", "task_type", "team", "provider", "tokens", "cost", "hit_rate", "run_state", "in_time"),
}
WORDS = {
    "usage_ratio": LIMIT_WORDS,
    "forecast_ratio": LIMIT_WORDS,
    "burn_fast": LIMIT_WORDS,
    "burn_slow": LIMIT_WORDS,
    "unused_ratio": UNUSED_WORDS,
    "wait_windows": WAIT_WORDS,
    "wait_seconds": WAIT_WORDS,
    "cache_hit_rate": CACHE_WORDS,
    "cache_hit_rate_alone": CACHE_WORDS,
    "run_tokens": RUN_WORDS,
    "run_over_cap": RUN_WORDS,
    "source_lag_seconds": ABOUT_WORDS | {"source", "lag", "errors"},
    "unpriced_tokens": ABOUT_WORDS | {"model", "tokens"},
    "elsewhere_points": OBSERVED_WORDS,
    "provider_changes": OBSERVED_WORDS,
    "unreported_seconds": OBSERVED_WORDS,
    "refused_seconds": ABOUT_WORDS | {"provider", "account", "refusals", "refused"},
}
"""The names that the templates of a rule on each reading may use."""
NEW_WINDOW = (
    "The window of {limit} ended at {percent} of {amount}; a new one has begun.",
    "The new one resets on {next_reset}.",
)
"""What resolved limits say by default when their window is over."""
GONE = ("{scope} is no longer reported: it was removed, or is idle. Nothing more is known about it.",)
"""What is said by default of a scope that is no longer there."""


def write(
    rule: AlertRule, state: AlertState, kind: NoticeKind, *, now: datetime, still: Sequence[AlertRule] = ()
) -> tuple[str, str]:
    """Write subject and body of a notification; ``still`` are lower rungs that go on firing after this one resolved."""
    words = {**phrases(state.facts, now), **_about(rule, state)}
    if kind is NoticeKind.RESOLVED:
        lines = [*_resolved_lines(rule, state), *_still(still)]
        subject = f"Resolved: {_fill(rule.texts.summary, words)}: {state.scope}"
    else:
        lines = list(rule.texts.message)
        subject = ("Still: " if kind is NoticeKind.REPEAT else "") + (_fill(rule.texts.title, words) or state.scope)
    body = "\n".join(text for line in lines if (text := _fill(line, words)))
    return cut(subject, LONGEST_SUBJECT), _signed(body, key_line(rule.id, state.scope, state.episode, rule.runbook))


def key_line(rule: str, scope: str, episode: str, runbook: str = "") -> str:
    """Return the line that names an alert, so that a repeated delivery is seen as one."""
    parts = [rule, scope, *([episode] if episode not in ("", scope) else []), *([f"see {runbook}"] if runbook else [])]
    return f"[{' · '.join(parts)}]"


def cut(text: str, most: int) -> str:
    """Cut to at most ``most`` characters, with a mark where something was left out."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def placeholders(template: str) -> set[str]:
    """Return the names a template asks for."""
    return set(PLACEHOLDER.findall(template))


def phrases(facts: Facts, now: datetime) -> dict[str, str]:
    """Return every name that a template may use, in words; what is not known is absent."""
    words = {name: value for name, value in facts.items() if isinstance(value, str) and value}
    if "limit" in facts:
        words |= _limit_words(facts, now)
    if "of_limit" in facts:
        words["in_time"] = in_time(facts)
    if "hit_rate" in facts:
        words |= {"hit_rate": _percent(facts, "hit_rate"), "baseline": _percent(facts, "baseline")}
    for name in ("tokens", "input_tokens"):
        if name in facts:
            words[name] = format_amount(number(facts, name), Unit.TOKENS)
    if "cost" in facts:
        words["cost"] = format_amount(number(facts, "cost"), Unit.USD)
    if "run" in facts:
        words["run_state"] = "It has ended." if facts.get("finished") else "It is still running."
    if "lag_seconds" in facts:
        words["lag"] = span(timedelta(seconds=number(facts, "lag_seconds")))
        words["errors"] = format_number(number(facts, "errors")) if facts.get("errors") else ""
    if "elsewhere_points" in facts:
        words["elsewhere"] = f"{number(facts, 'elsewhere_points'):.3g} points"
        words["unreported"] = span(timedelta(seconds=number(facts, "unreported_seconds")))
    if "refused_seconds" in facts:
        words["refused"] = span(timedelta(seconds=number(facts, "refused_seconds")))
        words["refusals"] = format_number(number(facts, "refusals"))
    return {name: text for name, text in words.items() if text}


def _about(rule: AlertRule, state: AlertState) -> dict[str, str]:
    return {"scope": state.scope, "threshold": _threshold(rule), "fired_for": _lasted(state)}


def _threshold(rule: AlertRule) -> str:
    if rule.reading.endswith("tokens"):
        return format_amount(rule.threshold, Unit.TOKENS)
    if rule.reading.endswith("points"):
        return f"{rule.threshold:g} points"
    if rule.reading.endswith("seconds"):
        return span(timedelta(seconds=rule.threshold))
    if rule.reading == "wait_windows":
        return f"{rule.threshold:g} windows"
    return f"{rule.threshold * 100:g} %"


def _lasted(state: AlertState) -> str:
    return span(state.resolved_at - state.fired_at) if state.resolved_at and state.fired_at else ""


def _limit_words(facts: Facts, now: datetime) -> dict[str, str]:
    unit, zone = Unit(str(facts["unit"])), str(facts["zone"])
    used, amount = number(facts, "used"), number(facts, "amount")
    words = {name: format_amount(number(facts, name), unit) for name in ("used", "amount", "reserved")}
    if loan := number(facts, "loan"):
        words["amount"] += f" ({format_amount(loan, unit)} of it lent)"
    words["left"] = format_amount(max(0.0, amount - used), unit)
    words["percent"] = f"{math.floor(used / amount * 100 + 1e-9)} %" if amount else ""
    words["mode_note"] = "The limit only warns: nobody is held back." if facts.get("mode") == "warn" else ""
    words["figure_note"] = "The figure is estimated." if facts.get("estimated") else ""
    if waiting := int(number(facts, "waiting")):
        words["waiting"] = f"{waiting} {'ticket waits' if waiting == 1 else 'tickets wait'} for it."
    else:
        words["waiting"] = ""
    pace = number(facts, "pace")
    words["pace"] = f"Spent at {pace:.1f} times the pace that lasts to the reset." if pace > 1 else ""
    for name, word in (("ends_at", "reset"), ("next_ends_at", "next_reset")):
        at = instant(facts, name)
        words[word] = f"{local_time(at, zone)} (in {span(at - now)})" if at else ""
    words |= {"runway": runway(facts, zone), "dry_spell": dry_spell(facts)}
    words |= {"rate_fast": _rate(facts, "fast"), "rate_slow": _rate(facts, "slow")}
    return words | _forecast_words(facts, unit, amount) | _unused_words(facts, unit, amount)


def _unused_words(facts: Facts, unit: Unit, amount: float) -> dict[str, str]:
    """What will expire, how much automation may not touch, and how long tickets have waited."""
    unused, held = number(facts, "unused"), amount - number(facts, "allowance")
    return {
        "unused": format_amount(round(unused * amount), unit) if unused else "",
        "unused_percent": f"{unused:.0%}".replace("%", " %") if unused else "",
        "held_back": f"{format_amount(round(held), unit)} are held back for people." if held > 0 else "",
        "waited": span(timedelta(seconds=number(facts, "waited_seconds"))) if facts.get("waited_seconds") else "",
    }


def _rate(facts: Facts, speed: str) -> str:
    """When it runs out at the rate of the lookback that alarms."""
    at, over = instant(facts, f"out_{speed}"), span(timedelta(seconds=number(facts, f"lookback_{speed}")))
    return f"At the rate of the last {over} {what_of(facts, 'it')} runs out on {_local(facts, at)}." if at else ""


def _local(facts: Facts, at: datetime) -> str:
    return local_time(at, str(facts["zone"]))


def _forecast_words(facts: Facts, unit: Unit, amount: float) -> dict[str, str]:
    if facts.get("expected") is None or not amount:
        return {}
    expected, low, high = (number(facts, name) for name in ("expected", "low", "high"))
    said = f"Expected at the reset: {format_amount(expected, unit)} ({expected / amount:.0%})".replace("%", " %")
    interval = f"80 % interval {format_amount(low, unit)} to {format_amount(high, unit)}"
    return {"forecast": f"{said}, {interval}.", "expected": format_amount(expected, unit)}


def _resolved_lines(rule: AlertRule, state: AlertState) -> Sequence[str]:
    match state.cause:
        case Cause.NEW_WINDOW if "limit" in state.facts:
            return NEW_WINDOW
        case Cause.GONE:
            return rule.texts.gone or GONE
        case _:
            return rule.texts.resolved or ("It is over after {fired_for}.",)


def _still(rules: Sequence[AlertRule]) -> list[str]:
    names = [_fill(rule.texts.summary, {"threshold": _threshold(rule)}) for rule in rules]
    return [f"Still firing: {', '.join(names)}."] if names else []


def _signed(body: str, key: str) -> str:
    key = cut(key, LONGEST // 3)
    return f"{cut(body, LONGEST - len(key) - 1)}\n{key}"


def _fill(template: str, words: Mapping[str, str]) -> str:
    """The template in words, or nothing when one of its names has nothing to say."""
    if any(name not in words or not words[name] for name in placeholders(template)):
        return ""
    return PLACEHOLDER.sub(lambda match: words[match[1]], template)


def _percent(facts: Facts, name: str) -> str:
    return f"{number(facts, name) * 100:.1f} %" if facts.get(name) is not None else ""
