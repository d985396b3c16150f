"""Lines of a Claude Code transcript in, usage events out.

bytes ──usage_lines──► lines that may carry usage ──► records ──► one event per run of lines of one response
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec

from quota_scheduler.core.instants import is_plausible, parse_instant
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.unlisted import Inheritance
from quota_scheduler.core.priority import Priority
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Extent, UsageEvent
from quota_scheduler.sources.records import ApiMessage, BadLine, Record, is_cut_off, record_of
from quota_scheduler.sources.word.limit_lines import REFUSAL

MARKER = b'"usage"'
"""Every record with usage contains this, whatever its spacing. In quoted text the second quote mark is escaped."""
Span = tuple[int, int]
"""Where a line of a text begins, and where its newline stands."""
_RESULT = b'"type":"user"'
_HEAD = 600
"""Most bytes of a transcript are tool results. Where a line names that type in its first 600 bytes, before any inner
object opens, the line is one and need not be searched. This only rules lines out; all others are searched."""
ORIGIN = "claude_code"
SYNTHETIC = "<synthetic>"
"""The model of records that the client made up."""
Labeller = Callable[[str, str, str, str], tuple[Labels, Priority]]
"""From ``cwd``, model, branch and session of a line to its labels and priority class."""


def telling_lines(text: bytearray, end: int) -> list[Span]:
    """Return the lines of ``text[:end]`` that are more than something said by people or tools.

    ``end`` lies behind a newline.
    """
    spans: list[Span] = []
    find = text.find
    start = 0
    while start < end:
        stop = find(b"\n", start, end)
        named = find(_RESULT, start, min(start + _HEAD, stop))
        if named < 0 or find(b"{", start + 1, named) >= 0:
            spans.append((start, stop))
        start = stop + 1
    return spans


def usage_lines(text: bytearray, spans: Iterable[Span], refused: list[bytes] | None = None) -> Iterator[memoryview]:
    """Yield those of some lines that may carry usage, as views.

    ``refused`` gets those that tell of a call that the provider refused for a moment; they carry none.
    """
    view, rfind = memoryview(text), text.rfind
    for start, stop in spans:
        if rfind(MARKER, start, stop) >= 0:
            yield view[start:stop]
        elif refused is not None and text.find(REFUSAL, start, min(start + _HEAD, stop)) >= 0:
            refused.append(bytes(view[start:stop]))


class TranscriptLines(NamedTuple):
    """What a run of lines says, in order: events, how many lines were garbled, and from whom a fork has copied.

    ``made_up`` are the lines that the client made up in place of an answer: they may tell why there is none.
    """

    events: list[UsageEvent]
    errors: int
    inherited: tuple[Inheritance, ...] = ()
    made_up: tuple[bytes, ...] = ()


def read_lines(lines: Iterable[bytes | memoryview], *, session: str, labeller: Labeller) -> TranscriptLines:
    """Return the usage events of lines; ``session`` is the session's id where a line does not say it.

    A line that a fork has copied belongs to the session that made the call.

    A response is written as several lines in a row that grow: only the largest of such a run becomes an event, as
    counting once would decide too, because making events costs more than reading lines.
    """
    events: list[UsageEvent] = []
    copied: dict[tuple[str, str], datetime] = {}
    made_up: list[bytes] = []
    errors = 0
    held: _Response | None = None
    for line in lines:
        try:
            record = record_of(line)
            if record is None or (held is not None and _repeats(record, held.record)):
                continue
            response = _response(record)
        except BadLine:
            errors += 1
            continue
        if response is None:
            made_up.append(bytes(line))
            continue
        if record.request_session_id:
            _note_copy(copied, record, response.at)
        if held is not None and response.key == held.key and response.side == held.side:
            held = _larger(response, held)
            continue
        if held is not None:
            events.append(_event(held, session, labeller))
        held = response
    if held is not None:
        events.append(_event(held, session, labeller))
    inherited = tuple(Inheritance(*ends, at) for ends, at in copied.items())
    return TranscriptLines(events, errors, inherited, tuple(made_up))


def _note_copy(copied: dict[tuple[str, str], datetime], record: Record, at: datetime) -> None:
    """Remember the last call that a session has copied from each of its ancestors."""
    session, ancestor = record.session_id, record.request_session_id
    if session and ancestor and session != ancestor:
        copied[session, ancestor] = max(at, copied.get((session, ancestor), at))


class _Response(NamedTuple):
    record: Record
    at: datetime
    tokens: int
    key: tuple[str, str]
    side: bool
    cut_off: bool


def _repeats(record: Record, held: Record) -> bool:
    """Whether a record says nothing that the one before it, of the same response, did not say."""
    mine, theirs = record.message, held.message
    return (
        mine is not None
        and theirs is not None
        and mine.id == theirs.id is not None
        and record.request_id == held.request_id
        and record.is_sidechain == held.is_sidechain
        and mine.usage == theirs.usage
        and mine.stop_reason == theirs.stop_reason
        and (record.timestamp or "") >= (held.timestamp or "")
    )


def _response(record: Record) -> _Response | None:
    """What a record reports; None for the zeros of a call that the client made up or that failed."""
    message = record.message
    assert message is not None
    assert message.usage is not None
    tokens = message.usage.tokens()
    if not tokens and (message.model == SYNTHETIC or record.is_api_error_message):
        return None
    try:
        at = parse_instant(record.timestamp or "")
    except (ValueError, OverflowError):
        raise BadLine(f"{record.timestamp!r} is not an instant with a time zone") from None
    if tokens > LARGEST_EVENT or not is_plausible(at):
        raise BadLine(f"{at} or {tokens} tokens are no call that was ever made")
    key = _key(record, message), message.id or ""
    return _Response(record, at, tokens, key, bool(record.is_sidechain), is_cut_off(record))


def _key(record: Record, message: ApiMessage) -> str:
    """The request id, else the message, else the line itself."""
    if record.request_id:
        return record.request_id
    if message.id:
        return f"msg:{message.id}"
    return f"line:{record.uuid or sha256(msgspec.json.encode(record)).hexdigest()[:32]}"


def _larger(new: _Response, held: _Response) -> _Response:
    if new.tokens != held.tokens:
        kept = new if new.tokens > held.tokens else held
    else:
        kept = new if new.at < held.at else held
    return kept._replace(cut_off=False) if kept.cut_off and not (new.cut_off and held.cut_off) else kept


def _event(response: _Response, session: str, labeller: Labeller) -> UsageEvent:
    record, at, _, (key, message), side, cut_off = response
    session = record.request_session_id or record.session_id or session
    told = record.message
    assert told is not None
    assert told.usage is not None
    labels, priority = labeller(record.cwd or "", told.model or "", record.git_branch or "", session)
    return UsageEvent(
        key=key,
        at=at,
        labels=labels,
        usage=told.usage.total(),
        run=session,
        session=session,
        message=message,
        sidechain=side,
        priority=priority,
        terms=told.usage.terms(),
        origin=ORIGIN,
        extent=Extent.PARTIAL if cut_off else Extent.WHOLE,
    )
