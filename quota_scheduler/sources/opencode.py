"""opencode: one SQLite database, written in WAL mode by every running client.

Of the four places that hold an answer's tokens (messages, their parts, sums of sessions, events) the messages are read,
one an answer once it is complete. A fork copies messages under new ids, so the key is made of what stays the same.
Input excludes the cache, and output excludes reasoning. Calls for titles stand nowhere. A message that the
provider refused keeps the headers of the refusal. Measured with 1.18.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from quota_scheduler.core.ledger.source_batch import Batch, FileState
from quota_scheduler.core.usage import Usage
from quota_scheduler.sources.calls import (
    Count,
    Label,
    ModelCall,
    ProviderReport,
    event_of,
    instant_of_millis,
    word_of,
)
from quota_scheduler.sources.passes import OpenBatch
from quota_scheduler.sources.records import BadLine
from quota_scheduler.sources.word.headers import read_answer
from quota_scheduler.sources.word.word import REFUSED, Teller, mapping_of

NAME = "opencode"
DATABASE = "opencode.db"
SELECT = "SELECT id, time_updated, session_id, data FROM message WHERE time_updated >= ? ORDER BY time_updated, id"
NEWEST = "SELECT data FROM message ORDER BY time_updated DESC LIMIT ?"
ASSISTANT = "assistant"
READ_AGAIN_MS = 3_600_000
"""So much older messages are read again where the database has changed, in ms: clocks are put back. They count once."""
_LARGEST_MS = 2**53
"""Larger times, in ms, are garbled."""
NEVER = -_LARGEST_MS
"""Before every message, those included whose time is no number."""
LATEST_MS = 60_000
"""A message that is this much newer than its file, in ms, is garbled or of another clock: none is waited for."""


class _Cache(msgspec.Struct, gc=False):
    read: Count = None
    write: Count = None


class _Tokens(msgspec.Struct, gc=False):
    input: Count = None
    output: Count = None
    reasoning: Count = None
    cache: _Cache | None = None


class _Path(msgspec.Struct, gc=False):
    cwd: str | None = None


class _Time(msgspec.Struct, gc=False):
    created: float | None = None
    completed: float | None = None


class _Failure(msgspec.Struct, gc=False):
    status: float | None = msgspec.field(name="statusCode", default=None)
    headers: Any = msgspec.field(name="responseHeaders", default=None)
    body: Any = msgspec.field(name="responseBody", default=None)


class _Error(msgspec.Struct, gc=False):
    data: _Failure | None = None


class _Message(msgspec.Struct, gc=False):
    role: str | None = None
    provider: str | None = msgspec.field(name="providerID", default=None)
    model: str | None = msgspec.field(name="modelID", default=None)
    path: _Path | None = None
    tokens: _Tokens | None = None
    time: _Time | None = None
    error: _Error | None = None


_MESSAGE = msgspec.json.Decoder(_Message, strict=False)


def message_of(data: str | bytes) -> _Message:
    """A message as it is stored. Raises BadLine."""
    try:
        return _MESSAGE.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadLine(str(error)) from None


def call_of(session: str, message: _Message) -> ModelCall | None:
    """The call that a message reports; None while it is incomplete, or when it used nothing. Raises BadLine."""
    tokens, time = message.tokens, message.time or _Time()
    if message.role != ASSISTANT or tokens is None or time.completed is None:
        return None
    cache = tokens.cache or _Cache()
    usage = Usage(
        input=tokens.input or 0,
        cache_read=cache.read or 0,
        cache_write_5m=cache.write or 0,
        output=(tokens.output or 0) + (tokens.reasoning or 0),
        requests=1,
    )
    if not usage.tokens:
        return None
    provider, model = message.provider or NAME, message.model or ""
    same = (provider, model, time.created, time.completed, tokens.input, tokens.output)
    key = "opencode:" + "/".join(f"{part:.0f}" if isinstance(part, float) else str(part) for part in same)
    cwd = (message.path.cwd if message.path else None) or ""
    return ModelCall(key, instant_of_millis(time.created), provider, model, usage, session, cwd)


def report_of(session: str, message: _Message) -> ProviderReport | None:
    """What the provider said when it refused: the headers of its answer stand in the message; those of others do not.

    None for everything but a refusal. Raises BadLine.
    """
    failure = message.error.data if message.error else None
    if failure is None or failure.status is None or failure.status not in REFUSED:
        return None
    time, provider = message.time or _Time(), message.provider or NAME
    teller = Teller("", instant_of_millis(time.completed or time.created), NAME, provider)
    body = failure.body if isinstance(failure.body, str) else None
    word = read_answer(mapping_of(failure.headers), teller, status=int(failure.status), body=body)
    cwd = (message.path.cwd if message.path else None) or ""
    return ProviderReport(word, ModelCall("", teller.at, provider, message.model or "", Usage(), session, cwd))


class _Row(NamedTuple):
    """A message as it is stored; ``updated`` is when, in ms, -1 where that is no number."""

    id: str
    updated: int
    session: str
    data: bytes


def scan(paths: Sequence[Path], known: Mapping[str, FileState], *, label: Label) -> Iterator[Batch]:
    """Make one pass over the databases; the ``offset`` of a state is when the newest message read was updated, in ms.

    What a client is writing just now stands in the ``-wal`` file beside the database: both tell whether it changed. A
    database that cannot be read is named in the batch and tried again in the next pass.
    """
    batch = OpenBatch()
    for path in paths:
        state = _state(path)
        if state is None:
            continue
        before = known.get(state.path)
        if before and (before.inode, before.size, before.mtime_ns) == (state.inode, state.size, state.mtime_ns):
            continue
        since = before.offset if before and before.inode == state.inode else NEVER
        try:
            rows = _rows(path, since - READ_AGAIN_MS)
        except sqlite3.Error as error:
            batch.unreadable.append(f"{path}: {error}")
            batch.errors += 1
            continue
        for row in rows:
            _take(batch, row, str(path), label, is_news=row.updated > since)
        latest = state.mtime_ns // 1_000_000 + LATEST_MS
        newest = max((row.updated for row in rows if row.updated <= latest), default=since)
        batch.files.append(replace(state, offset=max(newest, since, 0)))
    yield batch.closed(0, 0, gone=sorted(name for name in known if not Path(name).exists()), last=True)


def _take(batch: OpenBatch, row: _Row, path: str, label: Label, *, is_news: bool) -> None:
    """Put what a message says into a batch; what was garbled or told in an earlier pass is no news."""
    try:
        message = message_of(row.data)
        if call := call_of(row.session, message):
            batch.events.append(event_of(call, path, label, NAME))
        report = report_of(row.session, message)
    except Exception:  # whatever a message holds, it keeps no other from being read
        if is_news:
            batch.errors += 1
            batch.garbled.setdefault(path, f"{path}, message {row.id}")
        return
    if report and is_news:
        batch.tell(word_of(report, path, label))


def newest_messages(path: Path, count: int = 500) -> list[bytes]:
    """The newest messages as they are stored, for whoever looks for what is new in them; none on trouble."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as database:
            database.text_factory = bytes
            return [row[0] for row in database.execute(NEWEST, (count,)) if isinstance(row[0], bytes)]
    except sqlite3.Error:
        return []


def _state(path: Path) -> FileState | None:
    """The database and the log beside it as one: their sizes together and the later of their times."""
    try:
        stats = [path.stat()]
    except OSError:
        return None
    with contextlib.suppress(OSError):
        stats.append(path.with_name(path.name + "-wal").stat())
    size, mtime = sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
    return FileState(str(path), stats[0].st_ino, size, mtime, 0)


def _rows(path: Path, since: int) -> list[_Row]:
    """Messages updated at ``since`` or later. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as database:
        database.text_factory = bytes  # what is no UTF-8 would end the whole query
        return [_row(*values) for values in database.execute(SELECT, (since,))]


def _row(id_: object, updated: object, session: object, data: object) -> _Row:
    when = int(updated) if isinstance(updated, int | float) and abs(updated) < _LARGEST_MS else -1
    return _Row(_text(id_), when, _text(session), data if isinstance(data, bytes) else b"")


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
