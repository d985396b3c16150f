"""The JSON that Claude Code hands to its status line command: percent used of both windows, and their resets.

``rate_limits.five_hour`` and ``.seven_day``, each with ``used_percentage`` (0-100; Claude Code 2.1.332 shows 102 % as
100, earlier builds wrote more) and ``resets_at`` (epoch seconds). Present for claude.ai plans only, in some builds
only after the first answer, and each window may be missing alone: then nothing is known of it.
"""

from collections.abc import Mapping
from typing import Any

from quota_scheduler.sources.word.windows import window_named
from quota_scheduler.sources.word.word import Teller, Word, mapping_of, text_of

SOURCE = "status_line"
_WINDOW_KEYS = ("used_percentage", "resets_at")


def read_status_line(said: Mapping[str, Any], teller: Teller) -> Word:
    """What a status line JSON says; ``teller.at`` is when it was handed over, because it names no instant itself."""
    word = Word(version=text_of(said.get("version")))
    limits = mapping_of(said.get("rate_limits"))
    for name, window in limits.items():
        named = window_named(str(name))
        if named is None:
            word.look_over({name: window}, (), "rate_limits")
            continue
        entry = mapping_of(window)
        word.look_over(entry, _WINDOW_KEYS, f"rate_limits.{name}")
        word.observe(
            teller,
            *named,
            used_ratio=word.ratio(entry.get("used_percentage"), per=100, name=f"{name}.used_percentage"),
            resets_at=word.instant(entry.get("resets_at"), name=f"{name}.resets_at", at=teller.at),
        )
    return word
