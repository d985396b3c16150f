"""The JSON that Claude Code hands to its hooks: ``StopFailure`` alone says something, that a limit ended a turn.

``error`` is ``rate_limit`` for a spent plan and for a moment's refusal alike, so the sentence decides. It names no
reset of its own, and is lost in some short runs (2 of 12 with 2.1.332): a hint, not a source to rely on.
"""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from quota_scheduler.sources.word.clocks import LOCAL
from quota_scheduler.sources.word.limit_text import read_limit_text
from quota_scheduler.sources.word.word import Teller, Word, text_of

SOURCE = "hook"
_ABOUT_LIMITS = frozenset({"rate_limit", "billing_error"})


def read_hook(said: Mapping[str, Any], teller: Teller, zone: tzinfo | None = LOCAL) -> Word:
    """What a hook's input says; nothing for every other event than ``StopFailure``."""
    if said.get("hook_event_name") != "StopFailure":
        return Word()
    error = text_of(said.get("error"))
    for key in ("last_assistant_message", "error_details"):
        word = read_limit_text(text_of(said.get(key)), teller, zone)
        if not word.is_empty or word.refused:
            return word
    word = Word()
    if error == "overloaded":
        word.throttle(teller)
    elif error in _ABOUT_LIMITS:
        word.refuse(f"StopFailure: {error}, but no sentence that says which limit")
    return word
