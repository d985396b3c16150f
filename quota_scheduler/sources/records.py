"""Records of a Claude Code transcript: one line's bytes in, one record that carries usage out, or none.

The format is internal to its vendor and changes without notice, so it is read leniently: unknown keys are ignored,
every key is optional, and a line that cannot be understood is counted, never fatal. Two record types carry usage:
``assistant``, and in older versions ``progress`` with a sub-agent's response mirrored in ``data.message``.
"""

import re
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from quota_scheduler.core.labels import LONGEST_VALUE
from quota_scheduler.core.usage import PriceTerms, Usage, price_terms

_CALLS = ("assistant", None)
_LONE_SURROGATE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""Half a character: a client that cut a text in the middle of an emoji wrote it so, and the decoder refuses it. The
first two alternatives step over escaped backslashes and whole characters."""

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)] | None
"""A number of tokens. More than a million million in one call is a garbled line, not usage."""
Identifier = Annotated[str, msgspec.Meta(max_length=LONGEST_VALUE)] | None
LONGEST_WORD = 20
MOST_VERSIONS = 1_000
"""Versions of the client that are remembered."""
MOST_TERMS = 1_000
"""Price terms that are remembered; there are about ten."""
MOST_SEARCHES = 10_000
"""More web searches in one call are a garbled line: a call makes a few dozen."""


class BadLine(ValueError):
    """A line that should carry usage and cannot be understood."""


class CacheWrites(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


_NO_WRITES = CacheWrites()


class Counts(msgspec.Struct, gc=False):
    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: CacheWrites | None = None

    def usage(self) -> Usage:
        """One request's kinds. Of cache writes the larger of the flat number and its parts, the rest for 5 minutes.

        The flat one may be 0 beside its parts; of a server that sends it alone the client writes parts of 0 beside it.
        """
        nested, flat = self.cache_creation or _NO_WRITES, self.cache_creation_input_tokens or 0
        hour = nested.ephemeral_1h_input_tokens or 0
        minutes = max(nested.ephemeral_5m_input_tokens or 0, flat - hour)
        return Usage(
            self.input_tokens or 0, self.cache_read_input_tokens or 0, minutes, hour, self.output_tokens or 0, 1
        )


class Iteration(Counts, gc=False):
    type: str | None = None


class MessageUsage(Counts, gc=False):
    iterations: list[Iteration] | None = None
    server_tool_use: Any = None
    speed: Any = None
    inference_geo: Any = None
    service_tier: Any = None

    def tokens(self) -> int:
        """All tokens of the whole response: those of ``total``, which takes three times as long."""
        if self.iterations:
            return self.total().tokens
        nested = self.cache_creation
        if nested is None:
            written = self.cache_creation_input_tokens or 0
        else:
            written = (nested.ephemeral_5m_input_tokens or 0) + (nested.ephemeral_1h_input_tokens or 0)
        return (self.input_tokens or 0) + (self.cache_read_input_tokens or 0) + written + (self.output_tokens or 0)

    def terms(self) -> PriceTerms:
        """What else its price depends on; the client writes out that nothing does, and what is no word is none."""
        tools = self.server_tool_use
        searches = tools.get("web_search_requests") if isinstance(tools, dict) else 0
        count = searches if isinstance(searches, int) and 0 <= searches <= MOST_SEARCHES else 0
        return _terms(_word(self.speed), _word(self.inference_geo), _word(self.service_tier), count)

    def total(self) -> Usage:
        """The whole response. Iterations repeat it, but a compaction's figures are not contained in it."""
        usage = self.usage()
        for iteration in self.iterations or ():
            if iteration.type == "compaction":
                usage = usage.plus(iteration.usage()._replace(requests=0))
        return usage


@lru_cache(MOST_TERMS)
def _terms(speed: str, geo: str, tier: str, web_searches: int) -> PriceTerms:
    return price_terms(speed=speed, geo=geo, tier=tier, web_searches=web_searches)


def _word(said: object) -> str:
    return said if isinstance(said, str) and len(said) <= LONGEST_WORD else ""


class ApiMessage(msgspec.Struct, gc=False):
    id: Identifier = None
    model: str | None = None
    stop_reason: Any = msgspec.UNSET
    usage: MessageUsage | None = None


class Call(msgspec.Struct, rename="camel", gc=False):
    timestamp: str | None = None
    request_id: Identifier = None
    uuid: Identifier = None
    is_sidechain: bool | None = None
    is_api_error_message: bool | None = None
    message: ApiMessage | None = None


class Record(Call, rename="camel", gc=False):
    type: str | None = None
    session_id: Identifier = None
    request_session_id: Identifier = None
    cwd: str | None = None
    git_branch: str | None = None
    version: Any = None
    data: msgspec.Raw = msgspec.Raw(b"null")


FINAL_SINCE = (2, 1, 97)
"""Since this version every line of a response carries its final figures and the reason why it stopped, unless it was
interrupted (seen with 2.1.332). Older ones write no reason on lines of complete answers (seen in files of 2.1.38)."""
LARGEST_PLACEHOLDER = 8
"""Most output tokens that a response names as it begins, before any is known (1 to 8 were seen)."""
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


def is_cut_off(record: Record) -> bool:
    """Whether a record is of an answer that was interrupted, so that its output is a placeholder.

    Where it does not name the client's version, one that says so itself and names hardly any output.
    """
    message = record.message
    if message is None or message.stop_reason is not None or message.usage is None:
        return False
    says_so = _says_final(record.version) if isinstance(record.version, str) else None
    return (message.usage.output_tokens or 0) <= LARGEST_PLACEHOLDER if says_so is None else says_so


@lru_cache(MOST_VERSIONS)
def _says_final(version: str) -> bool | None:
    """Whether a version of the client says of each answer how it ended; None where it is no version."""
    parts = _VERSION.match(version)
    return tuple(map(int, parts.groups())) >= FINAL_SINCE if parts else None


class ProgressRecord(msgspec.Struct, gc=False):
    message: Call | None = None


class Typed(msgspec.Struct, gc=False):
    type: str | None = None


class Kind(Typed, gc=False):
    data: Typed | None = None


_decode = msgspec.json.Decoder(Record).decode
_decode_progress = msgspec.json.Decoder(ProgressRecord).decode
_decode_kind = msgspec.json.Decoder(Kind).decode


def record_of(line: bytes | memoryview) -> Record | None:
    """The record of a line that carries usage, a mirrored one brought into the usual shape; None without usage."""
    try:
        record = _decode(line)
        if record.type == "progress":
            return _mirrored(record)
    except msgspec.ValidationError as error:
        if _carries_usage(line):
            raise BadLine(str(error)) from None
        return None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        mended = _LONE_SURROGATE.sub(lambda half: half[0] if half[1] is None else rb"\ufffd", line)
        if mended == line:
            raise BadLine(str(error)) from None
        return record_of(mended)
    if record.type not in _CALLS or record.message is None or record.message.usage is None:
        return None
    return record


def _mirrored(record: Record) -> Record | None:
    """A sub-agent's response as it stands in its parent's file; other progress has no usage."""
    call = _decode_progress(record.data).message
    if call is None or call.message is None or call.message.usage is None:
        return None
    return msgspec.structs.replace(
        record,
        timestamp=call.timestamp or record.timestamp,
        request_id=call.request_id,
        uuid=call.uuid or record.uuid,
        is_sidechain=record.is_sidechain if call.is_sidechain is None else call.is_sidechain,
        is_api_error_message=call.is_api_error_message,
        message=call.message,
    )


def _carries_usage(line: bytes | memoryview) -> bool:
    """Whether a line of unexpected shape is of a type whose usage would be missed, or garbled after all."""
    try:
        kind = _decode_kind(line)
    except msgspec.ValidationError:
        return False
    except (msgspec.DecodeError, UnicodeError):
        return True
    return kind.type == "assistant" or (kind.data is not None and kind.data.type == "agent_progress")
