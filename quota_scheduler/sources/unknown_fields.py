"""Fields that providers and agents write and nobody here knows: looked for in the newest files, when somebody asks.

    newest files ──lines with usage or limits──► objects ──minus known keys──► fields, with version and place

Readers ignore what they do not know, so that a new version breaks nothing. What they ignore may still be worth reading:
a sixth kind of tokens, a third window. Known means read, or left out on purpose.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from quota_scheduler.sources import opencode
from quota_scheduler.sources.tail import changed_files
from quota_scheduler.sources.word.codex_limits import read_rate_limits
from quota_scheduler.sources.word.limit_lines import read_limit_line
from quota_scheduler.sources.word.word import Teller, Word, mapping_of, text_of

MOST_FILES = 30
"""Newest files of each agent that are looked into."""
LAST_BYTES = 2 << 20
"""How much of the end of each."""
MOST_FIELDS = 200
ANY = "*"
"""Each member of a list or of an object with free keys."""
_NOBODY = Teller("", datetime(2000, 1, 1, tzinfo=UTC), "doctor")


class UnknownField(Struct, frozen=True):
    """One field that nobody here knows: which agent wrote it, in which version where it says so, and a file with it."""

    source: str
    field: str
    version: str
    where: str


class Shape(NamedTuple):
    """An object inside a line, by the way to it, and the keys of it that are known."""

    way: tuple[str, ...]
    known: frozenset[str]


def _shape(way: str, known: str) -> Shape:
    return Shape(tuple(way.split(".")), frozenset(known.split()))


_CLAUDE_COUNTS = "input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens cache_creation"
_CODEX_COUNTS = (
    "input_tokens cached_input_tokens cache_write_input_tokens output_tokens reasoning_output_tokens total_tokens"
)
SHAPES: Mapping[str, tuple[Shape, ...]] = {
    "claude_code": (
        _shape(
            "message.usage",
            f"{_CLAUDE_COUNTS} server_tool_use service_tier inference_geo speed output_tokens_details iterations "
            "fallback_credit",
        ),
        _shape("message.usage.cache_creation", "ephemeral_5m_input_tokens ephemeral_1h_input_tokens"),
        _shape("message.usage.server_tool_use", "web_search_requests web_fetch_requests"),
        _shape("message.usage.output_tokens_details", "thinking_tokens"),
        _shape("message.usage.iterations.*", f"type model {_CLAUDE_COUNTS}"),
        _shape(
            "modelUsage.*",
            "inputTokens outputTokens cacheReadInputTokens cacheCreationInputTokens webSearchRequests costUSD "
            "cacheCreationEphemeral5mInputTokens cacheCreationEphemeral1hInputTokens contextWindow maxOutputTokens "
            "canonicalModel provider costBasis",
        ),
    ),
    "codex": (
        _shape("payload.usage", _CODEX_COUNTS),
        _shape(
            "payload.info",
            "total_token_usage last_token_usage last_usage_includes_reasoning model_context_window",
        ),
        _shape("payload.info.last_token_usage", _CODEX_COUNTS),
    ),
    "gemini": (_shape("tokens", "input output cached thoughts tool total"),),
    "opencode": (
        _shape("tokens", "total input output reasoning cache"),
        _shape("tokens.cache", "read write"),
    ),
    "pi": (
        _shape("message.usage", "input output cacheRead cacheWrite totalTokens cost"),
        _shape("message.usage.cost", "input output cacheRead cacheWrite total"),
    ),
}
"""Objects of usage by agent, as their versions of November 2026 write them."""
AMONG_OTHERS = {
    "qwen": (
        _shape(
            "systemPayload.uiEvent",
            "input_token_count output_token_count cached_content_token_count thoughts_token_count total_token_count "
            "tool_token_count",
        ),
        "_token_count",
    ),
    "copilot": (
        _shape(
            "data.usage",
            "inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens maxPromptTokens maxOutputTokens",
        ),
        "Tokens",
    ),
}
"""Objects in which usage stands among dozens of other figures: of their keys only those that end so are looked at."""
_MARKERS = (b'"usage"', b'"tokens"', b'"token_count"', b'"modelUsage"', b"_token_count", b'"quotaLimits"')


def unknown_fields(places: Mapping[str, Sequence[Path]]) -> list[UnknownField]:
    """Every field that the newest files hold and nobody knows, once a source, by name; files are those below places."""
    found: dict[tuple[str, str], UnknownField] = {}
    for source, folders in sorted(places.items()):
        for where, version, line in _lines(source, folders):
            for field in _unknown_in(source, line):
                if len(found) < MOST_FIELDS:
                    found.setdefault((source, field), UnknownField(source, field, version, where))
    return [found[key] for key in sorted(found)]


def _lines(source: str, folders: Sequence[Path]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The file, the version and the object of each line that may be of interest, the newest files first."""
    if source == opencode.NAME:
        for path in folders:
            for data in opencode.newest_messages(path):
                yield str(path), "", _decoded(data)
        return
    todo = changed_files(folders, {}, suffix=".jsonl").todo
    for state in sorted(todo, key=lambda state: state.mtime_ns, reverse=True)[:MOST_FILES]:
        version = ""
        for line in _last_lines(Path(state.path)):
            if b'"cli_version"' in line:
                version = text_of(mapping_of(_decoded(line).get("payload")).get("cli_version")) or version
            if any(marker in line for marker in _MARKERS):
                record = _decoded(line)
                yield state.path, text_of(record.get("version")) or version, record


def _last_lines(path: Path) -> Iterable[bytes]:
    """The first line of a file, which may name the version, and those of its end."""
    try:
        with path.open("rb") as file:
            first = file.readline(LAST_BYTES)
            size = file.seek(0, 2)
            file.seek(max(len(first), size - LAST_BYTES))
            return [first, *file.read(LAST_BYTES).splitlines()]
    except OSError:
        return []


def _decoded(line: bytes) -> Mapping[str, Any]:
    try:
        return mapping_of(msgspec.json.decode(line))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}


def _unknown_in(source: str, line: Mapping[str, Any]) -> Iterator[str]:
    word = Word()
    for shape in SHAPES.get(source, ()):
        for inside in _inside(line, shape.way):
            word.look_over(inside, shape.known, ".".join(shape.way))
    match source:
        case "claude_code":
            word.add(read_limit_line(line, _NOBODY))
        case "codex":
            word.add(read_rate_limits(mapping_of(line.get("payload")).get("rate_limits"), _NOBODY))
        case "qwen" | "copilot":
            shape, ending = AMONG_OTHERS[source]
            for inside in _inside(line, shape.way):
                counts = {key: value for key, value in inside.items() if key.endswith(ending)}
                word.look_over(counts, shape.known, ".".join(shape.way))
    yield from word.unknown
    yield from (refused for refused in word.refused if refused.endswith("is not known"))


def _inside(record: object, way: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """The objects at the end of a way."""
    name, *further = [*way] or [""]
    if not name:
        if isinstance(record, Mapping) and record:
            yield record
    elif name == ANY:
        members = record.values() if isinstance(record, Mapping) else record if isinstance(record, list) else ()
        for member in members:
            yield from _inside(member, further)
    elif isinstance(record, Mapping):
        yield from _inside(record.get(name), further)
