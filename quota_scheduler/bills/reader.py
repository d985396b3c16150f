"""Reading one organisation's reports: what is due, page by page, each kept together with how far it has been read.

    cursor ──what to ask next──► server ──page──► keep(lines, cursor) ── one transaction ──► the next page, until none

A crash between two pages goes on with the page after the last that was kept. A provider that asks to be left alone is
left alone; one that refuses the key is asked again an hour later, and said so once.
"""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from quota_scheduler.bills.pages import Ask, NotThis, ReportPage, ReportReader
from quota_scheduler.core.observations.bill import BillCursor, BillLine, Ceiling
from quota_scheduler.core.observations.observation import Observation
from quota_scheduler.core.readings.readings import SourceReading
from quota_scheduler.outbound import HttpAnswer, NoAnswer, OtherServer

log = logging.getLogger(__name__)
HISTORY = timedelta(days=31)
"""How far back the first reading goes: what one ask may cover."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
MOST_PAGES = 1_000
"""Pages of one reading: one that never ends is the server's fault, and goes on the next time."""


class Keeper(Protocol):
    """Where lines and positions are kept."""

    def cursor(self, reader: str) -> BillCursor | None:
        """How far a report has been read; None when nothing of it was."""
        ...

    def keep(
        self,
        reader: str,
        cursor: BillCursor,
        *,
        lines: Sequence[BillLine],
        observations: Sequence[Observation],
        ceilings: Sequence[Ceiling],
    ) -> None:
        """Keep what a page held and how far that is, in one transaction."""
        ...


class BillReader(Struct):
    """The reports of one organisation. ``poll`` is called often, and asks when something is due."""

    name: str
    account: str
    server: OtherServer
    readers: tuple[ReportReader, ...]
    keeper: Keeper
    clock: Callable[[], datetime]
    every: timedelta
    problem: str = ""
    errors: int = 0
    completed: datetime | None = None
    _stopping: bool = False
    _due: dict[str, datetime] = field(default_factory=dict)
    _pauses: dict[str, timedelta] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)

    def poll(self) -> None:
        """Read what is due."""
        for reader in self.readers:
            due = self._due.get(reader.name)
            now = self.clock()
            if due is not None and now < due <= now + max(
                self.every, LONGEST_PAUSE
            ):  # a clock set back waits no longer
                continue
            self._read(reader)
        problems = sorted(set(self._problems.values()))
        self.problem = "; ".join(problems)
        if not problems:
            self.completed = self.clock()

    def stop(self) -> None:
        """End the reading under way after its present page."""
        self._stopping = True

    def source_reading(self, now: datetime) -> SourceReading:
        """What metrics and people see of it; it is behind from the second missed reading on."""
        since = now - self.completed if self.completed else timedelta(0)
        behind = max(timedelta(0), since - self.every * 2)
        return SourceReading(f"bill/{self.name}", False, behind.total_seconds(), self.errors)

    def _read(self, reader: ReportReader) -> None:
        """Read a report to its end, or to where the server stops it."""
        cursor = self._start(reader)
        for _ in range(MOST_PAGES):
            try:
                answer = self.server.ask("GET", reader.path(Ask(cursor.asked_from, cursor.asked_to, cursor.page)))
            except NoAnswer as error:
                return self._put_off(reader, str(error))
            if answer.status == 400 and cursor.page:  # the mark of a page is not good for ever: from the span's start
                cursor = replace(cursor, page="")
                continue
            if answer.status != 200:
                return self._put_off(reader, self._refusal(reader, answer), answer)
            try:
                page = reader.read(json.loads(answer.content), self.account, self.clock())
            except (ValueError, RecursionError, NotThis) as error:
                return self._put_off(reader, f"what {self.server.base} answers is no {reader.name} report: {error}")
            cursor, more = self._next(reader, cursor, page)
            self.errors += page.garbled
            if page.garbled:
                log.warning("bill.garbled bill=%s report=%s rows=%d", self.name, reader.name, page.garbled)
            self.keeper.keep(
                reader.name, cursor, lines=page.lines, observations=page.observations, ceilings=page.ceilings
            )
            if not more:
                break
            if self._stopping:
                return None
        return self._done(reader)

    def _start(self, reader: ReportReader) -> BillCursor:
        """Where to go on: with the page after the last that was kept, else with what is new or may have changed."""
        now = self.clock()
        kept = self.keeper.cursor(reader.name)
        if not reader.span:
            return BillCursor(now, now, now, kept.page if kept else "")
        if kept and kept.page:
            return kept
        read_to = min(kept.read_to, now) if kept else now - HISTORY
        return self._span(reader, max(read_to, now - HISTORY), now)

    def _span(self, reader: ReportReader, read_to: datetime, now: datetime) -> BillCursor:
        start = _floor(read_to, reader.bucket)
        end = min(start + reader.span, _floor(now, reader.bucket) + reader.bucket)
        return BillCursor(start, start, end)

    def _next(self, reader: ReportReader, cursor: BillCursor, page: ReportPage) -> tuple[BillCursor, bool]:
        """Where a page leaves us, and whether there is more to ask."""
        if page.next:
            return replace(cursor, page=page.next), True
        now = self.clock()
        if not reader.span:
            return BillCursor(now, now, now), False
        read_to = max(cursor.read_to, min(cursor.asked_to, _floor(now - reader.settles, reader.bucket)))
        if cursor.asked_to >= now:
            return BillCursor(read_to, cursor.asked_from, cursor.asked_to), False
        return replace(self._span(reader, max(read_to, cursor.asked_to), now), read_to=read_to), True

    def _refusal(self, reader: ReportReader, answer: HttpAnswer) -> str:
        where = f"{self.server.base} ({reader.name} report of {self.name})"
        if answer.status in (401, 403):
            return f"{where} refuses the key ({answer.status}): it must be an administration key that may read reports"
        if answer.status == 404:
            return f"{where} is not there (404): choose the other generation with `api`, or check `url`"
        return f"{where} answered {answer.status}"

    def _put_off(self, reader: ReportReader, problem: str, answer: HttpAnswer | None = None) -> None:
        now = self.clock()
        pause = self._pauses.get(reader.name, FIRST_PAUSE)
        asked = answer.retry_after(now=now.timestamp()) if answer else None
        wait = timedelta(seconds=min(asked, 86_400.0)) if asked is not None else pause
        if answer is not None and answer.status in (401, 403, 404):
            wait = LONGEST_PAUSE
        self._due[reader.name] = now + max(wait, FIRST_PAUSE)
        self._pauses[reader.name] = min(LONGEST_PAUSE, pause * 2)
        if self._problems.get(reader.name) != problem:
            log.warning("bill.waits bill=%s report=%s reason=%s", self.name, reader.name, problem)
        self._problems[reader.name] = problem

    def _done(self, reader: ReportReader) -> None:
        if self._problems.pop(reader.name, ""):
            log.info("bill.goes_on bill=%s report=%s", self.name, reader.name)
        self._pauses.pop(reader.name, None)
        self._due[reader.name] = self.clock() + self.every


def _floor(at: datetime, bucket: timedelta) -> datetime:
    """The beginning of the UTC bucket that holds an instant."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // bucket * bucket
