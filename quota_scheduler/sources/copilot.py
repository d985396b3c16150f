"""Copilot CLI: one folder a session below ``~/.copilot/session-state``, with its events in one file.

``session.usage_record`` is one an answer, sub-agents' included; ``session.shutdown`` adds up the same over resumes and
is not read. Input includes what came from the cache, output includes reasoning. Measured with 1.0.102.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from quota_scheduler.sources.calls import Count, ModelCall, decoded, instant, mentions, usage_of

NAME = "copilot"
PROVIDER = "github-copilot"
RECORD = "session.usage_record"
MARKERS = (RECORD.encode(), b'"session.start"')


class _Accounting(msgspec.Struct, gc=False):
    usage_id: str | None = msgspec.field(name="usageId", default=None)


class _Tokens(msgspec.Struct, gc=False, rename="camel"):
    model: str | None = None
    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_tokens: Count = None
    cache_write_tokens: Count = None
    is_byok: bool | None = None
    provider_type: str | None = None
    api_call_id: str | None = None
    accounting: _Accounting | None = None


class _Context(msgspec.Struct, gc=False):
    cwd: str | None = None
    branch: str | None = None


class _Data(msgspec.Struct, gc=False, rename="camel"):
    session_id: str | None = None
    context: _Context | None = None
    usage: _Tokens | None = None


class _Line(msgspec.Struct, gc=False):
    type: str | None = None
    timestamp: str | None = None
    data: _Data | None = None


_LINE = msgspec.json.Decoder(_Line, strict=False)


class CopilotReader:
    """One session, from its first line on, which names its folder."""

    def __init__(self, path: str) -> None:
        self._session, self._cwd, self._branch = Path(path).parent.name, "", ""

    def read(self, line: bytes | memoryview) -> Iterable[ModelCall]:
        """The call that a line reports. Raises BadLine."""
        if not mentions(line, MARKERS):
            return []
        record = decoded(_LINE, line)
        data = record.data or _Data()
        if record.type == "session.start" and data.context:
            self._session = data.session_id or self._session
            self._cwd, self._branch = data.context.cwd or "", data.context.branch or ""
        if record.type != RECORD or data.usage is None:
            return []
        tokens = data.usage
        key = (tokens.accounting.usage_id if tokens.accounting else None) or tokens.api_call_id
        usage = usage_of(
            everything_in=tokens.input_tokens or 0,
            cached=tokens.cache_read_tokens or 0,
            cache_write=tokens.cache_write_tokens or 0,
            out=tokens.output_tokens or 0,
        )
        if not key or not usage.tokens:
            return []
        provider = tokens.provider_type or PROVIDER if tokens.is_byok else PROVIDER
        at, model = instant(record.timestamp), tokens.model or ""
        return [ModelCall(f"copilot:{key}", at, provider, model, usage, self._session, self._cwd, self._branch)]
