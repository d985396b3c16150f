"""Codex's own telemetry: events of its answers, sums of its turns, and spans.

``codex.sse_event`` of the kind ``response.completed`` comes twice an answer, once without tokens. Its time is 0. Input
includes what came from the cache and what was written to it, output includes reasoning, and ``tool`` and ``total`` are
sums of the others. Of the spans ``handle_responses`` is one an answer, but names neither model nor thread;
``session_task.turn`` is the sum of a turn and names both. No record names the answer's id. Measured with 0.171.
"""

from datetime import datetime

from quota_scheduler.sources.calls import usage_of
from quota_scheduler.sources.otlp.calls import CODEX, OtlpCall, content_key
from quota_scheduler.sources.otlp.records import CallSpan, LogRecord, count, text

PROVIDER = "openai"
EVENT = "codex.sse_event"
COMPLETED = "response.completed"
SPAN = "session_task.turn"
TURN = "codex.turn.token_usage"
"""The metric of a turn, and how the figures of its span begin."""
METRIC = TURN
FACTS = frozenset(
    {"thread.id", *(f"{TURN}.{kind}_tokens" for kind in ("input", "cached_input", "cache_write_input", "output"))}
)
"""Attributes of a turn's span that are looked at."""
KINDS = {
    "input": (1, 0, 0, 0, 0),
    "cached_input": (-1, 1, 0, 0, 0),
    "cache_write_input": (-1, 0, 1, 0, 0),
    "output": (0, 0, 0, 0, 1),
}
"""What each type of the metric adds to the five kinds: ``input`` includes both that follow it; others are sums."""


def call_of(record: LogRecord, at: datetime) -> OtlpCall | None:
    """The call that an event reports; None for its twin without tokens and for all others. Raises BadLine."""
    facts = record.attributes
    if facts.get("event.kind") != COMPLETED:
        return None
    usage = usage_of(
        everything_in=count(facts, "input_token_count") or 0,
        cached=count(facts, "cached_token_count") or 0,
        cache_write=count(facts, "cache_write_token_count") or 0,
        out=count(facts, "output_token_count") or 0,
    )
    if not usage.tokens:
        return None
    session, model = text(facts, "conversation.id"), text(facts, "model", "slug")
    written = text(facts, "event.timestamp") or record.time or record.observed
    key = content_key(CODEX, (session, written, model, *usage.kinds))
    return OtlpCall(CODEX, key, at, PROVIDER, model, usage, session, facts)


def call_of_turn(span: CallSpan, at: datetime) -> OtlpCall | None:
    """What a turn used, as one call; None for one that used nothing. Raises BadLine."""
    facts = span.attributes
    usage = usage_of(
        everything_in=count(facts, f"{TURN}.input_tokens") or 0,
        cached=count(facts, f"{TURN}.cached_input_tokens") or 0,
        cache_write=count(facts, f"{TURN}.cache_write_input_tokens") or 0,
        out=count(facts, f"{TURN}.output_tokens") or 0,
    )
    if not usage.tokens:
        return None
    key = content_key(CODEX, ("turn", span.number))
    return OtlpCall(CODEX, key, at, PROVIDER, text(facts, "model"), usage, text(facts, "thread.id"), facts)
