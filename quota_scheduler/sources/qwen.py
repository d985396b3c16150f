"""qwen-code: one file a session below ``~/.qwen/projects``; forks and sub-agents repeat lines of other files.

Only the telemetry lines know every call, those of side jobs included. Input includes what came from the cache, output
includes thinking (unlike Gemini CLI, whose child it is). ``usage_record.jsonl`` and the ``usageMetadata`` of answers
say the same again and are not read. Measured with 0.24.4.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from quota_scheduler.sources.calls import Count, ModelCall, decoded, instant, mentions, usage_of

NAME = "qwen"
PROVIDER = "qwen"
RESPONSE = "qwen-code.api_response"
MARKERS = (RESPONSE.encode(),)


class _Event(msgspec.Struct, gc=False):
    name: str | None = msgspec.field(name="event.name", default=None)
    at: str | None = msgspec.field(name="event.timestamp", default=None)
    response_id: str | None = None
    model: str | None = None
    input_token_count: Count = None
    output_token_count: Count = None
    cached_content_token_count: Count = None


class _Payload(msgspec.Struct, gc=False):
    event: _Event | None = msgspec.field(name="uiEvent", default=None)


class _Line(msgspec.Struct, gc=False, rename="camel"):
    session_id: str | None = None
    timestamp: str | None = None
    cwd: str | None = None
    git_branch: str | None = None
    system_payload: _Payload | None = None


_LINE = msgspec.json.Decoder(_Line, strict=False)


class QwenReader:
    """One session file; every line stands for itself."""

    def __init__(self, path: str) -> None:
        self._session = Path(path).stem

    def read(self, line: bytes | memoryview) -> Iterable[ModelCall]:
        """The call that a line reports. Raises BadLine."""
        if not mentions(line, MARKERS):
            return []
        record = decoded(_LINE, line)
        event = record.system_payload.event if record.system_payload else None
        if event is None or event.name != RESPONSE or not event.response_id:
            return []
        usage = usage_of(
            everything_in=event.input_token_count or 0,
            cached=event.cached_content_token_count or 0,
            cache_write=0,
            out=event.output_token_count or 0,
        )
        call = ModelCall(
            f"qwen:{event.response_id}",
            instant(record.timestamp or event.at),
            PROVIDER,
            event.model or "",
            usage,
            record.session_id or self._session,
            record.cwd or "",
            record.git_branch or "",
        )
        return [call] if usage.tokens else []
