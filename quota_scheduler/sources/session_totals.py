"""Totals that a session states of itself: ``cost-state`` lines of a Claude Code transcript.

    {"type":"cost-state","sessionId":…,"startTime":…,"modelUsage":{model:{"inputTokens":…, …}}}

The client writes one when a turn or a run ends, with everything since the session began, its forebears included, and no
time. It is dated by the last line before it that has one, and closed by the first line after it that has one. Both are
looked for in the file, so that they are the same however a file is cut into passes.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from quota_scheduler.core.instants import is_plausible, parse_instant
from quota_scheduler.core.labels import LONGEST_VALUE
from quota_scheduler.core.ledger.unlisted import SessionTotal, StatedUsage
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Usage
from quota_scheduler.sources.records import MOST_SEARCHES, BadLine, Count, Identifier
from quota_scheduler.sources.transcript import MARKER as USAGE
from quota_scheduler.sources.transcript import Labeller, Span

MARKER = b'"cost-state"'
LOOK_BACK = 1 << 20
"""How much of a file before a pass is searched for the time of a total that stands first in it."""
MOST_MODELS = 100
"""More models in one session are a garbled line."""


class ModelTotal(msgspec.Struct, rename="camel", gc=False):
    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation_ephemeral_5m: Count = msgspec.field(name="cacheCreationEphemeral5mInputTokens", default=None)
    cache_creation_ephemeral_1h: Count = msgspec.field(name="cacheCreationEphemeral1hInputTokens", default=None)
    web_search_requests: Count = None

    def usage(self) -> Usage:
        """Its kinds; without a split by lifetime all cache writes are of the usual one. How many calls is not said."""
        hour = self.cache_creation_ephemeral_1h or 0
        written = max(self.cache_creation_input_tokens or 0, hour + (self.cache_creation_ephemeral_5m or 0))
        return Usage(
            self.input_tokens or 0,
            self.cache_read_input_tokens or 0,
            written - hour,
            hour,
            self.output_tokens or 0,
        )


class CostState(msgspec.Struct, rename="camel", gc=False):
    type: str | None = None
    session_id: Identifier = None
    start_time: float | None = None
    cwd: str | None = None
    git_branch: str | None = None
    model_usage: dict[str, ModelTotal] | None = None


class _Timed(msgspec.Struct, gc=False):
    type: str | None = None
    timestamp: str | None = None


_decode = msgspec.json.Decoder(CostState).decode
_decode_timed = msgspec.json.Decoder(_Timed).decode


class StatedTotals(NamedTuple):
    """The totals of a part of a file, in order, and the places in it of lines that should be one and are garbled."""

    totals: list[SessionTotal]
    garbled: list[int]


def stated_totals(
    text: bytearray, end: int, spans: Iterable[Span], *, path: str, offset: int, session: str, labeller: Labeller
) -> StatedTotals:
    """Return the totals that lines of ``text[:end]``, complete lines at an offset of a file, state.

    ``spans`` are those that may, in order: most of a file is nothing but results of tools. ``session`` is the session's
    id where a line does not say it.
    """
    result = StatedTotals([], [])
    for start, stop in spans:
        if text.find(MARKER, start, stop) < 0:
            continue
        try:
            if line := _line(text[start:stop]):
                at = _time_before(text, start, path, offset) or _began(line)
                until = next(_times(text, stop + 1, end), None)
                result.totals.append(_total(line, offset + start, (at, until), session, labeller))
        except BadLine:
            if text.find(USAGE, start, stop) < 0:  # else it is counted with the lines of calls
                result.garbled.append(offset + start)
    return result


def goes_on(text: bytearray, end: int, offset: int) -> datetime | None:
    """The first time in a part of a file that is not its beginning: until when a total before it may be of."""
    return next(_times(text, 0, end), None) if offset else None


def _line(line: bytearray) -> CostState | None:
    """A line as a total, None if it is another and only speaks of one. Raises BadLine."""
    try:
        record = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadLine(str(error)) from None
    return record if record.type == "cost-state" and record.model_usage is not None else None


def _total(
    line: CostState, place: int, span: tuple[datetime, datetime | None], session: str, labeller: Labeller
) -> SessionTotal:
    models = line.model_usage or {}
    session = line.session_id or session
    if len(models) > MOST_MODELS or any(len(model) > LONGEST_VALUE for model in models):
        raise BadLine("models that nobody sells")
    stated = []
    for model, figures in models.items():
        usage, searches = figures.usage(), figures.web_search_requests or 0
        if usage.tokens > LARGEST_EVENT or searches > MOST_SEARCHES:
            raise BadLine(f"{usage.tokens} tokens were never used in one session")
        labels, priority = labeller(line.cwd or "", model, line.git_branch or "", session)
        stated.append(StatedUsage(labels, priority, usage, searches))
    at, until = span
    return SessionTotal(session, place, at, tuple(stated), until)


def _began(line: CostState) -> datetime:
    """When the session began, in place of a time that nothing before the line has. Raises BadLine."""
    try:
        at = datetime.fromtimestamp((line.start_time or 0) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadLine("a total without any time") from None
    if not is_plausible(at):
        raise BadLine("a total without any time")
    return at


def _times(text: bytearray | bytes, start: int, end: int) -> Iterator[datetime]:
    """The times of the lines of ``text[start:end]``, in order."""
    while start < end:
        stop = text.find(b"\n", start, end)
        stop = end if stop < 0 else stop
        if (at := _time_of(text[start:stop])) is not None:
            yield at
        start = stop + 1


def _time_before(text: bytearray, start: int, path: str, offset: int) -> datetime | None:
    """The time of the last line before a place of the file that has one."""
    at = _last_time(text, start)
    if at is None and offset:
        try:
            with Path(path).open("rb") as file:
                file.seek(max(0, offset - LOOK_BACK))
                before = file.read(min(offset, LOOK_BACK))
        except OSError:
            return None
        at = _last_time(before, len(before))
    return at


def _last_time(text: bytearray | bytes, end: int) -> datetime | None:
    """The time of the last complete line of ``text[:end]`` that has one."""
    while end > 0:
        start = text.rfind(b"\n", 0, end - 1) + 1
        if (at := _time_of(text[start : end - 1])) is not None:
            return at
        end = start
    return None


def _time_of(line: bytearray | bytes) -> datetime | None:
    """The time that a line names itself; None for one without, and for what cannot be read."""
    if b'"timestamp"' not in line:
        return None
    try:
        at = parse_instant(_decode_timed(line).timestamp or "")
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError):
        return None
    return at if is_plausible(at) else None
