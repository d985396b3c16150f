"""What headless runs print: ``claude -p --output-format stream-json`` and ``json``.

| line | what it comes to |
| --- | --- |
| ``rate_limit_event`` | a window each; comes on healthy runs too, and only with a subscription's token |
| ``result`` with ``is_error`` | its sentence; a 429 without one is a moment's refusal |
| ``system``/``api_retry`` with 429 or 529 | a throttle and its pause |
| ``assistant`` that the client made up | its sentence |

A run may print several results, an interrupted one none. What it used is in ``headless_usage``.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from quota_scheduler.sources.word.clocks import LOCAL
from quota_scheduler.sources.word.limit_lines import read_limit_line
from quota_scheduler.sources.word.limit_text import read_limit_text
from quota_scheduler.sources.word.rate_limit_info import read_rate_limit_info
from quota_scheduler.sources.word.word import REFUSED, Teller, Word, number_of, pause_of, text_of

SOURCE = "headless"
USAGE_LIMIT = "usage_limit_reached"


def records_of(output: str | bytes) -> Iterator[Mapping[str, Any]]:
    """The objects that a run printed: one a line, or one document that is an object or an array of them.

    A line that is none, as a wrapper may print between them, is stepped over.
    """
    try:
        whole = json.loads(output)
    except (ValueError, RecursionError):
        whole = None
    if whole is not None:
        yield from (record for record in (whole if isinstance(whole, list) else [whole]) if isinstance(record, Mapping))
        return
    for line in output.splitlines():
        if line.strip()[:1] in (b"{", "{"):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, Mapping):
                yield record


def read_output(output: str | bytes, teller: Teller, zone: tzinfo | None = LOCAL) -> Word:
    """What all that a run printed says about limits."""
    word = Word()
    for record in records_of(output):
        word.add(read_record(record, teller, zone))
    return word


def read_record(said: Mapping[str, Any], teller: Teller, zone: tzinfo | None = LOCAL) -> Word:
    """What one object that a run printed says; ``teller.at`` is when, because it names no instant itself."""
    match said.get("type"):
        case "rate_limit_event":
            return read_rate_limit_info(said.get("rate_limit_info"), teller)
        case "result":
            return _read_result(said, teller, zone)
        case "system" if said.get("subtype") == "init":
            return Word(version=text_of(said.get("claude_code_version")))
        case "system" if said.get("subtype") == "api_retry":
            return _read_retry(said, teller)
        case "assistant":
            return read_limit_line(said, teller, zone)
    return Word()


def _read_result(said: Mapping[str, Any], teller: Teller, zone: tzinfo | None) -> Word:
    """A result that failed. A budget that was spent, or an interrupt, says nothing about the provider."""
    word = Word()
    if said.get("is_error") is not True:
        return word
    errors = said.get("errors")
    texts = [said.get("result"), *(errors if isinstance(errors, list) else ())]
    for text in map(text_of, texts):
        word.add(read_limit_text(text, teller, zone))
    if number_of(said.get("api_error_status")) in REFUSED and word.is_empty:
        if said.get("api_error") == USAGE_LIMIT:
            word.refuse(f"result: {USAGE_LIMIT}, but no sentence that says which limit")
        else:
            word.throttle(teller)
    return word


def _read_retry(said: Mapping[str, Any], teller: Teller) -> Word:
    word = Word()
    if number_of(said.get("error_status")) in REFUSED:
        millis = number_of(said.get("retry_delay_ms"))
        word.throttle(teller, None if millis is None else pause_of(millis / 1000))
    return word
