"""Statements that travel to the server together, and what each brought.

    add ── add ── add ── go: one parcel, with a Sync at its end ──► server ──► answers, in their order

psycopg has pipelines of its own, which send each statement as a parcel of its own, wake the server with it, and make a
cursor for it: half of what a cycle of sixteen requests cost us. Here the protocol's own calls (``psycopg.pq``) are
used: libpq holds back what is asked until it is told to send it. Values are understood as the connection does.

Statements whose plan may be kept are prepared once they have come ``PREPARED_AFTER`` times.
"""

import contextlib
import select
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer

from quota_scheduler.store.postgres_pulse import Watch

PREPARED_AFTER = 3
"""How often a statement is run before it is worth keeping its plan."""
MOST_PREPARED = 200
"""Plans that one session keeps: twice the statements of a cycle, a tick and a sweep together."""
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.NONFATAL_ERROR)

Plan = tuple[bytes, tuple[int, ...]]
"""A statement, and the types of its parameters."""


class Told:
    """What one statement brought, fetched when somebody looks."""

    def __init__(self, journeys: "Journeys") -> None:
        self._journeys = journeys
        self._rows: list[tuple[Any, ...]] | None = None
        self.result: pq.abc.PGresult | None = None

    def _came(self) -> "pq.abc.PGresult":
        if self.result is None:
            self._journeys.go()
        if self.result is None or self.result.status == pq.ExecStatus.PIPELINE_ABORTED:
            raise errors.PipelineAborted("a statement before this one has failed")
        return self.result

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        if self._rows is None:
            self._rows = self._journeys.rows(self._came())
        rows, self._rows = self._rows, []
        return rows

    def fetchone(self) -> Any:
        """The next row, or None."""
        rows = self.fetchall()
        self._rows = rows[1:]
        return rows[0] if rows else None

    @property
    def rowcount(self) -> int:
        """How many rows it changed or brought."""
        return self._came().command_tuples or 0

    @property
    def word(self) -> bytes:
        """What the server calls what it did: COMMIT, ROLLBACK, INSERT 0 1."""
        return self._came().command_status or b""


class Journeys:
    """The conversation of one connection, whose plans it keeps; ``begin`` and ``end`` stand around each transaction."""

    def __init__(self, connection: "psycopg.Connection[Any]", watch: Watch | None) -> None:
        self._connection, self._watch = connection, watch
        self._keeps_plans = connection.prepare_threshold is not None
        self._server = connection.pgconn
        self._values = Transformer(connection)
        self._seen: OrderedDict[Plan, int] = OrderedDict()
        self._plans: OrderedDict[Plan, bytes] = OrderedDict()
        self._numbers = 0
        self._made: dict[Plan, bytes] = {}
        self._lying: list[tuple[bytes, Sequence[Any], bool, Told]] = []

    def begin(self) -> None:
        """Begin to hold statements back."""
        self._lying = []
        if self._server.pipeline_status == pq.PipelineStatus.OFF:
            self._server.enter_pipeline_mode()

    def end(self) -> None:
        """Let the connection be used otherwise again. Raises OperationalError where answers are still to come."""
        self._lying = []
        self._server.exit_pipeline_mode()

    def hear(self) -> None:
        """Notice that the server has ended the conversation meanwhile. Raises OperationalError."""
        unasked = select.poll()
        unasked.register(self._server.socket, select.POLLIN)
        while unasked.poll(0):
            self._server.consume_input()

    def add(self, text: bytes, params: Sequence[Any] = (), *, keep: bool = False) -> Told:
        """Let a statement travel with the next journey; ``keep``: its plan is the same however many rows there are."""
        told = Told(self)
        self._lying.append((text, params, keep, told))
        return told

    def go(self) -> None:
        """Send what lies here and take all answers. Raises what the first trouble was."""
        lying, self._lying = self._lying, []
        if not lying:
            return
        expected: list[Told | Plan | None] = []
        for text, params, keep, told in lying:
            expected += self._send(text, params, keep)
            expected.append(told)
        self._server.pipeline_sync()
        with self._watch.waiting(self._connection) if self._watch else contextlib.nullcontext():
            results = self._answers(len(expected))
        made, self._made, trouble = self._made, {}, None
        for one, result in zip(expected, results, strict=True):
            if isinstance(one, Told):
                one.result = result
            elif one is not None and result.status == pq.ExecStatus.COMMAND_OK:
                self._plans[one] = made[one]
            if result.status in _FAILED and trouble is None:
                trouble = result
        if trouble is not None:
            raise errors.error_from_result(trouble, self._connection.info.encoding)

    def rows(self, result: "pq.abc.PGresult") -> list[tuple[Any, ...]]:
        """The rows of a result, as our values."""
        self._values.set_pgresult(result)
        return list(self._values.load_rows(0, result.ntuples, tuple))

    def _send(self, text: bytes, params: Sequence[Any], keep: bool) -> list["Plan | None"]:
        """Hand one statement over; returns what will be answered before it: that a plan was let go, or made."""
        values, types, formats = self._dumped(params)
        name, first = None, list[Plan | None]()
        if keep and self._keeps_plans:
            plan = (text, types)
            name, first = self._plan(plan)
        if name is None:
            self._server.send_query_params(text, values, types, formats)
        else:
            self._server.send_query_prepared(name, values, formats)
        return first

    def _dumped(self, params: Sequence[Any]) -> tuple[Sequence[Any] | None, tuple[int, ...], Sequence[int] | None]:
        if not params:
            return None, (), None
        values = self._values.dump_sequence(params, [PyFormat.AUTO] * len(params))
        return values, self._values.types or (), self._values.formats

    def _plan(self, plan: Plan) -> tuple[bytes | None, list["Plan | None"]]:
        """The name under which a plan is kept, made now where the statement has come often enough."""
        if plan in self._plans:
            self._plans.move_to_end(plan)
            return self._plans[plan], []
        if plan in self._made:
            return self._made[plan], []
        seen = self._seen.pop(plan, 0) + 1
        if seen <= PREPARED_AFTER:
            self._seen[plan] = seen
            if len(self._seen) > MOST_PREPARED:
                self._seen.popitem(last=False)
            return None, []
        first: list[Plan | None] = []
        if len(self._plans) + len(self._made) >= MOST_PREPARED and self._plans:
            _, oldest = self._plans.popitem(last=False)
            self._server.send_query_params(b"DEALLOCATE " + oldest, None)
            first.append(None)
        self._numbers += 1
        self._made[plan] = name = b"quota_scheduler_%d" % self._numbers
        self._server.send_prepare(name, *plan)
        return name, [*first, plan]

    def _answers(self, expected: int) -> list["pq.abc.PGresult"]:
        """One result for each that is expected, and the Sync behind them."""
        server, results = self._server, list[pq.abc.PGresult]()
        told = select.poll()
        told.register(server.socket, select.POLLIN | select.POLLOUT)
        while server.flush():  # more than the socket takes at once: the server may have to be listened to meanwhile
            told.poll()
            server.consume_input()
        told.modify(server.socket, select.POLLIN)
        while True:
            while server.is_busy():
                told.poll()
                server.consume_input()
            result = server.get_result()
            if result is not None and result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            if result is not None:
                results.append(result)
            elif server.status == pq.ConnStatus.BAD:
                raise errors.OperationalError("the connection is lost")
        assert len(results) == expected
        return results
