"""Codex's ``rate_limits``: in rollouts, in the app-server's answers, in response headers.

rollouts      ``primary.used_percent`` (0-100), ``window_minutes``, ``resets_at`` in epoch seconds or, in 2025,
              ``resets_in_seconds`` after the line
app-server    ``account/rateLimits/*``: ``primary.usedPercent`` (rounded), ``windowDurationMins``, ``resetsAt``
headers       ``x-codex-primary-used-percent``, ``-window-minutes``, ``-reset-at``, ``-reset-after-seconds``; those of
              a family as ``x-codex-FAMILY-primary-…``

A window is told by its length and never by its slot: plans of late 2026 send a week as ``primary``, with no secondary.
A window that is null says nothing. ``limit_id`` other than ``codex`` is a family of models, and the scope.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quota_scheduler.core.observations.observation import ProviderWindow, Standing
from quota_scheduler.sources.word.limit_text import read_limit_text
from quota_scheduler.sources.word.windows import CREDITS, window_of_minutes
from quota_scheduler.sources.word.word import REFUSED, Teller, Word, mapping_of, number_of, shown, text_of

SOURCE = "codex"
GENERAL = "codex"
"""The limit that is not one of a family of models."""
_SLOTS = ("primary", "secondary", "weekly", "primary_window", "secondary_window")
_WINDOW_KEYS = frozenset(
    {
        "used_percent",
        "window_minutes",
        "window_duration_mins",
        "limit_window_seconds",
        "resets_at",
        "reset_at",
        "resets_in_seconds",
        "reset_after_seconds",
    }
)
_KEYS = frozenset(
    {
        *_SLOTS,
        "limit_id",
        "limit_name",
        "credits",
        "individual_limit",
        "spend_control_reached",
        "plan_type",
        "rate_limit_reached_type",
        "rate_limits_by_limit_id",
        "rate_limit_reset_credits",
        "primary_to_weekly_ratio_percent",
        "primary_to_secondary_ratio_percent",
        "allowed",
        "limit_reached",
    }
)
_INDIVIDUAL_KEYS = frozenset({"limit", "used", "remaining_percent", "resets_at"})
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_HEADER = re.compile(
    r"x-(codex(?:-[a-z0-9_]{1,40}){0,3}?)-(primary|secondary)-(used-percent|window-minutes|reset-at|reset-after-seconds)"
)
_HEADER_KEYS = {
    "used-percent": "used_percent",
    "window-minutes": "window_minutes",
    "reset-at": "resets_at",
    "reset-after-seconds": "resets_in_seconds",
}
_WHO_STOPS = {
    "workspace_owner_credits_depleted": CREDITS,
    "workspace_member_credits_depleted": CREDITS,
    "workspace_owner_usage_limit_reached": (ProviderWindow.MONTHLY_SPEND, "workspace"),
    "workspace_member_usage_limit_reached": (ProviderWindow.MONTHLY_SPEND, "workspace"),
}
"""Limits that are reached though no window is full: the workspace's money, by ``rate_limit_reached_type``."""


def read_rate_limits(said: object, teller: Teller) -> Word:
    """What a ``rate_limits`` object says, in the spelling of a rollout, of the app-server, or of its backend."""
    word, limits = Word(), _snake(mapping_of(said))
    several = limits.get("rate_limits_by_limit_id")
    if isinstance(several, Mapping) and several:
        for family, one in several.items():
            word.add(read_rate_limits({"limit_id": family, **mapping_of(one)}, teller))
        return word
    if inner := mapping_of(limits.get("rate_limits") or limits.get("rate_limit")):
        return read_rate_limits(inner, teller)
    limits = _nested(limits)
    word.look_over(limits, _KEYS, "rate_limits")
    family = text_of(limits.get("limit_id"))[:60]
    scope, reached = "" if family == GENERAL else family, text_of(limits.get("rate_limit_reached_type"))
    for slot in _SLOTS:
        if window := _snake(mapping_of(limits.get(slot))):
            word.look_over(window, _WINDOW_KEYS, f"rate_limits.{slot}")
            _observe(word, teller, slot, window, scope, reached=bool(reached))
    if reached in _WHO_STOPS:
        word.observe(teller, *_WHO_STOPS[reached], standing=Standing.REJECTED)
    _individual(word, teller, limits)
    return word


def _observe(word: Word, teller: Teller, slot: str, window: Mapping[str, Any], scope: str, *, reached: bool) -> None:
    seconds = number_of(window.get("limit_window_seconds"))
    minutes = number_of(window.get("window_minutes", window.get("window_duration_mins")))
    minutes = seconds / 60 if minutes is None and seconds is not None else minutes
    named = None if minutes is None else window_of_minutes(minutes, scope)
    if named is None:
        length = "does not say how long it is" if minutes is None else f"a window of {minutes:g} minutes is not known"
        word.refuse(f"rate_limits.{slot}: {length}")
        return
    ratio = word.ratio(window.get("used_percent"), per=100, name=f"{slot}.used_percent")
    word.observe(
        teller,
        *named,
        used_ratio=ratio,
        resets_at=_reset(word, teller.at, slot, window),
        standing=Standing.REJECTED if reached and ratio is not None and ratio >= 1 else Standing.UNKNOWN,
    )


def _reset(word: Word, at: datetime, slot: str, window: Mapping[str, Any]) -> datetime | None:
    said = window.get("resets_at", window.get("reset_at"))
    if said is not None:
        return word.instant(said, name=f"{slot}.resets_at", at=at)
    seconds = window.get("resets_in_seconds", window.get("reset_after_seconds"))
    if seconds is None:
        return None
    number = number_of(seconds)
    if number is None or number < 0:
        word.refuse(f"{slot}.resets_in_seconds: {shown(seconds)} is no time from now")
        return None
    return word.instant(
        (at + timedelta(seconds=min(number, 10**9))).isoformat(), name=f"{slot}.resets_in_seconds", at=at
    )


def _individual(word: Word, teller: Teller, limits: Mapping[str, Any]) -> None:
    """What one member may spend in a month: told as what remains, in percent."""
    said = _snake(mapping_of(limits.get("individual_limit")))
    word.look_over(said, _INDIVIDUAL_KEYS, "rate_limits.individual_limit")
    remaining = word.ratio(said.get("remaining_percent"), per=100, name="individual_limit.remaining_percent")
    word.observe(
        teller,
        ProviderWindow.MONTHLY_SPEND,
        "individual",
        used_ratio=None if remaining is None else max(0.0, 1 - remaining),
        resets_at=word.instant(said.get("resets_at"), name="individual_limit.resets_at", at=teller.at),
        standing=Standing.REJECTED if limits.get("spend_control_reached") is True else Standing.UNKNOWN,
    )


def read_error(message: str | None, info: object, teller: Teller) -> Word:
    """Why a turn of Codex failed: ``codex_error_info`` is a word, or an object of the word and its figures."""
    word = Word()
    if info == "usage_limit_exceeded":
        return read_limit_text(message or "", teller)
    for details in mapping_of(info).values():
        if number_of(mapping_of(details).get("http_status_code")) in REFUSED:
            word.throttle(teller)
    return word


def codex_headers(headers: Mapping[str, str], teller: Teller, *, reached: bool = False) -> Word:
    """The windows in headers with names in lower case; ``reached`` says that the answer was a usage-limit refusal."""
    families: dict[str, dict[str, dict[str, str]]] = {}
    for name, value in headers.items():
        if match := _HEADER.fullmatch(name):
            slots = families.setdefault(match[1].replace("-", "_"), {})
            slots.setdefault(match[2], {})[_HEADER_KEYS[match[3]]] = value
    word = Word()
    for family, slots in families.items():
        why = "rate_limit_reached" if reached else None
        word.add(read_rate_limits({"limit_id": family, "rate_limit_reached_type": why, **slots}, teller))
    return word


def _snake(said: Mapping[str, Any]) -> dict[str, Any]:
    """Keys in the spelling of rollouts."""
    return {_CAMEL.sub(r"_\1", str(key)).lower(): value for key, value in said.items()}


def _nested(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Limits in the shape of today: builds of September 2025 wrote ``primary_used_percent`` and its like flat."""
    nested: dict[str, Any] = {}
    for key, value in limits.items():
        slot, _, name = key.partition("_")
        if slot in _SLOTS and name in _WINDOW_KEYS:
            nested.setdefault(slot, {})[name] = value
        else:
            nested[key] = value
    return nested
