"""The door for OTLP: the body of an export in, a delivery out, and the answer in the encoding of the question."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from quota_scheduler.core.instants import to_micros
from quota_scheduler.core.labels import Labels
from quota_scheduler.core.ledger.metered import Metered
from quota_scheduler.core.ledger.produced import Produced
from quota_scheduler.core.ledger.pushed import Pushed
from quota_scheduler.core.units import LARGEST_EVENT
from quota_scheduler.core.usage import Usage, UsageEvent
from quota_scheduler.sources.otlp import claude_code, codex, gemini, genai, json_body
from quota_scheduler.sources.otlp.calls import CLAUDE_CODE, CODEX, GEMINI, QWEN, OtlpCall, one_each, program_of
from quota_scheduler.sources.otlp.metrics import part_of
from quota_scheduler.sources.otlp.records import (
    PRODUCT_METRICS,
    Attributes,
    CallSpan,
    Decoded,
    LogRecord,
    Point,
    Scalar,
    instant_of,
    place_text,
    text,
    written_instant,
)
from quota_scheduler.sources.pushed import Find, PushedLabels, plain
from quota_scheduler.sources.records import BadLine

SOURCE = "otlp"
SIGNALS = {"logs": "logs", "spans": "traces", "points": "metrics"}
"""The lists of the protocol's bodies, and what the paths call them."""
CALLERS = ("user.account_uuid", "user.account_id", "organization.id", "user.id")
"""Attributes that tell accounts apart; an e-mail address is none of them."""
NAMES = frozenset(
    {
        *genai.NAMES,
        *codex.FACTS,
        *CALLERS,
        *(
            "service.name",
            "host.name",
            "event.name",
            "event.timestamp",
            "event.sequence",
            "event.kind",
            "model",
            "slug",
        ),
        *("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "cache_creation_5m_tokens"),
        *("cache_creation_1h_tokens", "cost_usd", "request_id", "speed", "response_id", "prompt_id", "role"),
        *("input_token_count", "output_token_count", "cached_token_count", "cache_write_token_count"),
        *("cached_content_token_count", "thoughts_token_count", "tool_token_count", "type", "token_type"),
        "gen_ai.token.type",
    }
)
"""Every attribute that is looked at, beside those that labels are made of."""
LONGEST_HOST = 100
MOST_PRODUCED = 100_000
"""More commits of one session than this are garbled."""
MOST_REMEMBERED = 4096


def _codec(is_json: bool) -> Any:
    """What reads and answers a body: a function for each of SIGNALS, and one for the answer."""
    if is_json:
        return json_body
    from quota_scheduler.sources.otlp import protobuf  # sixty modules of messages, where nobody may ever send one

    return protobuf


class OtlpDoor:
    """Reads exports. ``here`` is this host's name: what was made on another says so in its origin."""

    def __init__(self, labels: PushedLabels, *, here: str = "") -> None:
        self._labels, self._here = labels, here
        self._wanted = NAMES | labels.wanted
        self._names = (*CALLERS, *sorted(labels.wanted))
        self._labelled = lru_cache(MOST_REMEMBERED)(self._labels_of)

    def read(self, signal: str, body: bytes, *, is_json: bool, now: datetime) -> Pushed:
        """What an export tells; ``signal`` is one of SIGNALS. Raises BadLine for a body that is none."""
        decoded: Decoded = getattr(_codec(is_json), signal)(body, self._wanted)
        refused = list(decoded.refused)
        if signal == "points":
            points = (record for record in decoded.records if isinstance(record, Point))
            metered: list[Metered] = []
            produced: list[Produced] = []
            for point in points:
                if point.metric in PRODUCT_METRICS:
                    produced += self._produced(point, now, refused)
                elif one := self._metered(point, now, refused):
                    metered.append(one)
            return Pushed(SOURCE, metered=tuple(metered), refused=tuple(refused), produced=tuple(produced))
        told = (record for record in decoded.records if not isinstance(record, Point))
        calls = one_each(call for record in told if (call := self._call(record, now, refused)))
        events = [self._event(call, SIGNALS[signal]) for call in calls]
        costs = tuple((call.key, call.cost_pico) for call in calls if call.cost_pico)
        skipped = len(decoded.records) - len(events)
        return Pushed(SOURCE, tuple(events), costs=costs, refused=tuple(refused), skipped=skipped)

    def answer(self, signal: str, *, is_json: bool, refused: Iterable[str] = ()) -> bytes:
        """The answer to an export that has been stored, in its own encoding."""
        sentences = list(refused)
        more = f" (and {len(sentences) - 3} more)" if len(sentences) > 3 else ""
        message = f"{'; '.join(sentences[:3])}{more}" if sentences else ""
        encoded: bytes = _codec(is_json).answer(signal, len(sentences), message)
        return encoded

    def _call(self, record: LogRecord | CallSpan, now: datetime, refused: list[str]) -> OtlpCall | None:
        try:
            call = _of_log(record, now) if isinstance(record, LogRecord) else _of_span(record, now)
            if call and call.usage.tokens > LARGEST_EVENT:
                raise BadLine(f"{call.usage.tokens} tokens are no call that was ever made")
        except BadLine as error:
            refused.append(f"{place_text(record.place)}: {error}")
            return None
        return call

    def _event(self, call: OtlpCall, signal: str) -> UsageEvent:
        facts, session = call.facts, plain(call.session)
        return UsageEvent(
            key=call.key,
            at=call.at,
            labels=self._labels_for(facts, call.provider, call.model, call.program),
            usage=call.usage,
            run=self._labels.value("run", _finder(facts)) or session,
            session=session,
            message=call.message,
            priority=self._labels.priority,
            terms=call.terms,
            origin=self._origin(call.program, signal, facts),
            extent=call.extent,
        )

    def _metered(self, point: Point, now: datetime, refused: list[str]) -> Metered | None:
        try:
            part = part_of(point)
            at = instant_of(point.time) or now
        except BadLine as error:
            refused.append(f"{place_text(point.place)}: {error}")
            return None
        if part is None:
            return None
        facts = {**point.resource, **point.attributes}
        draft = UsageEvent(
            key=point.group,
            at=at,
            labels=self._labels_for(facts, part.provider, part.model, part.program),
            usage=Usage(),
            run=self._labels.value("run", _finder(facts)) or plain(part.session),
            session=plain(part.session),
            priority=self._labels.priority,
            terms=part.terms,
            origin=self._origin(part.program, SIGNALS["points"], facts),
        )
        return Metered(
            series=f"{point.group}/{part.type}",
            group=point.group,
            start=min(point.start, _MOST),
            at=min(point.time, _MOST) or to_micros(now) * 1000,
            value=part.value,
            calls=part.calls,
            is_cumulative=point.is_cumulative,
            weights=part.weights,
            draft=draft,
        )

    def _produced(self, point: Point, now: datetime, refused: list[str]) -> Iterable[Produced]:
        """What a point says was made; nothing of a session that is not named."""
        facts = {**point.resource, **point.attributes}
        session = plain(text(facts, *genai.SESSION))
        try:
            at = instant_of(point.time) or now
            if not 0 <= point.value <= MOST_PRODUCED:
                raise BadLine(f"{point.metric} is {point.value:g}, no number of things that a session makes")
        except BadLine as error:
            refused.append(f"{place_text(point.place)}: {error}")
            return
        if session:
            yield Produced(
                series=point.group,
                product=PRODUCT_METRICS[point.metric],
                session=session,
                run=self._labels.value("run", _finder(facts)) or session,
                at=at,
                start=min(point.start, _MOST),
                until=min(point.time, _MOST) or to_micros(now) * 1000,
                value=round(point.value),
                is_cumulative=point.is_cumulative,
            )

    def _labels_for(self, facts: Attributes, provider: str, model: str, program: str) -> Labels:
        return self._labelled(tuple(map(facts.get, self._names)), provider, model, program)

    def _labels_of(self, said: tuple[Scalar, ...], provider: str, model: str, program: str) -> Labels:
        facts = dict(zip(self._names, said, strict=True))
        agent = "" if program == CLAUDE_CODE else program
        callers = tuple(text(facts, name) for name in CALLERS)
        return self._labels.labels(_finder(facts), provider=provider, model=model, agent=agent, callers=callers)

    def _origin(self, program: str, signal: str, facts: Attributes) -> str:
        host = plain(text(facts, "host.name"))[:LONGEST_HOST]
        return f"{SOURCE}/{program}/{signal}" + (f"@{host}" if host and host != self._here else "")


_MOST = 2**63 - 1
"""As far as the database counts."""


def _finder(facts: Attributes) -> Find:
    return lambda name: text(facts, name)


def _of_log(record: LogRecord, now: datetime) -> OtlpCall | None:
    """The call that a log record tells of. Raises BadLine."""
    if record.name in claude_code.EVENTS and "input_tokens" in record.attributes:
        return claude_code.call_of(record, _time_of(record, now))
    if record.name == codex.EVENT:
        return codex.call_of(record, _time_of(record, now))
    if record.name in gemini.EVENTS:
        return gemini.call_of(record, _time_of(record, now))
    if record.name == genai.EVENT:
        program = program_of(record.resource)
        if program in (GEMINI, QWEN):
            return None  # its own event tells the same, and more
        number = f"{record.time or record.observed:x}/{text(record.attributes, *genai.SESSION)}"
        return genai.call_of(record.attributes, _time_of(record, now), number, program)
    return None


def _time_of(record: LogRecord, now: datetime) -> datetime:
    """When it happened: many records leave their own time at 0. Raises BadLine."""
    return (
        instant_of(record.time)
        or instant_of(record.observed)
        or written_instant(text(record.attributes, "event.timestamp"))
        or now
    )


def _of_span(span: CallSpan, now: datetime) -> OtlpCall | None:
    """The call that a span tells of. Raises BadLine."""
    program = program_of(span.resource)
    ended = instant_of(span.ended) or now
    if program == CODEX:
        return codex.call_of_turn(span, ended) if span.name == codex.SPAN else None
    if program in (CLAUDE_CODE, GEMINI, QWEN):
        return None  # their events tell the same
    return genai.call_of(span.attributes, ended, span.number, program)
