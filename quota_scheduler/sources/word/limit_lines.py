"""Lines of a Claude Code transcript that tell of limits.

| line | what it comes to |
| --- | --- |
| ``assistant`` with ``quotaLimits`` (from 2.1.300 or so on) | the window that was spent, with its reset |
| ``assistant``, ``isApiErrorMessage``, without it | its sentence (``limit_text``) |
| ``system``/``api_error`` with status 429 or 529 | a throttle: the client tried again by itself |

Only what the client made up itself is believed: a model may write the same sentence, a tool may print it.
"""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

import msgspec
from msgspec.structs import replace

from quota_scheduler.core.instants import is_plausible, parse_instant
from quota_scheduler.core.observations.observation import Standing
from quota_scheduler.sources.word.clocks import LOCAL
from quota_scheduler.sources.word.headers import retry_pause
from quota_scheduler.sources.word.limit_text import read_limit_text
from quota_scheduler.sources.word.rate_limit_info import read_rate_limit_info
from quota_scheduler.sources.word.word import REFUSED, Teller, Word, mapping_of, number_of, pause_of, text_of

SOURCE = "transcript"
SYNTHETIC = "<synthetic>"
"""The model of messages that the client made up."""
REFUSAL = b'"api_error"'
"""A line of a refusal after which the client tried again contains this near its beginning, and no usage."""


def record_in(line: bytes | memoryview) -> Mapping[str, Any]:
    """A line as an object; an empty one where it is none: whoever reads usage counts what is garbled."""
    try:
        return mapping_of(msgspec.json.decode(line))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}


def read_limit_line(said: Mapping[str, Any], teller: Teller, zone: tzinfo | None = LOCAL) -> Word:
    """What a line says, as of its own time where it names one; nothing for all but the three kinds above."""
    word = Word(version=text_of(said.get("version")))
    teller = _as_of(said, teller)
    if said.get("type") == "system":
        return word.add(_read_retry(said, teller)) if said.get("subtype") == "api_error" else word
    message = mapping_of(said.get("message"))
    if said.get("isApiErrorMessage") is not True and message.get("model") != SYNTHETIC:
        return word
    params = mapping_of(said.get("apiErrorParams"))
    for info in (said.get("quotaLimits"), params.get("rate_limit_info")):
        told = read_rate_limit_info(info, teller)
        word.unknown += told.unknown
        if any(report.standing is Standing.REJECTED for report in told.observations):
            word.observations += told.observations
            return word
    for text in _texts(message):
        word.add(read_limit_text(text, teller, zone))
    return word


def _as_of(said: Mapping[str, Any], teller: Teller) -> Teller:
    """The teller at the line's own time."""
    try:
        at = parse_instant(text_of(said.get("timestamp")))
    except (ValueError, OverflowError):
        return teller
    return replace(teller, at=at) if is_plausible(at) else teller


def _texts(message: Mapping[str, Any]) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [text_of(mapping_of(part).get("text")) for part in parts if mapping_of(part).get("type") == "text"]


def _read_retry(said: Mapping[str, Any], teller: Teller) -> Word:
    """A refusal after which the client waits and tries again; no window is named, whatever the headers were."""
    word, error = Word(), mapping_of(said.get("error"))
    if number_of(error.get("status")) not in REFUSED:
        return word
    millis = number_of(said.get("retryInMs"))
    headers = {str(name).lower(): str(value) for name, value in mapping_of(error.get("headers")).items()}
    pause = retry_pause(headers, teller.at) if headers else None
    word.throttle(teller, pause or (None if millis is None else pause_of(millis / 1000)))
    return word
