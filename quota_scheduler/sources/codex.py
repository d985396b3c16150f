"""Codex: one rollout file a thread, below ``sessions`` and, once archived, ``archived_sessions``.

    from 0.105 on   token_usage_record   one an answer, with the answer's id: add ``usage``, never the sums beside it
    before          token_count          sums of the thread: where they have moved, add ``last_token_usage``

A file begun by an old version and resumed by a new one holds both kinds: sums until its first record, then records. A
thread that continues another (a fork, a sub-agent) may have copied the lines of its parent with new timestamps, so the
key of a sum is made of the root thread and the sum itself. Input includes what came from the cache and what was written
to it; output includes reasoning. Beside each answer stands what is left of the provider's
windows. Measured with 0.104 and 0.171.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from quota_scheduler.core.observations.observation import Standing
from quota_scheduler.core.usage import Usage
from quota_scheduler.sources.calls import Count, ModelCall, ProviderReport, decoded, instant, mentions, usage_of
from quota_scheduler.sources.word.codex_limits import read_error, read_rate_limits
from quota_scheduler.sources.word.word import Teller, Word

NAME = "codex"
FOLDERS = ("sessions", "archived_sessions")
PROVIDER = "openai"
"""Whose models Codex calls where its configuration names no other provider."""
NEVER = datetime.min.replace(tzinfo=UTC)
NOTHING = b"null"
MARKERS = (
    b"session_meta",
    b"turn_context",
    b"thread_settings_applied",
    b"token_usage_record",
    b"token_count",
    b"codex_error_info",
)
SAID_AGAIN_AFTER = timedelta(minutes=1)
"""What a provider says with each answer is passed on when it has changed, else once a minute: it is still so."""


class _Tokens(msgspec.Struct, gc=False):
    input_tokens: Count = None
    cached_input_tokens: Count = None
    cache_write_input_tokens: Count = None
    output_tokens: Count = None
    reasoning_output_tokens: Count = None

    def usage(self) -> Usage:
        return usage_of(
            everything_in=self.input_tokens or 0,
            cached=self.cached_input_tokens or 0,
            cache_write=self.cache_write_input_tokens or 0,
            out=self.output_tokens or 0,
        )


class _Info(msgspec.Struct, gc=False):
    total_token_usage: _Tokens | None = None
    last_token_usage: _Tokens | None = None


class _Settings(msgspec.Struct, gc=False):
    model: str | None = None
    model_provider_id: str | None = None
    cwd: str | None = None


class _Git(msgspec.Struct, gc=False):
    branch: str | None = None


class _Error(msgspec.Struct, gc=False):
    message: str | None = None
    codex_error_info: Any = None


class _Payload(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    session_id: str | None = None
    forked_from_id: str | None = None
    cwd: str | None = None
    model: str | None = None
    model_provider: str | None = None
    git: _Git | None = None
    history_mode: str | None = None
    thread_settings: _Settings | None = None
    response_id: str | None = None
    usage: _Tokens | None = None
    info: _Info | None = None
    rate_limits: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class _Line(msgspec.Struct, gc=False):
    type: str = ""
    timestamp: str | None = None
    payload: _Payload | None = None


_LINE = msgspec.json.Decoder(_Line, strict=False)


class CodexReader:
    """One rollout, from its first line on."""

    def __init__(self, _path: str) -> None:
        self._thread = self._root = self._session = ""
        self._provider, self._model, self._cwd, self._branch = PROVIDER, "", "", ""
        self._has_records = False
        self._sum: _Tokens | None = None
        self._said, self._said_at = b"", NEVER
        self._spent_at = NEVER

    def read(self, line: bytes | memoryview) -> Iterable[ModelCall | ProviderReport]:
        """The call that a line reports, and what the provider said with it. Raises BadLine."""
        if not mentions(line, MARKERS):
            return ()
        record = decoded(_LINE, line)
        payload = record.payload or _Payload()
        match record.type, payload.type:
            case "session_meta", _:
                self._begin(payload)
            case "turn_context", _:
                self._model, self._cwd = payload.model or self._model, self._cwd or payload.cwd or ""
            case "event_msg", "thread_settings_applied":
                settings = payload.thread_settings or _Settings()
                self._model, self._cwd = settings.model or self._model, self._cwd or settings.cwd or ""
                self._provider = settings.model_provider_id or self._provider
            case "token_usage_record", _:
                return self._answer(record.timestamp, payload)
            case "event_msg", "token_count":
                moved = self._moved(record.timestamp, payload.info) if payload.info and not self._has_records else []
                return [*moved, *self._limits(record.timestamp, payload.rate_limits)]
            case "event_msg", _ if payload.error:
                return self._failed(record.timestamp, payload.error)
        return ()

    def _begin(self, meta: _Payload) -> None:
        """The first head of a file is its own thread's; a further one was copied from the thread it continues."""
        if not self._thread:
            self._thread, self._cwd = meta.id or "", meta.cwd or ""
            self._session = meta.session_id or meta.id or ""
            self._provider = meta.model_provider or PROVIDER
            self._branch = (meta.git.branch if meta.git else None) or ""
            self._has_records = meta.history_mode == "paginated"
        self._root = meta.forked_from_id or meta.id or self._root

    def _answer(self, at: str | None, record: _Payload) -> Iterable[ModelCall]:
        if not record.response_id or record.usage is None:
            return []
        self._has_records, usage = True, record.usage.usage()
        return [self._call(f"codex:{record.response_id}", at, usage)] if usage.tokens else []

    def _moved(self, at: str | None, info: _Info) -> list[ModelCall]:
        """What the last answer used, where the sum of the thread has moved; the same sum again is a repetition."""
        total, last = info.total_token_usage, info.last_token_usage
        if total is None or last is None or total == self._sum:
            return []
        self._sum = total
        where = "/".join(str(count or 0) for count in msgspec.structs.astuple(total))
        usage = last.usage()
        return [self._call(f"codex:{self._root}:{where}", at, usage)] if usage.tokens else []

    def _limits(self, at: str | None, limits: msgspec.Raw) -> Iterable[ProviderReport]:
        """What is left, where that has changed since it was last told."""
        said = bytes(limits)
        if said == NOTHING:
            return
        told_at = instant(at)
        if said == self._said and told_at < self._said_at + SAID_AGAIN_AFTER:
            return
        self._said, self._said_at = said, told_at
        word = read_rate_limits(msgspec.json.decode(said), self._teller(told_at))
        if any(report.standing is Standing.REJECTED for report in word.observations):
            self._spent_at = told_at
        if not word.is_empty:
            yield self._report(word, at)

    def _failed(self, at: str | None, error: _Error) -> Iterable[ProviderReport]:
        """Why a turn ended: the plan is spent, or a moment's refusal.

        The sentence about a plan is read only where no figures came before it: its clock is rounded and has no zone.
        """
        failed_at = instant(at)
        if failed_at < self._spent_at + SAID_AGAIN_AFTER:
            return
        word = read_error(error.message, error.codex_error_info, self._teller(failed_at))
        if not word.is_empty:
            yield self._report(word, at)

    def _teller(self, at: datetime) -> Teller:
        return Teller("", at, NAME, self._provider)

    def _report(self, word: Word, at: str | None) -> ProviderReport:
        return ProviderReport(word, self._call("", at, Usage()))

    def _call(self, key: str, at: str | None, usage: Usage) -> ModelCall:
        return ModelCall(key, instant(at), self._provider, self._model, usage, self._session, self._cwd, self._branch)
