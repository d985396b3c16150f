"""Claude Code's own object about limits: in ``rate_limit_event``, and as ``quotaLimits`` in transcripts.

    {"status", "rateLimitType", "resetsAt", "utilization", "isUsingOverage", "unifiedWindows": {"five_hour": {…}, …}}

Utilization is a fraction and instants are epoch seconds. ``unifiedWindows`` tells five hours and week apart; other
windows are named by ``rateLimitType`` alone. ``rejected`` that names no window is a refusal for a moment.
"""

from collections.abc import Mapping
from typing import Any

from quota_scheduler.core.observations.observation import Standing
from quota_scheduler.sources.word.windows import CREDITS, Named, window_named
from quota_scheduler.sources.word.word import Teller, Word, mapping_of, text_of

_KEYS = frozenset(
    {
        "status",
        "resetsAt",
        "rateLimitType",
        "utilization",
        "surpassedThreshold",
        "isUsingOverage",
        "overageStatus",
        "overageResetsAt",
        "overageInUse",
        "overageDisabledReason",
        "unifiedWindows",
        "unifiedRateLimitFallbackAvailable",
        "limitScope",
        "errorCode",
    }
)
_WINDOW_KEYS = frozenset({"utilization", "resetsAt", "status", "surpassedThreshold"})
_SEVERITY = (Standing.UNKNOWN, Standing.ALLOWED, Standing.WARNING, Standing.REJECTED)


def read_rate_limit_info(said: object, teller: Teller) -> Word:
    """What such an object says."""
    word, info = Word(), mapping_of(said)
    word.look_over(info, _KEYS, "rate_limit_info")
    deciding, standing = text_of(info.get("rateLimitType")), word.standing(info.get("status"), name="status")
    overage = info.get("isUsingOverage") is True or info.get("overageInUse") is True
    windows: dict[str, Mapping[str, Any]] = {}
    for name, window in mapping_of(info.get("unifiedWindows")).items():
        if isinstance(window, Mapping):
            word.look_over(window, _WINDOW_KEYS, "rate_limit_info.unifiedWindows")
            windows[str(name)] = window
    if info.get("errorCode") == "credits_required":
        word.observe(teller, *CREDITS, standing=Standing.REJECTED)
    if deciding and deciding not in windows:
        windows[deciding] = info
    for name, window in windows.items():
        named = CREDITS if name == "overage" else window_named(name)
        if named is None:
            word.look_over({name: window}, (), "rate_limit_info.windows")
            continue
        own = word.standing(window.get("status"), name=f"{name}.status")
        stands = max(own, standing if name == deciding else own, key=_SEVERITY.index)
        _observe(word, teller, name, named, window, stands, overage=overage)
    if standing is Standing.REJECTED and not deciding and not windows and not word.observations:
        word.throttle(teller)
    return word


def _observe(
    word: Word, teller: Teller, name: str, named: Named, said: Mapping[str, Any], standing: Standing, *, overage: bool
) -> None:
    word.observe(
        teller,
        *named,
        used_ratio=word.ratio(said.get("utilization"), per=1, name=f"{name}.utilization"),
        resets_at=word.instant(said.get("resetsAt"), name=f"{name}.resetsAt", at=teller.at),
        standing=standing,
        overage=overage and standing is Standing.REJECTED,
    )
