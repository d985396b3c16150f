"""Streams of the SDKs, watched: what goes by is handed on unchanged, and what it used is told once, however it ends.

Handed on whole, left early, closed, broken off by an error or forgotten: each tells once. A stream that was left before
the provider said its totals tells what it had said by then, or what the characters that went by come to.
"""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from quota_scheduler.client.used import Used, _get, _text, guessed, kinds_in, request_in, used_in

Told = Callable[[Used | None], None]
FINAL = ("response.completed", "response.incomplete", "response.failed")


class Reckoning:
    """Adds up what the events of one stream say; ``text_in`` is how many characters were asked."""

    def __init__(self, told: Told, *, model: str, text_in: int) -> None:
        self._tell, self._model, self._text_in = told, model, text_in
        self.response = self.request = ""
        self._kinds: dict[str, int] = {}
        self._text_out = 0
        self._said_totals = self._over = False

    def see(self, event: Any) -> None:
        """Take an event or a chunk into account; one that cannot be understood changes nothing."""
        kind = _text(_get(event, "type"))
        if kind == "message_start":
            self._take(_get(event, "message"))
        elif kind == "message_delta":
            self._grow(kinds_in(_get(event, "usage")) if _get(event, "usage") is not None else {})
            self._said_totals = True
        elif kind.startswith("response."):
            self._responses(kind, event)
        elif _get(event, "usage_metadata") is not None:
            self._langchain(event)
        else:
            self._chat(event)
        self._text_out += len(_text_of(event, kind))

    def end(self, *, whole: bool) -> None:
        """Tell what was used, the first time."""
        if self._over:
            return
        self._over = True
        kinds = dict(self._kinds)
        if not self._said_totals:
            rough = guessed(self._text_in if not kinds.get("input") else 0, self._text_out)
            kinds["input"] = kinds.get("input", 0) or (0 if kinds.get("cache_read") else rough["input"])
            kinds["output"] = max(kinds.get("output", 0), rough["output"])
        elif not any(count for name, count in kinds.items() if name != "output"):
            # the server said what it took where the SDK does not look, as langchain-anthropic at the start of a stream
            kinds["input"], whole = guessed(self._text_in, 0)["input"], False
        began = self.response or self._text_out or self._said_totals
        whole = whole and self._said_totals
        used = Used(self._model, self.response, self.request, kinds, whole) if began else None
        self._tell(used)

    def _take(self, answer: Any) -> None:
        self.response = _text(_get(answer, "id")) or self.response
        self._model = _text(_get(answer, "model")) or self._model
        if _get(answer, "usage") is not None:
            self._grow(kinds_in(_get(answer, "usage")))

    def _grow(self, kinds: dict[str, int]) -> None:
        """Totals only grow: later events leave out what earlier ones said."""
        for name, count in kinds.items():
            self._kinds[name] = max(count, self._kinds.get(name, 0))

    def _responses(self, kind: str, event: Any) -> None:
        answer = _get(event, "response")
        if answer is not None:
            self._take(answer)
        self._said_totals |= kind in FINAL and _get(answer, "usage") is not None

    def _langchain(self, chunk: Any) -> None:
        """A piece of a message of LangChain: the pieces' usage adds up."""
        used = used_in(chunk)
        if used is None:
            return
        self.response, self._model = self.response or used.response, used.model or self._model
        self._kinds = {name: self._kinds.get(name, 0) + count for name, count in used.kinds.items()}
        self._said_totals |= used.kinds["output"] > 0

    def _chat(self, chunk: Any) -> None:
        self.response = _text(_get(chunk, "id")) or self.response
        self._model = _text(_get(chunk, "model")) or self._model
        used = used_in(chunk)
        if used is not None and used.tokens:
            self._grow(dict(used.kinds))
            self._said_totals = True


def _text_of(event: Any, kind: str) -> str:
    """The characters that an event brings."""
    if kind.startswith("response."):
        delta = _get(event, "delta")
        return delta if isinstance(delta, str) else ""
    delta = _get(event, "delta")
    if delta is not None:
        return "".join(_text(_get(delta, name)) for name in ("text", "thinking", "partial_json"))
    choices = _get(event, "choices")
    if not isinstance(choices, list):
        return _text(_get(event, "content"))
    return "".join(_text(_get(_get(choice, "delta"), "content")) for choice in choices)


def is_only_usage(chunk: Any) -> bool:
    """Whether a chunk came only because usage was asked for: its caller did not, and indexes ``choices``."""
    return _get(chunk, "choices") == [] and _get(chunk, "usage") is not None


class Watched:
    """A stream as its caller knows it; everything it has is still there."""

    def __init__(self, stream: Any, reckoning: Reckoning, *, hide_usage: bool = False) -> None:
        self._quota_stream, self._quota_reckoning, self._quota_hides = stream, reckoning, hide_usage
        reckoning.request = request_in(stream)
        self._quota_forgotten = weakref.finalize(self, reckoning.end, whole=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._quota_stream, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._quota_stream)

    # sync

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                event = next(self._quota_stream)
            except StopIteration:
                self._quota_reckoning.end(whole=True)
                raise
            except BaseException:
                self._quota_reckoning.end(whole=False)
                raise
            self._quota_reckoning.see(event)
            if not (self._quota_hides and is_only_usage(event)):
                return event

    def __enter__(self) -> "Watched":
        self._quota_stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        try:
            return self._quota_stream.__exit__(*error)
        finally:
            self._quota_reckoning.end(whole=False)

    def close(self) -> Any:
        """Close the stream; what it used until now is told. Of an asynchronous stream, to be awaited."""
        self._quota_reckoning.end(whole=False)
        return self._quota_stream.close()

    # async

    def __aiter__(self) -> "Watched":
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                event = await self._quota_stream.__anext__()
            except StopAsyncIteration:
                self._quota_reckoning.end(whole=True)
                raise
            except BaseException:
                self._quota_reckoning.end(whole=False)
                raise
            self._quota_reckoning.see(event)
            if not (self._quota_hides and is_only_usage(event)):
                return event

    async def __aenter__(self) -> "Watched":
        await self._quota_stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        try:
            return await self._quota_stream.__aexit__(*error)
        finally:
            self._quota_reckoning.end(whole=False)


class WatchedManager:
    """What ``messages.stream(...)`` returns, for ``with`` and ``async with``: when the block ends, its stream tells."""

    def __init__(self, manager: Any, reckoning: Reckoning) -> None:
        self._quota_manager, self._quota_reckoning, self._quota_opened = manager, reckoning, None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._quota_manager, name)

    def __enter__(self) -> Any:
        self._quota_opened = self._quota_manager.__enter__()
        return self._quota_opened

    def __exit__(self, *error: Any) -> Any:
        try:
            return self._quota_manager.__exit__(*error)
        finally:
            self._tell()

    async def __aenter__(self) -> Any:
        self._quota_opened = await self._quota_manager.__aenter__()
        return self._quota_opened

    async def __aexit__(self, *error: Any) -> Any:
        try:
            return await self._quota_manager.__aexit__(*error)
        finally:
            self._tell()

    def _tell(self) -> None:
        stream, reckoning = self._quota_opened, self._quota_reckoning
        reckoning.request = request_in(stream) if stream is not None else ""
        try:
            snapshot: Any = getattr(stream, "current_message_snapshot", None)
        except AssertionError:  # nothing had come yet
            snapshot = None
        if snapshot is not None:
            reckoning.see({"type": "message_start", "message": snapshot})
            whole = _get(snapshot, "stop_reason") is not None
            if whole:
                reckoning.see({"type": "message_delta", "usage": _get(snapshot, "usage")})
            else:
                texts = (_text(_get(block, "text")) for block in _get(snapshot, "content") or ())
                reckoning.see({"type": "content_block_delta", "delta": {"text": "".join(texts)}})
            reckoning.end(whole=whole)
        reckoning.end(whole=False)
