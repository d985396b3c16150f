"""The windows of a provider by the names that its doors give them, and what they are called here.

| said | window | scope |
| --- | --- | --- |
| ``five_hour``, ``5h``, ``session`` | five_hour | |
| ``seven_day``, ``7d``, ``weekly``, ``weekly_all`` | weekly | |
| ``seven_day_opus``, ``7d_opus``, "Opus" | weekly_model | ``opus`` |
| ``seven_day_overage_included``, ``7d_oi`` | weekly_model | ``overage_included`` |
| ``monthly`` spend | monthly_spend | |
"""

import re
from datetime import datetime, timedelta

from quota_scheduler.core.observations.observation import ProviderWindow

Named = tuple[ProviderWindow, str]
"""A window and the scope that tells it from others of its kind."""
FIVE_HOUR: Named = (ProviderWindow.FIVE_HOUR, "")
WEEKLY: Named = (ProviderWindow.WEEKLY, "")
CREDITS: Named = (ProviderWindow.MONTHLY_SPEND, "credits")
"""What is paid beyond the plan: prepaid credit and extra usage. It ends with the money and not with a month."""
_NAMES: dict[str, Named] = {
    "five_hour": FIVE_HOUR,
    "5h": FIVE_HOUR,
    "5-hour": FIVE_HOUR,
    "session": FIVE_HOUR,
    "seven_day": WEEKLY,
    "7d": WEEKLY,
    "weekly": WEEKLY,
    "weekly_all": WEEKLY,
    "monthly": (ProviderWindow.MONTHLY_SPEND, ""),
}
_OF_MODELS = re.compile(r"(?:seven_day|7d|weekly)_([a-z0-9_]{1,60})")
_SHORT = {"oi": "overage_included"}
NO_WINDOW = frozenset({"overage", "fallback", "representative", "status", "reset"})
"""Names that stand beside the windows and are none."""
FIVE_HOUR_MINUTES, WEEK_MINUTES, MONTH_MINUTES = 300, 10_080, (28 * 1440, 31 * 1440)
SESSION = timedelta(hours=5)
ROUNDING = timedelta(minutes=10)
"""Ends are told to the minute or to ten: a session's may be told a little more than five hours ahead."""
NEAR = 0.02
"""Window lengths within 2 % are the same window: 299 minutes for 300 were seen in 2025."""


def window_named(name: str) -> Named | None:
    """The window that a provider's own name means; None for a name that is none, or that nobody here knows."""
    name = name.strip().lower()
    if name in _NAMES:
        return _NAMES[name]
    of_models = _OF_MODELS.fullmatch(name)
    if not of_models:
        return None
    scope = of_models[1].removesuffix("_")
    return ProviderWindow.WEEKLY_MODEL, _SHORT.get(scope, scope)


def window_ending(resets_at: datetime, at: datetime) -> Named:
    """Which window a limit without a name is: the five hours' where it ends within five hours, else the week's."""
    return FIVE_HOUR if resets_at <= at + SESSION + ROUNDING else WEEKLY


def scope_of_model(name: str) -> str:
    """How a model family is written as a scope: "Opus" and "Fable 5" are ``opus`` and ``fable``."""
    return re.sub(r"[\s\d.\-]+$", "", name.strip().lower())[:60].replace(" ", "_")


def window_of_minutes(minutes: float, scope: str = "") -> Named | None:
    """The window of a length in minutes, whichever slot it came in; None for a length that nobody here knows."""
    if abs(minutes - FIVE_HOUR_MINUTES) <= FIVE_HOUR_MINUTES * NEAR:
        return ProviderWindow.FIVE_HOUR, scope
    if abs(minutes - WEEK_MINUTES) <= WEEK_MINUTES * NEAR:
        return ProviderWindow.WEEKLY_MODEL if scope else ProviderWindow.WEEKLY, scope
    if MONTH_MINUTES[0] <= minutes <= MONTH_MINUTES[1]:
        return ProviderWindow.MONTHLY_SPEND, scope
    return None
