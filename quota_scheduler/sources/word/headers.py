"""Response headers of providers: what is left of a subscription, and whether a refusal is a limit or a moment.

``anthropic-ratelimit-unified-*``     a window each, in fractions and epoch seconds
``x-codex-*``                         a window each, in percent: see ``codex_limits``
429 or 529 without a spent window     a throttle, for as long as ``retry-after`` says

``anthropic-ratelimit-{requests,tokens,…}-*`` and ``x-ratelimit-*`` come to nothing while answers come: they meter
minutes, and a window of a minute is over before anybody could wait for it. With a 429 that has no ``retry-after`` the
reset of what is used up is how long to pause.

Names are compared without regard to case, and with or without the ``llm_provider-`` that LiteLLM puts before them.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from quota_scheduler.core.observations.observation import ProviderWindow, Standing
from quota_scheduler.sources.word.codex_limits import codex_headers
from quota_scheduler.sources.word.limit_text import read_limit_text
from quota_scheduler.sources.word.windows import CREDITS, NO_WINDOW, window_ending, window_named
from quota_scheduler.sources.word.word import (
    REFUSED,
    Teller,
    Word,
    instant_of,
    mapping_of,
    number_of,
    pause_of,
    text_of,
)

SOURCE = "headers"
UNIFIED = "anthropic-ratelimit-unified-"
_OF_WINDOW = re.compile(r"(.+?)-(utilization|reset|status|surpassed-threshold)")
_BESIDE_WINDOWS = frozenset(
    {
        "status",
        "reset",
        "representative-claim",
        "fallback",
        "fallback-percentage",
        "overage-status",
        "overage-reset",
        "overage-in-use",
        "overage-disabled-reason",
        "overage-utilization",
        "overage-surpassed-threshold",
        "upgrade-paths",
        "limit-scope",
    }
)
USAGE_LIMIT = "usage_limit_reached"
"""The type of a 429 that says that a ChatGPT plan is spent."""
LITELLM_PREFIX = "llm_provider-"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_PER_MINUTE = re.compile(r"(?:anthropic-(?:ratelimit|priority)-(?!unified)|x-ratelimit-).+")
LARGEST_BODY = 64 << 10
"""A body of an error that is longer than this is a page of somebody's proxy, and not read."""


def read_answer(
    headers: Mapping[str, Any], teller: Teller, *, status: int = 200, body: str | bytes | None = None
) -> Word:
    """What one answer of a provider says; ``body`` is that of an error, where the caller has it."""
    lowered = plain_headers(headers)
    error = _error_in(body) if status in REFUSED else {}
    plan_is_spent = error.get("type") == USAGE_LIMIT
    word = read_unified(lowered, teller).add(codex_headers(lowered, teller, reached=plan_is_spent))
    if status not in REFUSED:
        return word
    word.add(_read_error(error, teller, has_windows=not word.is_empty))
    if not any(report.standing is Standing.REJECTED for report in word.observations):
        word.throttle(teller, retry_pause(lowered, teller.at))
    return word


def read_litellm(additional_headers: object, teller: Teller, *, status: int = 200) -> Word:
    """What LiteLLM hands on of an answer's headers: ``hidden_params.additional_headers``.

    Only what bears the provider's own prefix is its word: the rest LiteLLM made up of its own counters.
    """
    headers = mapping_of(additional_headers)
    return read_answer({name: value for name, value in headers.items() if _is_handed_on(name)}, teller, status=status)


def _is_handed_on(name: object) -> bool:
    text = str(name).lower()
    return text.startswith(LITELLM_PREFIX) or text == "retry-after"


def plain_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """Headers by their names in lower case, without LiteLLM's prefix; of a list of values the first."""
    plain: dict[str, str] = {}
    for name, value in headers.items():
        first = value[0] if isinstance(value, list | tuple) and value else value
        if isinstance(first, bytes):
            first = first.decode("latin-1")
        if isinstance(first, str | int | float):
            plain[str(name).lower().removeprefix(LITELLM_PREFIX)] = str(first).strip()
    return plain


def read_unified(headers: Mapping[str, str], teller: Teller) -> Word:
    """The windows of a subscription. Where none is told apart, the deciding one by its status and reset."""
    word, windows = Word(), dict[str, dict[str, str]]()
    for name, value in headers.items():
        key = name.removeprefix(UNIFIED)
        if key == name or key in _BESIDE_WINDOWS:
            continue
        of_window = _OF_WINDOW.fullmatch(key)
        if of_window is None or window_named(of_window[1]) is None or of_window[1] in NO_WINDOW:
            word.look_over({key: value}, (), "headers.unified")
            continue
        windows.setdefault(of_window[1], {})[of_window[2]] = value
    overage = _in_overage(headers)
    for name, said in windows.items():
        _observe(word, teller, name, said, overage=overage)
    deciding = headers.get(f"{UNIFIED}representative-claim", "")
    named, told = window_named(deciding), {(report.window, report.scope) for report in word.observations}
    if named and named not in told:
        summary = {key: headers.get(UNIFIED + key, "") for key in ("status", "reset")}
        _observe(word, teller, deciding, summary, overage=overage)
    return word


def _observe(word: Word, teller: Teller, name: str, said: Mapping[str, str], *, overage: bool) -> None:
    named = window_named(name)
    assert named is not None
    standing = word.standing(said.get("status"), name=f"{name}-status")
    word.observe(
        teller,
        *named,
        used_ratio=word.ratio(said.get("utilization"), per=1, name=f"{name}-utilization"),
        resets_at=word.instant(number_of(said.get("reset")), name=f"{name}-reset", at=teller.at),
        standing=standing,
        overage=overage and standing is Standing.REJECTED,
    )


def _in_overage(headers: Mapping[str, str]) -> bool:
    in_use = headers.get(f"{UNIFIED}overage-in-use", "").lower()
    return in_use in {"true", "1"}


def retry_pause(headers: Mapping[str, str], at: datetime) -> timedelta | None:
    """How long to pause: by ``retry-after``, in seconds or as a date, else until the reset of what is used up."""
    in_millis = number_of(headers.get("retry-after-ms"))
    if in_millis is not None:
        return pause_of(in_millis / 1000)
    said = headers.get("retry-after", "")
    if said:
        return pause_of(said) if number_of(said) is not None else _until_date(said, at)
    waits = [_until_reset(headers[reset], at) for reset in _used_up(headers)]
    return max((wait for wait in waits if wait is not None), default=None)


def _used_up(headers: Mapping[str, str]) -> list[str]:
    """The reset headers of the minute's limits of which nothing remains; Azure's -1 means that it does not know."""
    spent = [name for name, value in headers.items() if "remaining" in name and number_of(value) == 0]
    resets = [name.replace("remaining", "reset") for name in spent if _PER_MINUTE.fullmatch(name)]
    return [name for name in resets if name in headers]


def _until_reset(said: str, at: datetime) -> timedelta | None:
    """A reset of the minute's limits: an ISO instant of Anthropic, a duration of OpenAI, whole seconds of Azure."""
    if number_of(said) is not None:
        return pause_of(said)
    instant = instant_of(said)
    return max(instant - at, timedelta()) if instant else duration_of(said)


def duration_of(said: str) -> timedelta | None:
    """A duration such as ``12ms``, ``1s``, ``6m0s`` or ``1h2m3s``; None for anything else."""
    match = _DURATION.fullmatch(said.strip())
    if not match or not any(match.groups()) or len(said) > len("999999999d" * 3):
        return None
    days, hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
    return pause_of(days * 86_400 + hours * 3_600 + minutes * 60 + seconds + millis / 1000)


def _until_date(said: str, at: datetime) -> timedelta | None:
    try:
        date = parsedate_to_datetime(said)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)) - at, timedelta())


def _error_in(body: str | bytes | None) -> Mapping[str, Any]:
    """The error that a body tells of; an empty one where it is no JSON, or a page of somebody's proxy."""
    if not body or len(body) > LARGEST_BODY:
        return {}
    try:
        return mapping_of(mapping_of(json.loads(body)).get("error"))
    except (ValueError, RecursionError):
        return {}


def _read_error(error: Mapping[str, Any], teller: Teller, *, has_windows: bool) -> Word:
    """A refusal that a month's spend, spent credit or a plan's limit is the reason of: its body says so."""
    word = Word()
    code = text_of(mapping_of(error.get("details")).get("error_code")) or text_of(error.get("code"))
    if code == "enforced_spend_limit_reached":
        resets_at, standing = first_of_next_month(teller.at), Standing.REJECTED
        word.observe(teller, ProviderWindow.MONTHLY_SPEND, resets_at=resets_at, standing=standing)
    elif code == "insufficient_quota" or error.get("type") == "insufficient_quota":
        word.observe(teller, *CREDITS, standing=Standing.REJECTED)
    elif error.get("type") == USAGE_LIMIT and not has_windows:
        word.add(_spent_plan(error, teller))
    else:
        word.add(_without_throttles(read_limit_text(text_of(error.get("message")), teller)))
    return word


def _spent_plan(error: Mapping[str, Any], teller: Teller) -> Word:
    """A ChatGPT plan's refusal without headers: it says when it ends, and so which window it was."""
    word, seconds = Word(), number_of(error.get("resets_in_seconds"))
    resets_at = word.instant(error.get("resets_at"), name="error.resets_at", at=teller.at)
    if resets_at is None and seconds is not None and pause_of(seconds):
        resets_at = teller.at + timedelta(seconds=seconds)
    if resets_at is None:
        word.refuse(f"error: {USAGE_LIMIT}, but neither a window nor a reset")
        return word
    word.observe(teller, *window_ending(resets_at, teller.at), resets_at=resets_at, standing=Standing.REJECTED)
    return word


def _without_throttles(word: Word) -> Word:
    """The status has said already that it is a refusal."""
    word.throttles.clear()
    return word


def first_of_next_month(at: datetime) -> datetime:
    """00:00 UTC on the first of the month after ``at``: when a monthly spend cap gives access again."""
    day = at.astimezone(UTC)
    return datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
