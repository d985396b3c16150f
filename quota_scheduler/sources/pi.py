"""pi: one file a session below ``~/.pi/agent/sessions``; a fork begins with copies of its parent's lines.

Input is what neither came from the cache nor was written to it; output includes reasoning. Measured with 0.73.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from quota_scheduler.core.usage import Usage
from quota_scheduler.sources.calls import Count, ModelCall, decoded, instant, mentions

NAME = "pi"
MARKERS = (b'"usage"', b'"session"')


class _Tokens(msgspec.Struct, gc=False, rename="camel"):
    input: Count = None
    output: Count = None
    cache_read: Count = None
    cache_write: Count = None


class _Message(msgspec.Struct, gc=False, rename="camel"):
    role: str | None = None
    provider: str | None = None
    model: str | None = None
    response_id: str | None = None
    usage: _Tokens | None = None


class _Line(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    timestamp: str | None = None
    cwd: str | None = None
    message: _Message | None = None


_LINE = msgspec.json.Decoder(_Line, strict=False)


class PiReader:
    """One session, from its first line on, which names its folder."""

    def __init__(self, path: str) -> None:
        self._session, self._cwd = Path(path).stem, ""

    def read(self, line: bytes | memoryview) -> Iterable[ModelCall]:
        """The call that a line reports. Raises BadLine."""
        if not mentions(line, MARKERS):
            return []
        record = decoded(_LINE, line)
        if record.type == "session":
            self._session, self._cwd = record.id or self._session, record.cwd or ""
        message = record.message
        if record.type != "message" or message is None or message.role != "assistant" or message.usage is None:
            return []
        tokens = message.usage
        usage = Usage(
            input=tokens.input or 0,
            cache_read=tokens.cache_read or 0,
            cache_write_5m=tokens.cache_write or 0,
            output=tokens.output or 0,
            requests=1,
        )
        key = f"pi:{message.response_id or record.id}"
        at, provider = instant(record.timestamp), message.provider or NAME
        call = ModelCall(key, at, provider, message.model or "", usage, self._session, self._cwd)
        return [call] if usage.tokens else []
