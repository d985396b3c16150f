"""What a run has used, by what it printed: lines are taken as they come, and what is no JSON is stepped over.

Totals of a session or thread are never added up: what it had before this run is taken off them (``baseline``).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from quota_scheduler.wrapper import figures
from quota_scheduler.wrapper.figures import ByModel

LONGEST_LINE = 16 * 1024 * 1024
"""A longer line, or a longer document, is passed on and not read."""
Record = Mapping[str, Any]
Baseline = Callable[[str, ByModel], ByModel | None]
"""What a session had used before this run, by its id and its total now; None where nobody knows."""


class RecordReader:
    """Bytes in, JSON objects out: one a line, or one document over many lines when the output ends."""

    def __init__(self, take: Callable[[Record], None]) -> None:
        self._take = take
        self._line, self._skipping = bytearray(), False
        self._whole: bytearray | None = bytearray()

    def feed(self, part: bytes) -> None:
        """Take some more of the output."""
        if self._whole is not None:
            self._whole += part
            if len(self._whole) > LONGEST_LINE:
                self._whole = None
        *complete, begun = part.split(b"\n")
        for piece in complete:
            self._extend(piece)
            self._end_line()
        self._extend(begun)

    def end(self) -> None:
        """The output has ended: read the last line, or all of it as one document."""
        self._end_line()
        if self._whole is None:
            return
        text = self._whole.decode("utf-8", "replace")
        for start in _beginnings(text):
            try:
                document, _ = json.JSONDecoder().raw_decode(text, start)
            except (ValueError, RecursionError):
                continue
            self._give(document)
            return

    def _extend(self, piece: bytes) -> None:
        if not self._skipping:
            self._line += piece
            if len(self._line) > LONGEST_LINE:
                self._line.clear()
                self._skipping = True

    def _end_line(self) -> None:
        line, self._skipping = bytes(self._line).strip(), False
        self._line.clear()
        if line[:1] in (b"{", b"[") and line[-1:] in (b"}", b"]"):
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                return
            if self._give(document):
                self._whole = None  # one object a line: there is no other document

    def _give(self, document: Any) -> bool:
        records = [one for one in (document if isinstance(document, list) else [document]) if isinstance(one, dict)]
        for record in records:
            self._take(record)
        return bool(records)


def _beginnings(text: str) -> list[int]:
    """Where a document may begin: a brace or bracket at the start of a line; a few, each costs a try."""
    places = [at for at, sign in enumerate(text) if sign in "{[" and (at == 0 or text[at - 1] == "\n")]
    return places[:50]


class UsageMeter:
    """Adds up what records say. ``session`` is the first that was named, ``model`` that of agents that print none.

    ``to_remember`` is what sessions have used since they began, for the next run that goes on with one of them.
    ``ended_in_error`` is what the last result says of itself: an interrupt ends with status 0, and is none the less.
    """

    def __init__(self, model: str = "", *, session: str = "") -> None:
        self.session, self._model = session, model
        self.totals: dict[str, ByModel] = {}
        self.to_remember: dict[str, ByModel] = {}
        self._since: ByModel = {}
        self._steps: dict[str, ByModel] = {}
        self._under_way: dict[str, ByModel] = {}
        self._main_loop: dict[str, ByModel] = {}
        self._results: set[str] = set()
        self.ended_in_error = False

    def take(self, record: Record) -> None:
        """Take one record; of an agent that nobody knows it says nothing."""
        kind = record.get("type")
        self._name(record)
        if isinstance(record.get("stats"), Mapping) and kind in ("result", None) and "usage" not in record:
            self._steps["gemini"] = figures.gemini_models(record.get("stats"))
        elif kind == "result":
            self._claude_result(record)
        elif kind == "assistant":
            self._claude_message(record.get("message"))
        elif kind == "turn.completed":
            self.totals[self.session] = {self._model: figures.codex_usage(record.get("usage"))}
            self.to_remember[self.session] = self.totals[self.session]
        elif kind == "step_finish":
            part = record.get("part") if isinstance(record.get("part"), Mapping) else {}
            key = f"step:{part.get('id') or len(self._steps)}"  # type: ignore[union-attr]
            self._steps[key] = {self._model: figures.opencode_step(part.get("tokens"))}  # type: ignore[union-attr]

    def usage(self, baseline: Baseline) -> ByModel:
        """What this run has used so far, by model."""
        run: ByModel = self._since
        for part in (*self._steps.values(), *self._under_way.values()):
            run = figures.added(run, part)
        for session, total in self.totals.items():
            began = baseline(session, total)
            # of a session that nobody saw before, the main loop of this run is what is known for sure
            more = self._main_loop.get(session, {}) if began is None else figures.less(total, began)
            run = figures.added(run, more)
        return figures.used(run)

    @property
    def is_under_way(self) -> bool:
        """Whether a response began of which no result has told: what it used stands in its transcript, if anywhere."""
        return bool(self._under_way)

    def _name(self, record: Record) -> None:
        for key in ("session_id", "thread_id", "sessionID"):
            value = record.get(key)
            if not self.session and isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200:
                self.session = value

    def _claude_result(self, record: Record) -> None:
        mark = str(record.get("uuid") or "")
        if mark and mark in self._results:
            return
        self._results.add(mark)
        self.ended_in_error = record.get("is_error") is True
        since = figures.claude_models(record.get("model_usage_since_last_result"))
        session = str(record.get("session_id") or "")
        if figures.is_of_qwen(record.get("usage")):
            self._qwen_result(session, record)
            return
        self._under_way.clear()
        total = figures.claude_models(record.get("modelUsage"))
        if total:
            self.to_remember[session] = total
        if "model_usage_since_last_result" in record:
            self._since = figures.added(self._since, since)
        elif total:
            self.totals[session] = total
        main = {next(iter(total), self._model): figures.claude_usage(record.get("usage"))}
        if total or "model_usage_since_last_result" in record:
            self._main_loop[session] = figures.added(self._main_loop.get(session, {}), main)
        else:
            self._since = figures.added(self._since, main)

    def _qwen_result(self, session: str, record: Record) -> None:
        """Its total is that of the session; what it answered in this run is the main loop's."""
        for answer in self._under_way.values():
            self._main_loop[session] = figures.added(self._main_loop.get(session, {}), answer)
        model = next((model for answer in self._under_way.values() for model in answer), self._model)
        self._under_way.clear()
        total = figures.qwen_models(record.get("stats")) or {model: figures.claude_usage(record.get("usage"))}
        self.to_remember[session] = self.totals[session] = total

    def _claude_message(self, message: Any) -> None:
        """A response under way: the truth of it comes with the result, or stands in the transcript."""
        if isinstance(message, Mapping) and message.get("id") and message.get("model") != "<synthetic>":
            usage = figures.claude_usage(message.get("usage"))
            self._under_way[str(message["id"])] = {str(message.get("model") or self._model): usage}
