"""The answer of the usage endpoint of a claude.ai account: percent used of each window, the models' weeks included.

    {"five_hour": {"utilization", "resets_at"}, "seven_day": …, "extra_usage": {…}, "limits": [{"kind", "percent", …}]}

Percent is 0-100 and instants are ISO 8601 that jitter around the mark by a second: they are rounded to the minute.
``limits[]`` tells more than the named windows beside it, so those count only where it says nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.observations.observation import ProviderWindow
from quota_scheduler.sources.word.windows import CREDITS, FIVE_HOUR, WEEKLY, Named, scope_of_model, window_named
from quota_scheduler.sources.word.word import Teller, Word, mapping_of, text_of

SOURCE = "usage_endpoint"
_ROW_KEYS = frozenset({"kind", "group", "percent", "resets_at", "scope", "severity", "is_active"})
_WINDOW_KEYS = frozenset({"utilization", "resets_at"})
_OF_NO_WINDOW = frozenset({"extra_usage", "limits", "seven_day_oauth_apps"})
_EXTRA_KEYS = frozenset({"is_enabled", "monthly_limit", "used_credits", "utilization", "currency"})
_KINDS = {"session": FIVE_HOUR, "weekly_all": WEEKLY}


def read_usage(said: object, teller: Teller) -> Word:
    """What the endpoint answers; also what the agent SDK's ``get_usage`` does, which wraps it in ``rate_limits``."""
    word, answer = Word(), mapping_of(said)
    answer = mapping_of(answer.get("rate_limits")) or answer
    rows = answer.get("limits")
    told: set[Named] = set()
    for row in rows if isinstance(rows, list) else ():
        if named := _window_of(word, mapping_of(row)):
            told.add(named)
            _observe(word, teller, named, mapping_of(row), "percent")
    for name, window in answer.items():
        if name in _OF_NO_WINDOW:
            continue
        named = window_named(str(name))
        if named is None:
            word.look_over({name: window}, (), "usage")
        elif named not in told and (entry := mapping_of(window)):
            word.look_over(entry, _WINDOW_KEYS, f"usage.{name}")
            _observe(word, teller, named, entry, "utilization")
    _extra(word, teller, mapping_of(answer.get("extra_usage")))
    return word


def _window_of(word: Word, row: Mapping[str, Any]) -> Named | None:
    """The window of a row by its kind and never by its label; None where nobody knows it."""
    word.look_over(row, _ROW_KEYS, "usage.limits")
    kind = text_of(row.get("kind"))
    if kind in _KINDS:
        return _KINDS[kind]
    model = mapping_of(mapping_of(row.get("scope")).get("model"))
    name = text_of(model.get("display_name")) or text_of(model.get("id"))
    if kind == "weekly_scoped" and name:
        return ProviderWindow.WEEKLY_MODEL, scope_of_model(name)
    word.look_over({kind or "row without a kind": row}, (), "usage.limits.kind")
    return None


def _observe(word: Word, teller: Teller, named: Named, said: Mapping[str, Any], amount: str) -> None:
    resets_at = word.instant(said.get("resets_at"), name=f"{named[0]}.resets_at", at=teller.at)
    word.observe(
        teller,
        *named,
        used_ratio=word.ratio(said.get(amount), per=100, name=f"{named[0]}.{amount}"),
        resets_at=to_the_minute(resets_at) if resets_at else None,
    )


def _extra(word: Word, teller: Teller, extra: Mapping[str, Any]) -> None:
    """Paid credits, where they are switched on; their money is in cents, their share in percent."""
    word.look_over(extra, _EXTRA_KEYS, "usage.extra_usage")
    if extra.get("is_enabled") is True:
        ratio = word.ratio(extra.get("utilization"), per=100, name="extra_usage.utilization")
        word.observe(teller, *CREDITS, used_ratio=ratio)


def to_the_minute(at: datetime) -> datetime:
    """The nearest whole minute: stamps of one and the same reset lie up to a second around it."""
    return (at + timedelta(seconds=30)).replace(second=0, microsecond=0)
