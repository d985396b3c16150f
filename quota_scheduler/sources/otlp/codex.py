"""Codex's own telemetry: events of its answers, sums of its turns, and spans.

``codex.sse_event`` of the kind ``response.completed`` comes twice an answer, once without tokens. Its time is 0. Input
includes what came from the cache and what was written to it, output includes reasoning, and ``tool`` and ``total`` are
sums of the others. Of the spans ``handle_responses`` is one an answer, ``session_task.turn`` the sum of a turn. No
record names the answer's id. Measured with 0.171.
"""

from datetime import datetime

from quota_scheduler.sources.calls import usage_of
from quota_scheduler.sources.otlp.calls import CODEX, OtlpCall, content_key
from quota_scheduler.sources.otlp.records import LogRecord, count, text

PROVIDER = "openai"
EVENT = "codex.sse_event"
COMPLETED = "response.completed"
SPAN = "handle_responses"
METRIC = "codex.turn.token_usage"
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
