"""Gemini CLI: one file a chat, sub-agents in folders beside it.

    ~/.gemini/tmp/<project>/chats/session-….jsonl            the chat
    ~/.gemini/tmp/<project>/chats/<session>/<agent>.jsonl    its sub-agents

An answer is written again with each of its tool results, and once more by every resume, then sometimes without its
tokens: whatever has tokens counts, once per id. ``input`` includes what came from the cache but not what tools brought
in; thinking is not part of ``output``. Calls of its router and its compressor stand in no file. Measured with 0.61.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from quota_scheduler.sources.calls import Count, ModelCall, decoded, instant, mentions, usage_of

NAME = "gemini"
PROVIDER = "google"
CHATS = "chats"
"""The folder of chats; those of sub-agents lie in folders below it, called as the session that they work for."""
MARKERS = (b'"tokens"', b'"sessionId"')


class _Tokens(msgspec.Struct, gc=False):
    input: Count = None
    output: Count = None
    cached: Count = None
    thoughts: Count = None
    tool: Count = None


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    timestamp: str | None = None
    type: str | None = None
    model: str | None = None
    tokens: _Tokens | None = None


class _Changes(msgspec.Struct, gc=False):
    messages: list[_Message] | None = None
    sessionId: str | None = None


class _Line(_Message, gc=False):
    sessionId: str | None = None
    changes: _Changes | None = msgspec.field(name="$set", default=None)


_LINE = msgspec.json.Decoder(_Line, strict=False)


class GeminiReader:
    """One chat, from its first line on. ``cwd`` is the folder it was held in."""

    def __init__(self, path: str, cwd: str = "") -> None:
        folder = Path(path).parent.name
        self._parent = "" if folder == CHATS else folder
        self._session, self._cwd = self._parent or Path(path).stem, cwd

    def read(self, line: bytes | memoryview) -> Iterable[ModelCall]:
        """The calls that a line reports: one, or after a resume all before it. Raises BadLine."""
        if not mentions(line, MARKERS):
            return []
        record = decoded(_LINE, line)
        changes = record.changes or _Changes()
        self._session = self._parent or record.sessionId or changes.sessionId or self._session
        return [*self._calls([record, *(changes.messages or ())])]

    def _calls(self, messages: Iterable[_Message]) -> Iterator[ModelCall]:
        for message in messages:
            tokens = message.tokens
            if message.type != "gemini" or tokens is None or not message.id:
                continue
            usage = usage_of(
                everything_in=(tokens.input or 0) + (tokens.tool or 0),
                cached=tokens.cached or 0,
                cache_write=0,
                out=(tokens.output or 0) + (tokens.thoughts or 0),
            )
            if usage.tokens:
                at, model = instant(message.timestamp), message.model or ""
                yield ModelCall(f"gemini:{message.id}", at, PROVIDER, model, usage, self._session, self._cwd)


class Folders:
    """Opens readers of chats, knowing which folder each project's slug stands for."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._slugs: dict[str, str] = {}

    def open(self, path: str) -> GeminiReader:
        """A reader for one chat; the list of projects is read again where it does not name the chat's yet."""
        inside = Path(path).parts[len(self._base.parts) :]
        slug = inside[1] if inside[:1] == ("tmp",) and len(inside) > 1 else ""
        if slug and slug not in self._slugs:
            self._slugs = _slugs(self._base / "projects.json") | {slug: _root_of(self._base / "tmp" / slug)}
        return GeminiReader(path, self._slugs.get(slug, ""))


def _slugs(path: Path) -> dict[str, str]:
    try:
        projects = json.loads(path.read_bytes())["projects"]
        return {str(slug): str(folder) for folder, slug in projects.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


def _root_of(folder: Path) -> str:
    """What ``.project_root`` beside the chats says, else what the list of projects says."""
    try:
        return (folder / ".project_root").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return _slugs(folder.parent.parent / "projects.json").get(folder.name, "")
