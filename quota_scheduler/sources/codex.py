"""Codex: one rollout file a thread, below ``sessions`` and, once archived, ``archived_sessions``.

    from 0.154 on       token_usage_record   one an answer, with its id: add ``usage``, never the sums beside it
    up to 0.145 alone   token_count          sums of the thread: where they have moved, add ``last_token_usage``

A file that old and new versions took turns in holds both kinds: records count, and of its sums those that no record
explains. A thread that continues another (a fork, a sub-agent) may have copied the lines of its parent with new
timestamps, so the key of a sum is made of the root thread and the sum itself. Input includes what came from the cache
and what was written to it; output includes reasoning. Beside each answer stands what is left of the provider's windows.
Measured with 0.104, 0.121, 0.145, 0.154, 0.160 and 0.171.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import msgspec

from quota_scheduler.core.observations.observation import Standing
from quota_scheduler.core.usage import Usage
from quota_scheduler.sources.calls import (
    Count,
    ModelCall,
    ProviderReport,
    decoded,
    instant,
    mentions,
    usage_of,
)
from quota_scheduler.sources.records import BadLine
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
    b"task_started",
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

    def parts(self) -> tuple[int, int, int]:
        """What every version writes."""
        return self.input_tokens or 0, self.cached_input_tokens or 0, self.output_tokens or 0

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
    turn_id: str | None = None
    source: Any = None
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


def _is_unrecorded(last: _Tokens, before: _Tokens | None, total: _Tokens, recorded: list[_Tokens]) -> bool:
    """Whether a sum of a file with records moved by an answer that has none: an old version went on with the file.

    Where an answer has its record, the sum moves by what was recorded since the sum before, or ``last`` repeats the
    record. The first sum of a fork holds its parent's, and is explained by no answer of its own.
    """
    if before is None or (recorded and last == recorded[-1]):
        return False
    growth = tuple(now - then for now, then in zip(total.parts(), before.parts(), strict=True))
    explained = tuple(map(sum, zip(*(tokens.parts() for tokens in recorded), strict=True)))
    return growth == last.parts() and growth != explained


def _is_older(turn: str, thread: str) -> bool:
    """Whether a turn began before a thread: their ids begin with their time (UUID, version 7)."""
    return turn[14:15] == thread[14:15] == "7" and turn.lower() < thread.lower()


class CodexReader:
    """One rollout, from its first line on."""

    def __init__(self, _path: str) -> None:
        self._thread = self._root = self._session = ""
        self._provider, self._model, self._cwd, self._branch = PROVIDER, "", "", ""
        self._turn, self._is_child, self._has_records = "", False, False
        self._sum: _Tokens | None = None
        self._recorded: list[_Tokens] = []
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
            case "event_msg", "task_started":
                self._turn = payload.turn_id or self._turn
            case "turn_context", _:
                self._turn = payload.turn_id or self._turn
                self._model, self._cwd = payload.model or self._model, self._cwd or payload.cwd or ""
            case "event_msg", "thread_settings_applied":
                settings = payload.thread_settings or _Settings()
                self._model, self._cwd = settings.model or self._model, self._cwd or settings.cwd or ""
                self._provider = settings.model_provider_id or self._provider
            case "token_usage_record", _:
                return self._answer(record.timestamp, payload)
            case "event_msg", "token_count":
                moved = self._moved(record.timestamp, payload.info) if payload.info else []
                return chain(
                    moved, self._limits(record.timestamp, payload.rate_limits)
                )  # usage counts, whatever follows
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
            self._is_child = isinstance(meta.source, dict) and "subagent" in meta.source
        self._root = meta.forked_from_id or meta.id or self._root

    def _answer(self, at: str | None, record: _Payload) -> Iterable[ModelCall]:
        if not record.response_id or record.usage is None:
            return []
        call = self._call(f"codex:{record.response_id}", at, record.usage.usage())
        self._has_records = True
        self._recorded.append(record.usage)
        return [call] if call.usage.tokens else []

    def _moved(self, at: str | None, info: _Info) -> list[ModelCall]:
        """What the last answer used, where the sum of the thread has moved; the same sum again is a repetition."""
        total, last = info.total_token_usage, info.last_token_usage
        if total is None or last is None or (self._sum and total.parts() == self._sum.parts()):
            return []
        if any(part > whole for part, whole in zip(last.parts(), total.parts(), strict=True)):
            raise BadLine("an answer of more than all answers together")
        where = "/".join(str(count or 0) for count in msgspec.structs.astuple(total))
        call = self._call(f"codex:{self._root}:{where}", at, last.usage())
        before, self._sum = self._sum, total
        if self._is_child and _is_older(self._turn, self._thread):
            return []  # a sub-agent's copy of its parent's sums, without the records that may have stood beside them
        recorded, self._recorded = self._recorded, []
        if self._has_records and not _is_unrecorded(last, before, total, recorded):
            return []
        return [call] if call.usage.tokens else []

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
        return ModelCall(
            key, instant(at), self._provider, self._model, usage, self._session, self._cwd, self._branch,
            "" if self._thread == self._session else self._thread,
        )  # fmt: skip
