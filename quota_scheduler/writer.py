"""The one thread that writes: requests that arrive together share a transaction (group commit).

runners ──ask()───────────┐
jobs ────do()─────────────┤ queue ─► drain ─► terms │ one cycle for all requests │ each job alone ─► commit ─► answer
everybody ─change_terms()─┤
the clock ────────────────┘       (waits no longer than to the next instant at which something falls due)

Others may write it too: a transaction first keeps up with what they wrote (``service.reread``, ``service.memory``).

The terms are one frozen value: whoever changes them hands in how, and between two cycles the writer's thread replaces
them. A cycle reads them once; any other thread may read ``terms``, and sees a change whole or not at all. What cycles
remember is this thread's own. After the machine slept no lease expires for a while; after a failed transaction what is
remembered is read anew. While the database is away, whoever asks hears so at once.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from quota_scheduler.core.cycle.requests import Reply, Request
from quota_scheduler.core.cycle.terms import Terms
from quota_scheduler.errors import DatabaseAway, MaybeStored, StoreError
from quota_scheduler.service import cycle
from quota_scheduler.service.memory import Memory, Remembered
from quota_scheduler.service.reread import Rereading
from quota_scheduler.store import Foreseen, Store, Transaction
from quota_scheduler.store.database import Question
from quota_scheduler.store.engine import reason
from quota_scheduler.traces import OFF, Place, Times, Traces

log = logging.getLogger(__name__)
MOST_AT_ONCE = 512
"""Requests past which one transaction takes in only those that came with them; a longer line is served in several."""
GATHER_SECONDS = 0.002
"""Requests that come one turn of the event loop after another are gathered no longer than this."""
GATHER_SHARE = 0.25
"""On a server, part of the last cycle's time in which as many are waited for as came to it: who was answered together
asks again together, only not at once. Without it half of all cycles were for the first of 32 alone."""
LONGEST_GATHER = 0.01
"""No longer in any case."""
LOOK_SECONDS = 2.0
"""The guarantee behind the timer: due work is looked for at least this often."""
AWAY_SECONDS = 0.5
"""While the database is away it is asked again no sooner; a runner that is refused comes again in seconds anyway."""
SLEPT = timedelta(seconds=5)
"""Wall and monotonic clocks further apart than this since the last cycle: the machine was asleep or its clock moved."""
GRACE = timedelta(seconds=200)
"""After that no lease expires before its runner has had one more renew interval (our clients renew every 200 s)."""


Note = Callable[[Transaction, Reply], None]
"""Writes down who asked for what, in the transaction of the deed itself."""


class _Job(Struct):
    work: Callable[[Transaction], Any]
    future: "Future[Any]"
    then: Callable[[Terms, Any], Terms] | None = None
    place: Place = None


class _Change(Struct):
    change: Callable[[Terms], Terms]
    future: "Future[Terms]"


class _Asked(Struct):
    request: Request
    future: "Future[Reply] | asyncio.Future[Reply]"
    note: "Note | None" = None
    place: Place = None


Settled = list[tuple["asyncio.Future[Reply]", Reply | Exception]]


def settle(settled: Settled) -> None:
    """Resolve futures of an event loop, in that loop; who has gone away meanwhile is not told."""
    for future, answer in settled:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


_Item = _Job | _Asked | _Change | None
_Put = _Item | list[_Asked]


class Writer:
    """Owns the right to write; everything that changes the database goes through ``ask`` or ``do``."""

    def __init__(
        self,
        store: Store,
        terms: Terms,
        *,
        tell: Callable[[cycle.CycleResult, float], None],
        rereading: Rereading | None = None,
        traces: Traces = OFF,
    ) -> None:
        """``tell`` is called after each cycle's commit, with what it did and the seconds it took.

        Without ``rereading`` nobody but ``change_terms`` changes the terms.
        """
        self.store, self.terms, self._tell, self._traces = store, terms, tell, traces
        self._memory, self._rereading = Memory(shared=store.is_shared), rereading
        self._queue: queue.SimpleQueue[_Put] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Asked]] = {}
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._due: float = 0.0
        self._clocks = (store.clock(), time.monotonic())
        self._grace_ends = time.monotonic()
        self._crowd, self._gather = 0, 0.0
        self._stopping = False
        self._away: DatabaseAway | None = None
        self._look_again = 0.0

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Serve what is queued, then end."""
        self._stopping = True
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def ask(self, request: Request) -> "Future[Reply]":
        """Put a request into the next cycle; the future resolves after its commit."""
        future: Future[Reply] = Future()
        self._queue.put(_Asked(request, future))
        return future

    def ask_from(
        self, loop: asyncio.AbstractEventLoop, request: Request, note: Note | None = None
    ) -> "asyncio.Future[Reply]":
        """The same from an event loop: the answers of a cycle are handed to the loop in one call.

        ``note`` is called with the answer before the commit, so that a deed and its row in the audit log are one.
        """
        future: asyncio.Future[Reply] = loop.create_future()
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
            loop.call_soon(self._hand_over, loop, 0, loop.time() + GATHER_SECONDS)
        gathered.append(_Asked(request, future, note, self._traces.here()))
        return future

    def _hand_over(self, loop: asyncio.AbstractEventLoop, before: int, until: float) -> None:
        """Put what an event loop has asked into the queue at once, as soon as a turn of it brings nothing new.

        A transaction costs as much as twenty requests in it, and threads wait for one another once.
        """
        gathered = self._gathered[loop]
        if len(gathered) > before and loop.time() < until:
            loop.call_soon(self._hand_over, loop, len(gathered), until)
            return
        del self._gathered[loop]
        for start in range(0, len(gathered), MOST_AT_ONCE):
            self._queue.put(gathered[start : start + MOST_AT_ONCE])

    def do(
        self, work: Callable[[Transaction], Any], *, then: Callable[[Terms, Any], Terms] | None = None
    ) -> "Future[Any]":
        """Run a piece of writing in a transaction of its own.

        ``then`` says what the terms are after its commit, from the terms before and its result: nothing else happens in
        between, so that two who change the same thing leave the same on the disk and in force.
        """
        job = _Job(work, Future(), then, self._traces.here())
        self._queue.put(job)
        return job.future

    def forget(self) -> None:
        """Let the next cycle load what waits anew: for a piece of writing that has changed it."""
        self._memory.forget()

    def change_terms(self, change: Callable[[Terms], Terms]) -> "Future[Terms]":
        """Replace the terms before the next cycle: ``change`` makes the new ones of those that are in force then.

        Never decide by ``terms`` whether there is anything to change: another change may be on its way. The future
        resolves with what is in force from then on. For example::

            writer.change_terms(lambda terms: replace(terms, outlooks=outlooks))
        """
        item = _Change(change, Future())
        self._queue.put(item)
        return item.future

    def remembered(self, tx: Transaction) -> Remembered:
        """What cycles remember; only for work that ``do`` runs, since it is the writer thread's own."""
        return self._memory.of(tx, self.terms)

    @property
    def seen(self) -> int:
        """The revision up to which ``tell`` was told of every ticket that changed; from any thread."""
        return self._memory.seen

    @property
    def waiting(self) -> int:
        """How many requests and jobs are in line."""
        return self._queue.qsize()

    def _work(self) -> None:
        while True:
            batch = self._drain()
            for item in batch:  # first: a change that was asked for before a request rules its cycle
                if isinstance(item, _Change):
                    self._change(item)
            requests = [item for item in batch if isinstance(item, _Asked)]
            if requests or time.monotonic() >= self._due:
                self._serve(requests)
            for item in batch:
                if isinstance(item, _Job):
                    self._do(item)
            if None in batch:
                return

    def _drain(self) -> list[_Item]:
        batch: list[_Item] = []
        try:
            put = self._queue.get(timeout=max(0.0, self._due - time.monotonic()))
            gathers_until = time.monotonic() + self._gather
            while True:
                batch += put if isinstance(put, list) else [put]
                if len(batch) >= MOST_AT_ONCE or batch[-1] is None:
                    break
                seconds = gathers_until - time.monotonic() if len(batch) < self._crowd else 0.0
                put = self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait()
        except queue.Empty:
            pass
        return batch

    def _serve(self, asked: Sequence[_Asked], unsure: MaybeStored | None = None) -> None:
        """One cycle; when it fails as a whole, each is tried alone, but not while the database is away.

        ``unsure``: they may be stored already, so nobody hears that nothing was changed.
        """
        started = time.monotonic()
        if self._away and started < self._look_again:
            self._due = self._look_again
            self._answer(asked, [unsure or self._away] * len(asked))
            return
        try:
            done = self._cycle(asked)
        except Exception as error:
            self._due = time.monotonic() + LOOK_SECONDS
            if isinstance(error, DatabaseAway):
                self._is_away(error)
                self._answer(asked, [unsure or error] * len(asked))
            elif len(asked) > 1:
                for item in asked:
                    self._serve([item], error if isinstance(error, MaybeStored) else unsure)
            elif asked:
                self._answer(asked, [unsure or reason(error)])
            else:
                log.error("cycle.failed error=%s", reason(error), exc_info=not isinstance(reason(error), StoreError))
            return
        self._away, seconds = None, time.monotonic() - started
        if self.store.is_shared and len(asked) > 1:
            self._crowd, self._gather = len(asked), min(GATHER_SHARE * seconds, LONGEST_GATHER)
        else:
            self._gather = 0.0
        self._tell(done, seconds)
        self._answer(asked, done.answers)

    def _is_away(self, error: DatabaseAway) -> None:
        """Note that the database is away; the log has been told by whoever counts refusals (``store.wrote``)."""
        self._away, self._look_again = error, time.monotonic() + AWAY_SECONDS
        self._due = self._look_again

    @staticmethod
    def _answer(asked: Sequence[_Asked], answers: Sequence[Reply | Exception]) -> None:
        """Resolve what asked, each in its own world: threads one by one, an event loop all at once."""
        by_loop: dict[asyncio.AbstractEventLoop, Settled] = {}
        for item, answer in zip(asked, answers, strict=True):
            if isinstance(item.future, asyncio.Future):
                by_loop.setdefault(item.future.get_loop(), []).append((item.future, answer))
            elif isinstance(answer, Exception):
                item.future.set_exception(answer)
            else:
                item.future.set_result(answer)
        for loop, settled in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(settle, settled)

    def _cycle(self, asked: Sequence[_Asked]) -> cycle.CycleResult:
        self._notice_sleep()
        times, requests = Times(), [item.request for item in asked]
        questions: Sequence[Question] = ()
        if self.store.is_shared:  # there asking is a journey
            cycle.foresee(foreseen := Foreseen(self.store.clock()), requests, self._memory)
            questions = foreseen.questions
        try:
            with self.store.transaction(questions) as tx:
                self._follow(tx)
                done = cycle.run_cycle(tx, requests, self.terms, self._memory)
                for item, answer in zip(asked, done.answers, strict=True):
                    if item.note:
                        item.note(tx, answer)
                now = tx.now
                times.commits()
        except BaseException:
            self._memory.forget()
            if self._rereading:
                self._rereading.lost()
            raise
        wait = self._seconds_to(self._memory.due(), now)
        if self._traces.is_on:
            self._traces.served([item.place for item in asked], times.over(), [reply.ticket for reply in done.answers])
        if elsewhere := self._memory.written_elsewhere():
            done = replace(done, changed=done.changed | elsewhere)
        if done.unfinished:
            wait = 0.0
        elif not self.terms.expire_leases:
            wait = max(wait, 0.2)
        self._due = time.monotonic() + max(0.0, min(LOOK_SECONDS, wait))
        return done

    @staticmethod
    def _seconds_to(due: datetime | None, now: datetime) -> float:
        return max(0.001, (due - now).total_seconds()) if due else LOOK_SECONDS

    def _notice_sleep(self) -> None:
        """Let no lease expire right after the machine slept or its clock jumped: its runner slept too."""
        wall, tick = self.store.clock(), time.monotonic()
        apart = abs((wall - self._clocks[0]) - timedelta(seconds=tick - self._clocks[1]))
        late = tick - self._clocks[1] > 3 * LOOK_SECONDS + SLEPT.total_seconds()
        if apart > SLEPT or late:
            self._grace_ends = tick + GRACE.total_seconds()
        self._clocks = (wall, tick)
        expire_leases = tick >= self._grace_ends
        if expire_leases is not self.terms.expire_leases:
            self.terms = replace(self.terms, expire_leases=expire_leases)

    def _do(self, job: _Job) -> None:
        before = self._memory.remembered, self._memory.seen
        if self._away and time.monotonic() < self._look_again:
            job.future.set_exception(self._away)
            return
        times = Times()
        try:
            with self.store.transaction() as tx:
                self._follow(tx)
                result = job.work(tx)
                if self._rereading:
                    self._rereading.wrote(tx, in_force=job.then is not None)
                times.commits()
            self._traces.served([job.place], times.over(), [None])
            if job.then:
                self._put_in_force(job.then(self.terms, result))
        except Exception as error:
            if isinstance(error, DatabaseAway):
                self._is_away(error)
            if (self._memory.remembered, self._memory.seen) != before:
                self._memory.forget()  # what the job looked at was taken back
            if self._rereading:
                self._rereading.lost()
            job.future.set_exception(reason(error))
        else:
            self._away = None
            job.future.set_result(result)
            self._due = 0.0 if not self._stopping else self._due

    def _change(self, item: _Change) -> None:
        before = self.terms
        try:
            self._put_in_force(item.change(before))
        except Exception as error:
            item.future.set_exception(error)
        else:
            item.future.set_result(self.terms)
            if self.terms is not before and not self._stopping:
                self._due = 0.0

    def _follow(self, tx: Transaction) -> None:
        """Let terms rule this transaction that somebody else has changed."""
        if self._rereading:
            self._put_in_force(self._rereading.follow(tx, self.terms))

    def _put_in_force(self, terms: Terms) -> None:
        if terms.begin_anew_after(self.terms):
            self._memory.forget()
        self.terms = terms
